package auditlog_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"sort"
	"testing"

	"github.com/countersign-mpc/countersign/auditlog"
)

// memory is an owner of a log: its entries and the log's own values, without transactions.
type memory struct {
	values  map[string]map[string][]byte
	entries map[string][]byte
	fail    error // of every Put
}

func newMemory() *memory {
	return &memory{values: map[string]map[string][]byte{}, entries: map[string][]byte{}}
}

func (m *memory) Get(bucket string, key []byte) ([]byte, error) {
	return m.values[bucket][string(key)], nil
}

func (m *memory) Put(bucket string, key, value []byte) error {
	if m.fail != nil {
		return m.fail
	}
	if m.values[bucket] == nil {
		m.values[bucket] = map[string][]byte{}
	}
	m.values[bucket][string(key)] = bytes.Clone(value)
	return nil
}

func (m *memory) Scan(bucket string, from, to []byte, reverse bool, fn func(key, value []byte) (bool, error)) error {
	var keys []string
	for k := range m.values[bucket] {
		if k >= string(from) && (to == nil || k < string(to)) {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	for i := range keys {
		k := keys[i]
		if reverse {
			k = keys[len(keys)-1-i]
		}
		if more, err := fn([]byte(k), m.values[bucket][k]); err != nil || !more {
			return err
		}
	}
	return nil
}

func (m *memory) View(_ context.Context, fn func(auditlog.Reader) error) error { return fn(m) }

func (m *memory) Entry(_ auditlog.Reader, ref []byte) ([]byte, error) {
	e, ok := m.entries[string(ref)]
	if !ok {
		return nil, fmt.Errorf("%w: it is missing", auditlog.ErrDamaged)
	}
	if e == nil {
		return nil, auditlog.ErrRemoved
	}
	return e, nil
}

func (m *memory) Check(auditlog.Reader, int64, []byte) error { return nil }

const origin = "test.example/log"

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustKey(t testing.TB) *auditlog.Key {
	t.Helper()
	k, err := auditlog.GenerateKey(origin)
	must(t, err)
	return k
}

// fixedKey is the same in every process, as the workers of a fuzz test need it.
func fixedKey(t testing.TB) *auditlog.Key {
	t.Helper()
	seed := bytes.Repeat([]byte{7}, ed25519.SeedSize)
	pub := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	id := sha256.Sum256(slices.Concat([]byte(origin+"\n\x01"), pub))
	k, err := auditlog.ParseKey(fmt.Appendf(nil, "PRIVATE+KEY+%s+%x+%s", origin, id[:4], base64.StdEncoding.EncodeToString(append([]byte{1}, seed...))))
	must(t, err)
	return k
}

func mustLog(t testing.TB, k *auditlog.Key) *auditlog.Log {
	t.Helper()
	l, err := auditlog.New(k)
	must(t, err)
	return l
}

func entry(i int) []byte { return fmt.Appendf(nil, "entry number %d", i) }

func ref(i int) []byte { return fmt.Appendf(nil, "ref-%d", i) }

// fill appends entries from..to-1.
func fill(t testing.TB, l *auditlog.Log, m *memory, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		m.entries[string(ref(i))] = entry(i)
		index, err := l.Append(m, ref(i), entry(i))
		must(t, err)
		if index != int64(i) {
			t.Fatalf("entry %d got index %d", i, index)
		}
	}
}

func mustCheckpoint(t testing.TB, l *auditlog.Log, m *memory) []byte {
	t.Helper()
	c, err := l.Checkpoint(m)
	must(t, err)
	return c
}
