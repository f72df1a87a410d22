package keystore_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/countersign-mpc/countersign/keystore"
)

// sample makes a closed store with branch pages, an overflow page and two meta pages, and returns what is in it.
func sample(t testing.TB, path string) map[string]string {
	t.Helper()
	s := mustInit(t, path)
	for i := range 3 {
		must(t, s.Update(func(tx *keystore.Tx) error {
			for j := range 40 {
				if err := tx.Put("requests", fmt.Sprintf("r%d-%02d", i, j), bytes.Repeat([]byte{byte(j)}, 90)); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	must(t, s.Put("shares", "k1", bytes.Repeat([]byte("share"), 1200)))
	must(t, s.Put("shares", "k2", []byte("second share")))
	must(t, s.Close())
	records, err := check(path)
	must(t, err)
	if len(records) != 122 {
		t.Fatalf("%d records in the sample", len(records))
	}
	return records
}

// mustSurvive demands that the file at path is refused as damaged, or that everything in it is as it was.
func mustSurvive(t *testing.T, path string, want map[string]string, what string) (refused bool) {
	t.Helper()
	got, err := check(path)
	if err != nil {
		if !errors.Is(err, keystore.ErrCorrupt) {
			t.Errorf("%s: got %v, want ErrCorrupt", what, err)
		}
		return true
	}
	if !maps.Equal(got, want) {
		t.Errorf("%s: accepted with other content", what)
	}
	return false
}

func TestFlippedBytes(t *testing.T) {
	path := newPath(t)
	want := sample(t, path)
	whole := mustRead(t, path)
	refused, tried := 0, 0
	// Every byte of the meta pages that bbolt uses, then samples with steps that share no factor with its structures.
	for at := 0; at < len(whole); {
		damaged := bytes.Clone(whole)
		mask := byte(1) << (at % 8)
		if at%3 == 0 {
			mask = 0xff
		}
		damaged[at] ^= mask
		mustWrite(t, path, damaged)
		tried++
		if mustSurvive(t, path, want, fmt.Sprintf("byte %d ^ %#x", at, mask)) {
			refused++
		}
		switch size := os.Getpagesize(); {
		case at%size >= 96:
			at += 331
		case at < 2*size:
			at++
		default:
			at += 5 // the page's header and its first elements
		}
	}
	if refused < tried/10 {
		t.Errorf("%d of %d changes noticed: too few for this test to mean something", refused, tried)
	}
	t.Logf("%d of %d changes noticed; the others were in unused bytes", refused, tried)
}

// TestEveryByteOfASmallStore flips one bit of every byte of the pages in use, and of some in free ones. What is read is refused, and names where; where the
// byte means nothing the store holds what it held, can be written, and opens again.
func TestEveryByteOfASmallStore(t *testing.T) {
	path := newPath(t)
	s := mustInit(t, path)
	must(t, s.Put("key", "key-1", []byte("the share")))
	must(t, s.Put("identity", "p256", []byte("the identity")))
	must(t, s.Close())
	want, err := check(path)
	must(t, err)
	whole, size := mustRead(t, path), os.Getpagesize()
	live := livePages(t, whole)
	var bytesTried, accepted []int
	for page := 0; page < len(whole); page += size {
		used := len(bytes.TrimRight(whole[page:page+size], "\x00"))
		for at := page; at < page+used; at++ {
			if !live[page/size] && at%8 != 0 {
				continue // nothing reads a free page
			}
			damaged := bytes.Clone(whole)
			damaged[at] ^= 1 << (at % 7)
			mustWrite(t, path, damaged)
			bytesTried = append(bytesTried, at)
			what := fmt.Sprintf("byte %d of page %d", at-page, page/size)
			if mustSurvive(t, path, want, what) {
				continue
			}
			accepted = append(accepted, at)
			if at%16 != 0 && page > 0 {
				continue
			}
			s := mustUnseal(t, path)
			must(t, s.Put("b", "more", nil))
			must(t, s.Put("b", "and more", nil))
			must(t, s.Close())
			if records, err := check(path); err != nil || len(records) != len(want)+2 {
				t.Fatalf("%s is accepted, and after two commits there are %d records: %v", what, len(records), err)
			}
		}
	}
	t.Logf("%d bytes, %d of them mean nothing", len(bytesTried), len(accepted))
	for _, at := range accepted {
		if inPage := at % size; live[at/size] {
			t.Errorf("byte %d of page %d is in use, and its change was not noticed", inPage, at/size)
		}
	}
}

// livePages are the pages of a file that the newest state consists of.
func livePages(t *testing.T, whole []byte) map[int]bool {
	t.Helper()
	path := newPath(t)
	mustWrite(t, path, whole)
	live := make(map[int]bool)
	edit(t, path, func(tx *bbolt.Tx) error {
		for id := 0; ; id++ {
			info, err := tx.Page(id)
			if err != nil || info == nil {
				return err
			}
			live[id] = info.Type != "free"
		}
	})
	return live
}

func TestFlippedRecordBytes(t *testing.T) {
	path := newPath(t)
	sample(t, path)
	whole := mustRead(t, path)
	for _, c := range []struct{ bucket, name, place string }{
		{"records", "shares\x00k2", `record shares/"k2"`},
		{"countersign", "root", "root record"},
		{"countersign", "seal", "seal record"},
		{"countersign", "header", ""}, // its place is the header, or the seal record that is checked with it
	} {
		var size int
		edit(t, path, func(tx *bbolt.Tx) error { size = len(raw(tx, c.bucket, c.name)); return nil })
		for i := range size {
			mustWrite(t, path, whole)
			edit(t, path, func(tx *bbolt.Tx) error {
				b := raw(tx, c.bucket, c.name)
				b[i] ^= 1 << (i % 8)
				return putRaw(tx, c.bucket, c.name, b)
			})
			mustBeCorrupt(t, path, c.place, fmt.Sprintf("%s byte %d", c.name, i))
		}
	}
}

// mustBeCorrupt demands that the file is refused, and that the error names place.
func mustBeCorrupt(t *testing.T, path, place, what string) {
	t.Helper()
	_, err := check(path)
	var damage *keystore.CorruptError
	if !errors.As(err, &damage) {
		t.Errorf("%s: got %v, want a CorruptError", what, err)
		return
	}
	if place != "" && damage.Place != place {
		t.Errorf("%s: the error names %q, want %q", what, damage.Place, place)
	}
	if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "restore") {
		t.Errorf("%s: the error names no file or no remedy: %v", what, err)
	}
}

func TestTamperedRecords(t *testing.T) {
	base := newPath(t)
	sample(t, base)
	first, second := "shares\x00k1", "shares\x00k2"
	// An older state of the same store, to take parts from.
	old := mustRead(t, base)
	oldParts := map[string][]byte{}
	edit(t, base, func(tx *bbolt.Tx) error {
		oldParts["seal"], oldParts["root"] = raw(tx, "countersign", "seal"), raw(tx, "countersign", "root")
		oldParts[second] = raw(tx, "records", second)
		return nil
	})
	mustWrite(t, base, old)
	s := mustUnseal(t, base)
	must(t, s.Put("shares", "k2", []byte("newer share.")))
	must(t, s.Put("requests2", "r0-00", []byte("in another bucket")))
	must(t, s.Close())
	whole := mustRead(t, base)
	// A record of another store with the same password and the same name.
	strange := newPath(t)
	sample(t, strange)
	var foreign []byte
	edit(t, strange, func(tx *bbolt.Tx) error { foreign = raw(tx, "records", second); return nil })

	for _, c := range []struct {
		name, place string
		edit        func(tx *bbolt.Tx) error
	}{
		{"swap two", `record shares/"k1"`, func(tx *bbolt.Tx) error {
			a, b := raw(tx, "records", first), raw(tx, "records", second)
			return errors.Join(putRaw(tx, "records", first, b), putRaw(tx, "records", second, a))
		}},
		{"copy from another bucket", `record requests/"r0-00"`, func(tx *bbolt.Tx) error {
			return putRaw(tx, "records", "requests\x00r0-00", raw(tx, "records", "requests2\x00r0-00"))
		}},
		{"copy under a new name", `record shares/"k3"`, func(tx *bbolt.Tx) error {
			return putRaw(tx, "records", "shares\x00k3", raw(tx, "records", second))
		}},
		{"from another store", `record shares/"k2"`, func(tx *bbolt.Tx) error { return putRaw(tx, "records", second, foreign) }},
		{"cut short", `record shares/"k2"`, func(tx *bbolt.Tx) error {
			b := raw(tx, "records", second)
			return putRaw(tx, "records", second, b[:len(b)-1])
		}},
		{"cut to nothing", `record shares/"k2"`, func(tx *bbolt.Tx) error { return putRaw(tx, "records", second, nil) }},
		{"roll one back", "records", func(tx *bbolt.Tx) error { return putRaw(tx, "records", second, oldParts[second]) }},
		{"delete one", "records", func(tx *bbolt.Tx) error { return tx.Bucket([]byte("records")).Delete([]byte(second)) }},
		{"roll the root back", "records", func(tx *bbolt.Tx) error { return putRaw(tx, "countersign", "root", oldParts["root"]) }},
		{"delete the root", "root record", func(tx *bbolt.Tx) error { return tx.Bucket([]byte("countersign")).Delete([]byte("root")) }},
		{"delete the seal", "seal record", func(tx *bbolt.Tx) error { return tx.Bucket([]byte("countersign")).Delete([]byte("seal")) }},
		{"delete the header", "header", func(tx *bbolt.Tx) error { return tx.Bucket([]byte("countersign")).Delete([]byte("header")) }},
		{"delete seal and root", "seal record", func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte("countersign"))
			return errors.Join(b.Delete([]byte("root")), b.Delete([]byte("seal")))
		}},
		{"delete all records", "records", func(tx *bbolt.Tx) error {
			return errors.Join(tx.DeleteBucket([]byte("records")), errOf(tx.CreateBucket([]byte("records"))))
		}},
		{"delete the bucket of records", "file", func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("records")) }},
		{"a strange bucket", "file", func(tx *bbolt.Tx) error { return errOf(tx.CreateBucket([]byte("more"))) }},
		{"a strange part", "file", func(tx *bbolt.Tx) error { return putRaw(tx, "countersign", "more", nil) }},
		{"a bucket among the records", "", func(tx *bbolt.Tx) error {
			return errOf(tx.Bucket([]byte("records")).CreateBucket([]byte("shares\x00k9")))
		}},
		{"a name without bucket", `record name "zzz"`, func(tx *bbolt.Tx) error { return putRaw(tx, "records", "zzz", raw(tx, "records", second)) }},
		{"a newer format", "header", func(tx *bbolt.Tx) error {
			return putRaw(tx, "countersign", "header", bytes.Replace(raw(tx, "countersign", "header"), []byte("v1\n"), []byte("v2\n"), 1))
		}},
		{"a long header", "header", func(tx *bbolt.Tx) error {
			return putRaw(tx, "countersign", "header", append(raw(tx, "countersign", "header"), 0))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := newPath(t)
			mustWrite(t, path, whole)
			edit(t, path, c.edit)
			mustBeCorrupt(t, path, c.place, c.name)
		})
	}
}

