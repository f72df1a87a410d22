package policy

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// readKind is how much of a part of the input a rule looks at.
type readKind int

const (
	readsType  readKind = iota + 1 // whether it is there, and of which type
	readsWhole                     // all of it
)

// inputPath names a member of the input, or, with a second part, a member of that.
type inputPath [2]string

// reads are the parts of the input that rules look at. What is not among them cannot change what the rules say.
type reads map[inputPath]readKind

func (r reads) update(other reads) {
	for path, kind := range other {
		r.add(path, kind)
	}
}

func (r reads) add(path inputPath, kind readKind) { r[path] = max(r[path], kind) }

// readsFinder finds what rules look at, with all the rules that they ask. It may name too much and never too little. ok is
// false where that cannot be told: for rules that look at the input as a whole, or that replace parts of it (with).
type readsFinder struct {
	compiler *ast.Compiler
	known    map[*ast.Rule]*looks
	typed    map[*ast.Rule]map[*ast.Term]bool
}

func newReadsFinder(c *ast.Compiler) *readsFinder {
	return &readsFinder{compiler: c, known: map[*ast.Rule]*looks{}, typed: map[*ast.Rule]map[*ast.Term]bool{}}
}

// looks are what a part of a policy looks at by itself.
type looks struct {
	compiler *ast.Compiler
	typed    map[*ast.Term]bool // references of which the rule asks the type only
	found    reads
	asks     []*ast.Rule
	ok       bool
}

// ofRules returns what rules look at.
func (f *readsFinder) ofRules(rules ...*ast.Rule) (reads, bool) {
	return f.follow(&looks{asks: rules, ok: true})
}

// ofExpr returns what an expression of a rule's body looks at.
func (f *readsFinder) ofExpr(rule *ast.Rule, e *ast.Expr) (reads, bool) {
	return f.follow(f.look(e, f.typeReads(rule)))
}

// ofBody returns what a query looks at.
func (f *readsFinder) ofBody(body ast.Body) (reads, bool) { return f.follow(f.look(body, nil)) }

// follow adds what is asked to what is looked at.
func (f *readsFinder) follow(from *looks) (reads, bool) {
	out, ok := reads{}, from.ok
	out.update(from.found)
	seen := map[*ast.Rule]bool{}
	for todo := slices.Clone(from.asks); len(todo) > 0 && ok; {
		rule := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[rule] {
			continue
		}
		seen[rule] = true
		l := f.known[rule]
		if l == nil {
			l = f.look(rule, f.typeReads(rule))
			f.known[rule] = l
		}
		ok = l.ok
		out.update(l.found)
		todo = append(todo, l.asks...)
	}
	return out, ok
}

func (f *readsFinder) typeReads(rule *ast.Rule) map[*ast.Term]bool {
	known, done := f.typed[rule]
	if !done {
		known = typeReads(rule)
		f.typed[rule] = known
	}
	return known
}

// look looks at a rule, a body or an expression, in which nothing may be replaced.
func (f *readsFinder) look(x any, typed map[*ast.Term]bool) *looks {
	l := &looks{compiler: f.compiler, typed: typed, found: reads{}, ok: true}
	l.visit(x)
	ast.WalkExprs(x, func(e *ast.Expr) bool {
		l.ok = l.ok && len(e.With) == 0
		return !l.ok
	})
	return l
}

func (l *looks) visit(x any) {
	ast.WalkTerms(x, func(t *ast.Term) bool {
		switch v := t.Value.(type) {
		case ast.Var:
			if isRoot(t) { // not at the begin of a reference: the whole document
				l.ok = false
			}
		case ast.Ref:
			l.reference(t, v)
			return true
		}
		return !l.ok
	})
}

func isRoot(t *ast.Term) bool {
	return t.Equal(ast.InputRootDocument) || t.Equal(ast.DefaultRootDocument)
}

func (l *looks) reference(t *ast.Term, ref ast.Ref) {
	switch {
	case ref[0].Equal(ast.DefaultRootDocument):
		l.asks = append(l.asks, l.compiler.GetRulesDynamicWithOpts(ref, ast.RulesOptions{IncludeHiddenModules: true})...)
	case ref[0].Equal(ast.InputRootDocument):
		path, plain := pathOf(ref)
		kind := readsWhole
		if l.typed[t] && plain {
			kind = readsType
		}
		if path[0] == "" {
			l.ok = false
		} else {
			l.found.add(path, kind)
		}
	default:
		l.visit(ref[0])
	}
	for _, part := range ref[1:] { // references within, such as data.chains[input.tx.chain]
		l.visit(part)
	}
}

// pathOf is the part of the input that a reference begins with; plain says that it is all of the reference.
func pathOf(ref ast.Ref) (path inputPath, plain bool) {
	for i, part := range ref[1:] {
		name, isString := part.Value.(ast.String)
		if i == len(path) || !isString || name == "" {
			return path, false
		}
		path[i] = string(name)
	}
	return path, true
}

// typeChecks are the built-ins to which only the type of their argument matters.
var typeChecks = map[string]bool{
	ast.IsArray.Name: true, ast.IsBoolean.Name: true, ast.IsNull.Name: true, ast.IsNumber.Name: true, ast.IsObject.Name: true,
	ast.IsSet.Name: true, ast.IsString.Name: true,
}

// typeReads returns the references of a rule that do nothing but give their value to a type check. The compiler has bound
// them to variables of its own before: local = input.tx; is_object(local).
func typeReads(rule *ast.Rule) map[*ast.Term]bool {
	uses := map[ast.Var]int{}
	ast.WalkVars(rule, func(v ast.Var) bool { uses[v]++; return false })
	checked := map[ast.Var]bool{}
	bound := map[ast.Var]*ast.Term{}
	ast.WalkExprs(rule, func(e *ast.Expr) bool {
		terms, isCall := e.Terms.([]*ast.Term)
		if !isCall {
			return false
		}
		if len(terms) == 2 && typeChecks[terms[0].String()] {
			if v, isVar := terms[1].Value.(ast.Var); isVar {
				checked[v] = true
			}
		}
		if len(terms) == 3 && e.IsEquality() && !e.Negated {
			if v, isVar := terms[1].Value.(ast.Var); isVar && v.IsGenerated() {
				bound[v] = terms[2]
			}
		}
		return false
	})
	out := map[*ast.Term]bool{}
	for v, term := range bound {
		if checked[v] && uses[v] == 2 { // bound once and checked once
			out[term] = true
		}
	}
	return out
}
