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
	rootPackage  = "data.countersign"
	rulesPackage = "data.countersign.rules"
)

// outcomes are the names under which a package of rules has its say; main.rego collects them.
var outcomes = []string{"allow", "reject", "wait", "require"}

// inputRoots and dataRoots are the names that exist at the top of input and data: another one would be undefined, and
// a rule that looks at it silent.
var (
	inputRoots = []string{
		"format", "request", "node", "requester", "tx_info", "tx", "brc20", "runes", "utxo", "call", "message", "evidence", "windows",
		"approvals", "now", "unknown_fields", "problems",
	}
	dataRoots = []string{
		"countersign", "request_types", "unknown_fields", "chains", "keygen", "limits", "windows", "addresses", "hours", "gas", "contracts", "allowances", "evidence", "messages", "raw",
		"pre_sign", "utxo", "brc20", "runes", "taproot", "typed_data", "permits", "groups", "custom",
	}
)

// linter refuses what compiles and yet would not do what it says.
type linter struct {
	roots  map[string]bool
	faults []string
}

// lint checks all modules, tests included, and returns an error that names file and line of every fault.
func lint(modules map[string]*ast.Module) error {
	l := &linter{roots: builtinRoots()}
	for _, name := range sortedKeys(modules) {
		m := modules[name]
		l.checkPackage(m)
		for _, i := range m.Imports {
			l.checkName(i.Location, importName(i))
		}
		for _, r := range m.Rules {
			l.checkRule(m, r, isTest(name))
		}
		l.checkTerms(m, isTest(name))
	}
	if len(l.faults) == 0 {
		return nil
	}
	slices.Sort(l.faults)
	return errors.New(strings.Join(slices.Compact(l.faults), "\n"))
}

func (l *linter) add(at *ast.Location, format string, args ...any) {
	l.faults = append(l.faults, fmt.Sprintf("%s:%d: %s", at.File, at.Row, fmt.Sprintf(format, args...)))
}

func (l *linter) checkPackage(m *ast.Module) {
	path := m.Package.Path.String()
	if path != rootPackage && !strings.HasPrefix(path, rootPackage+".") {
		l.add(m.Package.Location, "package %s: a policy's packages are countersign and those below it", strings.TrimPrefix(path, "data."))
	}
	if rest, below := strings.CutPrefix(path, rulesPackage); below && strings.Count(rest, ".") != 1 {
		l.add(m.Package.Location, "package %s: rules are collected from countersign.rules.<name> and nowhere else", strings.TrimPrefix(path, "data."))
	}
}

// checkName refuses names that take the place of an operator or built-in: with a rule gt, `a > b` would call it.
func (l *linter) checkName(at *ast.Location, name string) {
	if l.roots[name] {
		l.add(at, "the name %s takes the place of the operator or built-in of that name in this package: choose another", name)
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
	name := strings.Trim(r.Head.Ref()[0].Value.String(), `"`)
	l.checkName(r.Location, name)
	if test || !strings.HasPrefix(m.Package.Path.String(), rulesPackage+".") || !slices.Contains(outcomes, name) {
		return
	}
	if r.Head.RuleKind() != ast.MultiValue {
		l.add(r.Location, "rule %s: it has to be a set, written `%s contains ... if { ... }`", name, name)
	}
	if name != "require" && annotatedID(r) == "" {
		l.add(r.Location, "rule %s: its METADATA has no label id, which is what decisions and logs call it (docs/POLICY.md)", name)
	}
}

func (l *linter) checkTerms(m *ast.Module, test bool) {
	ast.WalkExprs(m, func(e *ast.Expr) bool {
		if len(e.With) > 0 && !test {
			l.add(e.With[0].Location, "`with` belongs to tests: in a policy it would judge something other than the request")
		}
		return false
	})
	ast.WalkTerms(m, func(t *ast.Term) bool {
		switch v := t.Value.(type) {
		case ast.Number:
			if strings.ContainsAny(string(v), ".eE") {
				l.add(t.Location, "the number %s: decimals do not add exactly, and exponents hide digits; write whole numbers", string(v))
			}
		case ast.Ref:
			l.checkRef(t.Location, v)
		}
		return false
	})
}

func (l *linter) checkRef(at *ast.Location, ref ast.Ref) {
	if b, ok := ast.BuiltinMap[ref.String()]; ok {
		if why := refusal(b); why != "" {
			l.add(at, "%s is refused: %s", operatorName(b), why)
		}
		return
	}
	root, ok := ref[0].Value.(ast.Var)
	if !ok || len(ref) < 2 {
		return
	}
	first, ok := ref[1].Value.(ast.String)
	switch {
	case !ok:
	case root == "input" && !slices.Contains(inputRoots, string(first)):
		l.add(at, "input.%s does not exist (docs/POLICY.md, \"Input\")", string(first))
	case root == "data" && !slices.Contains(dataRoots, string(first)):
		l.add(at, "data.%s does not exist (docs/POLICY.md, \"data.json\"): own data is data.custom", string(first))
	}
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
