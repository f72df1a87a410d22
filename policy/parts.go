package policy

import (
	"context"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
)

// A decision collects what packages of rules say, each by itself. Where that is all that it does, the engine asks the packages
// itself and remembers the answers of those that look at few parts of the input: the same parts give the same answer, since
// a policy is a function of its input. What was remembered is used only if every part that the rules could look at is the
// same, byte for byte. A policy that collects in another way is asked as a whole each time.

// collecting is how the shipped main.rego collects.
const collecting = `package countersign

decision := {"allow": allow, "reject": reject, "wait": wait, "require": require}

require contains id if {
	some name
	some id in data.countersign.rules[name].require
}

allow contains say if {
	some name
	some say in data.countersign.rules[name].allow
}

reject contains say if {
	some name
	some say in data.countersign.rules[name].reject
}

wait contains say if {
	some name
	some say in data.countersign.rules[name].wait
}
`

// mainPackage is the package that decides.
const mainPackage = "data.countersign"

// parts asks a policy package by package.
type parts struct {
	units    []*unit
	passing  []*unit // those whose answers are not worth remembering
	all, few rego.PreparedEvalQuery
	spans    spanTable
}

// unit is one of allow, reject, wait and require of one package.
type unit struct {
	outcome string
	ref     ast.Ref
	reads   reads
	memory  *memory // nil: it is asked each time
}

// fleeting are parts of the input that are hardly ever the same twice.
var fleeting = []inputPath{
	{"now"}, {"now", "unix"}, {"now", "rfc3339"}, {"windows"}, {"tx"}, {"tx", "to"}, {"tx", "amount"}, {"tx", "amount_base"}, {"tx", "request_id"},
	{"tx_info"}, {"request"}, {"request", "callback_id"}, {"request", "message"}, {"request", "sino_id"}, {"request", "request_id"},
	{"evidence"}, {"evidence", "decoded"}, {"evidence", "transfer"},
}

// newParts takes a policy apart. It returns nil for one that cannot be, which is no error.
func newParts(ctx context.Context, modules map[string]*ast.Module, store storage.Store) (*parts, error) {
	if !takeCollecting(modules) {
		return nil, nil
	}
	c := newCompiler()
	if c.Compile(modules); c.Failed() {
		return nil, nil // such as an import that only the collecting rules used
	}
	if asksForDecision(c) {
		return nil, nil
	}
	units, ok := unitsOf(c)
	if !ok || len(units) == 0 {
		return nil, nil
	}
	p, all := &parts{units: units}, reads{}
	for _, u := range units {
		if u.reads, ok = readsOf(c, c.RuleTree.Find(u.ref).Values); !ok {
			return nil, nil
		}
		for path, kind := range u.reads {
			all.add(path, kind)
		}
	}
	var index map[inputPath]int
	p.spans, index = newSpanTable(all)
	for _, u := range units {
		if slices.ContainsFunc(fleeting, func(path inputPath) bool { return u.reads[path] == readsWhole }) {
			p.passing = append(p.passing, u)
		} else {
			u.memory = newMemory(u.reads, index)
		}
	}
	var err error
	if p.all, err = ask(ctx, c, store, p.units); err == nil {
		p.few, err = ask(ctx, c, store, p.passing)
	}
	return p, err
}

// takeCollecting removes the rules that collect from the modules, and reports whether they are all there, as they are known.
func takeCollecting(modules map[string]*ast.Module) bool {
	known, err := ast.ParseModuleWithOpts("collecting", collecting, ast.ParserOptions{RegoVersion: ast.RegoV1})
	if err != nil {
		return false
	}
	found := map[int]bool{}
	for _, m := range modules {
		if m.Package.Path.String() != mainPackage {
			continue
		}
		m.Rules = slices.DeleteFunc(m.Rules, func(r *ast.Rule) bool {
			i := slices.IndexFunc(known.Rules, r.Equal)
			if i >= 0 {
				found[i] = true
			}
			return i >= 0
		})
	}
	return len(found) == len(known.Rules)
}

