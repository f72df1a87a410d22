package ledgerstore_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"github.com/countersign-mpc/countersign/bolt/ledgerstore"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
)

func openTurning(t testing.TB, path string, keys int) *ledgerstore.Store {
	t.Helper()
	s, err := ledgerstore.OpenTurning(ledgerstore.Config{Path: path}, keys)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestSuiteTurning is the suite over stores that move keys from the journal to their buckets all the time.
func TestSuiteTurning(t *testing.T) {
	for _, keys := range []int{1, 20} {
		t.Run(fmt.Sprint(keys), func(t *testing.T) {
			ledgertest.Run(t, func(t *testing.T) ledger.Store {
				return openTurning(t, filepath.Join(t.TempDir(), "ledger.db"), keys)
			})
		})
	}
}

// left is a copy of a store's file as it is on disk now: what a process that was killed leaves.
func left(t testing.TB, path string) string {
	t.Helper()
	file, err := os.ReadFile(path)
	must(t, err)
	to := filepath.Join(t.TempDir(), "left.db")
	must(t, os.WriteFile(to, file, 0o600))
	return to
}

// crashed opens what a process that was killed leaves.
func crashed(t testing.TB, path string, keys int) *ledgerstore.Store {
	t.Helper()
	return openTurning(t, left(t, path), keys)
}

var errUndo = errors.New("undo")

// TestAgainstMap holds a store against maps, over random changes, failures, crashes and orderly ends: every key, every scan in
// both directions, in the transaction that writes, in views, and after a crash at any moment.
func TestAgainstMap(t *testing.T) {
	names := []string{"ask", "window", "log.leaf", "record"}
	rapid.Check(t, func(rt *rapid.T) {
		path := filepath.Join(t.TempDir(), "ledger.db")
		keys := rapid.IntRange(1, 30).Draw(rt, "keys until a turn")
		store := openTurning(t, path, keys)
		model := map[string]map[string]string{}
		for _, name := range names {
			model[name] = map[string]string{}
		}
		key := rapid.Map(rapid.IntRange(0, 40), func(n int) []byte { return fmt.Appendf(nil, "%c%d", 'a'+n%3, n) })
		for range rapid.IntRange(1, 15).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"update", "update", "update", "undone", "crash", "close"}).Draw(rt, "step") {
			case "crash":
				again := crashed(t, path, keys)
				compare(rt, again, model, key)
				if err := again.Close(); err != nil {
					rt.Fatal(err)
				}
			case "close":
				if err := store.Close(); err != nil {
					rt.Fatal(err)
				}
				store = openTurning(t, path, keys)
			case "undone":
				if err := store.Update(context.Background(), func(tx ledger.Tx) error {
					change(rt, tx, names, key, map[string]map[string]string{})
					return errUndo
				}); !errors.Is(err, errUndo) {
					rt.Fatal(err)
				}
			default:
				next := map[string]map[string]string{}
				for name, of := range model {
					next[name] = maps.Clone(of)
				}
				if err := store.Update(context.Background(), func(tx ledger.Tx) error {
					change(rt, tx, names, key, next)
					return same(rt, tx, next, key)
				}); err != nil {
					rt.Fatal(err)
				}
				model = next
			}
			compare(rt, store, model, key)
		}
		if err := store.Check(context.Background()); err != nil {
			rt.Fatal(err)
		}
	})
}

func change(rt *rapid.T, tx ledger.Tx, names []string, key *rapid.Generator[[]byte], model map[string]map[string]string) {
	for range rapid.IntRange(1, 6).Draw(rt, "changes") {
		name, k := rapid.SampledFrom(names).Draw(rt, "bucket"), key.Draw(rt, "key")
		if rapid.IntRange(0, 2).Draw(rt, "delete") == 0 {
			if err := tx.Delete(name, k); err != nil {
				rt.Fatal(err)
			}
			delete(model[name], string(k))
			continue
		}
		v := rapid.StringN(0, 8, 8).Draw(rt, "value")
		if err := tx.Put(name, k, []byte(v)); err != nil {
			rt.Fatal(err)
		}
		if model[name] != nil {
			model[name][string(k)] = v
		}
	}
}

