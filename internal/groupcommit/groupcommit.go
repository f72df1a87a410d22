// Package groupcommit lets functions that wait while a transaction is made durable share the next one, so that a sync of
// the disk is paid once for many. It knows nothing of what is committed.
package groupcommit

import (
	"context"
	"slices"
	"sync"
)

// Call is a function that waits for its commit.
type Call[F any] struct {
	Ctx  context.Context // the caller's
	Fn   F
	done bool
	err  error
}

// Finish says what came of the call. A commit function calls it exactly once for every call of its batch.
func (c *Call[F]) Finish(err error) { c.done, c.err = true, err }

// Queue collects calls and commits them in batches, one batch at a time, in the order they came.
type Queue[F any] struct {
	max    int
	commit func([]*Call[F])

	queueMu sync.Mutex // guards queue
	queue   []*Call[F]

	commitMu sync.Mutex // held by the one that runs a batch
}

// New returns a queue whose batches have at most max calls. commit runs a batch and finishes each of its calls.
func New[F any](max int, commit func([]*Call[F])) *Queue[F] {
	return &Queue[F]{max: max, commit: commit}
}

// Do returns when fn has been committed or has failed. It waits for a batch that runs, even if ctx ends meanwhile.
func (q *Queue[F]) Do(ctx context.Context, fn F) error {
	c := &Call[F]{Ctx: ctx, Fn: fn}
	q.queueMu.Lock()
	q.queue = append(q.queue, c)
	q.queueMu.Unlock()

	q.commitMu.Lock()
	defer q.commitMu.Unlock()
	for !c.done { // else another one that waited here has run it
		q.queueMu.Lock()
		batch := q.queue
		if len(batch) > q.max {
			batch = batch[:q.max]
		}
		q.queue = slices.Clone(q.queue[len(batch):])
		q.queueMu.Unlock()
		q.commit(batch)
	}
	return c.err
}

// Alone runs fn while no batch runs.
func (q *Queue[F]) Alone(fn func() error) error {
	q.commitMu.Lock()
	defer q.commitMu.Unlock()
	return fn()
}

// Waiting is how many calls wait for a batch that has not begun.
func (q *Queue[F]) Waiting() int {
	q.queueMu.Lock()
	defer q.queueMu.Unlock()
	return len(q.queue)
}
