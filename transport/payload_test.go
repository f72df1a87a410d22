package transport_test

import (
	"bytes"
	"testing"

	"github.com/countersign-mpc/countersign/transport"
)

func FuzzPayload(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0})
	f.Add([]byte{1, 1, 0, 2, 9, 9, 'd'})
	f.Add(append([]byte{1, 2}, make([]byte, 36)...))
	f.Add([]byte{1, 4, 0, 0})
	f.Add([]byte{2, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		again, err := transport.RecodePayload(b)
		if err == nil && !bytes.Equal(again, b) {
			t.Fatalf("%x is read as another payload: %x", b, again)
		}
	})
}

func TestPayloadForms(t *testing.T) {
	for name, b := range map[string][]byte{
		"empty": nil, "short": {1, 0}, "other version": {2, 0, 0, 0}, "unknown flag": {1, 8, 0, 0},
		"unsigned broadcast": {1, 1, 0, 0, 'x'}, "signed direct message": {1, 0, 0, 1, 9, 'x'},
		"long signature": {1, 1, 0, 200}, "short echo": append([]byte{1, 2}, make([]byte, 20)...),
		"signature over the end": {1, 1, 0, 9, 1},
	} {
		if _, err := transport.RecodePayload(b); err == nil {
			t.Errorf("%s: decoded", name)
		}
	}
}
