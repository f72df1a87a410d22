package ledgertest

import (
	"bytes"
	"context"
	"fmt"
	"sort"
	"sync"

	"github.com/countersign-mpc/countersign/ledger"
)

// Memory is a ledger.Store in memory. The zero value is not ready: use NewMemory.
type Memory struct {
	mu      sync.RWMutex // held for reading by View, for writing by Update
	buckets map[string]map[string][]byte

	failMu sync.Mutex // guards fail
	fail   error
}

var _ ledger.Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory() *Memory {
	m := &Memory{buckets: map[string]map[string][]byte{}}
	for _, name := range ledger.Buckets() {
		m.buckets[name] = map[string][]byte{}
	}
	return m
}

// Fail makes every commit fail with err from now on, as a full disk does; nil ends it.
func (m *Memory) Fail(err error) {
	m.failMu.Lock()
	defer m.failMu.Unlock()
	m.fail = err
}

func (m *Memory) failure() error {
	m.failMu.Lock()
	defer m.failMu.Unlock()
	return m.fail
}

// View implements ledger.Store.
func (m *Memory) View(ctx context.Context, fn func(ledger.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return fn(&memoryTx{m: m})
}

// Update implements ledger.Store.
func (m *Memory) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	tx := &memoryTx{m: m}
	committed := false
	defer func() {
		if !committed { // also when fn panics
			tx.undo()
		}
	}()
	if err := fn(tx); err != nil {
		return err
	}
	if err := m.failure(); err != nil && len(tx.before) > 0 {
		return fmt.Errorf("%w: %w", ledger.ErrUnavailable, err)
	}
	committed = true
	return nil
}

// change is what a key was before it was written.
type change struct {
	bucket, key string
	value       []byte
	there       bool
}

type memoryTx struct {
	m      *Memory
	before []change
}

func (tx *memoryTx) undo() {
	for i := len(tx.before) - 1; i >= 0; i-- {
		c := tx.before[i]
		if c.there {
			tx.m.buckets[c.bucket][c.key] = c.value
		} else {
			delete(tx.m.buckets[c.bucket], c.key)
		}
	}
}

func (tx *memoryTx) bucket(name string) (map[string][]byte, error) {
	b, ok := tx.m.buckets[name]
	if !ok {
		return nil, fmt.Errorf("no bucket %q", name)
	}
	return b, nil
}

// Get implements ledger.Reader.
func (tx *memoryTx) Get(bucket string, key []byte) ([]byte, error) {
	b, err := tx.bucket(bucket)
	if err != nil {
		return nil, err
	}
	v, ok := b[string(key)]
	if ok && v == nil {
		v = []byte{}
	}
	return v, nil
}

// Scan implements ledger.Reader.
func (tx *memoryTx) Scan(bucket string, from, to []byte, reverse bool, fn func(key, value []byte) (bool, error)) error {
	b, err := tx.bucket(bucket)
	if err != nil {
		return err
	}
	var keys []string
	for k := range b {
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
		if more, err := fn([]byte(k), b[k]); err != nil || !more {
			return err
		}
	}
	return nil
}

func (tx *memoryTx) write(bucket, key string) (map[string][]byte, error) {
	b, err := tx.bucket(bucket)
	if err != nil {
		return nil, err
	}
	old, there := b[key]
	tx.before = append(tx.before, change{bucket: bucket, key: key, value: old, there: there})
	return b, nil
}

// Put implements ledger.Tx.
func (tx *memoryTx) Put(bucket string, key, value []byte) error {
	b, err := tx.write(bucket, string(key))
	if err != nil {
		return err
	}
	b[string(key)] = bytes.Clone(value)
	return nil
}

// Delete implements ledger.Tx.
func (tx *memoryTx) Delete(bucket string, key []byte) error {
	b, err := tx.write(bucket, string(key))
	if err != nil {
		return err
	}
	delete(b, string(key))
	return nil
}
