package policy

import (
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// paramPasses is through how many functions a value is followed.
const paramPasses = 2

// collectParams finds what functions are called with, tests apart. Only what all calls agree on is known of a parameter.
func (l *linter) collectParams() {
	for range paramPasses {
		next := map[string][]*shape{}
		for _, name := range sortedKeys(l.modules) {
			if !isTest(name) {
				l.collectCalls(l.modules[name], next)
			}
		}
		l.params = next
	}
}

func (l *linter) collectCalls(m *ast.Module, next map[string][]*shape) {
	s := l.scopeOf(m, false)
	for _, r := range m.Rules {
		for rule := r; rule != nil; rule = rule.Else {
			own := s.in(rule)
			call := func(terms []*ast.Term) {
				if ref, isRef := terms[0].Value.(ast.Ref); isRef && ast.BuiltinMap[ref.String()] == nil {
					note(next, functionPath(m, ref), own, terms[1:])
				}
			}
			ast.WalkExprs(ruleWithoutElse(rule), func(e *ast.Expr) bool {
				if terms, isCall := e.Terms.([]*ast.Term); isCall {
					call(terms)
				}
				return false
			})
			ast.WalkTerms(ruleWithoutElse(rule), func(t *ast.Term) bool {
				if terms, isCall := t.Value.(ast.Call); isCall {
					call(terms)
				}
				return false
			})
		}
	}
}

func note(next map[string][]*shape, path string, s scope, args []*ast.Term) {
	had, there := next[path]
	if !there {
		had = make([]*shape, len(args))
		next[path] = had
	}
	for i := range min(len(args), len(had)) { // a result behind the arguments is no parameter
		had[i] = merged(had[i], s.of(args[i]), !there)
	}
}

// functionPath is the path of a function as a module calls it.
func functionPath(m *ast.Module, ref ast.Ref) string {
	head, _ := ref[0].Value.(ast.Var)
	if head == "data" {
		return ref.String()
	}
	for _, i := range m.Imports {
		if importName(i) == string(head) {
			return strings.Join([]string{i.Path.String(), strings.TrimPrefix(ref.String(), string(head)+".")}, ".")
		}
	}
	return m.Package.Path.String() + "." + ref.String()
}
