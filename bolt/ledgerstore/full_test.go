//go:build unix

package ledgerstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
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
	for _, name := range []string{"ledger.db", turningName + "ledger.db"} {
		t.Run(name, func(t *testing.T) { fillInChild(t, filepath.Join(t.TempDir(), name)) })
	}
}

func fillInChild(t *testing.T, path string) {
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

// fullAfter is after how many failures in a row there is no room: one may fail since somebody still reads what would make room.
const fullAfter = 10

// fillUp decides until the file cannot grow, sees that no reply leaves then, makes room, and sees that it goes on.
func fillUp(path string) error {
	store, err := openNamed(path)
	if err != nil {
		return err
	}
	l, err := ledger.New(context.Background(), ledger.Config{Store: store, Origin: ledgertest.Origin})
	if err != nil {
		return err
	}
	entry := 20 << 10
	if strings.HasPrefix(filepath.Base(path), turningName) {
		entry = 2 << 10 // so that many lie in tracks
	}
	lift, err := fulldisk.Limit(400 << 10)
	if err != nil {
		return err
	}
	big := ledgertest.Verdict(wire.Approve, nil)
	big.Input = append(append([]byte{'"'}, bytes.Repeat([]byte("x"), entry)...), '"')
	decide := func(i int) (ledger.Result, error) {
		name := fmt.Sprint("ask-", i)
		return l.Decide(context.Background(), ledgertest.Ask(name, name), ledgertest.Give(big), ledgertest.Reply)
	}
	replies := 0
	for failed := 0; failed < fullAfter; {
		res, err := decide(replies)
		switch {
		case err == nil && replies < 1000:
			replies, failed = replies+1, 0
		case !errors.Is(err, ledger.ErrUnavailable) || res.Reply != nil || !strings.Contains(err.Error(), "make room"):
			return fmt.Errorf("ask %d on a full disk: %q, %v; want no reply and ErrUnavailable", replies, res.Reply, err)
		default:
			failed++
		}
	}
	if res, err := decide(0); replies == 0 || err != nil || !res.Replayed {
		return fmt.Errorf("%d replies left; what was decided before is not readable on a full disk: %w", replies, err)
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

// mixedName begins the name of a file that takes small updates and has no room for large ones.
const mixedName = "mixed-"

// TestNoRoomForLarge: an update that fails for want of room leaves nothing, wherever in a layer it would have been, and what is
// written under its number after it is not lost.
func TestNoRoomForLarge(t *testing.T) {
	fulldisk.Child(t, fullEnv+"="+filepath.Join(t.TempDir(), mixedName+"ledger.db"))
}

func mixLarge(path string) error {
	store, err := ledgerstore.OpenTurning(ledgerstore.Config{Path: path}, 5)
	if err != nil {
		return err
	}
	put := func(key string, size int) error {
		return store.Update(context.Background(), func(tx ledger.Tx) error { return tx.Put("ask", []byte(key), bytes.Repeat([]byte("v"), size)) })
	}
	want, failed := map[string]bool{}, 0
	for i := range 40 {
		want[fmt.Sprint("first-", i)] = true
		if err := put(fmt.Sprint("first-", i), 10); err != nil {
			return err
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if _, err := fulldisk.Limit(info.Size()); err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range 120 {
		key, size := fmt.Sprint("key-", i), 10
		if rng.IntN(3) == 0 {
			size = 20 << 20 // more than what bbolt has reserved
		}
		switch err := put(key, size); {
		case err == nil:
			want[key] = true
		case errors.Is(err, ledger.ErrUnavailable) && strings.Contains(err.Error(), "make room"):
			failed++
		default:
			return fmt.Errorf("%d bytes: %w", size, err)
		}
		if err := holds(path, want); err != nil {
			return fmt.Errorf("killed after update %d, of %d bytes: %w", i, size, err)
		}
	}
	if failed < 20 || len(want) < 80 {
		return fmt.Errorf("%d updates failed, and there are %d keys: the test shows little", failed, len(want))
	}
	return store.Close()
}

// holds compares the keys of a copy of the file with those that it has to have.
func holds(path string, want map[string]bool) error {
	file, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	left := path + ".left"
	if err := os.WriteFile(left, file, 0o600); err != nil {
		return err
	}
	store, err := ledgerstore.Open(ledgerstore.Config{Path: left, ReadOnly: true})
	if err != nil {
		return err
	}
	found := map[string]bool{}
	err = store.View(context.Background(), func(r ledger.Reader) error {
		return r.Scan("ask", nil, nil, false, func(key, _ []byte) (bool, error) { found[string(key)] = true; return true, nil })
	})
	if err == nil && !maps.Equal(found, want) {
		err = fmt.Errorf("%d keys, want %d", len(found), len(want))
	}
	return errors.Join(err, store.Close())
}
