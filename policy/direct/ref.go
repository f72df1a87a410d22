package direct

import (
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"
)

// begin finds the value that a reference begins with; nil for none.
type begin func(r *run) (*ast.Term, error)

// beginning is what a reference begins with.
type beginning struct {
	from begin // nil: a part of the input
	rest []*ast.Term
	base bool // what follows is read from a base document

	place, part int
}

// ref compiles a reference. What its values are to be equal to is compiled behind its operands, which give values to variables;
// known is what that is, if it is known before.
func (s *scope) ref(ref ast.Ref, known *value, target func() (match, error)) (link, error) {
	b, err := s.begin(ref)
	if err != nil {
		return nil, err
	}
	walk := walker{base: b.base, known: known}
	for _, t := range b.rest {
		o, err := s.operand(t)
		if err != nil {
			return nil, err
		}
		walk.operands = append(walk.operands, o)
	}
	want, err := target()
	if err != nil {
		return nil, err
	}
	from, walked := b.from, 0
	if from == nil {
		for walked < len(walk.operands) && !walk.operands[walked].every {
			walked++
		}
		path := walk.operands[:walked]
		from = func(r *run) (*ast.Term, error) { return r.within(b.place, b.part, path) }
	}
	return func(next step) step {
		out := want(next)
		values := walk.link(walked, out)
		return func(r *run) error {
			v, err := from(r)
			if v == nil || err != nil {
				return err
			}
			return values(r, v)
		}
	}, nil
}

// begin compiles what a reference begins with: a part of the input, a base document, a rule or a variable.
func (s *scope) begin(ref ast.Ref) (beginning, error) {
	switch head, isVar := ref[0].Value.(ast.Var); {
	case !isVar:
		return beginning{}, unsupported("%v", ref)
	case ref[0].Equal(ast.InputRootDocument):
		part, length, ok := s.program.config.Part(ref)
		if !ok {
			return beginning{}, unsupported("the input by %v", ref)
		}
		if s.program.config.Steady != nil && s.program.config.Steady(part) {
			from, rest := s.program.beginSteady(part, ref[length:])
			return beginning{from: from, rest: rest}, nil
		}
		s.looksAt(varied)
		return beginning{rest: ref[length:], place: s.program.partPlace(part), part: part}, nil
	case ref[0].Equal(ast.DefaultRootDocument):
		return s.beginData(ref)
	case s.held[head] != nil && len(ref) > 1:
		name, _ := ref[1].Value.(ast.String)
		at, known := s.held[head][string(name)]
		if !known {
			return beginning{}, unsupported("%v, of which other members are known", ref)
		}
		s.looksAt(s.levels[head])
		return beginning{from: func(r *run) (*ast.Term, error) { return r.registers[at], nil }, rest: ref[2:]}, nil
	case s.bound[head]:
		at := s.place(head)
		s.looksAt(s.levels[head])
		return beginning{from: func(r *run) (*ast.Term, error) { return r.registers[at], nil }, rest: ref[1:]}, nil
	}
	return beginning{}, unsupported("%v begins with a variable that is not bound", ref)
}

func (p *Program) partPlace(part int) int {
	place, known := p.parts[part]
	if !known {
		place = len(p.parts)
		p.parts[part] = place
	}
	return place
}

func (s *scope) beginData(ref ast.Ref) (beginning, error) {
	g, length, err := s.program.ruleOf(ref)
	if err != nil {
		return beginning{}, err
	}
	if g != nil {
		if g.kind == function {
			return beginning{}, unsupported("function %v without a call", ref)
		}
		s.total = s.total && g.total
		if g.varies {
			s.looksAt(varied)
		}
		return beginning{from: g.value, rest: ref[length:]}, nil
	}
	known := ast.NewTerm(s.program.config.Data)
	at := 1
	for ; at < len(ref) && known != nil; at++ {
		name, isString := ref[at].Value.(ast.String)
		object, isObject := known.Value.(ast.Object)
		if !isString || !isObject {
			break
		}
		known = object.Get(ast.NewTerm(name))
	}
	if at == 1 {
		return beginning{}, unsupported("all base documents: %v", ref)
	}
	return beginning{from: func(*run) (*ast.Term, error) { return known, nil }, rest: ref[at:], base: true}, nil
}

// operand is a part of a reference behind its begin.
type operand struct {
	value value
	every bool // it gives each key to the variable at value.at, which has no value
}

func (s *scope) operand(t *ast.Term) (operand, error) {
	if v, isVar := t.Value.(ast.Var); isVar && !s.bound[v] {
		s.bind(v)
		return operand{value: value{at: s.place(v)}, every: true}, nil
	}
	v, err := s.value(t)
	return operand{value: v}, err
}

// walker walks from a value by operands.
type walker struct {
	operands []operand
	base     bool   // they read base documents
	known    *value // what they are to lead to, if that is known; else nil
}

// link compiles the walk from operand i on.
func (w *walker) link(i int, out sink) sink {
	if i == len(w.operands) {
		return out
	}
	if w.operands[i].every {
		at, rest := w.operands[i].value.at, w.link(i+1, out)
		last := i == len(w.operands)-1
		return func(r *run, v *ast.Term) error {
			if s, isSet := v.Value.(ast.Set); isSet && last && w.known != nil { // as OPA does: the key is then the value as it is known
				known := w.known.of(r)
				if !s.Contains(known) {
					return nil
				}
				r.registers[at] = known
				return rest(r, known)
			}
			return each(r, v, func(k, member *ast.Term) error {
				r.registers[at] = k
				return rest(r, member)
			})
		}
	}
	end := i
	for end < len(w.operands) && !w.operands[end].every {
		end++
	}
	plain, rest, get := w.operands[i:end], w.link(end, out), memberOf
	if w.base {
		get = baseMember
	}
	return func(r *run, v *ast.Term) error {
		for i := range plain {
			var err error
			if v, err = get(v, plain[i].value.of(r)); v == nil || err != nil {
				return err
			}
		}
		return rest(r, v)
	}
}

// memberOf is the member of a collection under a key, nil where there is none.
func memberOf(v, key *ast.Term) (*ast.Term, error) {
	switch c := v.Value.(type) {
	case ast.Object:
		return c.Get(key), nil
	case *ast.Array:
		return c.Get(key), nil
	case ast.Set:
		if c.Contains(key) {
			return key, nil
		}
	}
	return nil, nil
}

// baseMember is memberOf for base documents, which OPA reads from a store by paths of texts: a number is the key of that name
// there, a text an index. Such keys, and composite ones, are OPA's to read.
func baseMember(v, key *ast.Term) (*ast.Term, error) {
	switch k := key.Value.(type) {
	case ast.String:
		switch c := v.Value.(type) {
		case ast.Object:
			return c.Get(key), nil
		case *ast.Array:
			return nil, errKey
		}
		return nil, nil
	case ast.Number:
		list, isArray := v.Value.(*ast.Array)
		if i, err := strconv.Atoi(string(k)); isArray && err == nil && i >= 0 && strconv.Itoa(i) == string(k) {
			if i < list.Len() {
				return list.Elem(i), nil
			}
			return nil, nil
		}
	}
	return nil, errKey
}
