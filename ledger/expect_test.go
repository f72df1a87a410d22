package ledger_test

import (
	"testing"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/ledger/memstore"
)

// expecting is a store that counts what is on its way.
type expecting struct {
	ledger.Store
	coming int
}

// Expect implements ledger.Expecter.
func (e *expecting) Expect(more int) { e.coming += more }

// TestExpect: a store that wants to know is told once that a decision comes, and once that it is there.
func TestExpect(t *testing.T) {
	store := &expecting{Store: memstore.New()}
	l := ledgertest.MustOpen(t, store, nil)
	one, other := l.Expect(), l.Expect()
	if store.coming != 2 {
		t.Errorf("%d are on their way, want 2", store.coming)
	}
	one.Arrived()
	one.Arrived()
	if store.coming != 1 {
		t.Errorf("%d are on their way after one has come, want 1", store.coming)
	}
	other.Arrived()
	if store.coming != 0 {
		t.Errorf("%d are on their way, want none", store.coming)
	}
	unasked := ledgertest.MustOpen(t, memstore.New(), nil).Expect()
	unasked.Arrived()
	new(ledger.Coming).Arrived()
}
