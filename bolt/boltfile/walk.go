package boltfile

import (
	"bytes"

	bolt "go.etcd.io/bbolt"
)

// walk goes over a bucket and checks all that it comes by, the elements just outside its bounds too: an element whose key
// was altered would otherwise be missing without a trace.
//
// Where a page became empty in the same transaction, bbolt's cursor loses its way back: it stops short, or turns in a
// circle. Then the walk goes onward only, and does not look at the element before its begin.
type walk struct {
	t        *Tx
	bucket   string
	c        *bolt.Cursor
	from, to []byte
	reverse  bool
	onward   bool
	apart    *bolt.Bucket // the bucket, where its values lie apart
	last     []byte       // the key before, in the direction of the walk
	begun    bool
}

// take checks an element and its order after the one before.
func (w *walk) take(key, stored []byte) ([]byte, error) {
	if w.apart != nil {
		stored = storedApart(w.apart, key)
	}
	value, err := w.t.unseal(w.bucket, key, stored)
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
	return w.t.f.damaged("keys of bucket %s are out of order", w.bucket)
}

// first goes to the first element within the bounds, after a look at the one before it.
func (w *walk) first() (key, value []byte, err error) {
	var k, v []byte
	if w.reverse {
		if w.to != nil {
			k, v = w.c.Seek(w.to)
		}
	} else if w.from != nil && !w.onward {
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
	// Seek refuses a page of no type; First and Last would take one for a branch, and may not come to an end.
	if k, v = w.c.Seek(w.from); w.reverse {
		k, v = w.c.Last()
	}
	return w.element(k, v)
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
