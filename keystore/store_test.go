package keystore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/keystore"
)

func TestLife(t *testing.T) {
	ctx, path := context.Background(), newPath(t)
	s := mustOpen(t, config(path))
	if s.State() != keystore.Uninitialised {
		t.Fatalf("a new store is %v", s.State())
	}
	mustBe(t, s.Unseal(ctx, pass(goodPassword)), keystore.ErrUninitialised)
	mustBe(t, s.Put("shares", "k1", []byte("x")), keystore.ErrUninitialised)
	must(t, s.Init(ctx, pass(goodPassword)))
	mustBe(t, s.Init(ctx, pass(goodPassword)), keystore.ErrInitialised)
	mustBe(t, s.Unseal(ctx, pass(goodPassword)), keystore.ErrUnsealed)
	must(t, s.Put("shares", "k1", []byte("share")))

	s.Seal()
	s.Seal() // twice is once
	if s.State() != keystore.Sealed {
		t.Fatalf("after Seal the store is %v", s.State())
	}
	_, err := s.Get("shares", "k1")
	mustBe(t, err, keystore.ErrSealed)
	mustBe(t, s.Update(func(*keystore.Tx) error { t.Error("ran in a sealed store"); return nil }), keystore.ErrSealed)
	mustBe(t, s.Init(ctx, pass(goodPassword)), keystore.ErrInitialised)
	must(t, s.Unseal(ctx, pass(goodPassword)))
	mustGet(t, s, "shares", "k1", "share")
	must(t, s.Close())
	mustBe(t, s.Close(), keystore.ErrClosed)
	_, err = s.Get("shares", "k1")
	mustBe(t, err, keystore.ErrClosed)
	mustBe(t, s.Unseal(ctx, pass(goodPassword)), keystore.ErrClosed)
	_, err = s.Stat()
	mustBe(t, err, keystore.ErrClosed)

	again := mustOpen(t, config(path))
	if again.State() != keystore.Sealed {
		t.Fatalf("a reopened store is %v", again.State())
	}
	must(t, again.Unseal(ctx, pass(goodPassword)))
	mustGet(t, again, "shares", "k1", "share")
}

func TestNothingReadableInTheFile(t *testing.T) {
	path := newPath(t)
	s := mustInit(t, path)
	must(t, s.Put("shares", "k1", []byte("plaintext-of-a-share")))
	must(t, s.Close())
	for _, secret := range []string{"plaintext-of-a-share", goodPassword} {
		if bytes.Contains(mustRead(t, path), []byte(secret)) {
			t.Fatalf("the file holds %q in the clear", secret)
		}
	}
}

func TestRecords(t *testing.T) {
	s := mustInit(t, newPath(t))
	must(t, s.Put("requests", "r/1", []byte("one")))
	must(t, s.Put("requests", "r/1", []byte("uno")))
	must(t, s.Put("requests", "r/2", nil))
	must(t, s.Put("requests", "s/1", []byte("other prefix")))
	must(t, s.Put("requests2", "r/1", []byte("other bucket")))
	must(t, s.Put("req", "uests", []byte("runs together")))
	must(t, s.Put("requests", "gone", []byte("x")))
	must(t, s.Delete("requests", "gone"))
	must(t, s.Delete("requests", "never was"))
	mustGet(t, s, "requests", "r/1", "uno")
	mustGet(t, s, "requests", "r/2", "")
	_, err := s.Get("requests", "gone")
	mustBe(t, err, keystore.ErrNotFound)

	for _, c := range []struct{ prefix, want string }{
		{"", "r/1=uno r/2= s/1=other prefix"}, {"r/", "r/1=uno r/2="}, {"r/2", "r/2="}, {"t", ""},
	} {
		var got []string
		must(t, s.ForEach("requests", c.prefix, func(key string, value []byte) error {
			got = append(got, key+"="+string(value))
			return nil
		}))
		if strings.Join(got, " ") != c.want {
			t.Errorf("prefix %q: got %q, want %q", c.prefix, got, c.want)
		}
	}
	stop := errors.New("stop")
	n := 0
	mustBe(t, s.ForEach("requests", "", func(string, []byte) error { n++; return stop }), stop)
	if n != 1 {
		t.Errorf("ForEach went on %d times after an error", n)
	}
}

func TestNames(t *testing.T) {
	s := mustInit(t, newPath(t))
	long := strings.Repeat("k", keystore.MaxKey)
	must(t, s.Put(strings.Repeat("b", keystore.MaxBucketName), long, nil))
	must(t, s.Put("b", "any \x00 byte\xff", []byte("v")))
	mustGet(t, s, "b", "any \x00 byte\xff", "v")
	must(t, s.ForEach("b", long, func(string, []byte) error { return nil }))
	for _, c := range []struct{ bucket, key string }{
		{"", "k"}, {"b", ""}, {"B", "k"}, {"a\x00b", "k"}, {"b", long + "k"}, {strings.Repeat("b", keystore.MaxBucketName+1), "k"},
	} {
		if s.Put(c.bucket, c.key, nil) == nil || s.Delete(c.bucket, c.key) == nil {
			t.Errorf("a record named %q/%.20q was accepted", c.bucket, c.key)
		}
		if _, err := s.Get(c.bucket, c.key); err == nil || errors.Is(err, keystore.ErrNotFound) {
			t.Errorf("get %q/%.20q: %v", c.bucket, c.key, err)
		}
	}
	if err := s.ForEach("B", "", nil); err == nil {
		t.Error("ForEach accepted a bad bucket name")
	}
	if err := s.Put("b", "big", make([]byte, keystore.MaxValue+1)); err == nil {
		t.Error("a value over the limit was accepted")
	}
}

