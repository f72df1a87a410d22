package label_test

import (
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/wire"
	"github.com/countersign-mpc/countersign/wire/label"
)

func TestBytes(t *testing.T) {
	for _, c := range []struct {
		purpose string
		fields  [][]byte
		want    string
	}{
		{"a", nil, "countersign/a/v1\x00"},
		{"a-1/b", [][]byte{[]byte("xyz"), nil}, "countersign/a-1/b/v1\x00\x00\x00\x00\x03xyz\x00\x00\x00\x00"},
	} {
		if got := string(label.Bytes(c.purpose, c.fields...)); got != c.want || string(wire.SigningBytes(c.purpose, c.fields...)) != c.want {
			t.Errorf("%q", got)
		}
		room := label.Begin([]byte("before"), c.purpose)
		for i, f := range c.fields {
			if room = label.Field(room, f); i%2 == 0 { // as text it is the same
				room = label.Field(room[:len(room)-4-len(f)], string(f))
			}
		}
		if string(room) != "before"+c.want {
			t.Errorf("in pieces: %q", room)
		}
		placed := label.Begin(nil, c.purpose)
		for _, f := range c.fields {
			placed = label.Field(placed, "")
			at := len(placed)
			placed = append(placed, f...)
			label.Close(placed, at)
		}
		if string(placed) != c.want {
			t.Errorf("in place: %q", placed)
		}
	}
}

func TestPurposes(t *testing.T) {
	for c := range 256 {
		purpose := "a" + string([]byte{byte(c)})
		good := strings.Trim(purpose, "abcdefghijklmnopqrstuvwxyz0123456789-/") == ""
		func() {
			defer func() {
				if (recover() == nil) != good {
					t.Errorf("purpose %q, which is good: %v", purpose, good)
				}
			}()
			label.Bytes(purpose)
		}()
	}
	for _, bad := range []string{"", "A", "a b", "a\x00", "a.b", "ä", strings.Repeat("a", 9) + "_"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("purpose %q", bad)
				}
			}()
			label.Bytes(bad)
		}()
	}
}
