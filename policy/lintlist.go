package policy

import (
	"slices"
	"sync"
)

// Lint is one thing that the linter looks for. docs/POLICY.md, "Lint", shows wrong and right code for each.
type Lint struct {
	Name      string `json:"name"`
	Refused   bool   `json:"refused"`   // a policy with it does not go live; otherwise it is a warning
	Ignorable bool   `json:"ignorable"` // a comment `# lint:ignore <name> <reason>` on its line or the line above lets it pass
	Why       string `json:"why"`       // how it bears on money
	Instead   string `json:"instead"`   // what to write
}

// Lints returns everything that the linter looks for, sorted by name.
func Lints() []Lint { return slices.Clone(lints) }

var lintsByName = sync.OnceValue(func() map[string]Lint {
	out := make(map[string]Lint, len(lints))
	for _, l := range lints {
		out[l.Name] = l
	}
	return out
})

// lints has to be sorted by name; a test holds it to docs/POLICY.md.
var lints = []Lint{
	{"address-case", true, true, "Rules see addresses in canonical form, EVM addresses in lower case: a comparison with capitals is never equal, so that a ban bans nobody.",
		"Write the address in lower case, or better put it into a list of data.json, where any case is read."},
	{"allow-by-absence", false, true, "In an allow, `not x` also holds where x is missing: a request that leaves the field out is approved.",
		"Ask for what has to be there first (is_string, is_number), or prove the positive."},
	{"amount-as-text", true, false, "The amount as it was sent is text, in a unit that differs from chain to chain: text is more than any number, and \"9\" is more than \"1000\".",
		"Compare the integer in base units beside it: input.tx.amount_base, data limits' max_base."},
	{"decimal", true, false, "Decimals do not add exactly (1.1 + 2.2 <= 3.3 is false), and exponents hide digits.",
		"Write whole numbers in base units, or amounts in coins as strings in data.json."},
	{"default-outcome", true, false, "A default is what holds when the rules say nothing: approval has to be proven.",
		"Leave it out: a set without elements says nothing, and the engine rejects what is not proven."},
	{"empty-test", false, true, "A test that looks at no rule passes whatever the policy does.",
		"Ask a rule: count(frozen.reject) == 1 with input as {...}."},
	{"foreign-package", true, false, "What stands elsewhere is not part of the decision.",
		"package countersign.rules.<name>, or countersign.<name> for helpers."},
	{"ignore-comment", true, false, "A comment that lets nothing pass, or does not say why, hides the next fault.",
		"# lint:ignore <name of a lint that may be ignored> <reason>, on the line of the finding or the line above."},
	{"loose-match", false, true, "A pattern that is not anchored, startswith, endswith and contains match what merely has the text in it.",
		"Compare whole values (==, in, a list of data.json), or anchor the pattern: ^...$."},
	{"missing-custom", true, true, "A name that data.json does not have under custom is undefined, and a rule that reads it is silent: a ban bans nobody.",
		"Add it to data.json custom, or correct the name; object.get with a default says what holds without it."},
	{"missing-id", true, false, "Decisions, logs and metrics call a rule by its id; the engine rejects everything where an id is declared nowhere.",
		"# METADATA with labels: id: own.rule above the rule."},
	{"never-true", true, true, "A rule with a condition that cannot hold never has its say: a ban bans nobody.",
		"Correct the condition, or delete the rule."},
	{"outcome-shape", true, false, "The engine rejects every request when one element of allow, reject, wait or require is of another shape.",
		"allow contains {\"id\": \"own.x\"}; reject contains {\"id\", \"message\"}; wait contains {\"id\", \"message\", \"seconds\"}; require contains \"own.x\"."},
	{"refused-builtin", true, false, "Its result loses digits, takes other things for numbers, or is not a function of the input, so that a recorded decision would not replay.",
		"Multiply the other side instead of dividing; use the *_base integers; the time is input.now."},
	{"shadowed-operator", true, false, "In its package the name takes the operator's place: with a rule gt, `a > b` calls it.",
		"Choose another name."},
	{"test-input", false, true, "A test whose input has a field that no request has proves nothing about requests.",
		"Correct the field; callback policy schema lists them."},
	{"type-mismatch", true, false, "Values of different types are never equal, and order by type: null is less than any number, a string more.",
		"Compare values of one type; ask is_number, is_string or is_null where a value may be missing."},
	{"uncollected-package", true, false, "Rules are collected from countersign.rules.<name> only: what stands deeper never has its say.",
		"package countersign.rules.<name>."},
	{"uncollected-rule", true, true, "Rules are collected from countersign.rules.<name> only: what stands elsewhere never has its say.",
		"Move the rule to a package countersign.rules.<name>, or give a helper another name."},
	{"unknown-field", true, false, "A field that does not exist is undefined, and a rule that looks at it is silent: a ban bans nobody.",
		"Correct the field: callback policy schema (input) and callback policy schema --rules (data) list them; own data is data.custom."},
	{"unknown-value", true, true, "The field has a few values, and the one that is compared is none of them: the condition cannot hold.",
		"Use one of the values that the schema lists (callback policy schema)."},
	{"unprovable-require", false, true, "Nothing proves what is required: every request for which it is required is rejected.",
		"Add an allow with this id, or correct the id."},
	{"unrequired-allow", false, true, "Nothing requires this proof, so that it decides nothing.",
		"Add require contains \"<id>\", or correct the id."},
	{"with-outside-test", true, false, "With `with` a rule judges something other than the request.",
		"Give the values to a function instead."},
}
