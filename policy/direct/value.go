package direct

import "github.com/open-policy-agent/opa/v1/ast"

// value is a term whose variables are bound.
type value struct {
	constant *ast.Term
	make     func(r *run) *ast.Term // where constant is nil; where both are, a variable's value is meant
	at       int
}

func (v *value) of(r *run) *ast.Term {
	switch {
	case v.constant != nil:
		return v.constant
	case v.make != nil:
		return v.make(r)
	}
	return r.registers[v.at]
}

// isConstant reports whether a value holds nothing to evaluate.
func isConstant(v ast.Value) bool { return v.IsGround() && ast.IsConstant(v) }

// value compiles a term of which all is bound.
func (s *scope) value(t *ast.Term) (value, error) {
	if isConstant(t.Value) {
		if !PlainNumbers(t) {
			return value{}, unsupported("a number is written in an odd way: %v", t)
		}
		return value{constant: t}, nil
	}
	switch v := t.Value.(type) {
	case ast.Var:
		if !s.bound[v] {
			return value{}, unsupported("variable %v is not bound", v)
		}
		s.looksAt(s.levels[v])
		return value{at: s.place(v)}, nil
	case *ast.Array:
		elements, err := s.values(v.Len(), v.Foreach)
		return value{make: func(r *run) *ast.Term { return ast.ArrayTerm(valuesOf(r, elements)...) }}, err
	case ast.Set:
		elements, err := s.values(v.Len(), v.Foreach)
		return value{make: func(r *run) *ast.Term { return ast.SetTerm(valuesOf(r, elements)...) }}, err
	case ast.Object:
		return s.object(v)
	}
	return value{}, unsupported("%v", t)
}

func (s *scope) values(n int, each func(func(*ast.Term))) ([]value, error) {
	out := make([]value, 0, n)
	var failed error
	each(func(t *ast.Term) {
		v, err := s.value(t)
		if err != nil {
			failed = err
		}
		out = append(out, v)
	})
	return out, failed
}

func valuesOf(r *run, list []value) []*ast.Term {
	out := make([]*ast.Term, len(list))
	for i := range list {
		out[i] = list[i].of(r)
	}
	return out
}

// object compiles an object with constant keys.
func (s *scope) object(o ast.Object) (value, error) {
	var keys []*ast.Term
	var members []value
	err := o.Iter(func(k, t *ast.Term) error {
		if !isConstant(k.Value) || !PlainNumbers(k) {
			return unsupported("an object with keys that are not constant: %v", o)
		}
		v, err := s.value(t)
		keys, members = append(keys, k), append(members, v)
		return err
	})
	return value{make: func(r *run) *ast.Term {
		pairs := make([][2]*ast.Term, len(keys))
		for i := range keys {
			pairs[i] = [2]*ast.Term{keys[i], members[i].of(r)}
		}
		return ast.ObjectTerm(pairs...)
	}}, err
}

// match compiles a term that a value is to be equal to, by giving a value to its variables that have none.
func (s *scope) match(t *ast.Term) (match, error) {
	switch v := t.Value.(type) {
	case ast.Var:
		if !s.bound[v] {
			s.bind(v)
			at := s.place(v)
			return func(next step) sink {
				return func(r *run, v *ast.Term) error {
					r.registers[at] = v
					return next(r)
				}
			}, nil
		}
	case ast.Ref:
		return s.matchRef(v)
	case *ast.Array:
		if !isConstant(v) {
			return s.matchArray(v)
		}
	case ast.Object:
		if !isConstant(v) {
			return s.matchObject(v)
		}
	}
	want, err := s.value(t)
	return func(next step) sink {
		return func(r *run, v *ast.Term) error {
			if !v.Equal(want.of(r)) {
				return nil
			}
			return next(r)
		}
	}, err
}

// matchRef compares a value with those of a reference.
func (s *scope) matchRef(ref ast.Ref) (match, error) {
	at := s.program.register()
	l, err := s.ref(ref, &value{at: at}, func() (match, error) {
		return func(next step) sink {
			return func(r *run, v *ast.Term) error {
				if !v.Equal(r.registers[at]) {
					return nil
				}
				return next(r)
			}
		}, nil
	})
	return func(next step) sink {
		values := l(next)
		return func(r *run, v *ast.Term) error {
			r.registers[at] = v
			return values(r)
		}
	}, err
}

