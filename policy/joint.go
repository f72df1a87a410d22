package policy

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/countersign-mpc/countersign/policy/direct"
)

// known is what is remembered of all steady parts of an input. The fields before once do not change.
type known struct {
	found  []*remembered // by group
	says   verdict       // of rules
	active marks         // the rules that are left and have to be asked

	once   sync.Once
	steady *direct.Steady // found when it is first used again

	concluded atomic.Pointer[concluded]
}

// concluded is the decision that was come to last, when all that was said beside what is known was what these of the directly
// evaluated rules always say.
type concluded struct {
	fired    marks // by their numbers in direct.Program
	decision Decision
}

// joint remembers what the groups of a program know together, so that for an input that is like another one in all its steady parts one
// look is enough. Safe for concurrent use.
type joint struct {
	memory       *memory[known]
	hits, misses atomic.Int64
}

// How joint tells whether inputs are alike often enough for it to be worth it to remember them.
const (
	missesAtFirst = 1024    // that are remembered in any case
	missesForHit  = 4       // that are remembered for each hit
	missesCounted = 1 << 16 // after which it begins anew
)

func (j *joint) look(d *inputDoc) *known {
	k := j.memory.look(d)
	if k != nil {
		j.hits.Add(1)
	}
	return k
}

func (j *joint) keep(d *inputDoc, k *known) {
	misses := j.misses.Add(1)
	if misses >= missesCounted {
		j.hits.Store(0)
		j.misses.Store(0)
	}
	if misses < missesAtFirst+missesForHit*j.hits.Load() {
		j.memory.keep(d, k)
	}
}

// known is what is remembered about an input, with the values of its steady parts, nil for the first input of its kind. What is not
// remembered, is asked.
func (p *program) known(ctx context.Context, d *inputDoc) (*known, *direct.Steady, error) {
	if k := p.joint.look(d); k != nil {
		k.once.Do(func() { k.steady = p.direct.values(d, k.found) })
		return k, k.steady, nil
	}
	k := &known{found: make([]*remembered, len(p.groups)), active: p.always}
	var missing marks
	for i, g := range p.groups {
		if k.found[i] = g.look(d); k.found[i] == nil {
			missing.add(i)
		}
	}
	if missing != (marks{}) {
		if err := p.learn(ctx, d, missing, k.found); err != nil {
			return nil, nil, err
		}
	}
	for _, r := range k.found {
		k.says.add(&r.says)
		k.active.union(r.holds)
	}
	p.joint.keep(d, k)
	return k, nil, nil
}
