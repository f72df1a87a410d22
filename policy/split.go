package policy

import (
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// A policy is split by what its rules look at. What looks only at steady parts of the input, such as the chain, the asset and
// the wallet, has the same value whenever those are the same: it is asked once and remembered. What is left, such as the
// comparison of an amount with the limits that were found, is asked each time, with what is remembered in its place.

// outcomeRule is a rule of allow, reject, wait or require of one package.
type outcomeRule struct {
	outcome string
	rule    *ast.Rule
}

// item is something whose value is remembered by the steady parts of the input that it looks at.
type item struct {
	reads reads
	group int
	value *ast.Term // an array of its value, empty where it is undefined; of a rule: the set of what it says

	name    string // of a document or a helper's condition: under which the rules that are left find it
	place   int    // of one with a name: its place among those of its group
	outcome string // of a rule of an outcome: which
	rule    int    // of the condition of a rule that is left: its index; else -1
}

// left is a rule of an outcome that is asked each time.
type left struct {
	outcome   string
	says      *ast.Term // the set of what it says
	condition bool      // it is asked only where its remembered condition holds
}

// splitter splits the rules of one compiled policy.
type splitter struct {
	compiler *ast.Compiler
	finder   *readsFinder
	fleeting map[inputPath]bool
	items    []*item
	left     []left
	docs     map[string]*item      // by the document's reference
	helpers  map[*ast.Rule]*helper // rules that the rules that are left ask
	known    map[*ast.Rule]bool    // whether a rule is steady
}

type helper struct {
	conditionParts
	item *item // nil: it has no condition
}

// rememberedPrefix begins the names under which remembered values are given to Rego beside the members of the input.
const rememberedPrefix = "remembered "

// steady reports whether what is read may be remembered.
func (s *splitter) steady(r reads) bool {
	for path, kind := range r {
		if kind == readsWhole && s.fleeting[path] {
			return false
		}
	}
	return true
}

func (s *splitter) steadyRule(r *ast.Rule) bool {
	is, known := s.known[r]
	if !known {
		found, ok := s.finder.ofRules(r)
		is = ok && s.steady(found)
		s.known[r] = is
	}
	return is
}

// document returns the rules of the document that a reference begins with, and the length of its name; none for functions,
// for data.json, and for references that mean more than one document.
func (s *splitter) document(ref ast.Ref) (rules []*ast.Rule, length int) {
	node := s.compiler.RuleTree
	for i, part := range ref {
		if i > 0 {
			if _, isString := part.Value.(ast.String); !isString {
				return nil, 0
			}
		}
		if node = node.Child(part.Value); node == nil {
			return nil, 0
		}
		if len(node.Values) > 0 {
			if slices.ContainsFunc(node.Values, func(r *ast.Rule) bool { return len(r.Head.Args) > 0 }) {
				return nil, 0
			}
			node.DepthFirst(func(n *ast.TreeNode) bool {
				rules = append(rules, n.Values...)
				return false
			})
			return rules, i + 1
		}
	}
	return nil, 0
}

// remember makes an item of a steady document, once; nil for one that is not steady.
func (s *splitter) remember(ref ast.Ref) (*item, int) {
	rules, length := s.document(ref)
	if len(rules) == 0 || slices.ContainsFunc(rules, func(r *ast.Rule) bool { return !s.steadyRule(r) }) {
		return nil, 0
	}
	name := ref[:length].String()
	if s.docs[name] == nil {
		found, _ := s.finder.ofRules(rules...)
		value := ast.VarTerm("value")
		s.docs[name] = &item{
			reads: found, name: name, rule: -1,
			value: ast.ArrayComprehensionTerm(value, ast.NewBody(ast.Equality.Expr(value, ast.NewTerm(ref[:length].Copy())))),
		}
		s.items = append(s.items, s.docs[name])
	}
	return s.docs[name], length
}

// split sorts the rules of outcomes into those that are remembered and those that are left.
func (s *splitter) split(rules []outcomeRule) {
	for _, r := range rules {
		if s.steadyRule(r.rule) {
			found, _ := s.finder.ofRules(r.rule)
			s.items = append(s.items, &item{
				reads: found, outcome: r.outcome, rule: -1, value: ast.SetComprehensionTerm(r.rule.Head.Key, r.rule.Body),
			})
			continue
		}
		c := s.condition(r.rule)
		l := left{outcome: r.outcome, condition: len(c.all) > 0}
		if l.condition {
			s.items = append(s.items, &item{reads: c.reads, value: c.value(), rule: len(s.left)})
		}
		rule := r.rule.Copy()
		rule.Body = c.rest(r.rule.Body)
		s.follow(rule)
		l.says = ast.SetComprehensionTerm(rule.Head.Key, rule.Body)
		s.left = append(s.left, l)
	}
}

// follow finds the documents that a rule that is left asks, and the helpers that are left with it.
func (s *splitter) follow(x any) {
	ast.WalkRefs(x, func(ref ast.Ref) bool {
		if !ref[0].Equal(ast.DefaultRootDocument) {
			return false
		}
		if doc, _ := s.remember(ref); doc != nil {
			return false // and into what is behind its name
		}
		for _, r := range s.compiler.GetRulesDynamicWithOpts(ref, ast.RulesOptions{IncludeHiddenModules: true}) {
			s.help(r)
		}
		return false
	})
}

func (s *splitter) help(r *ast.Rule) {
	if s.helpers[r] != nil {
		return
	}
	h := &helper{}
	s.helpers[r] = h
	if len(r.Head.Args) == 0 && r.Else == nil && !r.Default && !s.steadyRule(r) {
		if h.conditionParts = s.condition(r); len(h.all) > 0 {
			h.item = &item{reads: h.reads, value: h.value(), rule: -1, name: "condition " + strconv.Itoa(len(s.items))}
			s.items = append(s.items, h.item)
		}
	}
	rest := r.Copy()
	rest.Body = h.rest(r.Body)
	s.follow(rest)
}

// group puts items that look at the same parts, or at some of them, together.
func (s *splitter) group() []reads {
	order := slices.Clone(s.items)
	slices.SortStableFunc(order, func(a, b *item) int { return len(b.reads) - len(a.reads) })
	var groups []reads
	for _, it := range order {
		it.group = slices.IndexFunc(groups, it.reads.within)
		if it.group < 0 {
			it.group, groups = len(groups), append(groups, it.reads)
		}
	}
	return groups
}

// modules returns the helpers that are left, with what is remembered in the place of what asks for it.
func (s *splitter) modules() map[string]*ast.Module {
	out := make(map[string]*ast.Module, len(s.compiler.Modules))
	for name, m := range s.compiler.Modules {
		left := &ast.Module{Package: m.Package.Copy()}
		left.SetRegoVersionSpan(ast.RegoVersionSpanOf(ast.RegoV1))
		for _, r := range m.Rules {
			h := s.helpers[r]
			if h == nil {
				continue
			}
			c := r.Copy()
			for each := c; each != nil; each = each.Else {
				each.Module, each.Annotations = left, nil
			}
			if h.item != nil {
				c.Body = append(ast.NewBody(ast.NewExpr(h.item.ref())), h.rest(r.Body)...)
			}
			s.replacing().rule(c)
			left.Rules = append(left.Rules, c)
		}
		out[name] = left
	}
	return out
}

// replacing puts the remembered value in the place of each document that is remembered.
func (s *splitter) replacing() replacement {
	return func(ref ast.Ref) ast.Ref {
		if !ref[0].Equal(ast.DefaultRootDocument) {
			return ref
		}
		if doc, length := s.remember(ref); doc != nil {
			return append(doc.ref().Value.(ast.Ref), ref[length:]...)
		}
		return ref
	}
}

// ref is where the item's value is found by rules that are left.
func (it *item) ref() *ast.Term {
	return ast.RefTerm(ast.InputRootDocument, ast.StringTerm(groupName(it.group)), ast.StringTerm(it.name))
}

func groupName(group int) string { return rememberedPrefix + strconv.Itoa(group) }

// within reports whether everything that is read is also read by the other.
func (r reads) within(other reads) bool {
	for path, kind := range r {
		if other[path] < kind {
			return false
		}
	}
	return true
}

// claimed reports whether a rule looks at what only the engine puts beside the input.
func (r reads) claimed() bool {
	for path := range r {
		if strings.HasPrefix(path[0], rememberedPrefix) {
			return true
		}
	}
	return false
}