func (s *scope) matchArray(a *ast.Array) (match, error) {
	members := make([]match, a.Len())
	for i := range members {
		var err error
		if members[i], err = s.matchMember(a.Elem(i)); err != nil {
			return nil, err
		}
	}
	at := s.program.register()
	return func(next step) sink {
		for i := len(members) - 1; i >= 0; i-- {
			found := members[i](next)
			next = func(r *run) error { return found(r, r.registers[at].Value.(*ast.Array).Elem(i)) }
		}
		return func(r *run, v *ast.Term) error {
			list, isArray := v.Value.(*ast.Array)
			if !isArray || list.Len() != len(members) {
				return nil
			}
			r.registers[at] = v
			return next(r)
		}
	}, nil
}

func (s *scope) matchObject(o ast.Object) (match, error) {
	var keys []*ast.Term
	var members []match
	err := o.Iter(func(k, t *ast.Term) error {
		if !isConstant(k.Value) || !PlainNumbers(k) {
			return unsupported("an object with keys that are not constant: %v", o)
		}
		m, err := s.matchMember(t)
		keys, members = append(keys, k), append(members, m)
		return err
	})
	if err != nil {
		return nil, err
	}
	at := s.program.register()
	return func(next step) sink {
		for i := len(members) - 1; i >= 0; i-- {
			found := members[i](next)
			next = func(r *run) error {
				member := r.registers[at].Value.(ast.Object).Get(keys[i])
				if member == nil {
					return nil
				}
				return found(r, member)
			}
		}
		return func(r *run, v *ast.Term) error {
			object, isObject := v.Value.(ast.Object)
			if !isObject || object.Len() != len(keys) {
				return nil
			}
			r.registers[at] = v
			return next(r)
		}
	}, nil
}

// matchMember is match for a part of a pattern, which holds no reference.
func (s *scope) matchMember(t *ast.Term) (match, error) {
	if _, isRef := t.Value.(ast.Ref); isRef {
		return nil, unsupported("a reference in a pattern: %v", t)
	}
	return s.match(t)
}

// unify compiles the equality of two terms, in the order in which OPA evaluates them.
func (s *scope) unify(a, b *ast.Term) (link, error) {
	aRef, aIsRef := a.Value.(ast.Ref)
	bRef, bIsRef := b.Value.(ast.Ref)
	switch {
	case aIsRef:
		if l := s.elements(aRef, b); l != nil {
			return l, nil
		}
		return s.ref(aRef, s.known(b), func() (match, error) { return s.match(b) })
	case bIsRef:
		if l := s.elements(bRef, a); l != nil {
			return l, nil
		}
		return s.ref(bRef, s.known(a), func() (match, error) { return s.match(a) })
	case ast.IsComprehension(a.Value):
		return s.unifyGathered(a, b)
	case ast.IsComprehension(b.Value):
		return s.unifyGathered(b, a)
	case s.known(a) == nil:
		a, b = b, a
	}
	from, err := s.value(a)
	if err != nil {
		return nil, err
	}
	to, err := s.match(b)
	return func(next step) step {
		out := to(next)
		return func(r *run) error { return out(r, from.of(r)) }
	}, err
}

func (s *scope) unifyGathered(c, t *ast.Term) (link, error) {
	if ast.IsComprehension(t.Value) {
		return nil, unsupported("two comprehensions in one equality")
	}
	from, err := s.comprehension(c)
	if err != nil {
		return nil, err
	}
	to, err := s.match(t)
	return func(next step) step {
		out := to(next)
		return func(r *run) error {
			v, err := from(r)
			if err != nil {
				return err
			}
			return out(r, v)
		}
	}, err
}

// known is the value of a term of which all is bound before, else nil.
func (s *scope) known(t *ast.Term) *value {
	v, err := s.value(t)
	if err != nil {
		return nil
	}
	return &v
}
