package direct

import "github.com/open-policy-agent/opa/v1/ast"

// step does what remains of a body, once for each way in which the variables up to it can be bound. An error ends everything;
// errEnough ends the body alone.
type step func(r *run) error

// link puts a part of a body before what remains of it.
type link func(next step) step

// sink takes a value and does what remains.
type sink func(r *run, v *ast.Term) error

// match puts what is done with a value before what remains.
type match func(next step) sink

// gather evaluates a comprehension.
type gather func(r *run) (*ast.Term, error)

// scope compiles one rule or one set. Variables keep their places; which of them have a value is known at each expression, since
// OPA's compiler has put the expressions in a safe order.
type scope struct {
	program *Program
	indexed func(*ast.Term) bool
	places  map[ast.Var]int
	bound   map[ast.Var]bool
	// total says that nothing since it was set can fail: it may be left out where it can change nothing.
	total bool

	level  int             // of what is compiled: each body within another one is one level above it
	levels map[ast.Var]int // at which variables have their values
	lowest int             // level of what was looked at since it was set, of varied where that is not the same for all inputs that are alike

	source any                        // the rule or the set
	held   map[ast.Var]map[string]int // places of what variables hold that are no more than that
}

// Levels of what is no body.
const (
	varied = iota
	argued // arguments of a function
	outermost
)

func newScope(p *Program, source any, indexed func(*ast.Term) bool) *scope {
	return &scope{
		program: p, indexed: indexed, places: map[ast.Var]int{}, bound: map[ast.Var]bool{}, total: true,
		level: outermost, levels: map[ast.Var]int{}, lowest: outermost,
		source: source, held: map[ast.Var]map[string]int{},
	}
}

// bind gives a value to a variable.
func (s *scope) bind(v ast.Var) { s.bound[v], s.levels[v] = true, s.level }

// looksAt notes at what is looked.
func (s *scope) looksAt(level int) { s.lowest = min(s.lowest, level) }

// place is the register of a variable.
func (s *scope) place(v ast.Var) int {
	at, known := s.places[v]
	if !known {
		at = s.program.register()
		s.places[v] = at
	}
	return at
}

func (p *Program) register() int {
	p.size.registers++
	return p.size.registers - 1
}

// operands are the places of what a call gives to a built-in, which keeps none of it.
func (p *Program) operands(n int) int {
	p.size.operands += n
	return p.size.operands - n
}

func (p *Program) gathering() int {
	p.size.gathers++
	return p.size.gathers - 1
}

// within compiles something whose variables are not seen outside, and tells whether it is total.
func (s *scope) within(compile func() error) (total bool, err error) {
	outside, before := s.bound, s.total
	s.bound, s.total = make(map[ast.Var]bool, len(outside)), true
	for v := range outside {
		s.bound[v] = true
	}
	s.level++
	err = compile()
	s.level--
	total = s.total
	s.bound, s.total = outside, before && total
	return total, err
}

// body is expressions that were compiled, each with whether it is total.
type body struct {
	links  []link
	totals []bool
	fixed  int   // how many of the first ones look at nothing that varies
	places []int // of the variables that these give values to
}

func (s *scope) body(b ast.Body) (out body, err error) {
	fixed, worth := true, false
	for _, e := range b {
		total, lowest := s.total, s.lowest
		s.total, s.lowest = true, s.level
		l, err := s.expr(e)
		if err != nil {
			return body{}, err
		}
		out.links, out.totals = append(out.links, l), append(out.totals, s.total)
		if fixed = fixed && s.lowest == s.level; fixed {
			out.fixed, out.places = len(out.links), s.bindings()
			worth = worth || !slight(e)
		}
		s.total, s.lowest = s.total && total, min(s.lowest, lowest)
	}
	if !worth {
		out.fixed = 0
	}
	return out, nil
}

// bindings are the places of the variables that have their values by the body that is compiled.
func (s *scope) bindings() (out []int) {
	for v := range s.bound {
		if s.levels[v] == s.level {
			out = append(out, s.places[v])
		}
	}
	return out
}

// slight reports whether an expression takes no longer than a look at what came of it before: it gives a part of the input a name.
func slight(e *ast.Expr) bool {
	if !e.IsEquality() || e.Negated {
		return false
	}
	for i := range 2 {
		ref, isRef := e.Operand(i).Value.(ast.Ref)
		if _, isVar := e.Operand(1 - i).Value.(ast.Var); isRef && isVar && ref[0].Equal(ast.InputRootDocument) && ref.IsGround() {
			return true
		}
	}
	return false
}

// join puts links before the end of a body.
func join(links []link, end step) step {
	for i := len(links) - 1; i >= 0; i-- {
		end = links[i](end)
	}
	return end
}

// enough ends a body of which one solution is enough.
type enough struct{}

func (enough) Error() string { return "one is enough" }

var errEnough error = enough{}