func compare(rt *rapid.T, s ledger.Store, model map[string]map[string]string, key *rapid.Generator[[]byte]) {
	if err := s.View(context.Background(), func(r ledger.Reader) error { return same(rt, r, model, key) }); err != nil {
		rt.Fatal(err)
	}
}

func same(rt *rapid.T, r ledger.Reader, model map[string]map[string]string, key *rapid.Generator[[]byte]) error {
	for name, of := range model {
		k := key.Draw(rt, "get")
		v, err := r.Get(name, k)
		if want, there := of[string(k)]; err != nil || (v != nil) != there || string(v) != want {
			return fmt.Errorf("%s, %s: %q (%v), want %q %v", name, k, v, err, want, there)
		}
		var from, to []byte
		if rapid.Bool().Draw(rt, "from") {
			from = key.Draw(rt, "from key")
		}
		if rapid.Bool().Draw(rt, "to") {
			to = key.Draw(rt, "to key")
		}
		reverse, most := rapid.Bool().Draw(rt, "reverse"), rapid.IntRange(1, 50).Draw(rt, "most")
		var want []string
		for _, k := range slices.Sorted(maps.Keys(of)) {
			if k >= string(from) && (to == nil || k < string(to)) {
				want = append(want, k+"="+of[k])
			}
		}
		if reverse {
			slices.Reverse(want)
		}
		want = want[:min(most, len(want))]
		var got []string
		err = r.Scan(name, from, to, reverse, func(key, value []byte) (bool, error) {
			got = append(got, string(key)+"="+string(value))
			return len(got) < most, nil
		})
		if err != nil || !slices.Equal(got, want) {
			return fmt.Errorf("%s from %q to %q (reverse %v): %q (%v), want %q", name, from, to, reverse, got, err, want)
		}
	}
	return nil
}

