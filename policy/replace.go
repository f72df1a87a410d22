package policy

import "github.com/open-policy-agent/opa/v1/ast"

// replacement puts other references in the place of some. Expressions are changed in place, terms are made anew: OPA shares
// the terms of common constants between all policies of a process, so that writing into a term, as ast.TransformRefs does, could
// race with a policy that decides.
type replacement func(ast.Ref) ast.Ref

func (f replacement) rule(r *ast.Rule) {
	for each := r; each != nil; each = each.Else {
		each.Head.Args = f.terms(each.Head.Args)
		each.Head.Key = f.term(each.Head.Key)
		each.Head.Value = f.term(each.Head.Value)
		f.body(each.Body)
	}
}

func (f replacement) body(b ast.Body) {
	for _, e := range b {
		f.expr(e)
	}
}

func (f replacement) expr(e *ast.Expr) {
	switch ts := e.Terms.(type) {
	case *ast.Term:
		e.Terms = f.term(ts)
	case []*ast.Term:
		e.Terms = f.terms(ts)
	case *ast.Every:
		ts.Key, ts.Value, ts.Domain = f.term(ts.Key), f.term(ts.Value), f.term(ts.Domain)
		f.body(ts.Body)
	case *ast.Not:
		f.body(ts.Body)
	case *ast.LogicalAnd:
		f.body(ts.Lhs)
		f.body(ts.Rhs)
	case *ast.LogicalOr:
		f.body(ts.Lhs)
		f.body(ts.Rhs)
	}
	for _, w := range e.With {
		w.Target, w.Value = f.term(w.Target), f.term(w.Value)
	}
}

func (f replacement) terms(list []*ast.Term) []*ast.Term {
	if list == nil {
		return nil
	}
	out := make([]*ast.Term, len(list))
	for i, t := range list {
		out[i] = f.term(t)
	}
	return out
}

// term is t with what is replaced; t itself where it can hold no reference.
func (f replacement) term(t *ast.Term) *ast.Term {
	if t == nil {
		return nil
	}
	value := f.value(t.Value)
	if value == nil {
		return t
	}
	return &ast.Term{Value: value, Location: t.Location}
}

// value is v with what is replaced, nil where it can hold no reference.
func (f replacement) value(v ast.Value) ast.Value {
	switch v := v.(type) {
	case ast.Ref:
		return ast.Ref(f.terms(f(v)))
	case ast.Call:
		return ast.Call(f.terms(v))
	case *ast.Array:
		list := make([]*ast.Term, 0, v.Len())
		v.Foreach(func(t *ast.Term) { list = append(list, f.term(t)) })
		return ast.NewArray(list...)
	case ast.Set:
		out := ast.NewSet()
		v.Foreach(func(t *ast.Term) { out.Add(f.term(t)) })
		return out
	case ast.Object:
		out := ast.NewObject()
		v.Foreach(func(key, value *ast.Term) { out.Insert(f.term(key), f.term(value)) })
		return out
	case *ast.ArrayComprehension:
		f.body(v.Body)
		return &ast.ArrayComprehension{Term: f.term(v.Term), Body: v.Body}
	case *ast.SetComprehension:
		f.body(v.Body)
		return &ast.SetComprehension{Term: f.term(v.Term), Body: v.Body}
	case *ast.ObjectComprehension:
		f.body(v.Body)
		return &ast.ObjectComprehension{Key: f.term(v.Key), Value: f.term(v.Value), Body: v.Body}
	case *ast.TemplateString:
		for _, part := range v.Parts {
			if e, isExpr := part.(*ast.Expr); isExpr {
				f.expr(e)
			}
		}
		return v
	}
	return nil
}
