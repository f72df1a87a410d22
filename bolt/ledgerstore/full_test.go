//go:build unix

package ledgerstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/countersign-mpc/countersign/bolt/ledgerstore"
	"github.com/countersign-mpc/countersign/internal/fulldisk"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/wire"
)

// TestDiskFull lets a child's file reach a size over which the system refuses to write, as on a full disk.
func TestDiskFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	fulldisk.Child(t, fullEnv+"="+path)
	store := mustOpen(t, path)
	report, err := ledgertest.MustOpen(t, store, nil).Verify(context.Background())
	if err != nil || !report.OK() {
		t.Errorf("%v %v", err, report.Problems)
	}
	if err := store.Check(context.Background()); err != nil {
		t.Error(err)
	}
}

// fillUp decides until the file cannot grow, sees that no reply leaves then, makes room, and sees that it goes on.
func fillUp(path string) error {
	store, err := ledgerstore.Open(ledgerstore.Config{Path: path})
	if err != nil {
		return err
	}
	l, err := ledger.New(context.Background(), ledger.Config{Store: store, Origin: ledgertest.Origin})
	if err != nil {
		return err
	}
	lift, err := fulldisk.Limit(400 << 10)
	if err != nil {
		return err
	}
	big := ledgertest.Verdict(wire.Approve, nil)
	big.Input = append(append([]byte{'"'}, bytes.Repeat([]byte("x"), 20<<10)...), '"')
	decide := func(i int) (ledger.Result, error) {
		name := fmt.Sprint("ask-", i)
		return l.Decide(context.Background(), ledgertest.Ask(name, name), ledgertest.Give(big), ledgertest.Reply)
	}
	replies := 0
	for ; ; replies++ {
		res, err := decide(replies)
		if err == nil && replies < 1000 {
			continue
		}
		if !errors.Is(err, ledger.ErrUnavailable) || res.Reply != nil || !strings.Contains(err.Error(), "make room") {
			return fmt.Errorf("ask %d on a full disk: %q, %w; want no reply and ErrUnavailable", replies, res.Reply, err)
		}
		break
	}
	if res, err := decide(0); replies == 0 || err != nil || !res.Replayed {
		return fmt.Errorf("%d replies left; what was decided before is not readable on a full disk: %w", replies, err)
	}
	if _, err := decide(replies); !errors.Is(err, ledger.ErrUnavailable) {
		return fmt.Errorf("asked again on a full disk: %w", err)
	}
	if err := manyOnFullDisk(decide, replies); err != nil {
		return err
	}
	if err := l.Probe(context.Background()); !errors.Is(err, ledger.ErrUnavailable) {
		return fmt.Errorf("a probe on a full disk: %w", err)
	}
	if err := lift(); err != nil {
		return err
	}
	if err := l.Probe(context.Background()); err != nil {
		return fmt.Errorf("a probe with room again: %w", err)
	}
	for i := range replies + 20 {
		if res, err := decide(i); err != nil || res.Replayed != (i < replies) {
			return fmt.Errorf("ask %d with room again: replayed %v, %w", i, res.Replayed, err)
		}
	}
	return store.Close()
}

// manyOnFullDisk asks by several at once: what ran over a group that could not be written is undone with it, so that no reply leaves.
func manyOnFullDisk(decide func(int) (ledger.Result, error), from int) error {
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for w := range errs {
		wg.Go(func() {
			for i := range 20 {
				if res, err := decide(from + (w+i)%20); !errors.Is(err, ledger.ErrUnavailable) || res.Reply != nil {
					errs[w] = fmt.Errorf("one of many on a full disk: %q, %w", res.Reply, err)
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
