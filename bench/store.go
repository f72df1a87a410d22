package main

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/countersign-mpc/countersign/auditlog"
	"github.com/countersign-mpc/countersign/ledger"
)

// counting counts the bytes of keys and values that a store is given.
type counting struct {
	ledger.Store
	written atomic.Int64
}

// Update implements ledger.Store.
func (c *counting) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	return c.Store.Update(ctx, func(tx ledger.Tx) error { return fn(&countingTx{tx, c}) })
}

// Expect implements ledger.Expecter.
func (c *counting) Expect(more int) {
	if to, ok := c.Store.(ledger.Expecter); ok {
		to.Expect(more)
	}
}

type countingTx struct {
	ledger.Tx
	store *counting
}

// Put implements ledger.Tx.
func (t *countingTx) Put(bucket string, key, value []byte) error {
	t.store.written.Add(int64(len(key) + len(value)))
	return t.Tx.Put(bucket, key, value)
}

// forgetful is a ledger.Store that keeps what was written when it was made, and of later writes only the hashes of the log's tree,
// since a ledger whose log becomes smaller decides no more: each decision runs over a ledger in which nothing was decided yet. It
// shows what a decision costs without what it costs to keep it.
type forgetful struct {
	kept map[place][]byte // not changed once the store is used

	mu   sync.RWMutex // guards tree; an update holds it to its end, as real stores have one writer
	tree map[place][]byte
}

// ofTree reports whether a bucket holds the hashes of the log's tree.
func ofTree(bucket string) bool {
	return bucket == auditlog.BucketLeaf || bucket == auditlog.BucketHead
}

type place struct{ bucket, key string }

var _ ledger.Store = (*forgetful)(nil)

// View implements ledger.Store.
func (f *forgetful) View(ctx context.Context, fn func(ledger.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	return fn(&forgetfulTx{f, nil})
}

// Update implements ledger.Store.
func (f *forgetful) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	tx := &forgetfulTx{f, map[place][]byte{}}
	if err := fn(tx); err != nil {
		return err
	}
	for p, v := range tx.wrote {
		if ofTree(p.bucket) {
			f.tree[p] = v
		}
	}
	return nil
}

// remember makes what fn writes be there in every transaction. It is for one goroutine, before the store is used.
func (f *forgetful) remember(fn func(ledger.Store) error) error {
	tx := &forgetfulTx{f, map[place][]byte{}}
	if err := fn(remembering{tx}); err != nil {
		return err
	}
	f.kept, f.tree = tx.wrote, map[place][]byte{}
	return nil
}

// remembering is a store in which every transaction is the same.
type remembering struct{ tx *forgetfulTx }

func (r remembering) View(_ context.Context, fn func(ledger.Reader) error) error { return fn(r.tx) }
func (r remembering) Update(_ context.Context, fn func(ledger.Tx) error) error   { return fn(r.tx) }

type forgetfulTx struct {
	store *forgetful
	wrote map[place][]byte
}

// Get implements ledger.Reader.
func (t *forgetfulTx) Get(bucket string, key []byte) ([]byte, error) {
	if v, written := t.wrote[place{bucket, string(key)}]; written {
		return v, nil
	}
	if v, written := t.store.tree[place{bucket, string(key)}]; written {
		return v, nil
	}
	return t.store.kept[place{bucket, string(key)}], nil
}

// Scan implements ledger.Reader.
func (t *forgetfulTx) Scan(bucket string, from, to []byte, reverse bool, fn func(key, value []byte) (bool, error)) error {
	var keys []string
	maps := []map[place][]byte{t.store.kept, t.wrote}
	if ofTree(bucket) {
		maps = append(maps, t.store.tree)
	}
	for _, m := range maps {
		for p, v := range m {
			if p.bucket == bucket && v != nil && p.key >= string(from) && (to == nil || p.key < string(to)) {
				keys = append(keys, p.key)
			}
		}
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	if reverse {
		slices.SortFunc(keys, func(a, b string) int { return strings.Compare(b, a) })
	}
	for _, key := range keys {
		v, err := t.Get(bucket, []byte(key))
		if err != nil {
			return err
		}
		if more, err := fn([]byte(key), v); err != nil || !more {
			return err
		}
	}
	return nil
}

// Put implements ledger.Tx.
func (t *forgetfulTx) Put(bucket string, key, value []byte) error {
	t.wrote[place{bucket, string(key)}] = append([]byte{}, value...)
	return nil
}

// Delete implements ledger.Tx.
func (t *forgetfulTx) Delete(bucket string, key []byte) error {
	t.wrote[place{bucket, string(key)}] = nil
	return nil
}
