package keystore

import (
	"bytes"
	"errors"
	"fmt"
	"maps"

	"github.com/countersign-mpc/countersign/internal/secret"
)

// Bounds on what a record may be. Names are identifiers: they are stored in the clear.
const (
	MaxBucketName = 64       // bytes, of a-z 0-9 - _ .
	MaxKey        = 512      // bytes, at least 1
	MaxValue      = 16 << 20 // bytes
)

// Tx is a transaction: a consistent view of the store. It is for the goroutine and the call of View or Update that it
// was given to, and refuses work afterwards.
type Tx struct {
	s        *Store
	file     fileTx
	keys     *keys
	writable bool
	changed  bool
	ended    bool
	base     *snapshot // what the transaction started from; only if writable
	root     root      // base.root with the changes so far
	counts   map[string]int
	err      error // of a change that was half made; the transaction cannot be committed any more
}

// View runs fn in a read-only transaction. Views run beside each other and beside an Update, whose changes they do not
// see. fn must not call the store itself. Errors of fn are returned as they are.
func (s *Store) View(fn func(*Tx) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(); err != nil {
		return err
	}
	file, err := s.begin(false)
	if err != nil {
		return err
	}
	tx := &Tx{s: s, file: file, keys: s.keys}
	defer tx.end()
	return fn(tx)
}

// Update runs fn in a read-write transaction, one at a time. If fn returns nil, all its changes are on the disk when
// Update returns nil; else nothing is changed and fn's error is returned as it is. A write that fails for lack of space
// changes nothing and may be tried again; ErrFailed needs the store to be reopened. fn must not call the store itself,
// and must not change a bucket inside its ForEach.
func (s *Store) Update(fn func(*Tx) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if err := s.usable(); err != nil {
		return err
	}
	file, err := s.begin(true)
	if err != nil {
		return err
	}
	base := s.committed.Load()
	tx := &Tx{s: s, file: file, keys: s.keys, writable: true, base: base, root: base.root, counts: maps.Clone(base.counts)}
	defer tx.end()
	if err := tx.checkRoot(); err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return err
	}
	if !tx.changed || tx.err != nil {
		return tx.err
	}
	return tx.commit()
}

// Get returns the value of one record in a transaction of its own; see Tx.Get.
func (s *Store) Get(bucket, key string) (value []byte, err error) {
	err = s.View(func(tx *Tx) error {
		value, err = tx.Get(bucket, key)
		return err
	})
	return value, err
}

// Put stores one record in a transaction of its own; see Tx.Put.
func (s *Store) Put(bucket, key string, value []byte) error {
	return s.Update(func(tx *Tx) error { return tx.Put(bucket, key, value) })
}

// Delete removes one record in a transaction of its own; see Tx.Delete.
func (s *Store) Delete(bucket, key string) error {
	return s.Update(func(tx *Tx) error { return tx.Delete(bucket, key) })
}

// ForEach walks a bucket in a transaction of its own; see Tx.ForEach.
func (s *Store) ForEach(bucket, prefix string, fn func(key string, value []byte) error) error {
	return s.View(func(tx *Tx) error { return tx.ForEach(bucket, prefix, fn) })
}

// Get returns a copy of the value, which the caller owns and wipes if it is secret. ErrNotFound; ErrCorrupt.
func (t *Tx) Get(bucket, key string) ([]byte, error) {
	name, err := t.recordName(bucket, key)
	if err != nil {
		return nil, err
	}
	var value []byte
	err = guard("records", func() error {
		envelope := t.file.record(name)
		if envelope == nil {
			return fmt.Errorf("%w: %s/%q", ErrNotFound, bucket, key)
		}
		value, err = t.keys.openRecord(bucket, key, envelope)
		return err
	})
	return value, err
}

// Put stores value, at most MaxValue bytes, under bucket and key, and replaces what was there. It keeps no reference
// to value.
func (t *Tx) Put(bucket, key string, value []byte) error {
	name, err := t.recordName(bucket, key)
	if err != nil {
		return err
	}
	if !t.writable {
		return errReadOnly
	}
	if len(value) > MaxValue {
		return fmt.Errorf("put %s/%q: the value has %d bytes, at most %d are allowed", bucket, key, len(value), MaxValue)
	}
	envelope, err := t.keys.sealRecord(bucket, key, value)
	if err != nil {
		return fmt.Errorf("put %s/%q: %w", bucket, key, err)
	}
	return t.change(func() error {
		if err := t.remove(bucket, key, t.file.record(name)); err != nil {
			return err
		}
		if err := t.file.putRecord(name, envelope); err != nil {
			return fmt.Errorf("put %s/%q: %w", bucket, key, err)
		}
		t.root.add(t.keys.element(bucket, key, envelope))
		t.counts[bucket]++
		return nil
	})
}

