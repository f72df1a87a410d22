package coordstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	bolt "go.etcd.io/bbolt"

	"github.com/countersign-mpc/countersign/coordinator"
)

// Update implements coordinator.Store.
func (s *Store) Update(ctx context.Context, f func(coordinator.Tx) error) error {
	t, err := s.begin(ctx, true)
	if err != nil {
		return err
	}
	ended := false
	defer func() {
		if !ended { // f failed, or panics
			t.rollback()
		}
	}()
	if err := f(t); err != nil {
		return err
	}
	if t.fault != nil {
		return t.fault
	}
	if !t.wrote {
		return nil
	}
	ended = true
	s.syncing.Lock()
	defer s.syncing.Unlock()
	if err := guard(t.tx.Commit); err != nil {
		return s.failed(err)
	}
	return nil
}

// View implements coordinator.Store.
func (s *Store) View(ctx context.Context, f func(coordinator.Tx) error) error {
	t, err := s.begin(ctx, false)
	if err != nil {
		return err
	}
	defer t.rollback()
	if err := f(t); err != nil {
		return err
	}
	return t.fault
}

func (s *Store) begin(ctx context.Context, writable bool) (*tx, error) {
	t := &tx{s: s, writable: writable}
	if !writable {
		s.syncing.RLock()
		defer s.syncing.RUnlock()
	}
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	err := guard(func() (err error) { t.tx, err = s.db.Begin(writable); return err })
	if errors.Is(err, ErrDamaged) {
		return nil, s.breakDown(err)
	}
	if err != nil {
		return nil, fmt.Errorf("begin transaction on %s: %w", s.path, err)
	}
	if err := s.usable(ctx); err != nil { // the transaction before this one may have failed
		t.rollback()
		return nil, err
	}
	return t, nil
}

// tx is a coordinator.Tx.
type tx struct {
	s        *Store
	tx       *bolt.Tx
	writable bool
	wrote    bool
	fault    error // bbolt failed over a damaged page: nothing in this transaction counts
}

func (t *tx) rollback() {
	if err := guard(t.tx.Rollback); errors.Is(err, ErrDamaged) {
		_ = t.s.breakDown(err)
	}
}

// guard runs an operation of bbolt; a fault ends the use of the file.
func (t *tx) guard(fn func() error) error {
	err := guard(fn)
	if errors.Is(err, ErrDamaged) {
		t.fault = t.s.breakDown(err)
	}
	return err
}

func (t *tx) bucket(table coordinator.Table) (*bolt.Bucket, error) {
	if b := t.tx.Bucket([]byte(table)); b != nil && table != bucketStore {
		return b, nil
	}
	return nil, fmt.Errorf("there is no table %q", table)
}

// Get implements coordinator.Tx.
func (t *tx) Get(table coordinator.Table, key string) (value []byte, err error) {
	err = t.guard(func() error {
		b, err := t.bucket(table)
		if err != nil {
			return err
		}
		sealed := b.Get([]byte(key))
		if sealed == nil {
			return nil
		}
		plain, err := unseal(string(table), key, sealed)
		value = append([]byte{}, plain...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return value, nil
}

// Put implements coordinator.Tx.
func (t *tx) Put(table coordinator.Table, key string, value []byte) error {
	switch {
	case !t.writable:
		return errors.New("put in a read-only transaction")
	case len(key) == 0 || len(key) > coordinator.MaxStoreKey:
		return fmt.Errorf("key of %d bytes: 1 to %d are possible", len(key), coordinator.MaxStoreKey)
	case len(value) > coordinator.MaxStoreValue:
		return fmt.Errorf("value of %d bytes: %d are possible", len(value), coordinator.MaxStoreValue)
	}
	t.wrote = true
	return t.guard(func() error {
		b, err := t.bucket(table)
		if err != nil {
			return err
		}
		return b.Put([]byte(key), seal(string(table), key, value))
	})
}

// Delete implements coordinator.Tx.
func (t *tx) Delete(table coordinator.Table, key string) error {
	if !t.writable {
		return errors.New("delete in a read-only transaction")
	}
	t.wrote = true
	return t.guard(func() error {
		b, err := t.bucket(table)
		if err != nil {
			return err
		}
		return b.Delete([]byte(key))
	})
}

// Scan implements coordinator.Tx.
func (t *tx) Scan(table coordinator.Table, prefix, from string, f func(string, []byte) (bool, error)) error {
	var cursor *bolt.Cursor
	var key, value []byte
	start := max(prefix, from)
	err := t.guard(func() error {
		b, err := t.bucket(table)
		if err != nil {
			return err
		}
		cursor = b.Cursor()
		key, value = cursor.Seek([]byte(start))
		return nil
	})
	for ; err == nil && key != nil && bytes.HasPrefix(key, []byte(prefix)); err = t.next(cursor, &key, &value) {
		var plain []byte
		name := ""
		err := t.guard(func() (err error) {
			name = string(key)
			plain, err = unseal(string(table), name, value)
			return err
		})
		if err != nil {
			return err
		}
		// f runs outside of guard: a panic of it is the coordinator's. The value is in the mapped file; it was just read whole.
		if stop, err := f(name, plain); stop || err != nil {
			return err
		}
	}
	return err
}

func (t *tx) next(cursor *bolt.Cursor, key, value *[]byte) error {
	return t.guard(func() error { *key, *value = cursor.Next(); return nil })
}

// A stored value is a CRC-32C, big-endian, over table, NUL, key, NUL and value, then the value (docs/FORMATS.md,
// coordinator). It finds bit rot and misplaced pages; it is no defence against who can write the file.

const sumSize = 4

func checksum(table, key string, value []byte) uint32 {
	polynomial := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, polynomial, []byte(table+"\x00"+key+"\x00"))
	return crc32.Update(sum, polynomial, value)
}

func seal(table, key string, value []byte) []byte {
	out := make([]byte, 0, sumSize+len(value))
	out = binary.BigEndian.AppendUint32(out, checksum(table, key, value))
	return append(out, value...)
}

func unseal(table, key string, sealed []byte) ([]byte, error) {
	if len(sealed) < sumSize || binary.BigEndian.Uint32(sealed) != checksum(table, key, sealed[sumSize:]) {
		return nil, fmt.Errorf("%w: a value of table %s does not match its checksum: stop the coordinator and restore the file from a backup", ErrDamaged, table)
	}
	return sealed[sumSize:], nil
}
