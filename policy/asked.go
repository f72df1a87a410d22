package policy

import (
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
)

// asked is what one evaluation rule by rule needs, to be used again: nothing of it is seen after the evaluation.
type asked struct {
	verdict verdict
	numbers []int // of the rules that are evaluated directly
	says    []directSays
	input   directInput
	key     []byte

	known     *known     // with which a decision is to be kept, nil for none
	fired     marks      // by these rules, by their numbers in direct.Program
	concluded *concluded // the decision that was kept so
}

// directSays is what a rule says that was evaluated directly.
type directSays struct {
	number   int
	elements []*ast.Term
}

// conclude keeps the decision for inputs of which the same is known and the same rules say something.
func (a *asked) conclude(d Decision) {
	if a.known != nil {
		a.known.concluded.Store(&concluded{a.fired, d})
	}
}

// Bounds on the room that is used again.
const (
	maxKeptSays  = 256
	maxKeptTerms = 1024 // members of one object or array
)

var asks = sync.Pool{New: func() any { return new(asked) }}

func (a *asked) release() {
	r := &a.input.reader
	if cap(a.verdict.Allow)+cap(a.verdict.Require) > maxKeptSays || cap(a.key) > maxKeptKey || cap(r.members)+cap(r.elements)+cap(a.input.elements) > maxKeptTerms {
		return
	}
	r.reset()
	clear(a.verdict.Allow)
	clear(a.verdict.Require)
	clear(a.says)
	clear(a.input.elements)
	*a = asked{
		verdict: verdict{Allow: a.verdict.Allow[:0], Require: a.verdict.Require[:0]},
		numbers: a.numbers[:0], says: a.says[:0], input: directInput{reader: *r, elements: a.input.elements[:0]}, key: a.key[:0],
	}
	asks.Put(a)
}