func errOf(_ *bbolt.Bucket, err error) error { return err }

func TestTruncated(t *testing.T) {
	path := newPath(t)
	want := sample(t, path)
	whole := mustRead(t, path)
	sizes := []int{0, 1, 15, 79, 80, 4095, 4096, len(whole) - 1}
	for size := 8192; size < len(whole); size += 1777 {
		sizes = append(sizes, size)
	}
	refused := 0
	for _, size := range sizes {
		mustWrite(t, path, whole[:size])
		if mustSurvive(t, path, want, fmt.Sprintf("%d bytes", size)) {
			refused++
		}
	}
	if refused < 8 {
		t.Errorf("%d sizes refused", refused)
	}
	mustWrite(t, path, append(bytes.Clone(whole), make([]byte, 5000)...))
	if mustSurvive(t, path, want, "longer") {
		t.Error("free space at the end was refused")
	}
	for _, content := range []string{"", "not a store", strings.Repeat("not a store", 2000)} {
		mustWrite(t, path, []byte(content))
		if _, err := keystore.Open(config(path)); !errors.Is(err, keystore.ErrCorrupt) {
			t.Errorf("a file of %d strange bytes: %v", len(content), err)
		}
	}
}

// A meta page that is put back, with a checksum that fits, would take the store back by a transaction.
func TestMetaPages(t *testing.T) {
	path := newPath(t)
	sample(t, path)
	whole, size := mustRead(t, path), os.Getpagesize()
	tx := func(b []byte) uint64 { return binary.NativeEndian.Uint64(b[16+48:]) }
	newer := 0
	if tx(whole[size:]) > tx(whole) {
		newer = size
	}
	for _, c := range []struct {
		name string
		edit func(meta []byte)
	}{
		{"a much older transaction", func(m []byte) { binary.NativeEndian.PutUint64(m[48:], binary.NativeEndian.Uint64(m[48:])-4) }},
		{"a transaction in the wrong page", func(m []byte) { binary.NativeEndian.PutUint64(m[48:], binary.NativeEndian.Uint64(m[48:])+1) }},
		{"a root out of range", func(m []byte) { binary.NativeEndian.PutUint64(m[16:], 1<<60) }},
		{"a root that is a meta page", func(m []byte) { binary.NativeEndian.PutUint64(m[16:], 1) }},
		{"more pages than the file has", func(m []byte) { binary.NativeEndian.PutUint64(m[40:], 1<<60) }},
		{"no pages", func(m []byte) { binary.NativeEndian.PutUint64(m[40:], 0) }},
		{"a free list", func(m []byte) { binary.NativeEndian.PutUint64(m[32:], 3) }},
		{"pages of 1 byte", func(m []byte) { binary.NativeEndian.PutUint32(m[8:], 1) }},
		{"another format", func(m []byte) { binary.NativeEndian.PutUint32(m[4:], 3) }},
	} {
		b := bytes.Clone(whole)
		m := b[newer+16 : newer+80]
		c.edit(m)
		sum := fnv.New64a()
		sum.Write(m[:56])
		binary.NativeEndian.PutUint64(m[56:], sum.Sum64())
		mustWrite(t, path, b)
		mustBeCorrupt(t, path, "", c.name)
	}
}

