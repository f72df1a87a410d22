package ledgerstore_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/bolt/ledgerstore"
	"github.com/countersign-mpc/countersign/ledger"
)

// putOne is an update of its own key.
func putOne(t *testing.T, store *ledgerstore.Store, key string) {
	t.Helper()
	if err := store.Update(t.Context(), func(tx ledger.Tx) error { return tx.Put("ask", []byte(key), []byte("value of "+key)) }); err != nil {
		t.Error(err)
	}
}

// TestExpect: an update waits for one that is on its way, and shares its group.
func TestExpect(t *testing.T) {
	store := mustOpen(t, filepath.Join(t.TempDir(), "ledger.db"))
	store.SetPatience(time.Hour)
	before := store.Committed()
	store.Expect(1)
	var wg sync.WaitGroup
	wg.Go(func() { putOne(t, store, "first") })
	for store.Gathered() < 1 {
		runtime.Gosched()
	}
	if got := store.Committed(); got != before {
		t.Fatalf("group %d was committed, and an update was on its way", got)
	}
	store.Expect(-1)
	putOne(t, store, "second")
	wg.Wait()
	if got := store.Committed(); got != before+1 {
		t.Errorf("%d groups were committed for two updates that could share one", got-before)
	}
}

// TestExpectFull: a group that is large enough waits for nobody.
func TestExpectFull(t *testing.T) {
	store := mustOpen(t, filepath.Join(t.TempDir(), "ledger.db"))
	store.SetPatience(time.Hour)
	store.Expect(1)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() { putOne(t, store, fmt.Sprint("key-", i)) })
	}
	wg.Wait()
}

// TestExpectInVain: an update waits for one that does not come no longer than it may, and Close not at all.
func TestExpectInVain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	store := mustOpen(t, path)
	store.Expect(1)
	for i := range 3 { // each of them as long as it may
		putOne(t, store, fmt.Sprint("key-", i))
	}
	store.SetPatience(time.Hour)
	var wg sync.WaitGroup
	wg.Go(func() { putOne(t, store, "last") })
	for store.Gathered() < 1 {
		runtime.Gosched()
	}
	must(t, store.Close())
	wg.Wait()
	must(t, mustOpen(t, path).View(t.Context(), func(r ledger.Reader) error {
		if v, err := r.Get("ask", []byte("last")); string(v) != "value of last" {
			return fmt.Errorf("the update before Close left %q: %w", v, err)
		}
		return nil
	}))
}
