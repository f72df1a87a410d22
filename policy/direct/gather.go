package direct

import "github.com/open-policy-agent/opa/v1/ast"

// comprehension compiles one. What it gathers where it looks at nothing that varies is gathered once for all inputs that are alike.
func (s *scope) comprehension(t *ast.Term) (gather, error) {
	if err := s.checkIndex(t); err != nil {
		return nil, err
	}
	before := s.lowest
	s.lowest = s.level + 1
	g, err := s.gather(t)
	if err == nil && s.lowest > s.level {
		g = s.program.once(g)
	}
	s.lowest = min(s.lowest, before)
	return g, err
}

func (s *scope) gather(t *ast.Term) (gather, error) {
	switch c := t.Value.(type) {
	case *ast.ArrayComprehension:
		return s.arrayOf(c)
	case *ast.SetComprehension:
		return s.setOf(c)
	case *ast.ObjectComprehension:
		return s.objectOf(c)
	}
	return nil, unsupported("%v", t)
}

// checkIndex refuses a comprehension that OPA evaluates by an index, for all values of its variables at once, if that could
// fail where the evaluation for some of them does not.
func (s *scope) checkIndex(t *ast.Term) error {
	if !s.indexed(t) {
		return nil
	}
	var exprs ast.Body
	switch c := t.Value.(type) {
	case *ast.ArrayComprehension:
		exprs = c.Body
	case *ast.SetComprehension:
		exprs = c.Body
	case *ast.ObjectComprehension:
		exprs = c.Body
	}
	_, err := s.within(func() error {
		b, err := s.body(exprs)
		if err != nil {
			return err
		}
		for i, total := range b.totals {
			if !total && (i > 0 || !plain(exprs[i])) { // the first one is evaluated in any case
				return unsupported("a comprehension by an index: %v", t)
			}
		}
		return nil
	})
	return err
}

// plain reports whether an expression is an equality of terms without bodies of their own.
func plain(e *ast.Expr) bool {
	return e.IsEquality() && !e.Negated && !ast.IsComprehension(e.Operand(0).Value) && !ast.IsComprehension(e.Operand(1).Value)
}

// members compiles the body of a comprehension and then what it gathers.
func (s *scope) members(exprs ast.Body, heads func() error) (b body, total bool, err error) {
	total, err = s.within(func() error {
		if b, err = s.body(exprs); err != nil {
			return err
		}
		return heads()
	})
	return b, total, err
}

func (s *scope) arrayOf(c *ast.ArrayComprehension) (gather, error) {
	var element value
	body, _, err := s.members(c.Body, func() (err error) {
		element, err = s.value(c.Term)
		return err
	})
	if err != nil {
		return nil, err
	}
	at := s.program.gathering()
	all := s.program.join(body, func(r *run) error {
		r.gathers[at].list = append(r.gathers[at].list, element.of(r))
		return nil
	})
	return func(r *run) (*ast.Term, error) {
		r.gathers[at].list = nil
		if err := all(r); err != nil {
			return nil, err
		}
		list := r.gathers[at].list
		r.gathers[at].list = nil
		if len(list) == 0 {
			return ast.InternedEmptyArray, nil
		}
		return ast.ArrayTerm(list...), nil
	}, nil
}

func (s *scope) setOf(c *ast.SetComprehension) (gather, error) {
	var element value
	body, total, err := s.members(c.Body, func() (err error) {
		element, err = s.value(c.Term)
		return err
	})
	if err != nil {
		return nil, err
	}
	if element.constant != nil {
		return s.oneOrNone(body, total, element.constant), nil
	}
	at := s.program.gathering()
	all := s.program.join(body, func(r *run) error {
		g := &r.gathers[at]
		if g.set == nil {
			g.set = ast.NewSet(element.of(r))
		} else {
			g.set.Add(element.of(r))
		}
		return nil
	})
	return func(r *run) (*ast.Term, error) {
		r.gathers[at].set = nil
		if err := all(r); err != nil {
			return nil, err
		}
		made := r.gathers[at].set
		r.gathers[at].set = nil
		if made == nil {
			return ast.InternedEmptySet, nil
		}
		return ast.NewTerm(made), nil
	}, nil
}

// oneOrNone is a set that has a constant as its one element, if the body holds.
func (s *scope) oneOrNone(b body, total bool, element *ast.Term) gather {
	one := ast.SetTerm(element)
	holds := s.anyOf(b, total)
	return func(r *run) (*ast.Term, error) {
		yes, err := holds(r)
		if yes {
			return one, err
		}
		return ast.InternedEmptySet, err
	}
}

func (s *scope) objectOf(c *ast.ObjectComprehension) (gather, error) {
	var key, member value
	body, _, err := s.members(c.Body, func() (err error) {
		if key, err = s.value(c.Key); err == nil {
			member, err = s.value(c.Value)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	s.total = false // two values of one key
	at := s.program.gathering()
	all := s.program.join(body, func(r *run) error {
		if r.gathers[at].object == nil {
			r.gathers[at].object = ast.NewObject()
		}
		return insert(r.gathers[at].object, key.of(r), member.of(r))
	})
	return func(r *run) (*ast.Term, error) {
		r.gathers[at].object = nil
		if err := all(r); err != nil {
			return nil, err
		}
		made := r.gathers[at].object
		r.gathers[at].object = nil
		if made == nil {
			return ast.InternedEmptyObject, nil
		}
		return ast.NewTerm(made), nil
	}, nil
}

// insert fails for a key that has another value.
func insert(o ast.Object, key, v *ast.Term) error {
	if known := o.Get(key); known != nil {
		if !known.Equal(v) {
			return errConflict
		}
		return nil
	}
	o.Insert(key, v)
	return nil
}
