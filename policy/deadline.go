package policy

import (
	"context"
	"sync"
	"time"
)

// deadline is a context that ends at a time, as that of context.WithDeadline does. Most evaluations only ask it now and then whether
// it has ended; the timer that tells of the end is made for those who wait for it.
type deadline struct {
	context.Context // the caller's
	at              time.Time

	once    sync.Once // guards what follows
	waited  context.Context
	release context.CancelFunc
}

var _ context.Context = (*deadline)(nil)

// withTimeout returns a context, and a function to call when nobody looks at it any more.
func withTimeout(ctx context.Context, after time.Duration) (*deadline, func()) {
	d := &deadline{Context: ctx, at: time.Now().Add(after)}
	return d, func() {
		d.once.Do(func() {})
		if d.release != nil {
			d.release()
		}
	}
}

func (d *deadline) Deadline() (time.Time, bool) {
	if at, limited := d.Context.Deadline(); limited && at.Before(d.at) {
		return at, true
	}
	return d.at, true
}

func (d *deadline) Err() error {
	if err := d.Context.Err(); err != nil {
		return err
	}
	if !time.Now().Before(d.at) {
		return context.DeadlineExceeded
	}
	return nil
}

// Done is closed at the end, or when the context is released.
func (d *deadline) Done() <-chan struct{} {
	d.wait()
	if d.waited == nil { // it was released
		return d.Context.Done()
	}
	return d.waited.Done()
}

// Value finds the context that is waited for, so that no goroutine has to watch this one.
func (d *deadline) Value(key any) any {
	d.wait()
	if d.waited == nil {
		return d.Context.Value(key)
	}
	return d.waited.Value(key)
}

func (d *deadline) wait() {
	d.once.Do(func() { d.waited, d.release = context.WithDeadline(d.Context, d.at) })
}
