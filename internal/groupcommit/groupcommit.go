// Package groupcommit lets functions that wait while a transaction is made durable share the next one, so that a sync of
// the disk is paid once for many. It knows nothing of what is committed.
package groupcommit

import (
	"context"
	"sync"
)

// Call is a function that waits for its commit.
type Call[F any] struct {
	Ctx  context.Context // the caller's
	Fn   F
	done sync.WaitGroup // until it is finished
	err  error
}

// Finish says what came of the call, and lets its caller go on. It is called exactly once for every call of a batch, by whoever
// knows it: also when the batch has long ended.
func (c *Call[F]) Finish(err error) {
	c.err = err
	c.done.Done()
}

// Queue collects calls and runs them in batches, one batch at a time, in the order they came. Safe for concurrent use.
type Queue[F any] struct {
	max int
	run func([]*Call[F])

	mu      sync.Mutex // guards the fields below
	queue   []*Call[F]
	running bool      // somebody runs batches, or runs alone
	idle    sync.Cond // running has become false
}

// New returns a queue whose batches have at most max calls. run runs a batch and sees to it that each of its calls is finished.
func New[F any](max int, run func([]*Call[F])) *Queue[F] {
	q := &Queue[F]{max: max, run: run}
	q.idle.L = &q.mu
	return q
}

// Do returns when fn has been committed or has failed, even if ctx ends meanwhile. Who finds that no batch runs, runs the next
// one itself, without a change of goroutines; for what has come until then it leaves another to run.
func (q *Queue[F]) Do(ctx context.Context, fn F) error {
	c := &Call[F]{Ctx: ctx, Fn: fn}
	c.done.Add(1)
	q.mu.Lock()
	q.queue = append(q.queue, c)
	first := !q.running
	q.running = true
	q.mu.Unlock()
	if first && q.runOne() {
		go func() {
			for q.runOne() {
			}
		}()
	}
	c.done.Wait()
	return c.err
}

// runOne runs a batch, and reports whether there is another one.
func (q *Queue[F]) runOne() (more bool) {
	q.mu.Lock()
	batch := q.queue
	if len(batch) > q.max {
		batch = batch[:q.max:q.max]
	}
	q.queue = q.queue[len(batch):]
	q.mu.Unlock()
	if len(batch) > 0 {
		q.run(batch)
	}
	return q.goOn()
}

// goOn reports whether calls wait, and if none does lets the next one run itself.
func (q *Queue[F]) goOn() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queue) > 0 {
		return true
	}
	q.running = false
	q.idle.Broadcast()
	return false
}

// Alone runs fn while no batch runs. What is called meanwhile waits for it.
func (q *Queue[F]) Alone(fn func() error) error {
	q.mu.Lock()
	for q.running {
		q.idle.Wait()
	}
	q.running = true
	q.mu.Unlock()
	defer func() {
		if q.goOn() {
			go func() {
				for q.runOne() {
				}
			}()
		}
	}()
	return fn()
}
