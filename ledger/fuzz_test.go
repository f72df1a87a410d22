package ledger

import (
	"bytes"
	"errors"
	"math/big"
	"testing"
)

// FuzzWindowState: a window's sum and a reservation are refused as damaged, or are written again as they were read.
func FuzzWindowState(f *testing.F) {
	s := &sum{}
	s.used.SetInt64(1000)
	b, err := s.appendTo(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{sumVersion, 0, 0, 0, 2, 0, 7, 0, 0, 0, 0}) // with a leading zero
	f.Add((&reservation{signed: true, approved: 2, released: 1, parts: []part{{amount: big.NewInt(7)}}}).appendTo(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s sum
		if err := s.parse(data); err == nil {
			if again, err := s.appendTo(nil); err != nil || !bytes.Equal(again, data) {
				t.Errorf("sum %x became %x (%v)", data, again, err)
			}
		} else if !errors.Is(err, ErrDamaged) {
			t.Errorf("%v is no ErrDamaged", err)
		}
		if v, err := parseReservation(data); err == nil {
			if again := v.appendTo(nil); !bytes.Equal(again, data) {
				t.Errorf("reservation %x became %x", data, again)
			}
		} else if !errors.Is(err, ErrDamaged) {
			t.Errorf("%v is no ErrDamaged", err)
		}
		if _, err := parseShadowSum(data); err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("%v is no ErrDamaged", err)
		}
	})
}
