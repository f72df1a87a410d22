package ledgerstore_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/countersign-mpc/countersign/bolt/ledgerstore"
	"github.com/countersign-mpc/countersign/ledger"
)

// The form of a track, as docs/FORMATS.md has it.
const (
	trackPage  = 4096
	headSize   = 8 + 16 + 8 + 4
	recordHead = 4 + 8 + 4
)

// tracked writes keys until some commits lie in a track, and returns the file as a killed process leaves it, where the track with the
// last commit begins in it, and the keys in their order.
func tracked(t *testing.T) (file []byte, at int, keys []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.db")
	store := openTurning(t, path, 40)
	for i := range 95 {
		keys = append(keys, fmt.Sprintf("key-%03d", i))
		must(t, store.Update(t.Context(), func(tx ledger.Tx) error { return tx.Put("ask", []byte(keys[i]), []byte("value of "+keys[i])) }))
		if i < 90 {
			continue
		}
		store.Settled()
		file, err := os.ReadFile(path)
		must(t, err)
		if at, last := newest(file); at > 0 && last == uint64(i+1) && records(file, at) >= 3 {
			return file, at, keys
		}
	}
	t.Fatal("no track holds the last commits")
	return nil, 0, nil
}

// newest finds the track whose head names the last commit of all.
func newest(file []byte) (at int, known uint64) {
	for page := 0; page < len(file); page += trackPage {
		if string(file[page:page+8]) == "track 01" {
			if k := binary.BigEndian.Uint64(file[page+24:]); k > known {
				at, known = page, k
			}
		}
	}
	return at, known
}

// records counts the records of a track in which each takes a page.
func records(file []byte, at int) (n int) {
	_, known := newest(file)
	for page := at + trackPage; ; page += trackPage {
		n++
		if binary.BigEndian.Uint64(file[page+4:]) == known {
			return n
		}
	}
}

// reopened opens a file with some bytes and returns the keys that it has, in order.
func reopened(t *testing.T, file []byte) (keys []string, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "left.db")
	must(t, os.WriteFile(path, file, 0o600))
	s, err := ledgerstore.OpenTurning(ledgerstore.Config{Path: path}, 40)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	err = s.View(t.Context(), func(r ledger.Reader) error {
		return r.Scan("ask", nil, nil, false, func(key, value []byte) (bool, error) {
			if string(value) != "value of "+string(key) {
				return false, fmt.Errorf("%s is %q", key, value)
			}
			keys = append(keys, string(key))
			return true, nil
		})
	})
	return keys, errors.Join(err, s.Check(t.Context()))
}

// TestTrackDamaged changes each byte that counts in the track of the last commits. None of them may be missing without a word.
func TestTrackDamaged(t *testing.T) {
	file, at, keys := tracked(t)
	if got, err := reopened(t, file); err != nil || strings.Join(got, " ") != strings.Join(keys, " ") {
		t.Fatalf("undamaged: %q, %v", got, err)
	}
	var offsets []int
	for i := range headSize {
		offsets = append(offsets, at+i)
	}
	for n := range records(file, at) {
		record := at + (n+1)*trackPage
		for i := range recordHead + int(binary.BigEndian.Uint32(file[record:])) {
			offsets = append(offsets, record+i)
		}
	}
	for _, offset := range offsets {
		damaged := bytes.Clone(file)
		damaged[offset] ^= 1 << (offset % 8)
		if got, err := reopened(t, damaged); !errors.Is(err, ledger.ErrDamaged) || !strings.Contains(err.Error(), "restore") {
			t.Errorf("byte %d of the track: %d keys of %d, %v; want ErrDamaged and what to do", offset-at, len(got), len(keys), err)
		}
	}
}

// TestTrackGap: after power was lost the head may say what it said long ago. A record that is not whole is damage all the same where
// another one stands behind it.
func TestTrackGap(t *testing.T) {
	file, at, _ := tracked(t)
	n := records(file, at)
	setKnown(file, at, 0)
	for i := range n - 1 {
		for _, offset := range []int{0, 4, recordHead, trackPage - 1} {
			damaged := bytes.Clone(file)
			record := damaged[at+(i+1)*trackPage:]
			if record[offset] ^= 1; offset == trackPage-1 {
				clear(record[:trackPage])
			}
			if got, err := reopened(t, damaged); !errors.Is(err, ledger.ErrDamaged) {
				t.Errorf("record %d of %d, byte %d: %d keys, %v; want ErrDamaged", i+1, n, offset, len(got), err)
			}
		}
	}
}

