package policy

import "github.com/open-policy-agent/opa/v1/ast"

// conditionParts are the expressions of a rule's body that look at steady parts of the input only. Where they do not hold,
// the rule says nothing.
type conditionParts struct {
	all   ast.Body
	drop  map[*ast.Expr]bool // of them, those with which the rest of the rule has no variable in common
	reads reads
}

// condition finds them. An expression is left out if a variable in it gets its value from one that is left out, and so is
// everything behind an expression that could fail as an error: an error has to be met as if nothing were remembered.
func (s *splitter) condition(r *ast.Rule) conditionParts {
	c := conditionParts{drop: map[*ast.Expr]bool{}, reads: reads{}}
	outside := ast.NewVarSet() // variables that get their value elsewhere
	for _, e := range r.Body {
		vars := varsOf(e)
		found, ok := s.finder.ofExpr(r, e)
		if ok && s.steady(found) && len(vars.Intersect(outside).Diff(inBody(c.all))) == 0 {
			c.all = append(c.all, e)
			c.reads.update(found)
			continue
		}
		if !s.total(e) {
			break
		}
		outside.Update(vars)
	}
	c.markDrops(r)
	return c
}

// markDrops marks the expressions whose variables stand nowhere else.
func (c *conditionParts) markDrops(r *ast.Rule) {
	for _, e := range c.all {
		c.drop[e] = true
	}
	for changed := true; changed; {
		changed = false
		used := headVars(r)
		for _, e := range r.Body {
			if !c.drop[e] {
				used.Update(varsOf(e))
			}
		}
		for _, e := range c.all {
			if c.drop[e] && len(varsOf(e).Intersect(used)) > 0 {
				c.drop[e], changed = false, true
			}
		}
	}
}

// value is an array that is empty where the condition does not hold.
func (c *conditionParts) value() *ast.Term {
	return ast.ArrayComprehensionTerm(ast.BooleanTerm(true), c.all)
}

// rest is what of a body remains to be asked where the condition holds.
func (c *conditionParts) rest(body ast.Body) ast.Body {
	var out ast.Body
	for _, e := range body {
		if !c.drop[e] {
			out.Append(e.Copy())
		}
	}
	if len(out) == 0 {
		out.Append(ast.NewExpr(ast.BooleanTerm(true)))
	}
	return out
}

func varsOf(e *ast.Expr) ast.VarSet {
	vars := e.Vars(ast.VarVisitorParams{SkipRefCallHead: true})
	return vars.Diff(ast.ReservedVars)
}

func headVars(r *ast.Rule) ast.VarSet {
	vis := ast.NewVarVisitor().WithParams(ast.VarVisitorParams{SkipRefCallHead: true})
	for _, t := range r.Head.Args {
		vis.Walk(t)
	}
	for _, t := range r.Head.Reference {
		vis.Walk(t)
	}
	if r.Head.Key != nil {
		vis.Walk(r.Head.Key)
	}
	if r.Head.Value != nil {
		vis.Walk(r.Head.Value)
	}
	return vis.Vars().Diff(ast.ReservedVars)
}

func inBody(b ast.Body) ast.VarSet {
	vars := ast.NewVarSet()
	for _, e := range b {
		vars.Update(varsOf(e))
	}
	return vars
}

// totals are the operators and built-ins that never fail as an error, whatever they are given.
var totals = map[string]bool{
	ast.Equality.Name: true, ast.Equal.Name: true, ast.NotEqual.Name: true, ast.Assign.Name: true,
	ast.LessThan.Name: true, ast.LessThanEq.Name: true, ast.GreaterThan.Name: true, ast.GreaterThanEq.Name: true,
	ast.Member.Name:  true,
	ast.IsArray.Name: true, ast.IsBoolean.Name: true, ast.IsNull.Name: true, ast.IsNumber.Name: true, ast.IsObject.Name: true,
	ast.IsSet.Name: true, ast.IsString.Name: true,
}

// total reports whether an expression cannot fail as an error: it calls nothing but totals, and asks no rule that is left.
func (s *splitter) total(e *ast.Expr) bool {
	is := true
	ast.WalkExprs(e, func(inner *ast.Expr) bool {
		is = is && len(inner.With) == 0 && (!inner.IsCall() || totals[inner.Operator().String()])
		return !is
	})
	ast.WalkTerms(e, func(t *ast.Term) bool {
		switch v := t.Value.(type) {
		case ast.Call:
			is = is && totals[v[0].String()]
		case ast.Ref:
			if v[0].Equal(ast.DefaultRootDocument) {
				doc, _ := s.remember(v)
				is = is && (doc != nil || len(s.compiler.GetRulesDynamicWithOpts(v, ast.RulesOptions{IncludeHiddenModules: true})) == 0)
			}
		}
		return !is
	})
	return is
}
