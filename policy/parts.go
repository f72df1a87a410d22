package policy

import (
	"context"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// A decision collects what packages of rules say, each rule by itself. Where that is all that it does, the engine asks the
// rules itself, and remembers the answers of those that look at few parts of the input: the same parts give the same answer,
// since a policy is a function of its input. What was remembered is used only if every part that a rule could look at is the
// same, byte for byte. A policy that collects in another way is asked as a whole each time, and so is every policy about an
// input for which a rule or a built-in fails.

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

// parts asks a policy rule by rule.
type parts struct {
	compiler *ast.Compiler      // of the whole policy
	collects map[*ast.Rule]bool // of its rules those that collect

	spans *spanTable
	plain *program // for requests of which all of empties hold nothing
	any   *program
	// empties are the indexes of spans.
	empties []int
}

// fleeting are parts of the input that are hardly ever the same twice.
var fleeting = []inputPath{
	{"now"}, {"now", "unix"}, {"now", "rfc3339"}, {"windows"}, {"tx_info"}, {"evidence"}, {"evidence", "decoded"}, {"evidence", "transfer"},
	{"evidence", "reason"}, {"tx"}, {"tx", "to"}, {"tx", "to_tag"}, {"tx", "amount"}, {"tx", "amount_base"}, {"tx", "request_id"},
	{"tx", "input_id"}, {"tx", "fee"}, {"tx", "fee_base"}, {"tx", "gas_price"}, {"tx", "gas_limit"}, {"tx", "gas"},
	{"request"}, {"request", "callback_id"}, {"request", "message"}, {"request", "sino_id"}, {"request", "request_id"}, {"request", "path"},
	{"request", "to_address"}, {"request", "amount"}, {"request", "fee"}, {"request", "gas_price"}, {"request", "gas_limit"},
	{"call"}, {"call", "movements"},
}

// mostlyEmpty are parts of the input that hold nothing in plain transfers, and in other requests are hardly ever the same twice.
var mostlyEmpty = []inputPath{
	{"utxo"}, {"utxo", "inputs"}, {"utxo", "outputs"}, {"utxo", "fee_base"}, {"utxo", "fee_rate"}, {"utxo", "to_base"}, {"utxo", "paid_base"},
	{"brc20"}, {"runes"}, {"message"}, {"message", "text"}, {"message", "permits"}, {"call", "approvals"}, {"approvals"},
	{"evidence", "differences"}, {"tx", "problems"}, {"problems"}, {"unknown_fields"},
}

// newParts takes apart a policy that c has compiled of the modules. It returns nil for one that cannot be, which is no error: also
// where that panics, since a server takes apart what another process has tested and not taken apart.
func newParts(modules map[string]*ast.Module, c *ast.Compiler, base documents) (apart *parts) {
	defer func() {
		if recover() != nil {
			apart = nil
		}
	}()
	collects := collectingRules(modules, c)
	if collects == nil || asksForDecision(c, collects) {
		return nil
	}
	shared := newSharing(termsOfPolicy)
	shared.modules(c.Modules)
	return takeApart(c, collects, shared, base)
}

// takeApart is newParts of a policy that collects as is known. It may panic.
func takeApart(c *ast.Compiler, collects map[*ast.Rule]bool, shared *sharing, base documents) *parts {
	shared.placeless = true // where something fails in a part, the policy as a whole tells where
	rules, ok := outcomeRules(c, collects)
	if !ok || len(rules) == 0 {
		return nil
	}
	all, finder := reads{}, newReadsFinder(c)
	for _, r := range rules {
		found, ok := finder.ofRules(r.rule)
		if !ok {
			return nil
		}
		all.update(found)
	}
	if all.claimed() {
		return nil
	}
	var index map[inputPath]int
	p := &parts{compiler: c, collects: collects}
	p.spans, index = newSpanTable(all)
	p.plain = newProgram(finder, shared, base, rules, p.spans, index, fleeting)
	p.any = newProgram(finder, shared, base, rules, p.spans, index, slices.Concat(fleeting, mostlyEmpty))
	if p.plain == nil || p.any == nil {
		return nil
	}
	for _, path := range mostlyEmpty {
		if i, known := index[path]; known {
			p.empties = append(p.empties, i)
		}
	}
	return p
}

// over is the same about other data, with nothing remembered; nil where it panics, as newParts does.
func (p *parts) over(base documents) (out *parts) {
	if p == nil {
		return nil
	}
	defer func() {
		if recover() != nil {
			out = nil
		}
	}()
	other := *p
	if other.plain, other.any = p.plain.over(base), p.any.over(base); !other.plain.complete() || !other.any.complete() {
		return takeApart(p.compiler, p.collects, newSharing(termsOfPolicy), base) // about such data OPA has to be asked, with what was let go of
	}
	return &other
}

// empty remembers by the same parts, and nothing yet.
func (m *memory[T]) empty() *memory[T] {
	return &memory[T]{reads: m.reads, named: m.named, answers: map[string]*T{}}
}

// evaluate asks the rules. Whatever goes wrong, the policy as a whole says what comes of it.
func (p *parts) evaluate(ctx context.Context, d *inputDoc, a *asked) error {
	for _, i := range p.empties {
		if !holdsNothing(d.span(i)) {
			return p.any.evaluate(ctx, d, a)
		}
	}
	return p.plain.evaluate(ctx, d, a)
}

// holdsNothing reports whether JSON is missing, null or empty.
func holdsNothing(b []byte) bool {
	switch string(b) {
	case "", "null", "[]", "{}", `""`:
		return true
	}
	return false
}

// collectingRules are the rules that collect, as c has compiled them of the modules; nil unless they are all there, as they are known.
// A rule is known by how it is written, and found again behind the compiler, which writes it anew, by its place: the compiler gives
// each rule that of the one it was made of.
func collectingRules(modules map[string]*ast.Module, c *ast.Compiler) map[*ast.Rule]bool {
	known, err := ast.ParseModuleWithOpts("collecting", collecting, ast.ParserOptions{RegoVersion: ast.RegoV1})
	if err != nil {
		return nil
	}
	found, places := map[int]bool{}, map[*ast.Location]bool{}
	for _, m := range modules {
		if m.Package.Path.String() != rootPackage {
			continue
		}
		for _, r := range m.Rules {
			if i := slices.IndexFunc(known.Rules, r.Equal); i >= 0 && r.Location != nil {
				if places[r.Location] {
					return nil
				}
				found[i], places[r.Location] = true, true
			}
		}
	}
	out := map[*ast.Rule]bool{}
	for _, m := range c.Modules {
		for _, r := range m.Rules {
			if places[r.Location] {
				out[r] = true
			}
		}
	}
	if len(found) != len(known.Rules) || len(out) != len(places) {
		return nil
	}
	return out
}

// asksForDecision reports whether a rule could look at what is collected: then it has to be collected by Rego.
func asksForDecision(c *ast.Compiler, collects map[*ast.Rule]bool) bool {
	asks := false
	for _, m := range c.Modules {
		for _, rule := range m.Rules {
			if collects[rule] {
				continue
			}
			asks = asks || rule.Head.Name == "decision" && m.Package.Path.String() == rootPackage
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

// outcomeRules lists the rules by which the packages of rules and the deciding package itself have their say. It fails for
// packages of another form.
func outcomeRules(c *ast.Compiler, collects map[*ast.Rule]bool) (out []outcomeRule, ok bool) {
	root := ast.MustParseRef(rootPackage)
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
			node := c.RuleTree.Find(pkg.Append(ast.StringTerm(outcome)))
			if node == nil {
				continue
			}
			if len(node.Children) > 0 || len(node.Values) == 0 {
				return nil, false
			}
			for _, r := range node.Values {
				if collects[r] {
					continue
				}
				if r.Head.RuleKind() != ast.MultiValue || len(r.Head.Ref()) != 1 || r.Else != nil {
					return nil, false
				}
				out = append(out, outcomeRule{outcome, r})
			}
		}
	}
	return out, true
}

func (v *verdict) add(other *verdict) {
	v.Require = append(v.Require, other.Require...)
	v.Allow = append(v.Allow, other.Allow...)
	v.Reject = append(v.Reject, other.Reject...)
	v.Wait = append(v.Wait, other.Wait...)
}
