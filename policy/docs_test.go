package policy_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/policy"
)

// TestManualIsTrue holds docs/POLICY.md against the engine: every rule, every field of the input and every key of
// data.json stands there, and its example of a rule passes its example of a test.
func TestManualIsTrue(t *testing.T) {
	b, err := os.ReadFile("../docs/POLICY.md")
	must(t, err)
	manual := string(b)
	mentions := func(what, name string) {
		if !regexp.MustCompile("[`, .]" + regexp.QuoteMeta(name) + "[`,.\\[]").MatchString(manual) {
			t.Errorf("docs/POLICY.md does not mention %s %s", what, name)
		}
	}
	e := demoEngine(t)
	for _, r := range e.Rules() {
		mentions("rule", r.ID)
	}
	in := transfer(e, "6000000000")
	in.UTXO = &policy.UTXO{}
	for _, name := range fields(t, in) {
		mentions("input field", name)
	}
	modules := regexp.MustCompile(`(?m)^    package countersign\.(?:.*\n|\n)(?:    .*\n|\n)+`).FindAllString(manual, -1)
	if len(modules) != 2 {
		t.Fatalf("docs/POLICY.md has %d example modules, want a rule and its test", len(modules))
	}
	s := source(t, set(demoData(), "custom.frozen_wallets", object{}))
	for i, name := range []string{"frozen.rego", "frozen_test.rego"} {
		s.Modules[name] = []byte(strings.ReplaceAll("\n"+modules[i], "\n    ", "\n"))
	}
	delete(s.Modules, "passing_test.rego")
	_, err = policy.New(t.Context(), policy.Config{Source: s, Timeout: unhurried})
	must(t, err)
}

// fields returns the names of the input's members and of those of its objects, but for what is inside tx_info.
func fields(t testing.TB, in policy.Input) []string {
	t.Helper()
	b, err := in.Canonical()
	must(t, err)
	var members map[string]json.RawMessage
	must(t, json.Unmarshal(b, &members))
	var names []string
	for name, value := range members {
		var inner map[string]json.RawMessage
		if name == "tx_info" || name == "format" || json.Unmarshal(value, &inner) != nil {
			continue
		}
		names = append(names, name)
		for field := range inner {
			names = append(names, field)
		}
	}
	return names
}

// TestEveryFieldIsKnownToTheLint reads each member of the input and of the data in a policy: none may be refused.
func TestEveryFieldIsKnownToTheLint(t *testing.T) {
	e := demoEngine(t)
	b, err := transfer(e, "1").Canonical()
	must(t, err)
	data, err := parse(t, demoData())
	must(t, err)
	var module strings.Builder
	module.WriteString("package countersign.own\n")
	for root, document := range map[string][]byte{"input": b, "data": data.Canonical()} {
		var members map[string]json.RawMessage
		must(t, json.Unmarshal(document, &members))
		for name := range members {
			fmt.Fprintf(&module, "\n%s_%s := %s.%s\n", root, name, root, name)
		}
	}
	s := source(t, demoData())
	s.Modules["own.rego"] = []byte(module.String())
	_, err = policy.New(t.Context(), policy.Config{Source: s, Timeout: unhurried})
	must(t, err)
}
