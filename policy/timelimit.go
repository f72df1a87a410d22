package policy

import (
	"context"
	"time"
)

// timeLimit is a context that ends with another one, or at a time. A timer is set only where somebody waits for its end: most evaluations
// only look whether it has come. It is for one goroutine; others are given what waiting returns.
type timeLimit struct {
	context.Context
	end    time.Time
	timed  context.Context // with a timer; nil for none
	cancel context.CancelFunc
}

func limitTime(ctx context.Context, timeout time.Duration) *timeLimit {
	return &timeLimit{Context: ctx, end: time.Now().Add(timeout)}
}

// release stops the timer, if there is one.
func (l *timeLimit) release() {
	if l.cancel != nil {
		l.cancel()
	}
}

// waiting is the same with a timer.
func (l *timeLimit) waiting() context.Context {
	if l.timed == nil {
		l.timed, l.cancel = context.WithDeadline(l.Context, l.end)
	}
	return l.timed
}

func (l *timeLimit) Deadline() (time.Time, bool) {
	if end, ok := l.Context.Deadline(); ok && end.Before(l.end) {
		return end, true
	}
	return l.end, true
}

func (l *timeLimit) Done() <-chan struct{} { return l.waiting().Done() }

func (l *timeLimit) Err() error {
	if err := l.Context.Err(); err != nil {
		return err
	}
	if !time.Now().Before(l.end) {
		return context.DeadlineExceeded
	}
	return nil
}

// waitedFor is a context whose end may be waited for by several goroutines.
func waitedFor(ctx context.Context) context.Context {
	if l, ok := ctx.(*timeLimit); ok {
		return l.waiting()
	}
	return ctx
}
