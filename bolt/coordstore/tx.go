package coordstore

import (
	"errors"
	"fmt"
	"strings"

	"github.com/countersign-mpc/countersign/bolt/boltfile"
	"github.com/countersign-mpc/countersign/coordinator"
)

// tx is a coordinator.Tx.
type tx struct {
	file     *boltfile.File
	tx       *boltfile.Tx
	writable bool
	damage   error // what was found in this transaction: nothing in it counts, whatever its function makes of it
}

// judge ends the use of the file over damage.
func (t *tx) judge(err error) error {
	if errors.Is(err, boltfile.ErrDamaged) {
		t.damage = t.file.End(err)
	}
	return err
}

// Get implements coordinator.Tx.
func (t *tx) Get(table coordinator.Table, key string) ([]byte, error) {
	value, err := t.tx.Get(string(table), []byte(key))
	return value, t.judge(err)
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
	return t.judge(t.tx.Put(string(table), []byte(key), value))
}

// Delete implements coordinator.Tx.
func (t *tx) Delete(table coordinator.Table, key string) error {
	if !t.writable {
		return errors.New("delete in a read-only transaction")
	}
	return t.judge(t.tx.Delete(string(table), []byte(key)))
}

// Scan implements coordinator.Tx.
func (t *tx) Scan(table coordinator.Table, prefix, from string, f func(string, []byte) (bool, error)) error {
	err := t.tx.Scan(string(table), []byte(max(prefix, from)), nil, false, func(key, value []byte) (bool, error) {
		name := string(key)
		if !strings.HasPrefix(name, prefix) {
			return false, nil
		}
		stop, err := f(name, value)
		return !stop, err
	})
	return t.judge(err)
}