func TestUpdateIsAllOrNothing(t *testing.T) {
	s := mustInit(t, newPath(t))
	must(t, s.Put("b", "k", []byte("old")))
	before := mustStat(t, s).Sequence
	boom := errors.New("boom")
	mustBe(t, s.Update(func(tx *keystore.Tx) error {
		must(t, tx.Put("b", "k", []byte("new")))
		must(t, tx.Put("b", "k2", []byte("new")))
		if got, err := tx.Get("b", "k"); err != nil || string(got) != "new" {
			t.Errorf("a transaction does not see its own write: %v", err)
		}
		return boom
	}), boom)
	func() {
		defer func() { _ = recover() }()
		_ = s.Update(func(tx *keystore.Tx) error {
			must(t, tx.Delete("b", "k"))
			panic("in the caller's code")
		})
	}()
	must(t, s.Update(func(*keystore.Tx) error { return nil }))
	mustGet(t, s, "b", "k", "old")
	_, err := s.Get("b", "k2")
	mustBe(t, err, keystore.ErrNotFound)
	if after := mustStat(t, s).Sequence; after != before {
		t.Errorf("sequence went from %d to %d without a change", before, after)
	}
	must(t, s.Put("b", "k", []byte("newest"))) // still works after the panic
}

func TestTxEnds(t *testing.T) {
	s := mustInit(t, newPath(t))
	must(t, s.Put("b", "k", []byte("v")))
	var kept *keystore.Tx
	must(t, s.View(func(tx *keystore.Tx) error {
		kept = tx
		if tx.Put("b", "k", nil) == nil || tx.Delete("b", "k") == nil {
			t.Error("a view was written to")
		}
		return nil
	}))
	if _, err := kept.Get("b", "k"); err == nil {
		t.Error("a transaction that has ended still reads")
	}
	if err := kept.ForEach("b", "", func(string, []byte) error { return nil }); err == nil {
		t.Error("a transaction that has ended still walks")
	}
	must(t, s.Update(func(tx *keystore.Tx) error { kept = tx; return tx.Put("b", "k", []byte("w")) }))
	if kept.Put("b", "k", []byte("x")) == nil {
		t.Error("a transaction that has ended still writes")
	}
	mustGet(t, s, "b", "k", "w")
}

func TestForEachWipesValues(t *testing.T) {
	s := mustInit(t, newPath(t))
	must(t, s.Put("b", "k", []byte("secret")))
	var kept []byte
	must(t, s.ForEach("b", "", func(_ string, value []byte) error { kept = value; return nil }))
	if !bytes.Equal(kept, make([]byte, len("secret"))) {
		t.Error("a value outlived its walk")
	}
}

func TestStat(t *testing.T) {
	c := config(newPath(t))
	clock := newClock()
	c.Now = clock.Now
	s := mustOpen(t, c)
	stat := mustStat(t, s)
	if stat.State != keystore.Uninitialised || stat.KDF != "" || stat.Records != nil || !stat.Created.Equal(clock.Now()) || len(stat.ID) != 32 {
		t.Errorf("uninitialised: %+v", stat)
	}
	id := stat.ID
	must(t, s.Init(context.Background(), pass(goodPassword)))
	must(t, s.Put("a", "1", []byte("x")))
	must(t, s.Put("a", "2", []byte("x")))
	must(t, s.Put("b", "1", []byte("x")))
	must(t, s.Put("b", "1", []byte("y")))
	must(t, s.Put("c", "1", []byte("y")))
	must(t, s.Delete("c", "1"))
	stat = mustStat(t, s)
	if fmt.Sprint(stat.Records) != "map[a:2 b:1]" || stat.Sequence != 7 || stat.KDF != "argon2id" || stat.Argon2 != cheap || stat.ID != id || stat.Bytes == 0 {
		t.Errorf("unsealed: %+v", stat)
	}
	s.Seal()
	stat = mustStat(t, s)
	if stat.Records != nil || stat.Sequence != 0 || stat.State != keystore.Sealed {
		t.Errorf("sealed: %+v", stat)
	}
	must(t, s.Unseal(context.Background(), pass(goodPassword)))
	if stat = mustStat(t, s); fmt.Sprint(stat.Records) != "map[a:2 b:1]" || stat.Sequence != 7 {
		t.Errorf("unsealed again: %+v", stat)
	}
}

func mustStat(t testing.TB, s *keystore.Store) keystore.Stat {
	t.Helper()
	stat, err := s.Stat()
	must(t, err)
	return stat
}