// Delete removes a record. A record that is not there is no error.
func (t *Tx) Delete(bucket, key string) error {
	name, err := t.recordName(bucket, key)
	if err != nil {
		return err
	}
	if !t.writable {
		return errReadOnly
	}
	return t.change(func() error {
		envelope := t.file.record(name)
		if envelope == nil {
			return nil
		}
		if err := t.remove(bucket, key, envelope); err != nil {
			return err
		}
		if err := t.file.deleteRecord(name); err != nil {
			return fmt.Errorf("delete %s/%q: %w", bucket, key, err)
		}
		return nil
	})
}

// ForEach calls fn for each record of the bucket whose key starts with prefix, in the order of the keys' bytes. An
// empty bucket has none. value is wiped when fn returns. An error of fn ends the walk and is returned as it is.
func (t *Tx) ForEach(bucket, prefix string, fn func(key string, value []byte) error) error {
	if err := checkPrefix(bucket, prefix); err != nil {
		return err
	}
	next := recordName(bucket, prefix)
	for inclusive := true; ; inclusive = false {
		key, value, err := t.nextRecord(bucket, prefix, &next, inclusive)
		if err != nil || key == "" {
			return err
		}
		err = fn(key, value)
		secret.Wipe(value)
		if err != nil {
			return err
		}
	}
}

// nextRecord opens the first record at, or after, *next and moves *next there. key is empty at the end.
func (t *Tx) nextRecord(bucket, prefix string, next *[]byte, inclusive bool) (key string, value []byte, err error) {
	if t.ended {
		return "", nil, errEnded
	}
	err = guard("records", func() error {
		name, envelope := t.file.seekRecord(*next, inclusive)
		if !hasPrefix(name, bucket, prefix) {
			return nil
		}
		*next = append((*next)[:0], name...)
		key = string(name[len(bucket)+1:])
		value, err = t.keys.openRecord(bucket, key, envelope)
		return err
	})
	return key, value, err
}

var (
	errReadOnly = errors.New("this transaction is read-only: use Update")
	errEnded    = errors.New("this transaction has ended: a Tx must not outlive its View or Update")
)

func (t *Tx) recordName(bucket, key string) ([]byte, error) {
	if t.ended {
		return nil, errEnded
	}
	if err := checkName(bucket, key); err != nil {
		return nil, err
	}
	return recordName(bucket, key), nil
}

// change runs one change. If it fails halfway the transaction must not be committed, whatever its function does with
// the error.
func (t *Tx) change(fn func() error) error {
	if t.err != nil {
		return t.err
	}
	t.changed = true
	t.err = guard("records", fn)
	return t.err
}

// remove takes a record, if there is one, out of the root. It is opened first, so that no damage is carried on.
func (t *Tx) remove(bucket, key string, envelope []byte) error {
	if envelope == nil {
		return nil
	}
	value, err := t.keys.openRecord(bucket, key, envelope)
	if err != nil {
		return err
	}
	secret.Wipe(value)
	t.root.remove(t.keys.element(bucket, key, envelope))
	if t.counts[bucket]--; t.counts[bucket] == 0 {
		delete(t.counts, bucket)
	}
	return nil
}

// checkRoot makes sure that the file still holds the root that this process wrote last.
func (t *Tx) checkRoot() error {
	return guard("root record", func() error {
		if !bytes.Equal(t.file.get(keyRoot), t.base.envelope) {
			return corrupt("root record", "it is not the one that this node wrote last")
		}
		return nil
	})
}

// commit puts the new root beside the changes and makes both durable.
func (t *Tx) commit() error {
	t.root.seq++
	envelope, err := t.keys.sealRoot(t.root)
	if err != nil {
		return fmt.Errorf("write key store: %w", err)
	}
	if err := guard("root record", func() error { return t.file.put(keyRoot, envelope) }); err != nil {
		return fmt.Errorf("write key store: %w", err)
	}
	t.ended = true
	if err := t.s.commitFile(t.file, t.base.envelope); err != nil {
		return fmt.Errorf("write key store: %w", err)
	}
	t.s.committed.Store(&snapshot{root: t.root, envelope: envelope, counts: t.counts})
	return nil
}

// end releases the transaction; what was not committed is dropped.
func (t *Tx) end() {
	t.ended = true
	t.s.rollback(t.file)
}
