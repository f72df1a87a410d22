package policy

import (
	"context"
	"sync"
	"time"
)

// asked is what one evaluation rule by rule needs, to be used again: nothing of it is seen after the evaluation.
type asked struct {
	verdict verdict
	found   []*remembered
	numbers []int // of the rules that are evaluated directly
	input   directInput
	key     []byte
}

// Bounds on the room that is used again.
const (
	maxKeptSays  = 256
	maxKeptTerms = 1024 // members of one object or array
)

var asks = sync.Pool{New: func() any { return new(asked) }}

func (a *asked) release() {
	r := &a.input.reader
	if cap(a.verdict.Allow)+cap(a.verdict.Require) > maxKeptSays || cap(a.key) > maxKeptKey || cap(r.members)+cap(r.elements) > maxKeptTerms {
		return
	}
	r.reset()
	clear(a.found)
	clear(a.verdict.Allow)
	clear(a.verdict.Require)
	*a = asked{
		verdict: verdict{Allow: a.verdict.Allow[:0], Require: a.verdict.Require[:0]},
		found:   a.found[:0], numbers: a.numbers[:0], input: directInput{reader: *r}, key: a.key[:0],
	}
	asks.Put(a)
}

// timeLimit ends with another context or at a time. It has no timer, which would cost as much as a whole rule: whoever waits for its end,
// and does not ask for it again and again, takes withTimer.
type timeLimit struct {
	context.Context
	until time.Time
}

func (l *timeLimit) Deadline() (time.Time, bool) {
	if until, limited := l.Context.Deadline(); limited && until.Before(l.until) {
		return until, true
	}
	return l.until, true
}

func (l *timeLimit) Err() error {
	if err := l.Context.Err(); err != nil {
		return err
	}
	if !time.Now().Before(l.until) {
		return context.DeadlineExceeded
	}
	return nil
}

// withTimer is a context whose end can be waited for.
func withTimer(ctx context.Context) (context.Context, context.CancelFunc) {
	if l, is := ctx.(*timeLimit); is {
		return context.WithDeadline(l.Context, l.until)
	}
	return context.WithCancel(ctx)
}
