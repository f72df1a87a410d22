package policy

import "sync"

// asked is what one evaluation rule by rule needs, to be used again: nothing of it is seen after the evaluation.
type asked struct {
	verdict verdict
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
	clear(a.verdict.Allow)
	clear(a.verdict.Require)
	*a = asked{
		verdict: verdict{Allow: a.verdict.Allow[:0], Require: a.verdict.Require[:0]},
		numbers: a.numbers[:0], input: directInput{reader: *r}, key: a.key[:0],
	}
	asks.Put(a)
}