// The whole file in an older version is a valid store: that cannot be seen from inside, and the sequence tells.
func TestWholeFileRollback(t *testing.T) {
	path := newPath(t)
	s := mustInit(t, path)
	must(t, s.Put("b", "k", []byte("old")))
	must(t, s.Close())
	old := mustRead(t, path)
	s = mustUnseal(t, path)
	must(t, s.Put("b", "k", []byte("new")))
	newest := mustStat(t, s).Sequence
	must(t, s.Close())
	mustWrite(t, path, old)
	s = mustUnseal(t, path)
	if got := mustStat(t, s).Sequence; got >= newest {
		t.Errorf("sequence %d after a rollback from %d", got, newest)
	}
}

// A seal record that was replaced by one with the old password, or by that of another store, is refused.
func TestStrangeSealRecord(t *testing.T) {
	mine, theirs := newPath(t), newPath(t)
	must(t, mustInit(t, mine).Close())
	must(t, mustInit(t, theirs).Close())
	var seal, header []byte
	edit(t, theirs, func(tx *bbolt.Tx) error {
		seal, header = raw(tx, "countersign", "seal"), raw(tx, "countersign", "header")
		return nil
	})
	edit(t, mine, func(tx *bbolt.Tx) error { return putRaw(tx, "countersign", "seal", seal) })
	mustBeCorrupt(t, mine, "seal record", "another store's seal record")
	edit(t, mine, func(tx *bbolt.Tx) error { return putRaw(tx, "countersign", "header", header) })
	mustBeCorrupt(t, mine, "root record", "another store's seal record and header")
}

