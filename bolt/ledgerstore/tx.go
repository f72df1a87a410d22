package ledgerstore

import (
	"github.com/countersign-mpc/countersign/bolt/boltfile"
	"github.com/countersign-mpc/countersign/ledger"
)

// reader is a ledger.Reader.
type reader struct{ tx *boltfile.Tx }

var _ ledger.Reader = (*reader)(nil)

// Get implements ledger.Reader.
func (r *reader) Get(bucket string, key []byte) ([]byte, error) {
	value, err := r.tx.Get(bucket, key)
	return value, damage(err)
}

// Scan implements ledger.Reader.
func (r *reader) Scan(bucket string, from, to []byte, reverse bool, fn func(key, value []byte) (bool, error)) error {
	return damage(r.tx.Scan(bucket, from, to, reverse, fn))
}

// writer is a ledger.Tx, for the calls of a batch one after the other.
type writer struct {
	reader
	dirty   bool // the present call has written
	deleted bool
}

var _ ledger.Tx = (*writer)(nil)

// Put implements ledger.Tx.
func (w *writer) Put(bucket string, key, value []byte) error {
	w.dirty = true
	return damage(w.tx.Put(bucket, key, value))
}

// Delete implements ledger.Tx.
func (w *writer) Delete(bucket string, key []byte) error {
	w.dirty, w.deleted = true, true
	return damage(w.tx.Delete(bucket, key))
}
