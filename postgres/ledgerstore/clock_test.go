package ledgerstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
)

// TestTimeIsTheDatabases: an update's time is read after it has the lock for which it waited, so that the order of times is that of
// decisions.
func TestTimeIsTheDatabases(t *testing.T) {
	ctx := context.Background()
	cfg := migrated(t)
	one, two := mustOpen(t, cfg), mustOpen(t, cfg)
	read := func(r ledger.Reader, at *time.Time) error {
		timed, ok := r.(ledger.Timed)
		if !ok {
			return errors.New("the transaction has no clock")
		}
		var err error
		*at, err = timed.Time()
		return err
	}
	var first, again, second, seen time.Time
	holds, waits := make(chan struct{}), make(chan error, 1)
	go func() {
		<-holds
		waits <- two.Update(ctx, func(tx ledger.Tx) error { return read(tx, &second) })
	}()
	conn := admin(t)
	must(t, one.Update(ctx, func(tx ledger.Tx) error {
		if err := read(tx, &first); err != nil {
			return err
		}
		close(holds)
		for blocked := false; !blocked; { // until the other update waits for the lock
			const q = "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
			if err := conn.QueryRow(ctx, q).Scan(&blocked); err != nil {
				return err
			}
		}
		return read(tx, &again)
	}))
	must(t, <-waits)
	var now time.Time
	must(t, conn.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&now))
	must(t, one.View(ctx, func(r ledger.Reader) error { return read(r, &seen) }))
	if !first.Equal(again) || !second.After(first) || second.After(now) || seen.Before(now) {
		t.Errorf("the first update was at %s (and %s), the second at %s, it is %s and read as %s", first, again, second, now, seen)
	}
}
