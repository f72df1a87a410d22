package direct

import (
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Steady is what is known of all inputs that have the same steady parts: what references into these begin with, and, from the first time
// on that it was needed, what came of looking at nothing else. Safe for concurrent use.
type Steady struct {
	values   []*ast.Term                 // by Program.steady
	bodies   []atomic.Pointer[solutions] // of the beginnings of bodies
	gathered []atomic.Pointer[ast.Term]  // of comprehensions
}

// odd stands for a part of which not all numbers are plain.
var odd = ast.NewTerm(ast.Null{})

// steadyPlace is something that a reference begins with, in a steady part of the input.
type steadyPlace struct {
	part int
	path ast.Ref // names
}

// Steady finds, once for all inputs that have the same steady parts, what references into these begin with. The function returns a
// part as Input.Part does. It is called when all sets were added, and may be called concurrently.
func (p *Program) Steady(part func(part int) (*ast.Term, error)) *Steady {
	out := &Steady{
		values: make([]*ast.Term, len(p.steady)), bodies: make([]atomic.Pointer[solutions], p.size.bodies),
		gathered: make([]atomic.Pointer[ast.Term], p.size.once),
	}
	parts := map[int]*ast.Term{}
	for i, at := range p.steady {
		v, known := parts[at.part]
		if !known {
			var err error
			if v, err = part(at.part); err != nil {
				v = odd // whoever looks at it leaves it to OPA
			}
			parts[at.part] = v
		}
		for _, name := range at.path {
			if v == nil || v == odd {
				break
			}
			v, _ = memberOf(v, name)
		}
		out.values[i] = v
	}
	return out
}

// steadyAt is the place of what stands in a steady part under the names.
func (p *Program) steadyAt(part int, path ast.Ref) int {
	for i, known := range p.steady {
		if known.part == part && known.path.Equal(path) {
			return i
		}
	}
	p.steady = append(p.steady, steadyPlace{part, path})
	return len(p.steady) - 1
}

// beginSteady is what a reference into a steady part begins with, where that is known; else it is looked for as in any part.
func (p *Program) beginSteady(part int, rest []*ast.Term) (from begin, left []*ast.Term) {
	var path []operand
	for _, t := range rest {
		if _, isName := t.Value.(ast.String); !isName {
			break
		}
		path = append(path, operand{value: value{constant: t}})
	}
	place, at := p.partPlace(part), p.steadyAt(part, ast.Ref(rest[:len(path)]))
	return func(r *run) (*ast.Term, error) {
		if r.steady == nil {
			return r.within(place, part, path)
		}
		v := r.steady.values[at]
		if v == odd {
			return nil, ErrNumber
		}
		return v, nil
	}, rest[len(path):]
}

// solutions are the ways in which the expressions that begin a body, and look at nothing that varies, can be solved.
type solutions struct {
	times  int
	values []*ast.Term // of the body's places, one solution behind the other
}

var (
	unsolvable = &solutions{}
	tooMany    = &solutions{} // to be kept
)

// Bounds on what is kept for inputs that are alike.
const (
	maxSolutions = 32
	maxKeptSize  = 256 // terms
)

// join puts a body before its end. What begins it and looks at nothing that varies is solved once for all inputs that are alike: only what
// follows is done again, for each solution and in their order.
func (p *Program) join(b body, end step) step {
	rest := join(b.links[b.fixed:], end)
	if b.fixed == 0 {
		return rest
	}
	all, solve, number := join(b.links[:b.fixed], rest), p.solve(b), p.size.bodies
	p.size.bodies++
	return func(r *run) error {
		if r.steady == nil {
			return all(r)
		}
		found := r.steady.bodies[number].Load()
		if found == nil {
			var err error
			if found, err = solve(r); err != nil {
				return err
			}
			r.steady.bodies[number].Store(found)
		}
		switch found {
		case unsolvable:
			return nil
		case tooMany:
			return all(r)
		}
		for i := range found.times {
			for j, place := range b.places {
				r.registers[place] = found.values[i*len(b.places)+j]
			}
			if err := r.step(); err != nil {
				return err
			}
			if err := rest(r); err != nil {
				return err
			}
		}
		return nil
	}
}

// solve finds all solutions of what begins a body.
func (p *Program) solve(b body) func(r *run) (*solutions, error) {
	at := p.gathering()
	each := join(b.links[:b.fixed], func(r *run) error {
		g := &r.gathers[at]
		if g.times++; g.times <= maxSolutions {
			for _, place := range b.places {
				g.list = append(g.list, r.registers[place])
			}
		}
		return nil
	})
	return func(r *run) (*solutions, error) {
		r.gathers[at] = gathered{}
		err := each(r)
		found := solutions{r.gathers[at].times, r.gathers[at].list}
		r.gathers[at] = gathered{}
		switch {
		case err != nil:
			return nil, err
		case found.times == 0:
			return unsolvable, nil
		case found.times > maxSolutions || !isSmall(found.values...):
			return tooMany, nil
		}
		return &found, nil
	}
}

// once gathers only once for all inputs that are alike.
func (p *Program) once(g gather) gather {
	number := p.size.once
	p.size.once++
	return func(r *run) (*ast.Term, error) {
		if r.steady == nil {
			return g(r)
		}
		if t := r.steady.gathered[number].Load(); t != nil {
			return t, nil
		}
		t, err := g(r)
		if err == nil && isSmall(t) {
			r.steady.gathered[number].Store(t)
		}
		return t, err
	}
}

// isSmall reports whether terms may be kept.
func isSmall(terms ...*ast.Term) bool {
	left := maxKeptSize
	for _, t := range terms {
		if !fits(t, &left) {
			return false
		}
	}
	return true
}

// fits takes the size of a term from what is left.
func fits(t *ast.Term, left *int) bool {
	*left--
	switch v := t.Value.(type) {
	case *ast.Array:
		return v.Len() <= *left && !v.Until(func(e *ast.Term) bool { return !fits(e, left) })
	case ast.Set:
		return v.Len() <= *left && !v.Until(func(e *ast.Term) bool { return !fits(e, left) })
	case ast.Object:
		return v.Len() <= *left && !v.Until(func(_, e *ast.Term) bool { return !fits(e, left) })
	}
	return *left >= 0
}