func TestConcurrentUse(t *testing.T) {
	const workers, rounds = 4, 15
	path := newPath(t)
	s := mustInit(t, path)
	ctx := context.Background()
	var acked [workers]int
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := 1; i <= rounds; {
				err := s.Update(func(tx *keystore.Tx) error {
					value := []byte(fmt.Sprint(i))
					return errors.Join(tx.Put("left", fmt.Sprint(w), value), tx.Put("right", fmt.Sprint(w), value))
				})
				if err == nil {
					acked[w] = i
					i++
				} else if !errors.Is(err, keystore.ErrSealed) {
					t.Error(err)
					return
				}
			}
		})
		all.Go(func() {
			for range rounds {
				err := s.View(func(tx *keystore.Tx) error {
					left, err := tx.Get("left", fmt.Sprint(w))
					right, err2 := tx.Get("right", fmt.Sprint(w))
					if !bytes.Equal(left, right) {
						t.Error("a view saw half a transaction")
					}
					return errors.Join(err, err2)
				})
				if err != nil && !errors.Is(err, keystore.ErrSealed) && !errors.Is(err, keystore.ErrNotFound) {
					t.Error(err)
				}
				_, _ = s.Stat()
				_ = s.State()
			}
		})
	}
	all.Go(func() {
		for range rounds {
			s.Seal()
			if err := s.Unseal(ctx, pass(goodPassword)); err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
	for w := range workers {
		mustGet(t, s, "left", fmt.Sprint(w), fmt.Sprint(acked[w]))
	}
	must(t, s.Close())
	if records, err := check(path); err != nil || len(records) != 2*workers {
		t.Fatalf("%d records, %v", len(records), err)
	}
}

// Once nobody knows what the disk holds, nothing is read or written any more.
func TestOpenTwice(t *testing.T) {
	path := newPath(t)
	s := mustInit(t, path)
	_, err := keystore.Open(config(path))
	mustBe(t, err, keystore.ErrLocked)
	must(t, s.Close())
	mustUnseal(t, path)
}

func TestNoLeftovers(t *testing.T) {
	path := newPath(t)
	must(t, mustInit(t, path).Close())
	entries, err := os.ReadDir(strings.TrimSuffix(path, "asset.db"))
	must(t, err)
	if len(entries) != 1 || entries[0].Name() != "asset.db" {
		t.Errorf("the directory holds %v", entries)
	}
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestManyRecords(t *testing.T) {
	path := newPath(t)
	s := mustInit(t, path)
	var want []string
	for i := range 20 {
		must(t, s.Update(func(tx *keystore.Tx) error {
			for j := range 100 {
				key := fmt.Sprintf("%04d", i*100+j)
				want = append(want, key)
				if err := tx.Put("many", key, bytes.Repeat([]byte(key), 20)); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	must(t, s.Put("shares", "large", make([]byte, 300<<10)))
	must(t, s.Close())
	s = mustUnseal(t, path)
	var got []string
	must(t, s.ForEach("many", "", func(key string, _ []byte) error { got = append(got, key); return nil }))
	if !slices.Equal(got, want) {
		t.Errorf("%d records come back, %d were put", len(got), len(want))
	}
	must(t, s.Update(func(tx *keystore.Tx) error {
		for _, key := range want[:1990] {
			if err := tx.Delete("many", key); err != nil {
				return err
			}
		}
		return nil
	}))
	must(t, s.Close())
	if records, err := check(path); err != nil || len(records) != 11 {
		t.Fatalf("%d records, %v", len(records), err)
	}
}

// A file written by the first version opens, for ever.
func TestFormatV1(t *testing.T) {
	path := newPath(t)
	mustWrite(t, path, mustRead(t, "testdata/v1.db"))
	records, err := check(path)
	must(t, err)
	if got := fmt.Sprint(records); got != "map[requests/r-1:request shares/k1:first share]" {
		t.Errorf("got %s", got)
	}
	stat := mustStat(t, mustUnseal(t, path))
	if stat.Sequence != 3 || stat.Created.Format(time.RFC3339) != "2026-03-01T12:00:00Z" {
		t.Errorf("got %+v", stat)
	}
}

func BenchmarkPut(b *testing.B) {
	s := mustInit(b, newPath(b))
	value := make([]byte, 2<<10)
	for i := 0; b.Loop(); i++ {
		must(b, s.Put("bench", fmt.Sprint(i), value))
	}
}

// BenchmarkUnseal authenticates 20,000 records of 2 KiB; the key derivation is the cheapest there is.
func BenchmarkUnseal(b *testing.B) {
	s := mustInit(b, newPath(b))
	must(b, s.Update(func(tx *keystore.Tx) error {
		for i := range 20_000 {
			if err := tx.Put("bench", fmt.Sprint(i), make([]byte, 2<<10)); err != nil {
				return err
			}
		}
		return nil
	}))
	b.SetBytes(20_000 * 2 << 10)
	for b.Loop() {
		s.Seal()
		must(b, s.Unseal(context.Background(), pass(goodPassword)))
	}
}