// setKnown writes into a track's head which commit is known to be on disk.
func setKnown(file []byte, at int, known uint64) {
	head := file[at : at+headSize]
	binary.BigEndian.PutUint64(head[24:], known)
	binary.BigEndian.PutUint32(head[32:], crc32.Checksum(head[:32], crc32.MakeTable(crc32.Castagnoli)))
}

// TestTrackNotFound zeroes the head's sector, and changes each byte by which bbolt finds the tracks: they are found to be missing, or
// nothing is.
func TestTrackNotFound(t *testing.T) {
	file, at, keys := tracked(t)
	damaged := bytes.Clone(file)
	clear(damaged[at : at+512])
	if got, err := reopened(t, damaged); !errors.Is(err, ledger.ErrDamaged) {
		t.Errorf("without a head: %d keys of %d, %v; want ErrDamaged", len(got), len(keys), err)
	}
	path := filepath.Join(t.TempDir(), "left.db")
	must(t, os.WriteFile(path, file, 0o600))
	db, err := bolt.Open(path, 0o600, nil)
	must(t, err)
	leaf := 0
	must(t, db.View(func(tx *bolt.Tx) error {
		leaf = int(tx.Bucket([]byte("space")).Root()) * db.Info().PageSize
		return nil
	}))
	must(t, db.Close())
	const both = 16 + 2*16 + 2*(1+16) // of the page: its header, two elements, two keys with a bucket's header each
	noticed := 0
	for i := range both {
		damaged := bytes.Clone(file)
		damaged[leaf+i] ^= 1 << (i % 8)
		got, err := reopened(t, damaged)
		if err != nil {
			noticed++
		} else if strings.Join(got, " ") != strings.Join(keys, " ") {
			t.Errorf("byte %d of the page of spaces: %d keys of %d are left without a word", i, len(got), len(keys))
		}
	}
	if noticed < both/3 {
		t.Errorf("only %d of %d were noticed", noticed, both)
	}
}

// TestTrackReadOnly: an update of a file that is only read fails, and leaves it readable.
func TestTrackReadOnly(t *testing.T) {
	file, _, keys := tracked(t)
	path := filepath.Join(t.TempDir(), "left.db")
	must(t, os.WriteFile(path, file, 0o400))
	s, err := ledgerstore.OpenTurning(ledgerstore.Config{Path: path, ReadOnly: true}, 40)
	must(t, err)
	defer s.Close()
	if err := s.Update(t.Context(), func(tx ledger.Tx) error { return tx.Put("ask", []byte("k"), nil) }); err == nil {
		t.Error("it was written to")
	}
	must(t, s.View(t.Context(), func(r ledger.Reader) error {
		last := keys[len(keys)-1]
		if v, err := r.Get("ask", []byte(last)); string(v) != "value of "+last {
			return fmt.Errorf("%q: %w", v, err)
		}
		return nil
	}))
	after, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(file, after) {
		t.Error("the file is another one than before")
	}
}

// TestTrackTorn: after power was lost, the head may say what it said before the last record, and of that record, which nobody was
// told of, a part may be missing. The store goes on from the one before, also over what is left of it.
func TestTrackTorn(t *testing.T) {
	file, at, keys := tracked(t)
	_, last := newest(file)
	setKnown(file, at, last-1)
	record := at + records(file, at)*trackPage
	if binary.BigEndian.Uint64(file[record+4:]) != last-1 { // records counts up to what the head says
		t.Fatal("the test does not find the last record")
	}
	record += trackPage
	for name, torn := range map[string][]byte{"zero": make([]byte, trackPage), "half": append(bytes.Clone(file[record:record+20]), make([]byte, trackPage-20)...)} {
		left := bytes.Clone(file)
		copy(left[record:], torn)
		path := filepath.Join(t.TempDir(), "left.db")
		must(t, os.WriteFile(path, left, 0o600))
		want := keys[:len(keys)-1]
		for i := range 60 {
			s, err := ledgerstore.OpenTurning(ledgerstore.Config{Path: path}, 40)
			must(t, err)
			key := fmt.Sprintf("next-%03d", i)
			must(t, s.Update(t.Context(), func(tx ledger.Tx) error { return tx.Put("ask", []byte(key), []byte("value of "+key)) }))
			want = append(want, key)
			s.Settled()
			killed, err := os.ReadFile(path)
			must(t, err)
			if got, err := reopened(t, killed); err != nil || strings.Join(got, " ") != strings.Join(want, " ") {
				t.Fatalf("%s, after %d more: %q, %v", name, i+1, got, err)
			}
			must(t, s.Close())
		}
	}
}

