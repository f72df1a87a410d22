package boltfile_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/countersign-mpc/countersign/bolt/boltfile"
)

// A value that was moved to another key or bucket, or changed, does not pass its checksum, nor does the scan over it; and
// the rest of the file can still be read.
func TestMisplaced(t *testing.T) {
	for name, value := range map[string]func(tx *bolt.Tx) []byte{
		"another key":    func(tx *bolt.Tx) []byte { return tx.Bucket([]byte(bucket)).Get([]byte("dog")) },
		"another bucket": func(tx *bolt.Tx) []byte { return tx.Bucket([]byte(other)).Get([]byte("cat")) },
		"short":          func(*bolt.Tx) []byte { return []byte{1, 2, 3} },
		"bit": func(tx *bolt.Tx) []byte {
			v := bytes.Clone(tx.Bucket([]byte(bucket)).Get([]byte("cat")))
			v[len(v)-1] ^= 1
			return v
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t, edited(t, func(tx *bolt.Tx) error {
				return tx.Bucket([]byte(bucket)).Put([]byte("cat"), bytes.Clone(value(tx)))
			}))
			if v, err := get(f, "cat"); !errors.Is(err, boltfile.ErrDamaged) || v != nil {
				t.Errorf("reads as %q, %v", v, err)
			}
			tx := must(f.Begin(t.Context(), false))(t)
			err := tx.Scan(bucket, nil, nil, false, func(_, _ []byte) (bool, error) { return true, nil })
			if rerr := tx.Rollback(); !errors.Is(err, boltfile.ErrDamaged) || rerr != nil {
				t.Errorf("the bucket reads: %v, %v", err, rerr)
			}
			if err := f.Check(t.Context()); !errors.Is(err, boltfile.ErrDamaged) {
				t.Errorf("the file is whole: %v", err)
			}
			if v, err := get(f, "dog"); string(v) != "barks" || err != nil {
				t.Errorf("another value reads as %q, %v", v, err)
			}
		})
	}
}

// TestLostKey alters one key in the file. Neither that it is there nor that it is not may be believed then: what was
// stored would look new.
func TestLostKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	f := must(boltfile.Open(config(path)))(t)
	const n = 500 // several pages
	key := func(i int) []byte { return fmt.Appendf(nil, "a key that is written out, %04d", i) }
	err := update(f, func(tx *boltfile.Tx) error {
		for i := range n {
			if err := tx.Put(bucket, key(i), []byte("value")); err != nil {
				return err
			}
		}
		return nil
	})
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	content := compact(t, path)
	for _, i := range []int{0, 1, 250, n - 2, n - 1} {
		for _, at := range []int{0, 10, len(key(i)) - 1} { // out of order, or still in it
			altered := bytes.Clone(key(i))
			altered[at] ^= 1
			f := open(t, write(t, bytes.ReplaceAll(content, key(i), altered)))
			if v, err := get(f, string(key(i))); !errors.Is(err, boltfile.ErrDamaged) {
				t.Errorf("key %d altered at %d reads as %q, %v; want ErrDamaged", i, at, v, err)
			}
		}
	}
}

// TestCutOffInUse cuts the file beneath the mapping: reading beyond its end is a fault, and must become an error that ends
// the use of the file, also for one that waits for the transaction over which bbolt failed.
func TestCutOffInUse(t *testing.T) {
	path := write(t, written(t))
	f := open(t, path)
	tx := must(f.Begin(t.Context(), true))(t)
	waited := make(chan error)
	go func() {
		_, err := f.Begin(t.Context(), true)
		waited <- err
	}()
	if err := os.Truncate(path, int64(2*os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	_, err := tx.Get(bucket, []byte("cat"))
	if !errors.Is(err, boltfile.ErrDamaged) || !errors.Is(tx.Fault(), boltfile.ErrDamaged) {
		t.Errorf("reads: %v; the fault is %v", err, tx.Fault())
	}
	if err := tx.Put(bucket, []byte("cat"), nil); !errors.Is(err, boltfile.ErrDamaged) {
		t.Errorf("writes after a fault: %v", err)
	}
	if err := tx.Commit(); !errors.Is(err, boltfile.ErrDamaged) {
		t.Errorf("commits after a fault: %v", err)
	}
	if err := <-waited; !errors.Is(err, boltfile.ErrEnded) || !errors.Is(err, boltfile.ErrDamaged) {
		t.Errorf("who waited goes on: %v", err)
	}
}

// TestFailedCommit: a full disk is waited out; any other failed write or sync ends the use of the file.
func TestFailedCommit(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		grown int64
		ends  bool
	}{
		"disk full":         {&os.PathError{Op: "write", Err: syscall.ENOSPC}, 0, false},
		"quota":             {&os.PathError{Op: "write", Err: syscall.EDQUOT}, 0, false},
		"file too long":     {&os.PathError{Op: "truncate", Err: syscall.EFBIG}, 0, false},
		"disk full in sync": {syscall.ENOSPC, 0, true},
		"failed sync":       {syscall.EIO, 0, true},
		"failed write":      {&os.PathError{Op: "write", Err: syscall.EIO}, 0, true},
		// What bbolt says of a file that it makes longer has lost its number.
		"not made longer":            {errors.New("file resize error: no space left on device"), 0, false},
		"made longer and not synced": {errors.New("file sync error: input/output error"), 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			f := open(t, path)
			info := must(os.Stat(path))(t)
			err := f.Failed(c.err, info.Size()-c.grown)
			if !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "make room") == c.ends {
				t.Error(err)
			}
			if _, err := get(f, "cat"); errors.Is(err, boltfile.ErrEnded) != c.ends {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// A file that was taken away takes nothing more: nobody would find it again.
func TestTakenAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	f := open(t, path)
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if err := update(f, put("cat", "purrs")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("written to a file that is gone: %v", err)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	if err := update(f, put("cat", "purrs")); err != nil {
		t.Error(err)
	}
}

// TestLastCommitLost damages the newer meta page of a file in use. bbolt goes on with the commit before; nothing may be read
// from it, or what was stored last would be gone without a trace.
func TestLastCommitLost(t *testing.T) {
	for _, writable := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "file")
		f := open(t, path)
		if err := errors.Join(update(f, put("cat", "purrs")), update(f, put("cat", "barks"))); err != nil {
			t.Fatal(err)
		}
		file := must(os.OpenFile(path, os.O_RDWR, 0))(t)
		newer, txid := int64(0), uint64(0)
		for page := range int64(2) {
			var b [8]byte
			at := page*int64(os.Getpagesize()) + 16 + 48
			must(file.ReadAt(b[:], at))(t)
			if id := binary.NativeEndian.Uint64(b[:]); id > txid {
				newer, txid = at, id
			}
		}
		must(file.WriteAt([]byte{0xFF}, newer+7))(t)
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Begin(t.Context(), writable); !errors.Is(err, boltfile.ErrDamaged) || !strings.Contains(err.Error(), "newest commit") {
			t.Errorf("a transaction (writable %v) begins: %v", writable, err)
		}
		if _, err := f.Begin(t.Context(), writable); !errors.Is(err, boltfile.ErrEnded) {
			t.Errorf("and once more: %v", err)
		}
	}
}