// TestView: a view that began before a commit does not see it, nor that keys move to their buckets meanwhile.
func TestView(t *testing.T) {
	store := openTurning(t, filepath.Join(t.TempDir(), "ledger.db"), 3)
	put := func(value string) {
		for i := range 5 {
			err := store.Update(context.Background(), func(tx ledger.Tx) error { return tx.Put("window", fmt.Append(nil, "key-", i), []byte(value)) })
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	put("before")
	err := store.View(context.Background(), func(r ledger.Reader) error {
		put("after")
		put("later")
		for i := range 5 {
			if v, err := r.Get("window", fmt.Append(nil, "key-", i)); err != nil || string(v) != "before" {
				t.Errorf("key %d: %q, %v", i, v, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestJournalFormat reads with bbolt alone what docs/FORMATS.md describes.
func TestJournalFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	store := mustOpen(t, path)
	err := store.Update(context.Background(), func(tx ledger.Tx) error {
		return errors.Join(tx.Put("callback", []byte("gone"), nil), tx.Put("ask", []byte("k"), []byte("value")), tx.Delete("callback", []byte("gone")))
	})
	if err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(left(t, path), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte("commits"))
		got := b.Bucket([]byte("\x00\x00\x00\x00\x00\x00\x00\x01")).Get([]byte{0})
		want := "\x01" + "\x02\x01\x00\x00\x00\x04gone" + "\x01\x00\x00\x00\x00\x01k\x00\x00\x00\x05value"
		if len(got) < 4 || string(got[4:]) != want {
			t.Errorf("%q, want a checksum and %q", got, want)
		}
		return nil
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestJournalDamaged: a commit that is missing in the journal, or that says what it cannot say, is no state to go on from.
func TestJournalDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	store := mustOpen(t, path)
	for i := range 3 {
		if err := store.Update(context.Background(), func(tx ledger.Tx) error { return tx.Put("ask", fmt.Append(nil, i), []byte("v")) }); err != nil {
			t.Fatal(err)
		}
	}
	second := []byte("\x00\x00\x00\x00\x00\x00\x00\x02")
	value := func(b *bolt.Bucket, number []byte) []byte { return bytes.Clone(b.Bucket(number).Get([]byte{0})) }
	for name, edit := range map[string]func(b *bolt.Bucket) error{
		"missing": func(b *bolt.Bucket) error { return b.DeleteBucket(second) },
		"emptied": func(b *bolt.Bucket) error { return b.Bucket(second).Delete([]byte{0}) },
		"flat": func(b *bolt.Bucket) error {
			v := value(b, second)
			return errors.Join(b.DeleteBucket(second), b.Put(second, v))
		},
		"altered": func(b *bolt.Bucket) error { return b.Bucket(second).Put([]byte{0}, append(value(b, second), 1)) },
		"replaced": func(b *bolt.Bucket) error {
			return b.Bucket(second).Put([]byte{0}, value(b, []byte("\x00\x00\x00\x00\x00\x00\x00\x01")))
		},
	} {
		damaged := left(t, path)
		db, err := bolt.Open(damaged, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(tx *bolt.Tx) error { return edit(tx.Bucket([]byte("commits"))) })
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := ledgerstore.Open(ledgerstore.Config{Path: damaged}); !errors.Is(err, ledger.ErrDamaged) || !strings.Contains(err.Error(), "restore") {
			t.Errorf("%s: %v, want ErrDamaged and what to do", name, err)
		}
	}
}

// TestFlatJournal: what a server of version 4 left in its journal, where the values lay side by side, is taken over, and goes on.
func TestFlatJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	store, err := ledgerstore.Open(ledgerstore.Config{Path: path})
	must(t, errors.Join(err, store.Close()))
	db, err := bolt.Open(path, 0o600, nil)
	must(t, err)
	seal := func(bucket, key, value string) []byte {
		place := binary.BigEndian.AppendUint32([]byte(bucket), uint32(len(key)))
		sum := crc32.Checksum([]byte(string(place)+key+value), crc32.MakeTable(crc32.Castagnoli))
		return append(binary.BigEndian.AppendUint32(nil, sum), value...)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		put := func(bucket, key, value string) error {
			return tx.Bucket([]byte(bucket)).Put([]byte(key), seal(bucket, key, value))
		}
		seventh, eighth := "\x00\x00\x00\x00\x00\x00\x00\x07", "\x00\x00\x00\x00\x00\x00\x00\x08"
		return errors.Join(tx.DeleteBucket([]byte("commits")), put("store", "format", "countersign ledger in bbolt, version 4"),
			put("ask", "k", "old"),
			put("journal", seventh, "\x01"+"\x01\x00\x00\x00\x00\x01k\x00\x00\x00\x03new"+"\x01\x0a\x00\x00\x00\x01h\x00\x00\x00\x011"),
			put("journal", eighth, "\x01"+"\x01\x0a\x00\x00\x00\x01h\x00\x00\x00\x012"))
	})
	must(t, errors.Join(err, db.Close()))
	holds := func(s *ledgerstore.Store, want map[string]string) {
		t.Helper()
		must(t, s.View(t.Context(), func(r ledger.Reader) error {
			for place, value := range want {
				bucket, key, _ := strings.Cut(place, "/")
				if v, err := r.Get(bucket, []byte(key)); err != nil || string(v) != value {
					t.Errorf("%s: %q (%v), want %q", place, v, err, value)
				}
			}
			return nil
		}))
	}
	store = openTurning(t, path, 1000)
	holds(store, map[string]string{"ask/k": "new", "log.head/h": "2"})
	must(t, store.Update(t.Context(), func(tx ledger.Tx) error { return tx.Put("log.head", []byte("h"), []byte("3")) }))
	again := crashed(t, path, 1) // with commits in both
	holds(again, map[string]string{"ask/k": "new", "log.head/h": "3"})
	for range 5 {
		must(t, again.Update(t.Context(), func(tx ledger.Tx) error { return tx.Put("ask", []byte("j"), []byte("v")) }))
	}
	must(t, errors.Join(again.Check(t.Context()), again.Close(), store.Close()))
	store = openTurning(t, path, 1000)
	holds(store, map[string]string{"ask/k": "new", "log.head/h": "3"})
}

// TestJournaled: every bucket of the ledger goes by the journal, under its own number.
func TestJournaled(t *testing.T) {
	want := slices.Sorted(slices.Values(ledger.Buckets()))
	if got := slices.Sorted(slices.Values(ledgerstore.Journaled())); !slices.Equal(got, want) {
		t.Errorf("%q, want the ledger's %q", got, want)
	}
}
