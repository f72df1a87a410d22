package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// The packages of a policy.
const (
	rootPackage  = "data.countersign" // it decides
	rulesPackage = "data.countersign.rules"
)

// outcomes are the names under which a package of rules has its say; main.rego collects them.
var outcomes = []string{"allow", "reject", "wait", "require"}

// Finding is what the linter has to say about a place in a module.
type Finding struct {
	File    string `json:"file"`
	Row     int    `json:"row"`     // from 1
	Col     int    `json:"col"`     // from 1, in bytes
	Lint    string `json:"lint"`    // name of one of [Lints]
	Refused bool   `json:"refused"` // a policy with it does not go live; otherwise it is a warning
	Message string `json:"message"` // what is wrong here
}

// String is the finding on one line: place, message and the lint's name.
func (f Finding) String() string {
	return fmt.Sprintf("%s:%d:%d: %s [%s]", f.File, f.Row, f.Col, f.Message, f.Lint)
}

// Lint looks for what compiles and yet would not do what it says, in all modules, tests included. The findings are sorted by
// place. An error says that a module does not parse.
func (s *Source) Lint() ([]Finding, error) {
	modules, err := s.parse()
	if err != nil {
		return nil, err
	}
	return findings(modules, s.Data)
}

// lint returns an error that names file and line of every fault for which a policy with this data.json is refused.
func lint(modules map[string]*ast.Module, data []byte) error {
	all, err := findings(modules, data)
	if err != nil {
		return err
	}
	return refusalOf(all)
}

// refusalOf is the error for the findings that keep a policy from going live; nil for none.
func refusalOf(all []Finding) error {
	var refused []string
	for _, f := range all {
		if f.Refused {
			refused = append(refused, f.String())
		}
	}
	if len(refused) == 0 {
		return nil
	}
	return errors.New(strings.Join(refused, "\n"))
}

// linter collects findings.
type linter struct {
	roots    map[string]bool
	shapes   map[ast.Var]*shape // with data.custom as it is in data.json; tests give their own
	open     map[ast.Var]*shape // for tests: nothing is known of data.custom
	modules  map[string]*ast.Module
	params   map[string][]*shape // of functions, by path: what every call gives
	found    []Finding
	ids      map[string]bool // that METADATA declares
	produced map[string]bool // ids that allow or wait can give
	asked    map[string]bool // texts that require may name
	computed bool            // some allow or wait gives an id that is computed
}

func findings(modules map[string]*ast.Module, data []byte) ([]Finding, error) {
	return findingsBy(modules, data, (*linter).types)
}

// findingsBy is findings where types looks at what follows values through rules; nil: nothing does.
func findingsBy(modules map[string]*ast.Module, data []byte, types func(*linter) error) ([]Finding, error) {
	known, err := shapes()
	if err != nil {
		return nil, err
	}
	l := &linter{roots: builtinRoots(), shapes: withCustom(known, data), open: known, modules: modules}
	l.collectIDs()
	l.collectParams()
	for _, name := range sortedKeys(modules) {
		l.module(modules[name], isTest(name))
	}
	if types != nil {
		if err := types(l); err != nil {
			return nil, err
		}
	}
	l.ignore()
	slices.SortFunc(l.found, compareFindings)
	return slices.CompactFunc(l.found, samePlace), nil
}

func compareFindings(a, b Finding) int {
	if c := strings.Compare(a.File, b.File); c != 0 {
		return c
	}
	if a.Row != b.Row {
		return a.Row - b.Row
	}
	if a.Col != b.Col {
		return a.Col - b.Col
	}
	if c := strings.Compare(a.Lint, b.Lint); c != 0 {
		return c
	}
	return strings.Compare(a.Message, b.Message)
}

// samePlace says that two findings are the same fault, as the linter and the compiler's types see it.
func samePlace(a, b Finding) bool {
	return a.File == b.File && a.Row == b.Row && a.Lint == b.Lint && (a.Col == b.Col || a.Message == b.Message)
}

func (l *linter) add(at *ast.Location, name, format string, args ...any) {
	if at == nil {
		return
	}
	l.found = append(l.found, Finding{
		File: at.File, Row: at.Row, Col: at.Col, Lint: name, Refused: lintsByName()[name].Refused, Message: fmt.Sprintf(format, args...),
	})
}

