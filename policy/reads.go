package policy

import "github.com/open-policy-agent/opa/v1/ast"

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

func (r reads) add(path inputPath, kind readKind) { r[path] = max(r[path], kind) }

// readsOf finds what rules look at, with all the rules that they ask. It may name too much and never too little. ok is false
// where that cannot be told: for rules that look at the input as a whole, or that replace parts of it (with).
func readsOf(c *ast.Compiler, rules []*ast.Rule) (out reads, ok bool) {
	f := readsFinder{compiler: c, found: reads{}, ok: true}
	seen := map[*ast.Rule]bool{}
	for f.rules = rules; len(f.rules) > 0 && f.ok; {
		rule := f.rules[len(f.rules)-1]
		f.rules = f.rules[:len(f.rules)-1]
		if !seen[rule] {
			seen[rule] = true
			f.typed = typeReads(rule)
			f.visit(rule)
			ast.WalkExprs(rule, func(e *ast.Expr) bool {
				f.ok = f.ok && len(e.With) == 0
				return !f.ok
			})
		}
	}
	return f.found, f.ok
}

type readsFinder struct {
	compiler *ast.Compiler
	rules    []*ast.Rule        // still to be looked at
	typed    map[*ast.Term]bool // references of which the present rule asks the type only
	found    reads
	ok       bool
}

func (f *readsFinder) visit(x any) {
	ast.WalkTerms(x, func(t *ast.Term) bool {
		switch v := t.Value.(type) {
		case ast.Var:
			if isRoot(t) { // not at the begin of a reference: the whole document
				f.ok = false
			}
		case ast.Ref:
			f.reference(t, v)
			return true
		}
		return !f.ok
	})
}

func isRoot(t *ast.Term) bool {
	return t.Equal(ast.InputRootDocument) || t.Equal(ast.DefaultRootDocument)
}

func (f *readsFinder) reference(t *ast.Term, ref ast.Ref) {
	switch {
	case ref[0].Equal(ast.DefaultRootDocument):
		f.rules = append(f.rules, f.compiler.GetRulesDynamicWithOpts(ref, ast.RulesOptions{IncludeHiddenModules: true})...)
	case ref[0].Equal(ast.InputRootDocument):
		path, plain := pathOf(ref)
		kind := readsWhole
		if f.typed[t] && plain {
			kind = readsType
		}
		if path[0] == "" {
			f.ok = false
		} else {
			f.found.add(path, kind)
		}
	default:
		f.visit(ref[0])
	}
	for _, part := range ref[1:] { // references within, such as data.chains[input.tx.chain]
		f.visit(part)
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
