//go:build linux || darwin

package keystore_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/countersign-mpc/countersign/keystore"
)

// fillStore puts records of many sizes into some buckets.
func fillStore(t testing.TB, s *keystore.Store, n int) {
	t.Helper()
	must(t, s.Update(func(tx *keystore.Tx) error {
		for i := range n {
			if err := tx.Put(fmt.Sprintf("b%d", i%3), fmt.Sprint(i), []byte(value(i))); err != nil {
				return err
			}
		}
		return nil
	}))
}

func TestRekey(t *testing.T) {
	ctx, path := context.Background(), newPath(t)
	s := mustInit(t, path)
	fillStore(t, s, 700) // more than one batch
	before := mustStat(t, s)
	mustWrite(t, path+".rekey", []byte("left behind"))
	segments := newSet(t, 2, 3)
	_, err := s.Rekey(ctx, keystore.Password(pass("weak")))
	mustBe(t, err, keystore.ErrWeakPassword)
	stat, err := s.Rekey(ctx, segments.of(1, 2))
	must(t, err)
	mustBe(t, s.Put("b", "k", nil), keystore.ErrClosed)
	if stat.ID == before.ID || fmt.Sprint(stat.Records) != fmt.Sprint(before.Records) {
		t.Fatalf("store %s with %v became %s with %v", before.ID, before.Records, stat.ID, stat.Records)
	}
	s = mustOpen(t, config(path))
	mustBe(t, s.Unseal(ctx, pass(goodPassword)), keystore.ErrKind)
	must(t, s.UnsealWith(ctx, segments.of(3, 2)))
	for i := range 700 {
		mustGet(t, s, fmt.Sprintf("b%d", i%3), fmt.Sprint(i), value(i))
	}
	s.Seal()
	_, err = s.Rekey(ctx, segments.of(1, 2))
	mustBe(t, err, keystore.ErrSealed)
	files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("left over: %v %v", files, err)
	}
}

func TestRekeyThatIsStopped(t *testing.T) {
	path := newPath(t)
	s := mustInit(t, path)
	fillStore(t, s, 20)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := s.Rekey(ctx, keystore.Password(pass(newPassword)))
	mustBe(t, err, context.Canceled)
	must(t, s.Put("b", "k", []byte("it goes on")))
	must(t, s.Close())
	if _, err := os.Stat(path + ".rekey"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the unfinished file is there: %v", err)
	}
	mustGet(t, mustUnseal(t, path), "b", "k", "it goes on")
}

// TestRekeyThatIsKeptElsewhereOnly: where the new file is durable and the working copy is not, nobody is told that the old password
// still counts.
func TestRekeyThatIsKeptElsewhereOnly(t *testing.T) {
	ctx, path := context.Background(), newPath(t)
	var elsewhere bytes.Buffer
	var broken bool
	c := config(path)
	c.Persist = func(contents func(io.Writer) error) error {
		elsewhere.Reset()
		if broken {
			must(t, os.Remove(path))
			must(t, os.MkdirAll(filepath.Join(path, "in the way"), 0o700))
		}
		return contents(&elsewhere)
	}
	s := mustOpen(t, c)
	must(t, s.Init(ctx, pass(goodPassword)))
	must(t, s.Put("b", "k", []byte("v")))
	broken = true
	_, err := s.Rekey(ctx, keystore.Password(pass(newPassword)))
	if err == nil || strings.Contains(err.Error(), "as it was") || !strings.Contains(err.Error(), "the new file") {
		t.Errorf("it ended with %v", err)
	}
	kept := newPath(t)
	mustWrite(t, kept, elsewhere.Bytes())
	again := mustOpen(t, config(kept))
	must(t, again.Unseal(ctx, pass(newPassword)))
	mustGet(t, again, "b", "k", "v")
}

// childRekey makes new master keys for ever, saying each.
func childRekey(path string) error {
	ctx := context.Background()
	for n := 0; ; n++ {
		s, err := keystore.Open(config(path))
		if err == nil {
			err = s.Unseal(ctx, numbered(n))
		}
		if err == nil {
			_, err = s.Rekey(ctx, keystore.Password(numbered(n+1)))
		}
		if err != nil {
			return err
		}
		fmt.Println(n + 1)
	}
}

// TestKilledWhileRekeying: at whatever moment the process ends there is one complete file, old or new.
func TestKilledWhileRekeying(t *testing.T) {
	for i := range 6 {
		path := newPath(t)
		s := mustOpen(t, config(path))
		must(t, s.Init(context.Background(), numbered(0)))
		fillStore(t, s, 50)
		must(t, s.Close())
		acked := killAfter(t, "rekey", path, 1+i)
		s = mustOpen(t, config(path))
		err := s.Unseal(context.Background(), numbered(acked))
		if errors.Is(err, keystore.ErrWrongPassword) {
			err = s.Unseal(context.Background(), numbered(acked+1))
		}
		if err != nil {
			t.Fatalf("killed after %d: %v", acked, err)
		}
		for i := range 50 {
			mustGet(t, s, fmt.Sprintf("b%d", i%3), fmt.Sprint(i), value(i))
		}
		must(t, s.Close())
	}
}

