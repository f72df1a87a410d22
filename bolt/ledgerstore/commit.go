package ledgerstore

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/countersign-mpc/countersign/internal/groupcommit"
	"github.com/countersign-mpc/countersign/ledger"
)

// maxBatch bounds how many updates share a commit, so that none waits for long.
const maxBatch = 64

type call = groupcommit.Call[func(ledger.Tx) error]

// commit runs all calls of the batch in one transaction, or in several where one fails after it has written. Each call
// is finished when what it wrote is on disk, or when it has failed.
func (s *Store) commit(batch []*call) {
	for len(batch) > 0 {
		batch = s.commitOnce(batch)
	}
}

func finishAll(calls []*call, err error) {
	for _, c := range calls {
		c.Finish(err)
	}
}

// commitOnce runs calls in one transaction and returns those that have to be run again.
func (s *Store) commitOnce(batch []*call) []*call {
	t, err := s.file.Begin(context.Background(), true)
	if err != nil {
		finishAll(batch, classify(err))
		return nil
	}
	w := &writer{reader: reader{t}}
	var succeeded []*call
	for i, c := range batch {
		w.dirty = false
		err := runCall(w, c)
		switch {
		case err == nil:
			succeeded = append(succeeded, c)
		case t.Fault() != nil || w.dirty: // what others wrote in this transaction is undone with it
			c.Finish(err)
			_ = t.Rollback() // if it fails, the file is not used any more, and the others are told
			return append(succeeded, batch[i+1:]...)
		default:
			c.Finish(err)
		}
		if w.deleted { // boltfile looks at fewer neighbours in a transaction that has deleted
			finishAll(succeeded, classify(t.Commit()))
			return batch[i+1:]
		}
	}
	finishAll(succeeded, classify(t.Commit()))
	return nil
}

// runCall runs one call. A panic in it must not reach the others of its batch: it comes back as its error.
func runCall(w *writer, c *call) (err error) {
	if err := c.Ctx.Err(); err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in an update of the ledger: %v\n%s", p, debug.Stack())
		}
	}()
	return outcome(w.tx, c.Fn(w))
}
