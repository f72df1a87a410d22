// Package deadline bounds work that hardly ever waits for its end to come: work that looks now and then whether it has.
package deadline

import (
	"context"
	"sync"
	"time"
)

// Context ends at a time, as one of context.WithDeadline does, but starts a timer only for who asks for Done: to look at Err is
// enough for most work, and a timer, with its place among the parent's children, costs more than many a look. Safe for concurrent
// use.
type Context struct {
	context.Context // the parent
	at              time.Time

	mu     sync.Mutex      // guards the fields below
	err    error           // once it has ended and somebody looked
	timed  context.Context // what somebody waits for; nil: nobody does
	cancel context.CancelFunc
}

// After returns a context that ends after d at the latest. The caller calls End when its work is done.
func After(parent context.Context, d time.Duration) *Context {
	at := time.Now().Add(d)
	if earlier, ok := parent.Deadline(); ok && earlier.Before(at) {
		at = earlier
	}
	return &Context{Context: parent, at: at}
}

// End ends the context, if it has not ended yet.
func (c *Context) End() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.look() == nil {
		c.err = context.Canceled
	}
	if c.timed != nil {
		c.cancel()
	}
}

// Deadline implements context.Context.
func (c *Context) Deadline() (time.Time, bool) { return c.at, true }

// Done implements context.Context.
func (c *Context) Done() <-chan struct{} { return c.waitable().Done() }

// waitable is the same with a timer.
func (c *Context) waitable() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.timed != nil:
	case c.err == context.Canceled: // which it stays when its time comes
		c.timed, c.cancel = context.WithCancel(c.Context)
		c.cancel()
	default:
		c.timed, c.cancel = context.WithDeadline(c.Context, c.at)
	}
	return c.timed
}

// Err implements context.Context.
func (c *Context) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.look()
}

// look says whether and why it has ended. It is called under mu.
func (c *Context) look() error {
	switch {
	case c.err != nil:
	case c.timed != nil:
		c.err = c.timed.Err()
	case c.Context.Err() != nil:
		c.err = c.Context.Err()
	case !time.Now().Before(c.at):
		c.err = context.DeadlineExceeded
	}
	return c.err
}

// Value implements context.Context. What is made of this context finds what it waits for by it.
func (c *Context) Value(key any) any {
	c.mu.Lock()
	timed := c.timed
	c.mu.Unlock()
	if timed != nil {
		return timed.Value(key)
	}
	return c.Context.Value(key)
}