// asksForDecision reports whether a rule could look at what is collected: then it has to be collected by Rego.
func asksForDecision(c *ast.Compiler) bool {
	asks := false
	for _, m := range c.Modules {
		for _, rule := range m.Rules {
			asks = asks || rule.Head.Name == "decision" && m.Package.Path.String() == mainPackage
			ast.WalkRefs(rule, func(ref ast.Ref) bool {
				asks = asks || ref[0].Equal(ast.DefaultRootDocument) && meansCollected(ref)
				return asks
			})
		}
	}
	return asks
}

// meansCollected reports whether a reference into data could mean data.countersign.allow and the like.
func meansCollected(ref ast.Ref) bool {
	for i, part := range ref[1:] {
		name, isString := part.Value.(ast.String)
		switch {
		case !isString:
			return true
		case i == 0 && name != "countersign":
			return false
		case i == 1:
			return name == "decision" || slices.Contains(outcomes, string(name))
		}
	}
	return true // data, or data.countersign as a whole
}

// unitsOf lists what the packages of rules and the deciding package itself say. It fails for packages of another form.
func unitsOf(c *ast.Compiler) (units []*unit, ok bool) {
	root := ast.MustParseRef(mainPackage)
	packages := []ast.Ref{root}
	rules := c.RuleTree.Find(ast.MustParseRef(rulesPackage))
	if rules == nil || len(rules.Values) > 0 {
		return nil, false
	}
	for _, name := range rules.Sorted {
		if len(rules.Child(name).Values) > 0 { // a rule in place of a package
			return nil, false
		}
		packages = append(packages, ast.MustParseRef(rulesPackage).Append(ast.NewTerm(name)))
	}
	for _, pkg := range packages {
		for _, outcome := range outcomes {
			ref := pkg.Append(ast.StringTerm(outcome))
			node := c.RuleTree.Find(ref)
			if node == nil {
				continue
			}
			if len(node.Children) > 0 || len(node.Values) == 0 ||
				slices.ContainsFunc(node.Values, func(r *ast.Rule) bool { return r.Head.RuleKind() != ast.MultiValue || len(r.Head.Ref()) != 1 }) {
				return nil, false
			}
			units = append(units, &unit{outcome: outcome, ref: ref})
		}
	}
	return units, true
}

// ask prepares the query for what units say: an array of sets, in the units' order.
func ask(ctx context.Context, c *ast.Compiler, store storage.Store, units []*unit) (rego.PreparedEvalQuery, error) {
	refs := make([]string, len(units))
	for i, u := range units {
		refs[i] = u.ref.String()
	}
	return prepare(ctx, c, store, "["+strings.Join(refs, ", ")+"]")
}

// evaluate asks the units, but for those whose answer is remembered, and collects what they say.
func (p *parts) evaluate(ctx context.Context, d inputDoc) (verdict, error) {
	var out verdict
	keys := make(map[*unit]string, len(p.units))
	known := true
	for _, u := range p.units {
		if u.memory == nil {
			continue
		}
		answer, key := u.memory.look(d)
		keys[u] = key
		if answer == nil {
			known = false
			continue
		}
		out.add(answer)
	}
	units, query := p.passing, p.few
	if !known {
		out, units, query = verdict{}, p.units, p.all
	}
	if len(units) == 0 {
		return out, nil
	}
	answers, err := run(ctx, query, d.value)
	if err != nil {
		return out, err
	}
	list, isArray := answers.(*ast.Array)
	if !isArray || list.Len() != len(units) {
		return out, errUndefined
	}
	for i, u := range units {
		answer := &verdict{}
		if err := answer.readMember(u.outcome, list.Elem(i).Value); err != nil {
			return out, &shapeError{err}
		}
		if u.memory != nil {
			u.memory.keep(keys[u], answer)
		}
		out.add(answer)
	}
	return out, nil
}

func (v *verdict) add(other *verdict) {
	v.Require = append(v.Require, other.Require...)
	v.Allow = append(v.Allow, other.Allow...)
	v.Reject = append(v.Reject, other.Reject...)
	v.Wait = append(v.Wait, other.Wait...)
}
