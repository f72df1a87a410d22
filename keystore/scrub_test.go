//go:build linux || darwin

package keystore_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/countersign-mpc/countersign/keystore"
)

// partOf returns a part of a store, such as the seal record, as it stands in its file.
func partOf(t testing.TB, path, name string) (part []byte) {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "copy.db")
	mustWrite(t, copied, mustRead(t, path))
	edit(t, copied, func(tx *bbolt.Tx) error { part = raw(tx, "countersign", name); return nil })
	return part
}

// mustHold demands that some bytes are, or are not, in a file and in a backup that is made now, wherever in it.
func mustHold(t *testing.T, s *keystore.Store, part []byte, want bool, when string) {
	t.Helper()
	var backup bytes.Buffer
	_, err := s.Backup(&backup, nil)
	must(t, err)
	for what, data := range map[string][]byte{"the file": mustRead(t, keystore.PathOf(s)), "a backup": backup.Bytes()} {
		if len(part) == 0 || bytes.Contains(data, part) != want {
			t.Errorf("%s: %s holds what wraps the master key: %t", when, what, !want)
		}
	}
}

// TestNothingThatWasReplacedStays: what wrapped the master key under the old password, or under a key outside, is nowhere in the
// file, nor in a backup that is made afterwards, whatever pages bbolt has freed and not used again.
func TestNothingThatWasReplacedStays(t *testing.T) {
	ctx, path := context.Background(), newPath(t)
	s := mustInit(t, path)
	fillStore(t, s, 300)
	for i := range 20 { // so that the record has been in many pages
		must(t, s.Put("b", "k", []byte(value(i))))
	}
	old := partOf(t, path, "seal")
	mustHold(t, s, old, true, "before the change")
	if n := bytes.Count(mustRead(t, path), old); n < 2 {
		t.Fatalf("the record is in the file %d times: there is nothing to overwrite", n)
	}

	var readers sync.WaitGroup // reading goes on all the while
	stop := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got, err := s.Get("b", "k"); err != nil || string(got) != value(19) {
					t.Errorf("read %.20q, %v", got, err)
					return
				}
			}
		})
	}
	change, err := s.BeginChange(ctx, keystore.Password(pass(goodPassword)))
	must(t, err)
	must(t, change.Commit(ctx, keystore.Password(pass(newPassword))))
	close(stop)
	readers.Wait()
	mustHold(t, s, old, false, "after the change")

	key := newOutside(t, "token t, key k")
	must(t, enable(s, newPassword, key))
	must(t, s.Put("b", "k", []byte(value(20))))
	auto := partOf(t, path, "auto")
	mustHold(t, s, auto, true, "with auto-unseal")
	must(t, s.DisableAuto(ctx))
	mustHold(t, s, auto, false, "without it again")

	must(t, s.Close())
	s = mustOpen(t, config(path))
	must(t, s.Unseal(ctx, pass(newPassword)))
	mustGet(t, s, "b", "k", value(20))
	for i := range 300 {
		mustGet(t, s, fmt.Sprintf("b%d", i%3), fmt.Sprint(i), value(i))
	}
}

// TestBackupWhileWriting: the copy has zeros only where its own state has nothing.
func TestBackupWhileWriting(t *testing.T) {
	path := newPath(t)
	s := mustInit(t, path)
	fillStore(t, s, 300)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				if err := s.Update(func(tx *keystore.Tx) error { return writeRound(tx, i) }); err != nil {
					t.Error(err)
					return
				}
			}
		}
	}()
	for range 10 {
		var backup bytes.Buffer
		_, err := s.Backup(&backup, nil)
		must(t, err)
		copied := filepath.Join(t.TempDir(), "asset.db")
		mustWrite(t, copied, backup.Bytes())
		again := mustUnseal(t, copied)
		for i := range 300 {
			mustGet(t, again, fmt.Sprintf("b%d", i%3), fmt.Sprint(i), value(i))
		}
		must(t, again.Close())
	}
	close(stop)
	<-done
}

// TestCopiesLeaveOutWhatIsFree: a backup, and what is made durable elsewhere, holds no page that bbolt has freed.
func TestCopiesLeaveOutWhatIsFree(t *testing.T) {
	path, elsewhere := newPath(t), new(bytes.Buffer)
	c := config(path)
	c.Persist = func(contents func(io.Writer) error) error {
		elsewhere.Reset()
		return contents(elsewhere)
	}
	s := mustOpen(t, c)
	must(t, s.Init(context.Background(), pass(goodPassword)))
	fillStore(t, s, 50)
	must(t, s.Put("b", "k", []byte(value(3))))
	var envelope []byte
	copied := filepath.Join(t.TempDir(), "copy.db")
	mustWrite(t, copied, mustRead(t, path))
	edit(t, copied, func(tx *bbolt.Tx) error { envelope = raw(tx, "records", "b\x00k"); return nil })
	must(t, s.Delete("b", "k"))
	var backup bytes.Buffer
	_, err := s.Backup(&backup, nil)
	must(t, err)
	if len(envelope) < 100 || !bytes.Contains(mustRead(t, path), envelope) {
		t.Fatal("the page was used again: there is nothing to leave out")
	}
	if bytes.Contains(backup.Bytes(), envelope) || bytes.Contains(elsewhere.Bytes(), envelope) {
		t.Error("a copy holds what was deleted")
	}
}

// blocked is a disk that takes nothing until it is let.
type blocked struct{ reached, let chan struct{} }

func (b blocked) Write(p []byte) (int, error) {
	select {
	case b.reached <- struct{}{}:
	default:
	}
	<-b.let
	return len(p), nil
}

// TestAChangeDuringASlowBackup: it is made, nothing else stands still, and what it replaced is overwritten later.
func TestAChangeDuringASlowBackup(t *testing.T) {
	ctx, path := context.Background(), newPath(t)
	s := mustInit(t, path)
	keystore.ImpatientScrub(s)
	must(t, s.Put("b", "k", []byte("v")))
	old := partOf(t, path, "seal")
	disk, done := blocked{make(chan struct{}, 1), make(chan struct{})}, make(chan error)
	go func() { _, err := s.Backup(disk, nil); done <- err }()
	<-disk.reached
	change, err := s.BeginChange(ctx, keystore.Password(pass(goodPassword)))
	must(t, err)
	mustBe(t, change.Commit(ctx, keystore.Password(pass(newPassword))), keystore.ErrUnscrubbed)
	if !mustStat(t, s).Unscrubbed {
		t.Error("Stat does not tell")
	}
	mustGet(t, s, "b", "k", "v")
	must(t, s.Put("b", "k", []byte("w")))
	close(disk.let)
	must(t, <-done)
	s.Seal()
	must(t, s.Unseal(ctx, pass(newPassword)))
	mustHold(t, s, old, false, "once it was unsealed again")
}
