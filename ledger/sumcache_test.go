package ledger_test

import (
	"context"
	"errors"
	"testing"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/ledger/memstore"
	"github.com/countersign-mpc/countersign/wire"
)

// TestSumsOfTwoProcesses: what one process remembers of a commit that did not come about does not stand for the commit of the
// other that took its place.
func TestSumsOfTwoProcesses(t *testing.T) {
	shared := memstore.New()
	store := &dying{Store: shared}
	one := ledgertest.MustOpen(t, store, ledgertest.NewClock())
	other := ledgertest.MustOpen(t, shared, ledgertest.NewClock())
	approve := ledgertest.Give(ledgertest.Verdict(wire.Approve, nil))
	ctx := context.Background()
	if _, err := one.Decide(ctx, ledgertest.Spending("cb-0", "a-0", 1), approve, ledgertest.Reply); err != nil {
		t.Fatal(err)
	}
	store.undoes = true
	if _, err := one.Decide(ctx, ledgertest.Spending("cb-1", "a-1", 10), approve, ledgertest.Reply); !errors.Is(err, errUndone) {
		t.Fatal(err)
	}
	store.undoes = false
	if _, err := other.Decide(ctx, ledgertest.Spending("cb-2", "a-2", 100), approve, ledgertest.Reply); err != nil {
		t.Fatal(err)
	}
	_, err := one.Decide(ctx, ledgertest.Spending("cb-3", "a-3", 1000), func(_ context.Context, s ledger.State) (ledger.Verdict, error) {
		for _, w := range s.Windows {
			if w.Reserved.Int64() != 101 || w.After.Int64() != 1101 {
				t.Errorf("window %s shows %s, and %s after this: want 101 and 1101", w.ID, w.Reserved, w.After)
			}
		}
		return ledgertest.Verdict(wire.Approve, nil), nil
	}, ledgertest.Reply)
	if err != nil {
		t.Fatal(err)
	}
	if report, err := one.Verify(ctx); err != nil || !report.OK() {
		t.Errorf("%v %q", err, report.Problems)
	}
}
