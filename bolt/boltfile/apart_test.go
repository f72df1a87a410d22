package boltfile_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/countersign-mpc/countersign/bolt/boltfile"
)

// TestApart: values that lie apart are put, read, listed and removed as others are.
func TestApart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	f := must(boltfile.Open(config(path)))(t)
	large := bytes.Repeat([]byte("x"), 20000)
	err := update(f, func(tx *boltfile.Tx) error {
		return errors.Join(tx.Put(apart, []byte("b"), large), tx.PutRoom(apart, []byte("a"), append(make([]byte, boltfile.Room), "small"...)),
			tx.Put(apart, []byte("c"), nil), tx.Delete(apart, []byte("none")))
	})
	if err != nil {
		t.Fatal(err)
	}
	look := func(keys string) {
		t.Helper()
		tx := must(f.Begin(context.Background(), false))(t)
		found := ""
		err := tx.Scan(apart, nil, nil, false, func(key, value []byte) (bool, error) {
			got := must(tx.Get(apart, key))(t)
			if !bytes.Equal(got, value) || string(key) == "b" && !bytes.Equal(value, large) {
				t.Errorf("%s: %d bytes, and %d in the list", key, len(got), len(value))
			}
			found += string(key)
			return true, nil
		})
		if v := must(tx.Get(apart, []byte("bb")))(t); v != nil {
			t.Errorf("%q is there that is not", v)
		}
		if err := errors.Join(err, tx.Rollback()); err != nil || found != keys {
			t.Errorf("there are %q (%v), want %q", found, err, keys)
		}
	}
	look("abc")
	if err := update(f, func(tx *boltfile.Tx) error { return tx.Delete(apart, []byte("b")) }); err != nil {
		t.Fatal(err)
	}
	look("ac")
	if err := errors.Join(f.Check(context.Background()), f.Close()); err != nil {
		t.Error(err)
	}
}

// TestApartDamaged: a value that lies apart and is not what was put is damage, whichever way it is another one.
func TestApartDamaged(t *testing.T) {
	for name, edit := range map[string]func(b *bolt.Bucket) error{
		"altered": func(b *bolt.Bucket) error { return b.Bucket([]byte("a")).Put([]byte{0}, []byte("sums and value")) },
		"empty":   func(b *bolt.Bucket) error { return b.Bucket([]byte("a")).Delete([]byte{0}) },
		"flat": func(b *bolt.Bucket) error {
			v := bytes.Clone(b.Bucket([]byte("a")).Get([]byte{0}))
			return errors.Join(b.DeleteBucket([]byte("a")), b.Put([]byte("a"), v))
		},
		"moved": func(b *bolt.Bucket) error {
			v := bytes.Clone(b.Bucket([]byte("a")).Get([]byte{0}))
			other, err := b.CreateBucket([]byte("b"))
			return errors.Join(err, b.DeleteBucket([]byte("a")), other.Put([]byte{0}, v))
		},
	} {
		path := filepath.Join(t.TempDir(), "file")
		f := must(boltfile.Open(config(path)))(t)
		err := update(f, func(tx *boltfile.Tx) error { return tx.Put(apart, []byte("a"), []byte("value")) })
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		db := must(bolt.Open(path, 0o600, nil))(t)
		if err := errors.Join(db.Update(func(tx *bolt.Tx) error { return edit(tx.Bucket([]byte(apart))) }), db.Close()); err != nil {
			t.Fatal(err)
		}
		f = must(boltfile.Open(config(path)))(t)
		tx := must(f.Begin(context.Background(), false))(t)
		err = tx.Scan(apart, nil, nil, false, func(_, _ []byte) (bool, error) { return true, nil })
		if !errors.Is(err, boltfile.ErrDamaged) {
			t.Errorf("%s: %v, want ErrDamaged", name, err)
		}
		_ = errors.Join(tx.Rollback(), f.Close())
	}
}