// holds compiles a body of which it matters only whether it has a solution. One that could fail is gone through to its end, as
// OPA does.
func (s *scope) holds(compile func() (body, error)) (func(r *run) (bool, error), error) {
	var b body
	total, err := s.within(func() (err error) {
		b, err = compile()
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.anyOf(b, total), nil
}

func (s *scope) anyOf(b body, total bool) func(r *run) (bool, error) {
	at := s.program.gathering()
	all := s.program.join(b, func(r *run) error {
		r.gathers[at].holds = true
		if total {
			return errEnough
		}
		return nil
	})
	return func(r *run) (bool, error) {
		r.gathers[at].holds = false
		if err := all(r); err != nil && err != errEnough {
			return false, err
		}
		return r.gathers[at].holds, nil
	}
}

func (s *scope) holdsBody(b ast.Body) (func(r *run) (bool, error), error) {
	return s.holds(func() (body, error) { return s.body(b) })
}

// expr compiles an expression of a body.
func (s *scope) expr(e *ast.Expr) (link, error) {
	if len(e.With) > 0 {
		return nil, unsupported("with, in %v", e)
	}
	if !e.Negated {
		return s.positive(e)
	}
	holds, err := s.holds(func() (body, error) {
		l, err := s.positive(e)
		return body{links: []link{l}}, err
	})
	return not(holds), err
}

// not continues where something does not hold.
func not(holds func(r *run) (bool, error)) link {
	return func(next step) step {
		return func(r *run) error {
			if yes, err := holds(r); yes || err != nil {
				return err
			}
			return next(r)
		}
	}
}

func (s *scope) positive(e *ast.Expr) (link, error) {
	switch terms := e.Terms.(type) {
	case *ast.Term:
		return s.truth(terms)
	case []*ast.Term:
		if e.IsEquality() {
			if len(terms) != 3 {
				return nil, unsupported("%v", e)
			}
			return s.unify(terms[1], terms[2])
		}
		return s.call(e, terms)
	case *ast.Every:
		return s.every(terms)
	case *ast.Not:
		holds, err := s.holdsBody(terms.Body)
		return not(holds), err
	}
	return nil, unsupported("%v", e)
}

// truth compiles a term that stands by itself: it holds for every value but false.
func (s *scope) truth(t *ast.Term) (link, error) {
	if ref, isRef := t.Value.(ast.Ref); isRef {
		return s.ref(ref, nil, func() (match, error) { return truthful, nil })
	}
	v, err := s.value(t)
	if err != nil {
		return nil, err
	}
	return func(next step) step {
		out := truthful(next)
		return func(r *run) error { return out(r, v.of(r)) }
	}, nil
}

// every compiles a body that has to hold for each member of a collection.
func (s *scope) every(e *ast.Every) (link, error) {
	domain, err := s.value(e.Domain)
	if err != nil {
		return nil, err
	}
	key, hasKey := e.Key.Value.(ast.Var)
	value, hasValue := e.Value.Value.(ast.Var)
	if !hasKey || !hasValue || s.bound[key] || s.bound[value] || key == value {
		return nil, unsupported("%v", e)
	}
	keyAt, valueAt := s.place(key), s.place(value)
	var holds func(r *run) (bool, error)
	if _, err := s.within(func() error {
		s.bind(key)
		s.bind(value)
		holds, err = s.holdsBody(e.Body)
		return err
	}); err != nil {
		return nil, err
	}
	return func(next step) step {
		return func(r *run) error {
			v := domain.of(r)
			switch v.Value.(type) {
			case *ast.Array, ast.Object, ast.Set:
			default:
				return nil
			}
			err := each(r, v, func(k, member *ast.Term) error {
				r.registers[keyAt], r.registers[valueAt] = k, member
				yes, err := holds(r)
				if err == nil && !yes {
					err = errEnough
				}
				return err
			})
			switch err {
			case nil:
				return next(r)
			case errEnough: // one does not hold
				return nil
			}
			return err
		}
	}, nil
}

// each goes through the members of a collection in OPA's order; what is none has none.
func each(r *run, v *ast.Term, member func(k, v *ast.Term) error) error {
	switch c := v.Value.(type) {
	case *ast.Array:
		for i := range c.Len() {
			if err := r.step(); err != nil {
				return err
			}
			if err := member(ast.InternedTerm(i), c.Elem(i)); err != nil {
				return err
			}
		}
	case ast.Object:
		keys := c.KeysIterator()
		for k, more := keys.Next(); more; k, more = keys.Next() {
			if err := r.step(); err != nil {
				return err
			}
			if err := member(k, c.Get(k)); err != nil {
				return err
			}
		}
	case ast.Set:
		for _, k := range c.Slice() {
			if err := r.step(); err != nil {
				return err
			}
			if err := member(k, k); err != nil {
				return err
			}
		}
	}
	return nil
}
