package policy

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// literalAt is where a term stands in a module, from 1.
type literalAt struct{ row, col int }

// addresses tells of EVM addresses with capitals in a rule, wherever they stand: in a list that something is looked up in, or
// as a name for one. Those beside a part of the input that is not in canonical form are let pass.
func (l *linter) addresses(s scope, r *ast.Rule) {
	beside := map[literalAt]bool{} // in an expression about such a part
	rule := ruleWithoutElse(r)
	ast.WalkExprs(rule, func(e *ast.Expr) bool { // the outer ones first
		lax := s.lax(e)
		l.eachCapital(e, func(t *ast.Term) { beside[literalAt{t.Location.Row, t.Location.Col}] = lax })
		return false
	})
	l.eachCapital(rule, func(t *ast.Term) {
		if !beside[literalAt{t.Location.Row, t.Location.Col}] && !l.toldOf(t.Location) {
			l.add(t.Location, "address-case", "the address %s has capitals: rules see addresses in lower case", t)
		}
	})
}

func (l *linter) eachCapital(in any, do func(*ast.Term)) {
	ast.WalkTerms(in, func(t *ast.Term) bool {
		if text, isText := t.Value.(ast.String); isText && t.Location != nil && isCapitalAddress(string(text)) {
			do(t)
		}
		return false
	})
}

// toldOf says that the condition on this line was found to compare with an address with capitals.
func (l *linter) toldOf(at *ast.Location) bool {
	for _, f := range l.found {
		if f.Lint == "address-case" && f.File == at.File && f.Row == at.Row {
			return true
		}
	}
	return false
}

// lax says that an expression is about a part of the input that is not in canonical form.
func (s scope) lax(e *ast.Expr) bool {
	found := false
	ast.WalkRefs(e, func(ref ast.Ref) bool {
		of, _, _ := s.walk(ref)
		found = found || isOpen(ref) || of != nil && of.lax
		return found
	})
	return found
}

// ownCapitals tells of an address with capitals in data.custom that a term is compared with.
func (l *linter) ownCapitals(at *ast.Location, t *ast.Term, of *shape, capital string) {
	if ref, isRef := t.Value.(ast.Ref); isRef && isOpen(ref) {
		return
	}
	if capital == "" || of.Type != "string" || of.own || of.lax {
		return
	}
	l.add(at, "address-case", "%s is never %q, which stands in data.custom: rules see it in lower case", oneLine(t.String(), maxWritten), capital)
}

// checkOwn tells of keys that are looked up in an object of data.custom: addresses with capitals are among its keys.
func (l *linter) checkOwn(s scope, at *ast.Location, ref ast.Ref) {
	for i := 1; i < len(ref); i++ {
		before, _, known := s.walk(ref[:i])
		if !known || before == nil || before.keyed == "" {
			continue
		}
		if of := s.of(ref[i]); of != nil {
			l.ownCapitals(at, ref[i], of, before.keyed)
		}
	}
}