// TestBackup takes copies while a writer is at work: each opens, and holds exactly what it says.
func TestBackup(t *testing.T) {
	path := newPath(t)
	s := mustInit(t, path)
	fillStore(t, s, 100)
	stop, writer := make(chan struct{}), sync.WaitGroup{}
	writer.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
				if err := s.Update(func(tx *keystore.Tx) error {
					return errors.Join(tx.Put("left", fmt.Sprint(n%5), []byte(value(n))), tx.Put("right", fmt.Sprint(n%5), []byte(value(n))))
				}); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	for i := range 10 {
		to := filepath.Join(filepath.Dir(path), fmt.Sprintf("copy-%d.db", i))
		var snap keystore.Snapshot
		listed := map[string]string{}
		must(t, keystore.WriteFile(to, func(w io.Writer) (err error) {
			snap, err = s.Backup(w, func(tx *keystore.Tx) error {
				return tx.ForEach("left", "", func(key string, value []byte) error { listed["left/"+key] = string(value); return nil })
			})
			return err
		}))
		copied := mustUnseal(t, to)
		stat := mustStat(t, copied)
		if stat.ID != snap.ID || stat.Sequence != snap.Sequence || fmt.Sprint(stat.Records) != fmt.Sprint(snap.Records) ||
			stat.Password != snap.Password || snap.Segments != nil || int64(len(mustRead(t, to))) != snap.Bytes {
			t.Fatalf("the copy is %+v, said was %+v", stat, snap)
		}
		must(t, copied.Close())
		records, err := check(to)
		must(t, err)
		for name, want := range listed {
			if other := records["right"+name[len("left"):]]; records[name] != want || other != want {
				t.Fatalf("%s: the copy is of no single moment", name)
			}
		}
	}
	close(stop)
	writer.Wait()
	must(t, s.Put("b", "after", []byte("the store is as usable as before")))
	must(t, s.Close())
	mustGet(t, mustUnseal(t, path), "b", "after", "the store is as usable as before")
}

// TestBackupsLive: a copy of any moment is a store that goes on: it opens after whatever number of commits. A copy with its
// meta pages in each other's place, as bbolt and earlier versions make every second one, is put in order.
func TestBackupsLive(t *testing.T) {
	s := mustInit(t, newPath(t))
	for i := range 4 {
		must(t, s.Put("b", "k", []byte(fmt.Sprint(i))))
		path := newPath(t)
		must(t, keystore.WriteFile(path, func(w io.Writer) error { _, err := s.Backup(w, nil); return err }))
		whole, size := mustRead(t, path), os.Getpagesize()
		if tx := binary.NativeEndian.Uint64(whole[64:]); tx%2 != 0 {
			t.Errorf("copy %d: page 0 has the meta of transaction %d", i, tx)
		}
		swapped := bytes.Clone(whole)
		copy(swapped[16:80], whole[size+16:])
		copy(swapped[size+16:size+80], whole[16:80])
		for name, content := range map[string][]byte{"as it is": whole, "swapped": swapped} {
			mustWrite(t, path, content)
			for commits := range 4 {
				copied, err := keystore.Open(config(path))
				if err != nil {
					t.Fatalf("copy %d %s, after %d commits: %v", i, name, commits, err)
				}
				must(t, copied.Unseal(context.Background(), pass(goodPassword)))
				must(t, copied.Put("b", "more", nil))
				must(t, copied.Close())
			}
			last := mustUnseal(t, path)
			mustGet(t, last, "b", "k", fmt.Sprint(i))
			must(t, last.Close())
		}
	}
}

// TestBackupIsNoStore: the file of a backup, copied into the place of the store, does not open.
func TestBackupIsNoStore(t *testing.T) {
	s := mustInit(t, newPath(t))
	must(t, s.Put("b", "k", []byte("v")))
	path := newPath(t)
	must(t, keystore.WriteFile(path, func(w io.Writer) error {
		n, err := keystore.MarkBackup(w)
		if err != nil || n == 0 {
			t.Errorf("the mark has %d bytes, %v", n, err)
		}
		_, err = s.Backup(w, nil)
		return err
	}))
	marked := mustRead(t, path)
	_, err := keystore.Open(config(path))
	mustBe(t, err, keystore.ErrBackup)
	if !bytes.Equal(mustRead(t, path), marked) {
		t.Error("the backup was changed")
	}
	for name, content := range map[string][]byte{"marked": marked, "of an earlier version": marked[bytes.IndexByte(marked, '\n')+1:]} {
		restored := newPath(t)
		must(t, keystore.WriteFile(restored, func(w io.Writer) error { return keystore.CopyBackup(w, bytes.NewReader(content)) }))
		copied := mustUnseal(t, restored)
		if got, err := copied.Get("b", "k"); err != nil || string(got) != "v" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestBackupRefusals(t *testing.T) {
	s := mustInit(t, newPath(t))
	broken := errors.New("the disk is full")
	_, err := s.Backup(writerFunc(func([]byte) (int, error) { return 0, broken }), nil)
	if err == nil {
		t.Error("a copy that was not written was reported as made")
	}
	_, err = s.Backup(io.Discard, func(*keystore.Tx) error { return broken })
	mustBe(t, err, broken)
	s.Seal()
	_, err = s.Backup(io.Discard, nil)
	mustBe(t, err, keystore.ErrSealed)

	path := filepath.Join(t.TempDir(), "file")
	mustBe(t, keystore.WriteFile(path, func(io.Writer) error { return broken }), broken)
	mustWrite(t, path, []byte("there already"))
	mustBe(t, keystore.WriteFile(path, func(w io.Writer) error { _, err := w.Write([]byte("x")); return err }), fs.ErrExist)
	if !bytes.Equal(mustRead(t, path), []byte("there already")) {
		t.Error("a file was replaced")
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("left over: %v", files)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