// TestPowerLost: what has returned is there after a loss of power too, by which all is lost that was written in place and not synced:
// here for ever, as if no transaction had synced it either.
func TestPowerLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	store := openTurning(t, path, 40)
	var keys []string
	lost := 0
	for i := range 130 { // over a lap of each track, and into the next
		store.Settled()
		tracks := store.Watch()
		keys = append(keys, fmt.Sprintf("key-%03d", i))
		must(t, store.Update(t.Context(), func(tx ledger.Tx) error { return tx.Put("ask", []byte(keys[i]), []byte("value of "+keys[i])) }))
		store.Settled()
		file, err := os.ReadFile(path)
		must(t, err)
		whole := bytes.Clone(file)
		for _, track := range tracks {
			must(t, track.Lose(file))
		}
		if !bytes.Equal(file, whole) {
			lost++
		}
		if got, err := reopened(t, file); err != nil || strings.Join(got, " ") != strings.Join(keys, " ") {
			t.Fatalf("after update %d: %d keys of %d, %v", i, len(got), len(keys), err)
		}
	}
	if lost < 60 {
		t.Errorf("something was lost %d times: the test shows little", lost)
	}
}

// TestCopyOfTracks: a copy of a store that writes into tracks has what had returned before it, and is whole; what is written
// meanwhile is not lost to the store.
func TestCopyOfTracks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	store := openTurning(t, path, 10)
	var keys []string
	put := func(n int) {
		for range n {
			key := fmt.Sprintf("key-%04d", len(keys))
			must(t, store.Update(t.Context(), func(tx ledger.Tx) error { return tx.Put("ask", []byte(key), []byte("value of "+key)) }))
			keys = append(keys, key)
		}
	}
	put(33)
	for range 12 { // at other places of a track each time
		before := strings.Join(keys, " ")
		var copied bytes.Buffer
		err := store.Copy(t.Context(), func(context.Context, int64) (io.Writer, error) {
			return writeFunc(func(p []byte) (int, error) {
				put(1)
				return copied.Write(p)
			}), nil
		})
		must(t, err)
		if got, err := reopened(t, copied.Bytes()); err != nil || strings.Join(got, " ") != before {
			t.Errorf("the copy has %d keys (%v), want %d", len(got), err, strings.Count(before, " ")+1)
		}
		put(7)
		store.Settled()
		file, err := os.ReadFile(path)
		must(t, err)
		if got, err := reopened(t, file); err != nil || strings.Join(got, " ") != strings.Join(keys, " ") {
			t.Fatalf("after the copy, killed: %d keys (%v), want %d", len(got), err, len(keys))
		}
	}
	must(t, store.Check(t.Context()))
}

type writeFunc func(p []byte) (int, error)

func (f writeFunc) Write(p []byte) (int, error) { return f(p) }

// TestTrackLookalikes: bytes of an older lap that look like the begins of many long records are no damage, and do not hold up who
// opens the file.
func TestTrackLookalikes(t *testing.T) {
	file, at, keys := tracked(t)
	end := at + (records(file, at)+1)*trackPage
	lookalikes(file[end:at+ledgerstore.SmallTrack], trackPage)
	if got, err := reopened(t, file); err != nil || strings.Join(got, " ") != strings.Join(keys, " ") {
		t.Errorf("%d keys of %d, %v", len(got), len(keys), err)
	}
	const size, most = 12 << 20, 50 << 20
	large := make([]byte, size)
	lookalikes(large, size/2)
	if number, summed := ledgerstore.FirstIn(large, most); number != 0 || summed < most || summed > most+size/2 {
		t.Errorf("commit %d is found, and checksums of %d bytes were computed; want none, and of %d to %d", number, summed, most, most+size/2)
	}
}

// lookalikes makes each page begin as a record of a size does.
func lookalikes(pages []byte, size uint32) {
	for ; len(pages) >= trackPage; pages = pages[trackPage:] {
		binary.BigEndian.PutUint32(pages, size)
		binary.BigEndian.PutUint64(pages[4:], 1<<40)
	}
}
