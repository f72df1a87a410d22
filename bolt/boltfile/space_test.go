package boltfile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/countersign-mpc/countersign/bolt/boltfile"
)

const (
	spaces    = "spaces"
	spaceSize = 5 << 16
)

func spaceConfig(path string) boltfile.Config {
	c := config(path)
	c.Buckets, c.InPlace = append(c.Buckets, spaces), spaces
	return c
}

// reserved makes a file with a space.
func reserved(t *testing.T, path string) (*boltfile.File, *boltfile.Space) {
	t.Helper()
	f := must(boltfile.Open(spaceConfig(path)))(t)
	t.Cleanup(func() { _ = f.Close() })
	if s, err := f.Space(t.Context(), []byte("s")); s != nil || err != nil {
		t.Fatalf("a space that was not reserved: %v, %v", s, err)
	}
	if err := update(f, func(tx *boltfile.Tx) error { return tx.Reserve([]byte("s"), spaceSize, []byte("begin")) }); err != nil {
		t.Fatal(err)
	}
	s := must(f.Space(t.Context(), []byte("s")))(t)
	if b := readSpace(t, s); !bytes.HasPrefix(b, []byte("begin\x00")) {
		t.Errorf("it begins with %q", b[:10])
	}
	if err := update(f, func(tx *boltfile.Tx) error { return tx.Reserve([]byte("t"), spaceSize+1, nil) }); err == nil {
		t.Error("a space that is not made of pages was reserved")
	}
	if s.Size() != spaceSize {
		t.Fatalf("a space of %d bytes, want %d", s.Size(), spaceSize)
	}
	return f, s
}

func readSpace(t *testing.T, s *boltfile.Space) []byte {
	t.Helper()
	b := make([]byte, s.Size())
	if _, err := s.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestSpace: what is written in place stays while transactions write everything else anew, in the same file and in a copy that
// bbolt makes of it, and no transaction finds its values altered.
func TestSpace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	f, s := reserved(t, path)
	want := readSpace(t, s)
	value := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 3000) }
	for i := range 60 {
		at := i * 5000
		chunk := bytes.Repeat([]byte{byte(200 - i)}, 5000)
		copy(want[at:], chunk)
		write := s.WriteThrough
		if i%2 == 1 {
			write = func(p []byte, off int64) error { return errors.Join(s.Write(p, off), s.Sync()) }
		}
		err := errors.Join(write(chunk, int64(at)), update(f, func(tx *boltfile.Tx) error {
			return errors.Join(tx.Put(bucket, fmt.Append(nil, i), value(i)), tx.Delete(bucket, fmt.Append(nil, i-7)))
		}))
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(f.Check(context.Background()), f.Close()); err != nil {
		t.Fatal(err)
	}
	for _, of := range []string{path, write(t, compact(t, path))} {
		again := must(boltfile.Open(spaceConfig(of)))(t)
		if !bytes.Equal(readSpace(t, must(again.Space(t.Context(), []byte("s")))(t)), want) {
			t.Error("the space holds something else")
		}
		tx := must(again.Begin(t.Context(), false))(t)
		for i := range 60 {
			if v, err := tx.Get(bucket, fmt.Append(nil, i)); err != nil || i < 53 != (v == nil) || v != nil && !bytes.Equal(v, value(i)) {
				t.Errorf("key %d: %d bytes, %v", i, len(v), err)
			}
		}
		if err := errors.Join(tx.Rollback(), again.Check(t.Context()), again.Close()); err != nil {
			t.Error(err)
		}
	}
}

