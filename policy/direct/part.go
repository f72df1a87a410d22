package direct

import "github.com/open-policy-agent/opa/v1/ast"

// part is a part of the input, by its place in the run.
func (r *run) part(place, part int) (*ast.Term, error) {
	if !r.looked[place] {
		term, err := r.in.Part(part)
		if err != nil {
			return nil, err
		}
		r.parts[place], r.looked[place] = term, true
	}
	return r.parts[place], nil
}

// Bounds on what is looked at member by member; beyond them parts are looked at as a whole.
const (
	maxNames   = 2
	maxMembers = 16
)

// member is a member of a part, which was looked at by itself.
type member struct {
	place int
	names [maxNames]string
	depth int
	value *ast.Term
}

// within is what a part of the input holds at the end of a path.
func (r *run) within(place, part int, path []operand) (*ast.Term, error) {
	if len(path) > 0 && len(path) <= maxNames && !r.looked[place] {
		if v, ok, err := r.member(place, part, path); ok || err != nil {
			return v, err
		}
	}
	v, err := r.part(place, part)
	for i := range path {
		if v == nil || err != nil {
			break
		}
		v, err = memberOf(v, path[i].value.of(r))
	}
	return v, err
}

// member is within without a look at the whole part; ok is false where that is needed.
func (r *run) member(place, part int, path []operand) (v *ast.Term, ok bool, err error) {
	m := member{place: place, depth: len(path)}
	for i := range path {
		name, isString := path[i].value.of(r).Value.(ast.String)
		if !isString {
			return nil, false, nil
		}
		m.names[i] = string(name)
	}
	for i := range r.members {
		if known := &r.members[i]; known.place == m.place && known.depth == m.depth && known.names == m.names {
			return known.value, true, nil
		}
	}
	if len(r.members) == maxMembers {
		return nil, false, nil
	}
	r.names = m.names
	if m.value, ok, err = r.in.Member(part, r.names[:m.depth]); !ok || err != nil {
		return nil, false, err
	}
	r.members = append(r.members, m)
	return m.value, true, nil
}

// Steady are values of steady parts of the input and of what stands in them under fixed names. It does not change. nil: none are
// known.
type Steady []*ast.Term

// odd stands for a part of which not all numbers are plain.
var odd = ast.NewTerm(ast.Null{})

// steadyPlace is something that a reference begins with, in a steady part of the input.
type steadyPlace struct {
	part int
	path ast.Ref // names
}

// Steady finds, once for all inputs that have the same steady parts, what references into these begin with. The function returns a
// part as Input.Part does. It is called when all sets were added, and may be called concurrently.
func (p *Program) Steady(part func(part int) (*ast.Term, error)) Steady {
	out := make(Steady, len(p.steady))
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
		out[i] = v
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
		v := r.steady[at]
		if v == odd {
			return nil, ErrNumber
		}
		return v, nil
	}, rest[len(path):]
}
