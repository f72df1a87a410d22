package ledger

import (
	"bytes"
	"errors"
	"math/big"
	"testing"
)

// FuzzWindowState: a window's sum and a reservation are refused as damaged, or are read and written again as they were worth.
func FuzzWindowState(f *testing.F) {
	s := &sum{}
	s.used.SetInt64(1000)
	b, err := s.marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add((&reservation{amount: new(big.Int), signed: true, approved: 2, released: 1, parts: []part{{amount: big.NewInt(7)}}}).marshal())
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := parseSum(data); err == nil {
			b, err := s.marshal()
			again, err2 := parseSum(b)
			if err != nil || err2 != nil || again.used.Cmp(&s.used) != 0 || again.reserved.Cmp(&s.reserved) != 0 {
				t.Errorf("sum %x: %v, %v", data, err, err2)
			}
		} else if !errors.Is(err, ErrDamaged) {
			t.Errorf("%v is no ErrDamaged", err)
		}
		if v, err := parseReservation(data); err == nil {
			again, err := parseReservation(v.marshal())
			if err != nil || again.amount.Cmp(v.amount) != 0 || !bytes.Equal(again.marshal(), v.marshal()) {
				t.Errorf("reservation %x: %v", data, err)
			}
		} else if !errors.Is(err, ErrDamaged) {
			t.Errorf("%v is no ErrDamaged", err)
		}
		if _, err := parseShadowSum(data); err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("%v is no ErrDamaged", err)
		}
	})
}