// TestSpaceBounds: nothing is written beside a space, nor when the file is closed, read only, taken away or cut off.
func TestSpaceBounds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	f, s := reserved(t, path)
	for _, write := range ways(s) {
		for _, at := range []int64{-1, spaceSize - 1, spaceSize} {
			if err := write([]byte("ab"), at); err == nil {
				t.Errorf("two bytes are written at %d of %d", at, spaceSize)
			}
		}
		if err := write([]byte("ab"), spaceSize-2); err != nil {
			t.Error(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, write := range ways(s) {
		if err := write([]byte("ab"), 0); !errors.Is(err, boltfile.ErrEnded) {
			t.Errorf("a closed file: %v", err)
		}
	}
	c := spaceConfig(path)
	c.ReadOnly = true
	for i := range ways(s) {
		only := must(boltfile.Open(c))(t)
		read := must(only.Space(t.Context(), []byte("s")))(t)
		if b := readSpace(t, read); string(b[spaceSize-2:]) != "ab" {
			t.Errorf("read %q", b[spaceSize-2:])
		}
		if err := errors.Join(ways(read)[i]([]byte("cd"), 0), only.Close()); err == nil {
			t.Error("a file that is only read was written to")
		}
	}
	for i := range ways(s) {
		copied := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(copied, must(os.ReadFile(path))(t), 0o600); err != nil {
			t.Fatal(err)
		}
		away := must(boltfile.Open(spaceConfig(copied)))(t)
		write := ways(must(away.Space(t.Context(), []byte("s")))(t))[i]
		if err := os.Rename(copied, copied+".away"); err != nil {
			t.Fatal(err)
		}
		if err := write([]byte("ef"), 0); err == nil || !strings.Contains(err.Error(), "nothing was stored") {
			t.Errorf("a file that was taken away: %v", err)
		}
		if err := errors.Join(os.Rename(copied+".away", copied), os.Truncate(copied, 16<<10)); err != nil {
			t.Fatal(err)
		}
		if err := write([]byte("ef"), 0); !errors.Is(err, boltfile.ErrDamaged) {
			t.Errorf("a file that was cut off: %v", err)
		}
		_ = away.Close()
	}
}

// ways are those in which a space is written.
func ways(s *boltfile.Space) []func([]byte, int64) error {
	return []func([]byte, int64) error{s.Write, s.WriteThrough}
}

// TestSpaceReplaced: nothing goes into a file in whose place another one has come, however alike they are.
func TestSpaceReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	f, s := reserved(t, path)
	if err := s.Write([]byte("ab"), 0); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(path+".other", must(os.ReadFile(path))(t), 0o600), os.Rename(path, path+".away"), os.Rename(path+".other", path)); err != nil {
		t.Fatal(err)
	}
	const replaced = "another file has come to its place: nothing was stored"
	for i, write := range ways(s) {
		if err := write([]byte("cd"), 0); err == nil || !strings.Contains(err.Error(), replaced) {
			t.Errorf("written in place, way %d: %v", i, err)
		}
	}
	if err := update(f, put("cat", "purrs")); err == nil || !strings.Contains(err.Error(), replaced) {
		t.Errorf("committed: %v", err)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	if err := s.Write([]byte("ef"), 0); err != nil {
		t.Errorf("back in its place: %v", err)
	}
}

// TestSpaceElsewhere: a value that is no space, or of another size than it says, is not written over.
func TestSpaceElsewhere(t *testing.T) {
	for name, edit := range map[string]func(b *bolt.Bucket) error{
		"another value": func(b *bolt.Bucket) error { return b.Put([]byte{0}, make([]byte, 100<<10)) },
		"a longer one": func(b *bolt.Bucket) error {
			return b.Put([]byte{0}, append(bytes.Clone(b.Get([]byte{0})), make([]byte, os.Getpagesize())...))
		},
		"two values": func(b *bolt.Bucket) error { return b.Put([]byte{1}, []byte("beside")) },
		"none":       func(b *bolt.Bucket) error { return b.Delete([]byte{0}) },
	} {
		path := filepath.Join(t.TempDir(), "file")
		f, _ := reserved(t, path)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		db := must(bolt.Open(path, 0o600, nil))(t)
		err := db.Update(func(tx *bolt.Tx) error { return edit(tx.Bucket([]byte(spaces)).Bucket([]byte("s"))) })
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		f = must(boltfile.Open(spaceConfig(path)))(t)
		if s, err := f.Space(t.Context(), []byte("s")); s != nil || !errors.Is(err, boltfile.ErrDamaged) {
			t.Errorf("%s: %v, %v; want ErrDamaged", name, s, err)
		}
		_ = f.Close()
	}
}
