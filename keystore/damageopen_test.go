package keystore_test

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/countersign-mpc/countersign/keystore"
)

// A store in memory that somebody writes to is noticed by the next reader of the record, and by the next writer.
func TestTamperedWhileOpen(t *testing.T) {
	path := newPath(t)
	s := mustInit(t, path)
	must(t, s.Put("b", "k", bytes.Repeat([]byte("value"), 1000)))
	if err := os.Truncate(path, int64(2*os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	_, err := s.Get("b", "k")
	mustBe(t, err, keystore.ErrCorrupt)
	mustBe(t, s.ForEach("b", "", func(string, []byte) error { return nil }), keystore.ErrCorrupt)
	mustBe(t, s.Put("b", "k2", nil), keystore.ErrCorrupt)
}

// alterOpen flips a bit in the file of an open store, at some distance behind the last occurrence of mark.
func alterOpen(t *testing.T, path, mark string, behind int) {
	t.Helper()
	whole := mustRead(t, path)
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	defer file.Close()
	found := false
	for at := 0; ; { // in every copy: old pages hold some
		next := bytes.Index(whole[at:], []byte(mark))
		if next < 0 {
			break
		}
		at += next + len(mark)
		_, err := file.WriteAt([]byte{whole[at+behind] ^ 1}, int64(at+behind))
		must(t, err)
		found = true
	}
	if !found {
		t.Fatalf("no %q in the file", mark)
	}
}

func TestRecordDamagedWhileOpen(t *testing.T) {
	path := newPath(t)
	s := mustInit(t, path)
	must(t, s.Put("bucket", "the-key", []byte("value")))
	must(t, s.Put("bucket", "untouched", []byte("value")))
	before := mustStat(t, s)
	alterOpen(t, path, "the-key", 40)
	_, err := s.Get("bucket", "the-key")
	var damage *keystore.CorruptError
	if !errors.As(err, &damage) || damage.Bucket != "bucket" || damage.Key != "the-key" {
		t.Fatalf("got %v", err)
	}
	mustBe(t, s.ForEach("bucket", "", func(string, []byte) error { return nil }), keystore.ErrCorrupt)
	mustBe(t, s.Delete("bucket", "the-key"), keystore.ErrCorrupt)
	// Half a change is never committed, even by a function that does not look at the error.
	mustBe(t, s.Update(func(tx *keystore.Tx) error {
		_ = tx.Put("bucket", "the-key", []byte("new"))
		mustBe(t, tx.Put("bucket", "more", nil), keystore.ErrCorrupt)
		return nil
	}), keystore.ErrCorrupt)
	mustGet(t, s, "bucket", "untouched", "value")
	if after := mustStat(t, s); after.Sequence != before.Sequence || after.Records["bucket"] != 2 {
		t.Errorf("from %+v to %+v", before, after)
	}
}

func TestRootDamagedWhileOpen(t *testing.T) {
	path := newPath(t)
	s := mustInit(t, path)
	alterOpen(t, path, "root", 60)
	err := s.Put("bucket", "key", nil)
	var damage *keystore.CorruptError
	if !errors.As(err, &damage) || damage.Place != "root record" {
		t.Fatalf("got %v", err)
	}
}
