package boltfile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/countersign-mpc/countersign/bolt/boltfile"
)

const (
	format = "a file of tests, version 1"
	bucket = "animals"
	other  = "plants"
	apart  = "large" // its values lie apart
)

func place(b []byte, bucket string, key []byte) []byte {
	return append(append(append(b, bucket+"\x00"...), key...), 0)
}

func config(path string) boltfile.Config {
	return boltfile.Config{
		Path: path, OpenTimeout: 50 * time.Millisecond, Format: format, Buckets: []string{bucket, other, apart}, Apart: []string{apart}, Place: place,
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func open(t *testing.T, path string) *boltfile.File {
	t.Helper()
	f := must(boltfile.Open(config(path)))(t)
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// update runs fn in a transaction that writes.
func update(f *boltfile.File, fn func(*boltfile.Tx) error) error {
	tx, err := f.Begin(context.Background(), true)
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func put(key, value string) func(*boltfile.Tx) error {
	return func(tx *boltfile.Tx) error { return tx.Put(bucket, []byte(key), []byte(value)) }
}

func get(f *boltfile.File, key string) (value []byte, err error) {
	tx, err := f.Begin(context.Background(), false)
	if err != nil {
		return nil, err
	}
	value, err = tx.Get(bucket, []byte(key))
	return value, errors.Join(err, tx.Rollback())
}

// written is the content of a file with a few values.
func written(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	f := must(boltfile.Open(config(path)))(t)
	err := update(f, func(tx *boltfile.Tx) error {
		return errors.Join(put("cat", "purrs")(tx), put("dog", "barks")(tx), tx.Put(other, []byte("cat"), []byte("tail")))
	})
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return compact(t, path)
}

// compact returns the content of a file without free pages and without what bbolt keeps in reserve behind its pages.
func compact(t *testing.T, path string) []byte {
	t.Helper()
	from := must(bolt.Open(path, 0o600, nil))(t)
	to := must(bolt.Open(path+".compact", 0o600, nil))(t)
	err := bolt.Compact(to, from, 0)
	var size int64
	serr := to.View(func(tx *bolt.Tx) error { size = tx.Size(); return nil })
	if err := errors.Join(err, serr, from.Close(), to.Close()); err != nil {
		t.Fatal(err)
	}
	return must(os.ReadFile(path + ".compact"))(t)[:size]
}

func write(t *testing.T, content []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// edited is a written file after an edit with bbolt alone.
func edited(t *testing.T, edit func(*bolt.Tx) error) (path string) {
	t.Helper()
	path = write(t, written(t))
	db := must(bolt.Open(path, 0o600, nil))(t)
	if err := errors.Join(db.Update(edit), db.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestValues(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	f := open(t, path)
	if err := update(f, func(tx *boltfile.Tx) error { return errors.Join(put("cat", "purrs")(tx), put("ant", "")(tx)) }); err != nil {
		t.Fatal(err)
	}
	mine := errors.New("mine")
	if err := update(f, func(tx *boltfile.Tx) error { return errors.Join(put("cat", "barks")(tx), mine) }); !errors.Is(err, mine) {
		t.Errorf("the function's error came back as %v", err)
	}
	for key, want := range map[string]string{"cat": "purrs", "ant": ""} {
		if v, err := get(f, key); err != nil || v == nil || string(v) != want {
			t.Errorf("%s reads as %q (nil: %v), %v", key, v, v == nil, err)
		}
	}
	if v, err := get(f, "dog"); err != nil || v != nil {
		t.Errorf("what is not there reads as %q, %v", v, err)
	}
	if err := update(f, func(tx *boltfile.Tx) error { return tx.Delete(bucket, []byte("cat")) }); err != nil {
		t.Fatal(err)
	}
	if v, err := get(f, "cat"); err != nil || v != nil {
		t.Errorf("what was deleted reads as %q, %v", v, err)
	}
	for _, name := range []string{"minerals", "store"} {
		if err := update(f, func(tx *boltfile.Tx) error { return tx.Put(name, []byte("key"), nil) }); err == nil {
			t.Errorf("bucket %s can be written", name)
		}
	}
	if err := f.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if info := must(os.Stat(path))(t); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestScan(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "file"))
	err := update(f, func(tx *boltfile.Tx) error {
		return errors.Join(put("a", "1")(tx), put("b", "2")(tx), put("c", "3")(tx), put("d", "4")(tx))
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from, to string
		reverse  bool
		want     string
	}{
		{"", "", false, "a1b2c3d4"}, {"", "", true, "d4c3b2a1"}, {"b", "d", false, "b2c3"}, {"b", "d", true, "c3b2"},
		{"bb", "", false, "c3d4"}, {"", "bb", true, "b2a1"}, {"e", "", false, ""}, {"", "a", true, ""},
	} {
		tx := must(f.Begin(t.Context(), false))(t)
		bound := func(s string) []byte {
			if s == "" {
				return nil
			}
			return []byte(s)
		}
		got := ""
		err := tx.Scan(bucket, bound(c.from), bound(c.to), c.reverse, func(k, v []byte) (bool, error) {
			got += string(k) + string(v)
			return true, nil
		})
		if err := errors.Join(err, tx.Rollback()); err != nil || got != c.want {
			t.Errorf("from %q to %q, reverse %v: %q, %v; want %q", c.from, c.to, c.reverse, got, err, c.want)
		}
	}
}

// What is read in a transaction that has emptied whole pages is as after it.
func TestDeleted(t *testing.T) {
	const n = 400
	key := func(i int) []byte { return fmt.Appendf(nil, "%04d", i) }
	for name, gone := range map[string][2]int{"all": {0, n}, "first": {0, n / 2}, "last": {n / 2, n}, "middle": {n / 4, n / 2}, "none": {0, 0}} {
		t.Run(name, func(t *testing.T) {
			f := open(t, filepath.Join(t.TempDir(), "file"))
			err := update(f, func(tx *boltfile.Tx) (err error) {
				for i := range n {
					err = errors.Join(err, tx.Put(bucket, key(i), make([]byte, 200)))
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			err = update(f, func(tx *boltfile.Tx) (err error) {
				for i := gone[0]; i < gone[1]; i++ {
					err = errors.Join(err, tx.Delete(bucket, key(i)))
				}
				want := n - gone[1] + gone[0]
				for i := range n {
					v, gerr := tx.Get(bucket, key(i))
					if (v == nil) != (i >= gone[0] && i < gone[1]) {
						t.Errorf("%d reads as %q", i, v)
					}
					err = errors.Join(err, gerr)
				}
				for _, reverse := range []bool{false, true} {
					var found [][]byte
					err = errors.Join(err, tx.Scan(bucket, nil, nil, reverse, func(k, _ []byte) (bool, error) {
						found = append(found, k)
						return true, nil
					}))
					sorted := slices.IsSortedFunc(found, func(a, b []byte) int {
						if reverse {
							a, b = b, a
						}
						return bytes.Compare(a, b)
					})
					if len(found) != want || !sorted {
						t.Errorf("reverse %v: %d keys, want %d, sorted %v", reverse, len(found), want, sorted)
					}
				}
				return err
			})
			if err := errors.Join(err, f.Check(t.Context())); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	content := written(t)
	flipped := func(at int) []byte {
		c := bytes.Clone(content)
		c[at] ^= 1
		return c
	}
	for name, c := range map[string]struct {
		path    func(t *testing.T) string
		damaged bool
		want    string
	}{
		"no path":        {func(*testing.T) string { return "" }, false, "a path is needed"},
		"not bbolt":      {func(t *testing.T) string { return write(t, bytes.Repeat([]byte("text "), 5000)) }, true, "not a bbolt file"},
		"one meta page":  {func(t *testing.T) string { return write(t, flipped(16+40)) }, true, "meta page 0"},
		"the other one":  {func(t *testing.T) string { return write(t, flipped(os.Getpagesize()+16+40)) }, true, "meta page 1"},
		"cut off":        {func(t *testing.T) string { return write(t, content[:len(content)-1]) }, true, "cut off"},
		"something else": {func(t *testing.T) string { return edited(t, deleted("store")) }, false, "of something else"},
		"emptied":        {func(t *testing.T) string { return edited(t, deleted("store", bucket, other, apart)) }, true, "holds nothing"},
		"a bucket gone":  {func(t *testing.T) string { return edited(t, deleted(other)) }, true, "plants is missing"},
		"version altered": {func(t *testing.T) string {
			return edited(t, func(tx *bolt.Tx) error {
				return tx.Bucket([]byte("store")).Put([]byte("format"), []byte("1234"+format))
			})
		}, true, "checksum"},
		"another version": {func(t *testing.T) string {
			cfg := config(filepath.Join(t.TempDir(), "file"))
			cfg.Format = "a file of tests, version 2"
			if err := must(boltfile.Open(cfg))(t).Close(); err != nil {
				t.Fatal(err)
			}
			return cfg.Path
		}, false, `it holds "a file of tests, version 2"`},
		"held": {func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), "file")
			open(t, path)
			return path
		}, false, "another process holds it: stop that one"},
	} {
		t.Run(name, func(t *testing.T) {
			path := c.path(t)
			f, err := boltfile.Open(config(path))
			if err == nil {
				f.Close()
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) || errors.Is(err, boltfile.ErrDamaged) != c.damaged {
				t.Errorf("%v; want %q, the path, and ErrDamaged %v", err, c.want, c.damaged)
			}
		})
	}
	if _, err := boltfile.Open(config(filepath.Join(t.TempDir(), "none", "file"))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("opened in a folder that is not there: %v", err)
	}
}

func deleted(buckets ...string) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) (err error) {
		for _, name := range buckets {
			err = errors.Join(err, tx.DeleteBucket([]byte(name)))
		}
		return err
	}
}

// A file whose making was interrupted before its first commit is new.
func TestMakingInterrupted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := must(bolt.Open(path, 0o600, nil))(t).Close(); err != nil {
		t.Fatal(err)
	}
	if err := update(open(t, path), put("cat", "purrs")); err != nil {
		t.Error(err)
	}
}

func TestConfigRefused(t *testing.T) {
	for name, edit := range map[string]func(*boltfile.Config){
		"no format":  func(c *boltfile.Config) { c.Format = "" },
		"no buckets": func(c *boltfile.Config) { c.Buckets = nil },
		"no place":   func(c *boltfile.Config) { c.Place = nil },
		"taken":      func(c *boltfile.Config) { c.Buckets = []string{"store"} },
	} {
		cfg := config(filepath.Join(t.TempDir(), "file"))
		edit(&cfg)
		if _, err := boltfile.Open(cfg); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

func TestClosed(t *testing.T) {
	f := must(boltfile.Open(config(filepath.Join(t.TempDir(), "file"))))(t)
	tx := must(f.Begin(t.Context(), true))(t)
	closed := make(chan error)
	go func() { closed <- f.Close() }()
	if err := errors.Join(put("cat", "purrs")(tx), tx.Commit()); err != nil {
		t.Error(err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	for _, writable := range []bool{false, true} {
		if _, err := f.Begin(t.Context(), writable); !errors.Is(err, boltfile.ErrEnded) {
			t.Errorf("a transaction on a closed file (writable %v): %v", writable, err)
		}
	}
	if err := f.Check(t.Context()); !errors.Is(err, boltfile.ErrEnded) {
		t.Errorf("a closed file is checked: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

// Once a store has ended the use of its file, what a transaction wrote before is not committed any more.
func TestEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	f := must(boltfile.Open(config(path)))(t)
	tx := must(f.Begin(t.Context(), true))(t)
	why := errors.New("why")
	if err := put("cat", "purrs")(tx); err != nil {
		t.Fatal(err)
	}
	_ = f.End(why)
	if err := tx.Commit(); !errors.Is(err, boltfile.ErrEnded) || !errors.Is(err, why) {
		t.Errorf("committed with %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if v, err := get(open(t, path), "cat"); v != nil || err != nil {
		t.Errorf("what was not committed reads as %q, %v", v, err)
	}
}