// A seal record under another password, leaked or put back from before a change, is refused even with that password.
func TestSealRecordOfAnotherPassword(t *testing.T) {
	path := newPath(t)
	must(t, mustInit(t, path).Close())
	other := pass("Another-Horse-8-Battery")
	edit(t, path, func(tx *bbolt.Tx) error {
		rewrapped, err := keystore.RewrapSeal(raw(tx, "countersign", "header"), raw(tx, "countersign", "seal"), pass(goodPassword), other)
		must(t, err)
		return putRaw(tx, "countersign", "seal", rewrapped)
	})
	s := mustOpen(t, config(path))
	err := s.Unseal(context.Background(), other)
	var damage *keystore.CorruptError
	if !errors.As(err, &damage) || damage.Place != "seal record" {
		t.Errorf("got %v", err)
	}
	if s.State() != keystore.Sealed {
		t.Error("the store was unsealed")
	}
}

func TestFileModes(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "asset.db")
	must(t, mustInit(t, path).Close())
	refuse := func(what, path, says string) {
		t.Helper()
		s, err := keystore.Open(config(path))
		if err == nil {
			s.Close()
			t.Errorf("%s was opened", what)
		} else if !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v does not say %q", what, err, says)
		}
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660, 0o601} {
		must(t, os.Chmod(path, mode))
		refuse(mode.String(), path, "chmod 600")
	}
	must(t, os.Chmod(path, 0o600))
	link := filepath.Join(dir, "link.db")
	must(t, os.Symlink(path, link))
	refuse("a symbolic link", link, "symbolic link")
	must(t, os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "dangling.db")))
	refuse("a dangling link", filepath.Join(dir, "dangling.db"), "symbolic link")
	refuse("a directory", dir, "is a directory")
	refuse("a missing directory", filepath.Join(dir, "none", "asset.db"), "no such file")
	refuse("a file in a file", filepath.Join(path, "asset.db"), "not a directory")
	open := filepath.Join(dir, "open")
	must(t, os.Mkdir(open, 0o700))
	must(t, os.Chmod(open, 0o777))
	refuse("a directory that everybody writes to", filepath.Join(open, "asset.db"), "chmod o-w")
	must(t, os.Chmod(open, 0o777|os.ModeSticky))
	must(t, mustInit(t, filepath.Join(open, "asset.db")).Close())
	s := mustOpen(t, config(path)) // none of the refusals above did harm
	must(t, s.Unseal(context.Background(), pass(goodPassword)))
}
