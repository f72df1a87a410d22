package ledgerstore_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/countersign-mpc/countersign/bolt/ledgerstore"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustOpen(t testing.TB, path string) *ledgerstore.Store {
	t.Helper()
	s, err := ledgerstore.Open(ledgerstore.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestSuite(t *testing.T) {
	ledgertest.Run(t, func(t *testing.T) ledger.Store { return mustOpen(t, filepath.Join(t.TempDir(), "ledger.db")) })
}

// TestPanic: a function that panics fails alone; what it wrote is undone, and those that share its commit are not.
func TestPanic(t *testing.T) {
	bucket := ledger.Buckets()[0]
	store := mustOpen(t, filepath.Join(t.TempDir(), "ledger.db"))
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			err := store.Update(context.Background(), func(tx ledger.Tx) error {
				if err := tx.Put(bucket, fmt.Append(nil, "key-", i), []byte("value")); err != nil {
					return err
				}
				if i%4 == 0 {
					panic("boom")
				}
				return nil
			})
			if (err != nil) != (i%4 == 0) || err != nil && !strings.Contains(err.Error(), "boom") {
				t.Errorf("update %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	err := store.View(context.Background(), func(r ledger.Reader) error {
		for i := range 16 {
			if v, err := r.Get(bucket, fmt.Append(nil, "key-", i)); err != nil || (v != nil) != (i%4 != 0) {
				t.Errorf("key %d: %q, %v", i, v, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = store.View(context.Background(), func(ledger.Reader) error { panic("boom") })
	}()
	if err := store.Update(context.Background(), func(tx ledger.Tx) error { return tx.Put(bucket, []byte("after"), nil) }); err != nil {
		t.Errorf("after a panic in a view: %v", err)
	}
}

// TestUndoneLeavesNothing: what updates have written that were undone is let go, also where nothing is moved meanwhile.
func TestUndoneLeavesNothing(t *testing.T) {
	const value, times, most = 1 << 20, 64, 16 << 20
	bucket := ledger.Buckets()[0]
	store := mustOpen(t, filepath.Join(t.TempDir(), "ledger.db"))
	undone := errors.New("undone")
	lives := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := lives()
	for i := range times {
		err := store.Update(t.Context(), func(tx ledger.Tx) error {
			return errors.Join(tx.Put(bucket, fmt.Append(nil, "key-", i), make([]byte, value)), undone)
		})
		if !errors.Is(err, undone) {
			t.Fatal(err)
		}
	}
	if grown := lives() - before; grown > most {
		t.Errorf("%d MB live on after %d updates that were undone", grown>>20, times)
	}
	runtime.KeepAlive(store)
}
