package direct

import (
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// call compiles a call of a function of the rules, or of a built-in.
func (s *scope) call(e *ast.Expr, terms []*ast.Term) (link, error) {
	name, isRef := terms[0].Value.(ast.Ref)
	if !isRef {
		return nil, unsupported("%v", e)
	}
	if name[0].Equal(ast.DefaultRootDocument) {
		return s.callRule(name, terms[1:])
	}
	return s.callBuiltin(e, name.String(), terms[1:])
}

func (s *scope) callRule(name ast.Ref, terms []*ast.Term) (link, error) {
	g, length, err := s.program.ruleOf(name)
	switch {
	case err != nil:
		return nil, err
	case g == nil || g.kind != function || length != len(name):
		return nil, unsupported("a call of %v", name)
	}
	args, out, err := s.arguments(terms, len(g.args))
	if err != nil {
		return nil, err
	}
	s.total = s.total && g.total
	if g.varies {
		s.looksAt(varied)
	}
	to := truthful
	if out != nil {
		// For an output that is known before, OPA leaves out the bodies that say something else.
		if v, isVar := out.Value.(ast.Var); !isVar || s.bound[v] {
			return nil, unsupported("a call of %v with a known result", name)
		}
		if to, err = s.match(out); err != nil {
			return nil, err
		}
	}
	return func(next step) step {
		found := to(next)
		return func(r *run) error {
			for i, at := range g.args { // no rule asks itself, so that none of these is needed for the next one
				r.registers[at] = args[i].of(r)
			}
			v, err := g.find(r)
			if v == nil || err != nil {
				return err
			}
			return found(r, v)
		}
	}, nil
}

// truthful continues for any value but false.
func truthful(next step) sink {
	return func(r *run, v *ast.Term) error {
		if v.Value == ast.Boolean(false) {
			return nil
		}
		return next(r)
	}
}

// arguments compiles what is given, and tells the term for the result, nil if there is none.
func (s *scope) arguments(terms []*ast.Term, n int) (args []value, out *ast.Term, err error) {
	switch len(terms) {
	case n:
	case n + 1:
		out = terms[n]
	default:
		return nil, nil, unsupported("a call with %d of %d arguments", len(terms), n)
	}
	for _, t := range terms[:n] {
		v, err := s.value(t)
		if err != nil {
			return nil, nil, err
		}
		args = append(args, v)
	}
	return args, out, nil
}

// result is what a built-in says of its operands, nil for nothing.
type result func(r *run, operands []*ast.Term) (*ast.Term, error)

func (s *scope) callBuiltin(e *ast.Expr, name string, terms []*ast.Term) (link, error) {
	b := ast.BuiltinMap[name]
	f := topdown.GetBuiltin(name)
	if b == nil || f == nil || b.Relation || b.Nondeterministic || b.Decl.Result() == nil || refused[name] {
		return nil, unsupported("built-in %s", name)
	}
	args, out, err := s.arguments(terms, b.Decl.Arity())
	if err != nil {
		return nil, err
	}
	if name == ast.Member.Name && args[1].make != nil {
		return nil, unsupported("membership in %v, which OPA's index of rules takes for constant", terms[1])
	}
	s.total = s.total && totals[name]
	to := truthful
	if out != nil {
		if to, err = s.match(out); err != nil {
			return nil, err
		}
	}
	if is := checks[name]; is != nil {
		return check(is, args, out, to), nil
	}
	call := builtin(f, e.Location, selects[name])
	if n := natives[name]; n != nil {
		call = native(n, call)
	}
	at := s.program.operands(len(args))
	return func(next step) step {
		found := to(next)
		return func(r *run) error {
			operands := r.operands[at : at+len(args) : at+len(args)]
			for i := range args {
				operands[i] = args[i].of(r)
			}
			v, err := call(r, operands)
			clear(operands)
			if v == nil || err != nil {
				return err
			}
			return found(r, v)
		}
	}, nil
}

// refused are built-ins that do something beside saying a value.
var refused = map[string]bool{ast.Print.Name: true, ast.InternalPrint.Name: true, ast.Trace.Name: true}

// native asks for what is said of common operands, and OPA's built-in about others.
func native(says func(operands []*ast.Term) *ast.Term, call result) result {
	return func(r *run, operands []*ast.Term) (*ast.Term, error) {
		v := says(operands)
		if v == nil {
			return call(r, operands)
		}
		return v, r.step()
	}
}

// builtin calls one of OPA's.
func builtin(f topdown.BuiltinFunc, at *ast.Location, selects bool) result {
	return func(r *run, operands []*ast.Term) (*ast.Term, error) {
		if err := r.step(); err != nil {
			return nil, err
		}
		r.builtin.Location = at
		r.said, r.times = nil, 0
		err := f(r.builtin, operands, r.say)
		said := r.said
		switch {
		case r.ctx.Err() != nil:
			return nil, r.ctx.Err()
		case err != nil:
			return nil, fmt.Errorf("%w: %v", errBuiltin, err)
		case r.times > 1:
			return nil, errTimes
		case said != nil && !selects && !PlainNumbers(said):
			return nil, ErrNumber
		}
		return said, nil
	}
}

// check continues where what is asked of values is so, or, where that is taken, with the answer.
func check(is func(a, b *ast.Term) bool, args []value, out *ast.Term, to match) link {
	a := &args[0]
	b := &value{constant: nothing}
	if len(args) > 1 {
		b = &args[1]
	}
	if out != nil {
		return func(next step) step {
			found := to(next)
			return func(r *run) error { return found(r, ast.InternedTerm(is(a.of(r), b.of(r)))) }
		}
	}
	return func(next step) step {
		return func(r *run) error {
			if !is(a.of(r), b.of(r)) {
				return nil
			}
			return next(r)
		}
	}
}

// nothing is in the place of an operand that is not there.
var nothing = ast.InternedNullTerm

// totals are the built-ins that never fail.
var totals = map[string]bool{
	ast.Equal.Name: true, ast.NotEqual.Name: true, ast.LessThan.Name: true, ast.LessThanEq.Name: true, ast.GreaterThan.Name: true,
	ast.GreaterThanEq.Name: true, ast.Member.Name: true,
	ast.IsArray.Name: true, ast.IsBoolean.Name: true, ast.IsNull.Name: true, ast.IsNumber.Name: true, ast.IsObject.Name: true,
	ast.IsSet.Name: true, ast.IsString.Name: true,
}

// checks are built-ins of one or two operands that say yes or no and never fail, as OPA has them. With one operand b is nothing.
var checks = map[string]func(a, b *ast.Term) bool{
	ast.Equal.Name:         func(a, b *ast.Term) bool { return a.Equal(b) },
	ast.NotEqual.Name:      func(a, b *ast.Term) bool { return !a.Equal(b) },
	ast.LessThan.Name:      func(a, b *ast.Term) bool { return a.Value.Compare(b.Value) < 0 },
	ast.LessThanEq.Name:    func(a, b *ast.Term) bool { return a.Value.Compare(b.Value) <= 0 },
	ast.GreaterThan.Name:   func(a, b *ast.Term) bool { return a.Value.Compare(b.Value) > 0 },
	ast.GreaterThanEq.Name: func(a, b *ast.Term) bool { return a.Value.Compare(b.Value) >= 0 },
	ast.Member.Name:        isMember,
	ast.IsArray.Name:       is[*ast.Array],
	ast.IsBoolean.Name:     is[ast.Boolean],
	ast.IsNull.Name:        is[ast.Null],
	ast.IsNumber.Name:      is[ast.Number],
	ast.IsObject.Name:      is[ast.Object],
	ast.IsSet.Name:         is[ast.Set],
	ast.IsString.Name:      is[ast.String],
}

func is[T ast.Value](a, _ *ast.Term) bool {
	_, yes := a.Value.(T)
	return yes
}

func isMember(a, b *ast.Term) bool {
	switch c := b.Value.(type) {
	case ast.Set:
		return c.Contains(a)
	case *ast.Array:
		return c.Until(a.Equal)
	case ast.Object:
		return c.Until(func(_, v *ast.Term) bool { return a.Equal(v) })
	}
	return false
}
