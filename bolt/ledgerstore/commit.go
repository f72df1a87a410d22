package ledgerstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"syscall"

	bolt "go.etcd.io/bbolt"

	"github.com/countersign-mpc/countersign/ledger"
)

// maxBatch bounds how many updates share a commit, so that none waits for long.
const maxBatch = 64

// call is an update that waits to be run. done and err belong to who holds commitMu.
type call struct {
	ctx  context.Context
	fn   func(ledger.Tx) error
	done bool
	err  error
}

func (c *call) finish(err error) { c.done, c.err = true, err }

// commit runs all calls of the batch in one transaction, or in several where one fails after it has written. Each call
// is finished when what it wrote is on disk, or when it has failed.
func (s *Store) commit(batch []*call) {
	for len(batch) > 0 {
		if err := s.usable(context.Background()); err != nil {
			finishAll(batch, err)
			return
		}
		batch = s.commitOnce(batch)
	}
}

func finishAll(calls []*call, err error) {
	for _, c := range calls {
		c.finish(err)
	}
}

// commitOnce runs calls in one transaction and returns those that have to be run again.
func (s *Store) commitOnce(batch []*call) []*call {
	var tx *bolt.Tx
	err := s.guard(func() (err error) { tx, err = s.db.Begin(true); return err })
	if err == nil {
		if err = s.newest(int64(tx.ID()) - 1); err != nil {
			err = errors.Join(err, s.guard(tx.Rollback))
		}
	}
	if err != nil {
		finishAll(batch, s.classify(err))
		return nil
	}
	w := &writer{reader: reader{tx: tx}}
	var succeeded []*call
	for i, c := range batch {
		w.dirty = false
		err := s.runCall(w, c)
		switch {
		case err == nil:
			succeeded = append(succeeded, c)
		case w.fault != nil || w.dirty: // what others wrote in this transaction is undone with it
			c.finish(err)
			if rerr := s.guard(tx.Rollback); rerr != nil {
				_ = s.breakDown(rerr)
			}
			return append(succeeded, batch[i+1:]...)
		default:
			c.finish(err)
		}
		if w.deleted { // bbolt's cursors are not to be trusted over pages that became empty in the same transaction
			batch = batch[i+1:]
			return append(s.end(w, succeeded), batch...)
		}
	}
	return s.end(w, succeeded)
}

// runCall runs one call. A panic in it must not reach the others of its batch: it comes back as its error.
func (s *Store) runCall(w *writer, c *call) (err error) {
	if err := s.usable(c.ctx); err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in an update of the ledger: %v\n%s", p, debug.Stack())
		}
	}()
	return s.outcome(&w.reader, c.fn(w))
}

// end commits the transaction, if anything was written, and finishes the calls. It returns none to be run again.
func (s *Store) end(w *writer, calls []*call) []*call {
	finish, id := w.tx.Rollback, int64(w.tx.ID())
	if w.wrote {
		finish = w.tx.Commit
	}
	s.syncing.Lock()
	err := s.guard(finish)
	switch {
	case err != nil && w.wrote:
		err = s.failed(err)
	case err == nil && w.wrote:
		err = s.newest(id)
	}
	s.syncing.Unlock()
	finishAll(calls, err)
	return nil
}

// failed judges an error of a commit. A full disk leaves the file as it was, and so does every error before the first
// write. After any other failed write or sync it is not known what is on disk, nor can it be found out by syncing again:
// the file must not be used until somebody has looked at it.
func (s *Store) failed(err error) error {
	if errors.Is(err, ledger.ErrDamaged) {
		return s.breakDown(err)
	}
	var path *os.PathError
	var errno syscall.Errno
	inFile := errors.As(err, &path) && (path.Op == "write" || path.Op == "truncate")
	full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
	if !errors.As(err, &errno) || inFile && full {
		return fmt.Errorf("%w: write %s: %w: nothing was recorded; make room, and it goes on", ledger.ErrUnavailable, s.path, err)
	}
	return s.breakDown(fmt.Errorf("%w: write %s: %w: it is not known what is on disk; stop the server, check the disk, start it, and verify the log", ledger.ErrUnavailable, s.path, err))
}

// classify gives an error at the begin of a transaction its type.
func (s *Store) classify(err error) error {
	switch {
	case errors.Is(err, ledger.ErrDamaged):
		return s.breakDown(err)
	case errors.Is(err, ledger.ErrUnavailable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return fmt.Errorf("%w: %s: %w", ledger.ErrUnavailable, s.path, err)
}
