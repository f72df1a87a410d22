package memstore_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/memstore"
)

// TestScanModel: whatever is put and deleted, a scan gives what a sorted map has between its bounds.
func TestScanModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		store, model := memstore.New(), map[string]bool{}
		bucket := ledger.Buckets()[0]
		key := rapid.Custom(func(t *rapid.T) string { return fmt.Sprintf("%04d", rapid.IntRange(0, 3000).Draw(t, "n")) })
		err := store.Update(ctx, func(tx ledger.Tx) error {
			for start := range rapid.IntRange(0, 4).Draw(t, "runs") { // enough for several chunks
				for i := range 700 {
					k := fmt.Sprintf("%04d", (start*701+i*13)%3000)
					model[k] = true
					if err := tx.Put(bucket, []byte(k), nil); err != nil {
						return err
					}
				}
			}
			for _, k := range rapid.SliceOf(key).Draw(t, "deleted") {
				delete(model, k)
				if err := tx.Delete(bucket, []byte(k)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		from, to := key.Draw(t, "from"), key.Draw(t, "to")
		reverse := rapid.Bool().Draw(t, "reverse")
		var want, got []string
		for _, k := range slices.Sorted(maps.Keys(model)) {
			if k >= from && k < to {
				want = append(want, k)
			}
		}
		if reverse {
			slices.Reverse(want)
		}
		err = store.View(ctx, func(r ledger.Reader) error {
			return r.Scan(bucket, []byte(from), []byte(to), reverse, func(k, _ []byte) (bool, error) {
				got = append(got, string(k))
				return true, nil
			})
		})
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("from %s to %s (%v): %v, want %v (%v)", from, to, reverse, got, want, err)
		}
	})
}
