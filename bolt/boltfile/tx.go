package boltfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Tx is a transaction: one consistent state of the file, and what it writes over it. It is for one goroutine at a time,
// and must be ended by Commit or Rollback.
type Tx struct {
	f        *File
	tx       *bolt.Tx
	writable bool
	wrote    bool
	over     bool
	deleted  map[string]bool // buckets in which it has deleted: see walk
	fault    error           // bbolt failed over a damaged page: nothing in this transaction counts
	opened   []opened
	scratch  []byte // for what a checksum covers
}

// opened is a bucket that the transaction has used, and a cursor to look up keys.
type opened struct {
	name string
	b    *bolt.Bucket
	c    *bolt.Cursor
}

// Begin begins a transaction. One that writes waits for the one before it to end, and sees what that one committed; one
// that reads waits for nothing but a sync, and sees only what is on disk. It fails with ctx's error if ctx is done, with
// ErrEnded if the file is not used any more, with ErrDamaged if the file is found to be damaged.
func (f *File) Begin(ctx context.Context, writable bool) (*Tx, error) {
	if writable {
		f.writing.Lock()
		t, err := f.begin(ctx, true)
		if err != nil {
			f.writing.Unlock()
		}
		return t, err
	}
	f.syncing.RLock()
	defer f.syncing.RUnlock()
	return f.begin(ctx, false)
}

// Peek is Begin of a transaction that reads, but that may see a commit which is not on disk yet, and so does not wait for a sync
// either. It is for a store that itself knows what of it is durable.
func (f *File) Peek(ctx context.Context) (*Tx, error) { return f.begin(ctx, false) }

func (f *File) begin(ctx context.Context, writable bool) (*Tx, error) {
	if err := f.usable(ctx); err != nil {
		return nil, err
	}
	least := f.txid.Load() // now: while a transaction begins to read, another may commit
	t := &Tx{f: f, writable: writable}
	err := f.guard(func() (err error) { t.tx, err = f.db.Begin(writable); return err })
	if errors.Is(err, ErrDamaged) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("begin a transaction on %s: %w", f.path, err)
	}
	seen := int64(t.tx.ID())
	if writable {
		seen-- // its own commit is the next one
	}
	if err := f.newest(seen, least); err != nil {
		return nil, errors.Join(err, f.guard(t.tx.Rollback))
	}
	return t, nil
}

// end lets the next transaction that writes begin.
func (t *Tx) end() {
	t.over = true
	if t.writable {
		t.f.writing.Unlock()
	}
}

// Rollback ends the transaction; what it wrote is undone. After Commit or Rollback it does nothing.
func (t *Tx) Rollback() error {
	if t.over {
		return nil
	}
	defer t.end()
	if err := t.f.guard(t.tx.Rollback); err != nil {
		return t.f.End(err)
	}
	return nil
}

// Commit ends the transaction and returns nil once all that it wrote is on disk. If it fails with ErrDamaged or ErrEnded, or
// the file's use ends with it, it is not known what is on disk; after any other error nothing was stored.
func (t *Tx) Commit() error {
	if t.fault != nil || !t.wrote {
		return errors.Join(t.fault, t.Rollback())
	}
	if err := t.f.usable(context.Background()); err != nil { // another transaction has found damage since this one began
		return errors.Join(err, t.Rollback())
	}
	defer t.end()
	t.f.syncing.Lock()
	defer t.f.syncing.Unlock()
	size, err := t.f.size()
	if err != nil { // it was taken away: what would be written is not found again
		return errors.Join(fmt.Errorf("write %s: %w: nothing was stored", t.f.path, err), t.f.guard(t.tx.Rollback))
	}
	id, began := int64(t.tx.ID()), time.Now()
	t.f.committing.Store(&began)
	defer t.f.committing.Store(nil)
	if err := t.f.guard(t.tx.Commit); err != nil {
		return t.f.failed(err, size)
	}
	return t.f.newest(id, id)
}

// Fault returns what bbolt failed over in this transaction, nil if nothing. What was read before it counts for nothing, and
// the use of the file has ended.
func (t *Tx) Fault() error { return t.fault }

// protect runs fn, which calls nothing but bbolt; after a fault it runs nothing any more.
func (t *Tx) protect(fn func() error) error {
	if t.fault != nil {
		return t.fault
	}
	returned := false
	err := t.f.guard(func() error {
		err := fn()
		returned = true
		return err
	})
	if !returned {
		t.fault = err
	}
	return err
}

// manyBuckets is how many most transactions use at most.
const manyBuckets = 8

func (t *Tx) bucket(name string) (opened, error) {
	for _, o := range t.opened {
		if o.name == name {
			return o, nil
		}
	}
	if !slices.Contains(t.f.buckets, name) {
		return opened{}, fmt.Errorf("there is no bucket %q", name)
	}
	b := t.tx.Bucket([]byte(name))
	if b == nil {
		return opened{}, t.f.damaged("the bucket %s is missing", name)
	}
	o := opened{name, b, b.Cursor()}
	if t.opened == nil {
		t.opened = make([]opened, 0, manyBuckets)
	}
	t.opened = append(t.opened, o)
	return o, nil
}

