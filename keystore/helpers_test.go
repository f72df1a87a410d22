package keystore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/keystore"
)

const goodPassword = "Correct-Horse-7-Battery"

// cheap is the least that Argon2id takes; the tests are about what is around it.
var cheap = keystore.Argon2{Time: 1, MemoryKiB: 8, Threads: 1}

// clock is a clock that tests step.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func pass(s string) secret.Bytes { return secret.New([]byte(s)) }

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "asset.db") }

func config(path string) keystore.Config {
	return keystore.Config{Path: path, Argon2: cheap, LockTimeout: time.Millisecond}
}

func mustOpen(t testing.TB, c keystore.Config) *keystore.Store {
	t.Helper()
	s, err := keystore.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// mustInit returns a new unsealed store.
func mustInit(t testing.TB, path string) *keystore.Store {
	t.Helper()
	s := mustOpen(t, config(path))
	must(t, s.Init(context.Background(), pass(goodPassword)))
	return s
}

// mustUnseal opens and unseals an existing store.
func mustUnseal(t testing.TB, path string) *keystore.Store {
	t.Helper()
	s := mustOpen(t, config(path))
	must(t, s.Unseal(context.Background(), pass(goodPassword)))
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustBe(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func mustGet(t testing.TB, s *keystore.Store, bucket, key, want string) {
	t.Helper()
	got, err := s.Get(bucket, key)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Fatalf("%s/%s: got %d bytes that differ from the %d put", bucket, key, len(got), len(want))
	}
}

// check opens and unseals the file at path and reads all of it.
func check(path string) (records map[string]string, err error) {
	s, err := keystore.Open(config(path))
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if err := s.Unseal(context.Background(), pass(goodPassword)); err != nil {
		return nil, err
	}
	stat, err := s.Stat()
	if err != nil {
		return nil, err
	}
	records = map[string]string{}
	for bucket := range stat.Records {
		err := s.ForEach(bucket, "", func(key string, value []byte) error {
			records[bucket+"/"+key] = string(value)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return records, nil
}

// edit changes the sealed bytes of a closed store.
func edit(t testing.TB, path string, fn func(tx *bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoFreelistSync: true, Timeout: time.Second})
	must(t, err)
	must(t, db.Update(fn))
	must(t, db.Close())
}

// raw returns the sealed bytes of one record, or of a part of the store.
func raw(tx *bbolt.Tx, bucket, name string) []byte {
	return append([]byte(nil), tx.Bucket([]byte(bucket)).Get([]byte(name))...)
}

func putRaw(tx *bbolt.Tx, bucket, name string, value []byte) error {
	return tx.Bucket([]byte(bucket)).Put([]byte(name), value)
}

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return b
}

func mustWrite(t testing.TB, path string, b []byte) {
	t.Helper()
	must(t, os.WriteFile(path, b, 0o600))
}
