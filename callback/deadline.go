package callback

import (
	"context"
	"sync"
	"time"
)

// deadline is a context that ends at a time, with its parent, or when release is called. Unlike context.WithDeadline's it starts a
// timer, and asks its parent to be told, only once somebody waits for its end: a store that is not slow only looks whether it has come.
// Safe for concurrent use.
type deadline struct {
	context.Context // the parent
	at              time.Time

	mu     sync.Mutex // guards the fields below
	over   bool       // released
	timed  context.Context
	cancel context.CancelFunc
}

// within is a context that ends d from now at the latest. Who has made it calls release when nobody needs it any more.
func within(parent context.Context, d time.Duration) *deadline {
	return &deadline{Context: parent, at: time.Now().Add(d)}
}

// Deadline is the earlier one of its own and its parent's.
func (d *deadline) Deadline() (time.Time, bool) {
	if at, has := d.Context.Deadline(); has && at.Before(d.at) {
		return at, true
	}
	return d.at, true
}

// Done is closed at the end.
func (d *deadline) Done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timed == nil {
		d.timed, d.cancel = context.WithDeadline(d.Context, d.at)
		if d.over {
			d.cancel()
		}
	}
	return d.timed.Done()
}

// Err is nil before the end.
func (d *deadline) Err() error {
	d.mu.Lock()
	timed, over := d.timed, d.over
	d.mu.Unlock()
	if timed != nil {
		return timed.Err()
	}
	if err := d.Context.Err(); err != nil {
		return err
	}
	switch {
	case over:
		return context.Canceled
	case !time.Now().Before(d.at):
		return context.DeadlineExceeded
	}
	return nil
}

// Value is the parent's, but that contexts made of this one find the one that has the timer.
func (d *deadline) Value(key any) any {
	d.mu.Lock()
	timed := d.timed
	d.mu.Unlock()
	if timed != nil {
		return timed.Value(key)
	}
	return d.Context.Value(key)
}

// release ends the context.
func (d *deadline) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	if d.cancel != nil {
		d.cancel()
	}
}
