package policy

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// declared adds a rule to what is known of its id. Its title explains the id in lists; what an allow says that has no message is the
// title of that allow. Where several have none, and different titles, the result of an evaluation does not tell them apart: then
// all of their titles are said, so that none is claimed that does not hold.
func (i RuleInfo) declared(r *ast.Rule, id, file string) RuleInfo {
	if i.ID == "" {
		i = RuleInfo{ID: id, Title: title(r), File: file}
	}
	if said := title(r); saysNothing(r) && !slices.Contains(i.unsaid, said) {
		i.unsaid = append(slices.Clip(i.unsaid), said)
	}
	return i
}

// explained is what is said for a rule that says nothing itself.
func (i RuleInfo) explained() string {
	if len(i.unsaid) == 0 {
		return i.Title
	}
	return strings.Join(i.unsaid, "; or: ")
}

// saysNothing reports whether a rule is an allow whose element may be without a message.
func saysNothing(r *ast.Rule) bool {
	if ruleName(r) != "allow" {
		return false
	}
	if r.Head.Key == nil {
		return true
	}
	element, isObject := r.Head.Key.Value.(ast.Object)
	return !isObject || element.Get(ast.StringTerm("message")) == nil
}
