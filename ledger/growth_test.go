package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/ledger/memstore"
	"github.com/countersign-mpc/countersign/wire"
)

// failingOver writes to a standby too, until that lags, and goes on with the standby once the first is lost.
type failingOver struct {
	ledger.Store
	standby      ledger.Store
	lagging, off bool
}

func (s *failingOver) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	if s.off {
		return s.standby.Update(ctx, fn)
	}
	if err := s.Store.Update(ctx, fn); err != nil || s.lagging {
		return err
	}
	return s.standby.Update(ctx, fn)
}

func (s *failingOver) View(ctx context.Context, fn func(ledger.Reader) error) error {
	if s.off {
		return s.standby.View(ctx, fn)
	}
	return s.Store.View(ctx, fn)
}

// TestLostDecisions: a database that comes back with fewer decisions gets none any more, not even after it has grown again.
func TestLostDecisions(t *testing.T) {
	ctx := context.Background()
	for name, first := range map[string]func(*ledger.Ledger) error{
		"a decision": func(l *ledger.Ledger) error { return decideOne(l, "cb-next") },
		"readiness":  func(l *ledger.Ledger) error { _, err := l.Summary(ctx); return err },
		"checkpoint": func(l *ledger.Ledger) error { _, err := l.Checkpoint(ctx); return err },
	} {
		for lost := range 3 {
			store := &failingOver{Store: memstore.New(), standby: memstore.New()}
			l := ledgertest.MustOpen(t, store, ledgertest.NewClock())
			for i := range 5 {
				store.lagging = i >= 5-lost
				if err := decideOne(l, fmt.Sprint("cb-", i)); err != nil {
					t.Fatal(err)
				}
			}
			store.off = true
			err := first(l)
			if lost == 0 {
				if err != nil {
					t.Errorf("%s after a failover that lost nothing: %v", name, err)
				}
				continue
			}
			if !errors.Is(err, ledger.ErrUnavailable) || !errors.Is(err, ledger.ErrShrunk) {
				t.Errorf("%s after %d lost decisions: %v", name, lost, err)
			}
			other := ledgertest.MustOpen(t, store.standby, ledgertest.NewClock())
			for i := range 10 {
				if err := decideOne(other, fmt.Sprint("other-", i)); err != nil {
					t.Fatal(err)
				}
			}
			if err := decideOne(l, "cb-later"); !errors.Is(err, ledger.ErrShrunk) {
				t.Errorf("%s after %d lost decisions, and others since: %v", name, lost, err)
			}
			if _, err := l.Summary(ctx); !errors.Is(err, ledger.ErrShrunk) {
				t.Errorf("readiness after %d lost decisions: %v", lost, err)
			}
		}
	}
}

func decideOne(l *ledger.Ledger, id string) error {
	_, err := l.Decide(context.Background(), ledgertest.Ask(id, "body of "+id), ledgertest.Give(ledgertest.Verdict(wire.Approve, nil)), ledgertest.Reply)
	return err
}
