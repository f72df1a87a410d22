// Package memstore keeps a ledger in memory, for trials of a policy on the past and for tests. Nothing of it is durable.
package memstore

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/countersign-mpc/countersign/ledger"
)

// Store is a ledger.Store in memory. The zero value is not ready: use New. Safe for concurrent use.
type Store struct {
	mu      sync.RWMutex // held for reading by View, for writing by Update
	buckets map[string]*bucket

	failMu sync.Mutex // guards fail
	fail   error
}

var _ ledger.Store = (*Store)(nil)

// bucket is a map with its keys in order.
type bucket struct {
	values map[string][]byte
	keys   keys
}

// New returns an empty store.
func New() *Store {
	s := &Store{buckets: map[string]*bucket{}}
	for _, name := range ledger.Buckets() {
		s.buckets[name] = &bucket{values: map[string][]byte{}}
	}
	return s
}

// Fail makes every commit fail with err from now on, as a full disk does; nil ends it.
func (s *Store) Fail(err error) {
	s.failMu.Lock()
	defer s.failMu.Unlock()
	s.fail = err
}

func (s *Store) failure() error {
	s.failMu.Lock()
	defer s.failMu.Unlock()
	return s.fail
}

// View implements ledger.Store.
func (s *Store) View(ctx context.Context, fn func(ledger.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return fn(&tx{s: s})
}

// Update implements ledger.Store.
func (s *Store) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &tx{s: s}
	committed := false
	defer func() {
		if !committed { // also when fn panics
			t.undo()
		}
	}()
	if err := fn(t); err != nil {
		return err
	}
	if err := s.failure(); err != nil && len(t.before) > 0 {
		return fmt.Errorf("%w: %w", ledger.ErrUnavailable, err)
	}
	committed = true
	return nil
}

// change is what a key was before it was written.
type change struct {
	bucket *bucket
	key    string
	value  []byte
	there  bool
}

type tx struct {
	s      *Store
	before []change
}

func (t *tx) undo() {
	for i := len(t.before) - 1; i >= 0; i-- {
		c := t.before[i]
		if c.there {
			c.bucket.put(c.key, c.value)
		} else {
			c.bucket.remove(c.key)
		}
	}
}

func (b *bucket) put(key string, value []byte) {
	if _, there := b.values[key]; !there {
		b.keys.insert(key)
	}
	b.values[key] = value
}

func (b *bucket) remove(key string) {
	if _, there := b.values[key]; !there {
		return
	}
	b.keys.remove(key)
	delete(b.values, key)
}

func (t *tx) bucket(name string) (*bucket, error) {
	b, ok := t.s.buckets[name]
	if !ok {
		return nil, fmt.Errorf("no bucket %q", name)
	}
	return b, nil
}

// Get implements ledger.Reader.
func (t *tx) Get(name string, key []byte) ([]byte, error) {
	b, err := t.bucket(name)
	if err != nil {
		return nil, err
	}
	v, ok := b.values[string(key)]
	if ok && v == nil {
		v = []byte{}
	}
	return v, nil
}

// Scan implements ledger.Reader.
func (t *tx) Scan(name string, from, to []byte, reverse bool, fn func(key, value []byte) (bool, error)) error {
	b, err := t.bucket(name)
	if err != nil {
		return err
	}
	for key := range b.keys.between(from, to, reverse) {
		if more, err := fn([]byte(key), b.values[key]); err != nil || !more {
			return err
		}
	}
	return nil
}

func (t *tx) write(name, key string) (*bucket, error) {
	b, err := t.bucket(name)
	if err != nil {
		return nil, err
	}
	old, there := b.values[key]
	t.before = append(t.before, change{bucket: b, key: key, value: old, there: there})
	return b, nil
}

// Put implements ledger.Tx.
func (t *tx) Put(name string, key, value []byte) error {
	b, err := t.write(name, string(key))
	if err != nil {
		return err
	}
	b.put(string(key), bytes.Clone(value))
	return nil
}

// Delete implements ledger.Tx.
func (t *tx) Delete(name string, key []byte) error {
	b, err := t.write(name, string(key))
	if err != nil {
		return err
	}
	b.remove(string(key))
	return nil
}
