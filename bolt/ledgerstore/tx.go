package ledgerstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"runtime/debug"

	bolt "go.etcd.io/bbolt"

	"github.com/countersign-mpc/countersign/ledger"
)

// sumSize is how many bytes of CRC-32C stand before each value. It finds what a disk or memory does to a value; it is no
// defence against who writes the file.
const sumSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(bucket string, key, value []byte) uint32 {
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(len(key)))
	sum := crc32.Update(0, castagnoli, []byte(bucket))
	sum = crc32.Update(sum, castagnoli, n[:])
	sum = crc32.Update(sum, castagnoli, key)
	return crc32.Update(sum, castagnoli, value)
}

func seal(bucket string, key, value []byte) []byte {
	out := make([]byte, sumSize, sumSize+len(value))
	binary.BigEndian.PutUint32(out, checksum(bucket, key, value))
	return append(out, value...)
}

func unseal(bucket string, key, stored []byte) ([]byte, error) {
	if len(stored) < sumSize || binary.BigEndian.Uint32(stored) != checksum(bucket, key, stored[sumSize:]) {
		return nil, fmt.Errorf("%w: a value in bucket %s does not have its checksum: stop the server, verify the log, and restore a backup", ledger.ErrDamaged, bucket)
	}
	return stored[sumSize:len(stored):len(stored)], nil
}

// reader is a transaction's view of the file. Every call of bbolt is made under protect.
type reader struct {
	tx    *bolt.Tx
	fault error // a panic of bbolt: the file is not to be used any more
}

// protect turns a panic of bbolt, or a fault over its mapping, into an error. fn calls nothing but bbolt.
func (r *reader) protect(fn func() error) (err error) {
	if r.fault != nil {
		return r.fault
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			r.fault = fmt.Errorf("%w: bbolt: %v: stop the server, verify the log, and restore the file from a backup", ledger.ErrDamaged, p)
			err = r.fault
		}
	}()
	return fn()
}

func (r *reader) bucket(name string) (*bolt.Bucket, error) {
	b := r.tx.Bucket([]byte(name))
	if b == nil {
		return nil, fmt.Errorf("%w: the bucket %s is missing", ledger.ErrDamaged, name)
	}
	return b, nil
}

// Get implements ledger.Reader.
func (r *reader) Get(bucket string, key []byte) (value []byte, err error) {
	err = r.protect(func() error {
		b, err := r.bucket(bucket)
		if err != nil {
			return err
		}
		if stored := b.Get(key); stored != nil {
			value, err = unseal(bucket, key, stored)
			return err
		}
		return (&walk{name: bucket, c: b.Cursor()}).absent(key)
	})
	return value, err
}

// Scan implements ledger.Reader.
func (r *reader) Scan(bucket string, from, to []byte, reverse bool, fn func(key, value []byte) (bool, error)) error {
	var w *walk
	var key, value []byte
	err := r.protect(func() error {
		b, err := r.bucket(bucket)
		if err != nil {
			return err
		}
		w = &walk{name: bucket, c: b.Cursor(), from: from, to: to, reverse: reverse}
		key, value, err = w.first()
		return err
	})
	for err == nil && key != nil {
		more, ferr := fn(key, value)
		if ferr != nil || !more {
			return ferr
		}
		err = r.protect(func() (err error) {
			key, value, err = w.next()
			return err
		})
	}
	return err
}

// walk goes over a bucket and checks all that it comes by, the elements just outside its bounds too: an element whose key
// was altered would otherwise be missing without a trace.
type walk struct {
	name     string
	c        *bolt.Cursor
	from, to []byte
	reverse  bool
	last     []byte // the key before, in the direction of the walk
	begun    bool
}

// take checks an element and its order after the one before.
func (w *walk) take(key, stored []byte) ([]byte, error) {
	value, err := unseal(w.name, key, stored)
	if err != nil {
		return nil, err
	}
	if w.begun {
		if order := bytes.Compare(w.last, key); order == 0 || (order > 0) != w.reverse {
			return nil, w.disorder()
		}
	}
	w.last, w.begun = key, true
	return value, nil
}

func (w *walk) disorder() error {
	return fmt.Errorf("%w: keys of bucket %s are out of order: stop the server, verify the log, and restore a backup", ledger.ErrDamaged, w.name)
}

// first goes to the first element within the bounds, after a look at the one before it.
func (w *walk) first() (key, value []byte, err error) {
	var k, v []byte
	if w.reverse {
		if w.to != nil {
			k, v = w.c.Seek(w.to)
		}
	} else if w.from != nil {
		if at, _ := w.c.Seek(w.from); at == nil {
			k, v = w.c.Last()
		} else {
			k, v = w.c.Prev()
		}
	}
	if k != nil {
		if _, err := w.take(k, v); err != nil {
			return nil, nil, err
		}
		if w.outside(k) {
			return w.next()
		}
		return nil, nil, w.disorder()
	}
	if w.reverse {
		return w.element(w.c.Last())
	}
	if w.from != nil {
		return w.element(w.c.Seek(w.from))
	}
	return w.element(w.c.First())
}

// outside reports whether a key lies before the begin of the walk.
func (w *walk) outside(key []byte) bool {
	if w.reverse {
		return w.to != nil && bytes.Compare(key, w.to) >= 0
	}
	return w.from != nil && bytes.Compare(key, w.from) < 0
}

func (w *walk) next() (key, value []byte, err error) {
	if w.reverse {
		return w.element(w.c.Prev())
	}
	return w.element(w.c.Next())
}

// element returns a checked element, or nothing if it lies behind the end of the walk.
func (w *walk) element(k, stored []byte) (key, value []byte, err error) {
	if k == nil {
		return nil, nil, nil
	}
	value, err = w.take(k, stored)
	if err != nil {
		return nil, nil, err
	}
	if w.outside(k) {
		return nil, nil, w.disorder()
	}
	if !w.reverse && w.to != nil && bytes.Compare(k, w.to) >= 0 || w.reverse && w.from != nil && bytes.Compare(k, w.from) < 0 {
		return nil, nil, nil
	}
	return k, value, nil
}

// absent checks that key is not there: that its neighbours are whole and in order.
func (w *walk) absent(key []byte) error {
	w.from, w.to = key, append(append([]byte(nil), key...), 0) // key itself, and nothing else
	k, _, err := w.first()
	if err == nil && k != nil {
		return w.disorder() // it is there, and Get did not find it
	}
	return err
}

// writer is a transaction that writes.
type writer struct {
	reader
	dirty   bool // the present call has written
	wrote   bool // any call has
	deleted bool
}

// Put implements ledger.Tx.
func (w *writer) Put(bucket string, key, value []byte) error {
	return w.protect(func() error {
		b, err := w.bucket(bucket)
		if err != nil {
			return err
		}
		w.dirty, w.wrote = true, true
		return b.Put(append([]byte(nil), key...), seal(bucket, key, value))
	})
}

// Delete implements ledger.Tx.
func (w *writer) Delete(bucket string, key []byte) error {
	return w.protect(func() error {
		b, err := w.bucket(bucket)
		if err != nil {
			return err
		}
		w.dirty, w.wrote, w.deleted = true, true, true
		return b.Delete(key)
	})
}
