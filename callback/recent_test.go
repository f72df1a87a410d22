package callback_test

import (
	"slices"
	"testing"

	"github.com/countersign-mpc/countersign/callback"
)

func TestRecentInputs(t *testing.T) {
	var given [][]byte
	for i := range 200 {
		given = append(given, []byte{byte(i)}, nil)
	}
	kept := callback.Recent(given)
	if len(kept) != 64 {
		t.Fatalf("%d inputs are kept", len(kept))
	}
	for i := range 200 {
		has := slices.ContainsFunc(kept, func(b []byte) bool { return b[0] == byte(i) })
		if has != (i >= 200-64) {
			t.Errorf("input %d is kept: %t", i, has)
		}
	}
	w, _ := quickWorld(t, options{}, fewMessages("1"))
	for n := range 3 {
		w.ask(hello(n))
	}
	if got := w.server.RecentInputs(); len(got) != 3 {
		t.Errorf("%d inputs are kept of 3 requests", len(got))
	}
}
