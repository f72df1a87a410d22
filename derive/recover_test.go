package derive_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/countersign-mpc/countersign/derive"
	"pgregory.net/rapid"
)

func TestRecoverECDSA(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := sign(rapid.SliceOf(rapid.Byte()).Draw(t, "seed"), rapid.SliceOf(rapid.Byte()).Draw(t, "message"))
		if got, err := derive.RecoverECDSA(s.digest, s.rs, s.id); err != nil || !bytes.Equal(got, s.pub) {
			t.Fatalf("recovered %x, %v; the signer's is %x", got, err, s.pub)
		}
		if got, err := derive.RecoverECDSA(s.digest, s.rs, s.id^1); err == nil && bytes.Equal(got, s.pub) {
			t.Fatal("the other id gives the same key")
		}
		s.digest[0] ^= 1
		if got, err := derive.RecoverECDSA(s.digest, s.rs, s.id); err == nil && bytes.Equal(got, s.pub) {
			t.Fatal("another digest gives the same key")
		}
	})
}

func TestRecoverECDSARefuses(t *testing.T) {
	s := sign([]byte("seed"), []byte("message"))
	for name, c := range map[string]struct {
		digest, rs []byte
		id         byte
	}{
		"no digest":    {nil, s.rs, s.id},
		"long digest":  {append(bytes.Clone(s.digest), 0), s.rs, s.id},
		"no signature": {s.digest, nil, s.id},
		"with v":       {s.digest, append(bytes.Clone(s.rs), 27), s.id},
		"zeros":        {s.digest, make([]byte, 64), s.id},
		"all ones":     {s.digest, bytes.Repeat([]byte{0xff}, 64), s.id},
		"id of 27":     {s.digest, s.rs, 27},
		"no such x":    {s.digest, s.rs, s.id + 2},
	} {
		if got, err := derive.RecoverECDSA(c.digest, c.rs, c.id); !errors.Is(err, derive.ErrSignature) {
			t.Errorf("%s: %x, %v", name, got, err)
		}
	}
}
