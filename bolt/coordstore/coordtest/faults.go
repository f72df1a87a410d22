package coordtest

import (
	"context"
	"errors"
	"sync"

	"github.com/countersign-mpc/countersign/coordinator"
)

var errFault = errors.New("the store failed, as this test has it")

// Faults is a store that fails at one access.
type Faults struct {
	coordinator.Store

	mu    sync.Mutex // guards the fields below
	left  int        // accesses until it fails; 0: it does not
	fired bool
}

func (f *Faults) arm(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left, f.fired = n, false
}

func (f *Faults) disarm() (fired bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = 0
	return f.fired
}

func (f *Faults) access() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left == 0 {
		return nil
	}
	f.left--
	if f.left == 0 {
		f.fired = true
		return errFault
	}
	return nil
}

// Update implements coordinator.Store.
func (f *Faults) Update(ctx context.Context, do func(coordinator.Tx) error) error {
	return f.Store.Update(ctx, func(tx coordinator.Tx) error {
		if err := do(&faultyTx{tx, f}); err != nil {
			return err
		}
		return f.access() // at the commit
	})
}

// View implements coordinator.Store.
func (f *Faults) View(ctx context.Context, do func(coordinator.Tx) error) error {
	return f.Store.View(ctx, func(tx coordinator.Tx) error { return do(&faultyTx{tx, f}) })
}

type faultyTx struct {
	coordinator.Tx
	f *Faults
}

func (t *faultyTx) Get(table coordinator.Table, key string) ([]byte, error) {
	if err := t.f.access(); err != nil {
		return nil, err
	}
	return t.Tx.Get(table, key)
}

func (t *faultyTx) Put(table coordinator.Table, key string, value []byte) error {
	if err := t.f.access(); err != nil {
		return err
	}
	return t.Tx.Put(table, key, value)
}

func (t *faultyTx) Delete(table coordinator.Table, key string) error {
	if err := t.f.access(); err != nil {
		return err
	}
	return t.Tx.Delete(table, key)
}

func (t *faultyTx) Scan(table coordinator.Table, prefix, from string, f func(string, []byte) (bool, error)) error {
	if err := t.f.access(); err != nil {
		return err
	}
	return t.Tx.Scan(table, prefix, from, f)
}
