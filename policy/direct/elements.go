package direct

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// maxElementNames is how many members of elements are looked at by themselves.
const maxElementNames = 4

// elements compiles t = input.part[key], where t is a variable of which nothing but some members is looked at: each of these has a place,
// and the element itself none. It is nil for anything else.
func (s *scope) elements(ref ast.Ref, t *ast.Term) link {
	element, isVar := t.Value.(ast.Var)
	if !isVar || s.bound[element] || !ref[0].Equal(ast.InputRootDocument) {
		return nil
	}
	part, length, ok := s.program.config.Part(ref)
	if !ok || len(ref) != length+1 || s.program.config.Steady != nil && s.program.config.Steady(part) {
		return nil
	}
	key, isVar := ref[length].Value.(ast.Var)
	names := membersOf(s.source, element)
	if !isVar || s.bound[key] || key == element || len(names) == 0 || len(names) > maxElementNames {
		return nil
	}
	s.looksAt(varied)
	s.bind(key)
	place, keyAt, places, terms := s.program.partPlace(part), s.place(key), make([]int, len(names)), make([]*ast.Term, len(names))
	s.held[element], s.levels[element] = map[string]int{}, s.level
	for i, name := range names {
		places[i], terms[i] = s.program.register(), ast.StringTerm(name)
		s.held[element][name] = places[i]
	}
	return func(next step) step {
		return func(r *run) error {
			list, ok, err := r.elements(place, part, names)
			if err != nil {
				return err
			}
			if !ok {
				v, err := r.part(place, part)
				if v == nil || err != nil {
					return err
				}
				return each(r, v, func(k, element *ast.Term) error {
					r.registers[keyAt] = k
					for i, at := range places {
						if r.registers[at], err = memberOf(element, terms[i]); err != nil {
							return err
						}
					}
					return next(r)
				})
			}
			for i := range len(list) / len(names) {
				if err := r.step(); err != nil {
					return err
				}
				r.registers[keyAt] = ast.InternedTerm(i)
				for j, at := range places {
					r.registers[at] = list[i*len(names)+j]
				}
				if err := next(r); err != nil {
					return err
				}
			}
			return nil
		}
	}
}

// elements are members of the elements of a part, unless all of it is known.
func (r *run) elements(place, part int, names []string) (list []*ast.Term, ok bool, err error) {
	if r.looked[place] {
		return nil, false, nil
	}
	return r.in.Elements(part, names)
}

// membersOf are the names of what is looked at of a variable to which one expression gives a value; none where all of it is looked at.
func membersOf(source any, v ast.Var) (names []string) {
	times := 0 // that it stands by itself
	var visitor *ast.GenericVisitor
	visitor = ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case ast.Var:
			if x == v {
				times++
			}
		case ast.Ref:
			if len(x) == 0 || x[0].Value.Compare(v) != 0 {
				return false
			}
			var name ast.String
			isName := false
			if len(x) > 1 {
				name, isName = x[1].Value.(ast.String)
			}
			if !isName {
				times += 2
				return true
			}
			if !slices.Contains(names, string(name)) {
				names = append(names, string(name))
			}
			for _, t := range x[2:] {
				visitor.Walk(t)
			}
			return true
		}
		return false
	})
	visitor.Walk(source)
	if times != 1 {
		return nil
	}
	return names
}