// Get returns a copy of a value, nil if there is none. It fails with ErrDamaged if the value is damaged, or if it is not
// there and one of its neighbours is damaged. Of the neighbours only the one behind is looked at once the transaction has
// deleted in the bucket; so it is with Scan.
func (t *Tx) Get(bucket string, key []byte) (value []byte, err error) {
	err = t.protect(func() error {
		o, err := t.bucket(bucket)
		if err != nil {
			return err
		}
		found, stored := o.c.Seek(key)
		if found == nil || !bytes.Equal(found, key) {
			return t.absent(o, key, found, stored)
		}
		if t.isApart(bucket) {
			stored = storedApart(o.b, key)
		}
		plain, err := t.unseal(bucket, key, stored)
		if err == nil {
			value = append(make([]byte, 0, len(plain)), plain...)
		}
		return err
	})
	return value, err
}

// absent checks that key is not there: that its neighbours are whole and in order. The cursor of o is at the one behind it, if
// there is one.
func (t *Tx) absent(o opened, key, next, stored []byte) error {
	w := t.walk(o)
	if next != nil {
		if _, err := w.take(next, stored); err != nil {
			return err
		}
		if bytes.Compare(next, key) <= 0 {
			return w.disorder()
		}
	}
	if w.onward {
		return nil
	}
	before, stored := o.c.Prev()
	if next == nil {
		before, stored = o.c.Last()
	}
	if before == nil {
		return nil
	}
	w.reverse = true
	if _, err := w.take(before, stored); err != nil {
		return err
	}
	if bytes.Compare(before, key) >= 0 { // it is there, and was not found
		return w.disorder()
	}
	return nil
}

// Scan calls fn with the keys of a bucket from (inclusive) to (exclusive; nil: no bound) in byte order, or in reverse order,
// until fn returns false or an error, which is returned as it is. What fn is given is valid until the transaction ends, and
// must not be changed; fn must not write. It fails with ErrDamaged if a value that it comes by is damaged, or the element
// just before its begin or behind its end.
func (t *Tx) Scan(bucket string, from, to []byte, reverse bool, fn func(key, value []byte) (more bool, err error)) error {
	if reverse && t.deleted[bucket] {
		return t.scanBack(bucket, from, to, fn)
	}
	var w *walk
	var key, value []byte
	err := t.protect(func() error {
		o, err := t.bucket(bucket)
		if err != nil {
			return err
		}
		w = t.walk(o)
		w.c = o.b.Cursor() // its own: a function that is called may look up keys
		w.from, w.to, w.reverse = from, to, reverse
		key, value, err = w.first()
		key = bytes.Clone(key)
		return err
	})
	for err == nil && key != nil {
		// fn runs outside of guard: a panic of it is its own. The value is in the mapped file; it was just read whole.
		more, ferr := fn(key, value)
		if ferr != nil || !more {
			return ferr
		}
		err = t.protect(func() (err error) {
			key, value, err = w.next()
			key = bytes.Clone(key)
			return err
		})
	}
	return err
}

func (t *Tx) walk(o opened) *walk {
	w := &walk{t: t, bucket: o.name, c: o.c, onward: t.deleted[o.name]}
	if t.isApart(o.name) {
		w.apart = o.b
	}
	return w
}

// scanBack is a scan in reverse order that goes onward first.
func (t *Tx) scanBack(bucket string, from, to []byte, fn func(key, value []byte) (bool, error)) error {
	var found [][2][]byte
	err := t.Scan(bucket, from, to, false, func(key, value []byte) (bool, error) {
		found = append(found, [2][]byte{key, value})
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, e := range slices.Backward(found) {
		if more, err := fn(e[0], e[1]); err != nil || !more {
			return err
		}
	}
	return nil
}

// Put sets the value of a key. It keeps neither slice.
func (t *Tx) Put(bucket string, key, value []byte) error {
	return t.put(bucket, key, func() []byte { return t.seal(bucket, key, value) })
}

// Room is how many bytes PutRoom needs before a value.
const Room = sumSize

// PutRoom is Put of a value behind Room bytes, which are written. It keeps the slice, which must not be changed any more.
func (t *Tx) PutRoom(bucket string, key, room []byte) error {
	return t.put(bucket, key, func() []byte { t.sealIn(bucket, key, room); return room })
}

func (t *Tx) put(bucket string, key []byte, sealed func() []byte) error {
	return t.protect(func() error {
		o, err := t.bucket(bucket)
		if err != nil {
			return err
		}
		t.wrote = true
		if t.isApart(bucket) {
			return putApart(o.b, key, sealed())
		}
		return o.b.Put(key, sealed()) // which clones the key and keeps the value
	})
}

// Delete removes a key; one that is not there is no error.
func (t *Tx) Delete(bucket string, key []byte) error {
	return t.protect(func() error {
		o, err := t.bucket(bucket)
		if err != nil {
			return err
		}
		if t.deleted == nil {
			t.deleted = map[string]bool{}
		}
		t.wrote, t.deleted[bucket] = true, true
		if t.isApart(bucket) {
			return deleteApart(o.b, key)
		}
		return o.b.Delete(key)
	})
}
