package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/ledger/memstore"
	"github.com/countersign-mpc/countersign/wire"
)

// counted counts the updates of a store, which fail when it is told to.
type counted struct {
	ledger.Store
	updates int
	fail    error
}

func (s *counted) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	s.updates++
	if s.fail != nil {
		return s.fail
	}
	return s.Store.Update(ctx, fn)
}

// TestAskedAgain: what was decided is answered also where nothing can be written, whether this process has seen it or one before; and
// who asks again and again for the same takes no turn among those who write.
func TestAskedAgain(t *testing.T) {
	ctx := context.Background()
	store := &counted{Store: memstore.New()}
	first := ledgertest.MustOpen(t, store, ledgertest.NewClock())
	want := ledgertest.MustDecide(t, first, ledgertest.Ask("cb", "body"), ledgertest.Verdict(wire.Approve, nil))
	never := func(context.Context, ledger.State) (ledger.Verdict, error) {
		t.Error("it is evaluated again")
		return ledger.Verdict{}, errors.New("evaluated again")
	}
	again := func(what string, l *ledger.Ledger) {
		t.Helper()
		if got, err := l.Decide(ctx, ledgertest.Ask("cb", "body"), never, ledgertest.Reply); err != nil || !got.Replayed || got.ID != want.ID || !bytes.Equal(got.Reply, want.Reply) {
			t.Errorf("%s: %+v, %v; want %+v", what, got, err, want)
		}
		if got, err := l.Decide(ctx, ledgertest.Ask("cb", "other"), never, ledgertest.Reply); !errors.Is(err, ledger.ErrConflict) || got.Reply != nil {
			t.Errorf("%s, with another body: %+v, %v; want ErrConflict", what, got, err)
		}
	}
	for _, fail := range []error{nil, ledger.ErrUnavailable, ledger.ErrDamaged} {
		store.fail = nil
		later := ledgertest.MustOpen(t, store, ledgertest.NewClock())
		store.fail = fail
		again("a process that has not seen it", later)
		before := store.updates
		again("a process that has seen it", later)
		again("the process that decided it", first)
		if store.updates != before {
			t.Errorf("%d updates for what was known to be decided", store.updates-before)
		}
		if fail != nil {
			if _, err := later.Decide(ctx, ledgertest.Ask("cb-new", "body"), ledgertest.Give(ledgertest.Verdict(wire.Approve, nil)), ledgertest.Reply); !errors.Is(err, fail) {
				t.Errorf("a new ask: %v, want %v", err, fail)
			}
		}
	}
}

// stuck is a store whose updates wait until the caller's time is over.
type stuck struct {
	ledger.Store
	fail error
}

func (s *stuck) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	if s.fail == nil {
		return s.Store.Update(ctx, fn)
	}
	<-ctx.Done()
	return s.fail
}

// TestAskedAgainOfAStuckStore: what was decided is answered also where all of the time was waited for a turn to write, and that
// nothing can be written is not taken for the end of the caller's time.
func TestAskedAgainOfAStuckStore(t *testing.T) {
	store := &stuck{Store: memstore.New()}
	first := ledgertest.MustOpen(t, store, ledgertest.NewClock())
	want := ledgertest.MustDecide(t, first, ledgertest.Ask("cb", "body"), ledgertest.Verdict(wire.Approve, nil))
	for _, fail := range []error{ledger.ErrUnavailable, context.DeadlineExceeded} {
		store.fail = nil
		l := ledgertest.MustOpen(t, store, ledgertest.NewClock())
		store.fail = fail
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		decide := func(id, body string) (ledger.Result, error) {
			return l.Decide(ctx, ledgertest.Ask(id, body), ledgertest.Give(ledgertest.Verdict(wire.Approve, nil)), ledgertest.Reply)
		}
		if got, err := decide("cb-new", "body"); !errors.Is(err, fail) || got.Reply != nil {
			t.Errorf("a new ask: %+v, %v; want %v", got, err, fail)
		}
		if got, err := decide("cb", "other"); !errors.Is(err, ledger.ErrConflict) || got.Reply != nil {
			t.Errorf("with another body: %+v, %v; want ErrConflict", got, err)
		}
		store.fail = nil
		l = ledgertest.MustOpen(t, store, ledgertest.NewClock()) // which has not seen it
		store.fail = fail
		if got, err := decide("cb", "body"); err != nil || !got.Replayed || !bytes.Equal(got.Reply, want.Reply) {
			t.Errorf("asked again: %+v, %v; want %+v", got, err, want)
		}
	}
}
