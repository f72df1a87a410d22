package ledgerstore

import (
	"context"
	"fmt"

	"github.com/countersign-mpc/countersign/bolt/boltfile"
	"github.com/countersign-mpc/countersign/ledger"
)

// reader is a ledger.Reader: the file's buckets, and over them what is still in the journal.
type reader struct {
	store *Store
	tx    *boltfile.Tx
	overlay
}

var _ ledger.Reader = (*reader)(nil)

// read begins to read what is committed, or, for the one that runs updates, what they have come to. What it reads in the buckets may
// be of a commit that is not on disk yet; all of it was in the journal before, so that the layers say what holds.
func (s *Store) read(ctx context.Context, uncommitted bool) (*reader, error) {
	s.seenMu.RLock() // so that no layer that is not in the buckets of the transaction is taken away before it begins
	defer s.seenMu.RUnlock()
	t, err := s.file.Peek(ctx)
	if err != nil {
		return nil, err
	}
	r := &reader{s, t, overlay{s.front, s.back, all}}
	if !uncommitted {
		r.group = s.committed
		s.looking.add(r.group)
	}
	return r, nil
}

// end ends the transaction.
func (r *reader) end() error {
	if r.group != all {
		r.store.looking.remove(r.group)
	}
	return r.tx.Rollback()
}

func (r *reader) number(bucket string) (byte, error) {
	number, ok := r.store.numbers[bucket]
	if !ok {
		return 0, fmt.Errorf("there is no bucket %q", bucket)
	}
	return number, nil
}

// Get implements ledger.Reader.
func (r *reader) Get(bucket string, key []byte) ([]byte, error) {
	number, err := r.number(bucket)
	if err != nil {
		return nil, err
	}
	if err := r.tx.Fault(); err != nil {
		return nil, damage(err)
	}
	if found, ok := r.overlay.get(number, key); ok {
		return found.value, nil
	}
	value, err := r.tx.Get(bucket, key)
	return value, damage(err)
}

// Scan implements ledger.Reader.
func (r *reader) Scan(bucket string, from, to []byte, reverse bool, fn func(key, value []byte) (bool, error)) error {
	number, err := r.number(bucket)
	if err != nil {
		return err
	}
	m := r.overlay.merge(number, from, to, reverse)
	stopped := false
	err = r.tx.Scan(bucket, from, to, reverse, func(key, value []byte) (bool, error) {
		overlaid, more, err := m.before(key, fn)
		if err == nil && more && !overlaid {
			more, err = fn(key, value)
		}
		stopped = !more
		return more, err
	})
	if err == nil && !stopped {
		_, _, err = m.before(nil, fn)
	}
	return damage(err)
}

// writer is a ledger.Tx, for the calls of a group one after the other.
type writer struct {
	reader
	into   *group
	oldest uint64 // group at which somebody may still look
	undo   []undo // what the present call has changed
}

var _ ledger.Tx = (*writer)(nil)

// Put implements ledger.Tx.
func (w *writer) Put(bucket string, key, value []byte) error {
	if value == nil {
		value = []byte{}
	}
	return w.set(bucket, key, cell{value: value})
}

// Delete implements ledger.Tx.
func (w *writer) Delete(bucket string, key []byte) error {
	return w.set(bucket, key, cell{gone: true})
}

func (w *writer) set(bucket string, key []byte, to cell) error {
	number, err := w.number(bucket)
	if err != nil {
		return err
	}
	if err := w.tx.Fault(); err != nil {
		return damage(err)
	}
	to.since = w.into.number
	u, fresh := w.front.set(number, key, to, w.oldest)
	w.undo = append(w.undo, u)
	if fresh {
		w.into.changed = append(w.into.changed, u.change)
	}
	return nil
}
