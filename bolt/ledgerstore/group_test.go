package ledgerstore_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/countersign-mpc/countersign/ledger"
)

// count adds one to a number in each of some buckets.
func count(tx ledger.Tx, buckets []string) error {
	for _, bucket := range buckets {
		n, err := counted(tx, bucket)
		if err != nil {
			return err
		}
		if err := tx.Put(bucket, []byte("n"), binary.BigEndian.AppendUint64(nil, n+1)); err != nil {
			return err
		}
	}
	return nil
}

func counted(r ledger.Reader, bucket string) (uint64, error) {
	v, err := r.Get(bucket, []byte("n"))
	if err != nil || v == nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(v), nil
}

// TestGroups: updates run one after the other, each over all before it, while earlier groups are written to disk and keys move
// to their buckets; those that fail leave nothing. A view sees all of an update or nothing, never less than one that has returned,
// and the same from its begin to its end.
func TestGroups(t *testing.T) {
	for _, turn := range []int{1, 7, 1000} {
		t.Run(fmt.Sprint(turn), func(t *testing.T) { countTogether(t, turn) })
	}
}

func countTogether(t *testing.T, turn int) {
	const workers, rounds = 8, 40
	path := filepath.Join(t.TempDir(), "ledger.db")
	store := openTurning(t, path, turn)
	buckets := []string{"ask", "window", "record"}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			least := uint64(0)
			for i := range rounds {
				fails := (w+i)%5 == 0
				err := store.Update(t.Context(), func(tx ledger.Tx) error {
					if err := errors.Join(count(tx, buckets), tx.Put("callback", fmt.Append(nil, w, "-", i), nil)); err != nil || !fails {
						return err
					}
					return errUndo
				})
				if fails != errors.Is(err, errUndo) || !fails && err != nil {
					t.Errorf("update %d of %d: %v", i, w, err)
				}
				if !fails {
					least++ // of its own alone
				}
				err = store.View(t.Context(), func(r ledger.Reader) error {
					first, err := counted(r, buckets[0])
					if err != nil || first < least {
						return fmt.Errorf("a view after %d updates shows %d: %w", least, first, err)
					}
					for range 2 {
						for _, bucket := range buckets {
							if n, err := counted(r, bucket); err != nil || n != first {
								return fmt.Errorf("%s shows %d, and before %d: %w", bucket, n, first, err)
							}
						}
					}
					n := uint64(0)
					err = r.Scan("callback", nil, nil, w%2 == 0, func(_, _ []byte) (bool, error) { n++; return true, nil })
					if err != nil || n != first {
						return fmt.Errorf("%d keys are listed after %d updates: %w", n, first, err)
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, s := range []ledger.Store{store, crashed(t, path, turn)} {
		must(t, s.View(t.Context(), func(r ledger.Reader) error {
			n, err := counted(r, buckets[0])
			if want := uint64(workers * rounds * 4 / 5); err != nil || n != want {
				return fmt.Errorf("%d, want %d: %w", n, want, err)
			}
			return nil
		}))
	}
}
