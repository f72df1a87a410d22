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