func (l *linter) module(m *ast.Module, test bool) {
	l.checkPackage(m)
	for _, i := range m.Imports {
		l.checkName(i.Location, importName(i))
		if ref, ok := i.Path.Value.(ast.Ref); ok {
			l.checkRef(scope{shapes: l.open}, i.Location, ref)
		}
	}
	s := l.scopeOf(m, test)
	for _, r := range m.Rules {
		l.checkRule(m, r, test)
		for rule := r; rule != nil; rule = rule.Else {
			own := s.in(rule)
			l.conditions(own, rule, test)
			if !test {
				l.addresses(own, rule)
			}
		}
	}
	l.checkTerms(m, test)
}

func (l *linter) checkPackage(m *ast.Module) {
	path := m.Package.Path.String()
	name := strings.TrimPrefix(path, "data.")
	if path != rootPackage && !strings.HasPrefix(path, rootPackage+".") {
		l.add(m.Package.Location, "foreign-package", "package %s: a policy's packages are countersign and those below it", name)
	}
	if rest, below := strings.CutPrefix(path, rulesPackage); below && strings.Count(rest, ".") != 1 {
		l.add(m.Package.Location, "uncollected-package", "package %s: rules are collected from countersign.rules.<name> and nowhere else", name)
	}
}

// checkName refuses names that take the place of an operator or built-in: with a rule gt, `a > b` would call it.
func (l *linter) checkName(at *ast.Location, name string) {
	if l.roots[name] {
		l.add(at, "shadowed-operator", "the name %s takes the place of the operator or built-in of that name in this package: choose another", name)
	}
}

func importName(i *ast.Import) string {
	if i.Alias != "" {
		return string(i.Alias)
	}
	ref, ok := i.Path.Value.(ast.Ref)
	if !ok {
		return i.Path.String()
	}
	last, ok := ref[len(ref)-1].Value.(ast.String)
	if !ok {
		return ref.String()
	}
	return string(last)
}

func (l *linter) checkRule(m *ast.Module, r *ast.Rule, test bool) {
	name := ruleName(r)
	l.checkName(r.Location, name)
	path := m.Package.Path.String()
	if r.Default && !test && (slices.Contains(outcomes, name) || name == "decision") {
		l.add(r.Location, "default-outcome", "default %s: it would hold where the rules say nothing", name)
		return
	}
	if test {
		l.checkTest(r, name)
		return
	}
	if !slices.Contains(outcomes, name) {
		return
	}
	switch {
	case strings.HasPrefix(path, rulesPackage+"."):
		l.checkOutcome(r, name)
	case path != rootPackage && path != rulesPackage && r.Head.RuleKind() == ast.MultiValue:
		l.add(r.Location, "uncollected-rule", "rule %s of package %s: it has its say only in a package countersign.rules.<name>", name, strings.TrimPrefix(path, "data."))
	}
}

// ruleName is the first part of a rule's name.
func ruleName(r *ast.Rule) string { return strings.Trim(r.Head.Ref()[0].Value.String(), `"`) }

func (l *linter) checkTerms(m *ast.Module, test bool) {
	ast.WalkExprs(m, func(e *ast.Expr) bool {
		if len(e.With) > 0 && !test {
			l.add(e.With[0].Location, "with-outside-test", "`with` belongs to tests: in a policy it would judge something other than the request")
		}
		return false
	})
	ast.WalkTerms(m, func(t *ast.Term) bool {
		switch v := t.Value.(type) {
		case ast.Number:
			if strings.ContainsAny(string(v), ".eE") {
				l.add(t.Location, "decimal", "the number %s: decimals do not add exactly, and exponents hide digits; write whole numbers", string(v))
			}
		case ast.Ref:
			if b, ok := ast.BuiltinMap[v.String()]; ok {
				if why := refusal(b); why != "" {
					l.add(t.Location, "refused-builtin", "%s is refused: %s", operatorName(b), why)
				}
			}
		}
		return false
	})
}

func operatorName(b *ast.Builtin) string {
	if b.Infix != "" {
		return "`" + b.Infix + "`"
	}
	return b.Name
}

// annotatedID returns the label id of the METADATA above a rule.
func annotatedID(r *ast.Rule) string {
	for _, a := range r.Annotations {
		if id, ok := a.Labels["id"].(string); ok {
			return id
		}
	}
	return ""
}
