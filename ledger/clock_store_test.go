package ledger_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/ledger/memstore"
	"github.com/countersign-mpc/countersign/wire"
)

// timedStore is a store with a clock of its own.
type timedStore struct {
	ledger.Store
	mu   sync.Mutex // guards wall
	wall time.Time
}

type timedReader struct {
	ledger.Reader
	s *timedStore
}

type timedTx struct {
	ledger.Tx
	timedReader
}

func (t timedTx) Get(bucket string, key []byte) ([]byte, error) { return t.Tx.Get(bucket, key) }

func (t timedTx) Scan(bucket string, from, to []byte, reverse bool, fn func(key, value []byte) (bool, error)) error {
	return t.Tx.Scan(bucket, from, to, reverse, fn)
}

func (r timedReader) Time() (time.Time, error) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.s.wall, nil
}

func (s *timedStore) View(ctx context.Context, fn func(ledger.Reader) error) error {
	return s.Store.View(ctx, func(r ledger.Reader) error { return fn(timedReader{r, s}) })
}

func (s *timedStore) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	return s.Store.Update(ctx, func(tx ledger.Tx) error { return fn(timedTx{tx, timedReader{tx, s}}) })
}

func (s *timedStore) set(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wall = at
}

// TestStoresClock: where the store has a clock the ledger goes by it, whatever this machine's says, and stops approving when that
// one jumps.
func TestStoresClock(t *testing.T) {
	ctx := context.Background()
	at := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	store := &timedStore{Store: memstore.New(), wall: at}
	replicas := []*ledger.Ledger{ledgertest.MustOpen(t, store, nil), ledgertest.MustOpen(t, store, nil)}
	decide := func(l *ledger.Ledger, name string) ledger.Record {
		t.Helper()
		res := ledgertest.MustDecide(t, l, ledgertest.Ask(name, name), ledgertest.Verdict(wire.Approve, nil))
		rec, err := l.Decision(ctx, res.ID)
		must(t, err)
		return rec
	}
	for i, l := range replicas {
		if rec := decide(l, string(rune('a'+i))); !rec.Time.Equal(at) || rec.Action != wire.Approve {
			t.Fatalf("replica %d decided %s at %s, and the store's time is %s", i, rec.Action, rec.Time, at)
		}
	}
	store.set(at.Add(30 * time.Second)) // no jump yet
	if rec := decide(replicas[0], "c"); rec.Action != wire.Approve || !rec.Time.Equal(at.Add(30*time.Second)) {
		t.Fatalf("%s at %s", rec.Action, rec.Time)
	}
	store.set(at.Add(10 * time.Second)) // back: the time recorded stays
	if rec := decide(replicas[1], "d"); rec.Time.Before(at.Add(30 * time.Second)) {
		t.Fatalf("time goes back to %s", rec.Time)
	}
	store.set(at.Add(time.Hour))
	for i, l := range replicas {
		if rec := decide(l, string(rune('e'+i))); rec.Action != wire.Wait || !rec.ClockJumped {
			t.Fatalf("replica %d decided %s although the store's clock jumped", i, rec.Action)
		}
	}
	rec, err := replicas[0].ConfirmClock(ctx, "olga", "")
	must(t, err)
	if !rec.Time.Equal(at.Add(time.Hour)) || decide(replicas[0], "g").Action != wire.Approve {
		t.Fatalf("the confirmed time is %s", rec.Time)
	}
	// A machine's own clock counts where it is given.
	own := ledgertest.MustOpen(t, store, ledgertest.NewClock())
	if rec := decide(own, "h"); rec.Time.Year() != ledgertest.Epoch.Year() {
		t.Fatalf("decided at %s", rec.Time)
	}
}
