package policy_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/countersign-mpc/countersign/policy"
)

func TestCompare(t *testing.T) {
	from := source(t, demoData())
	changed := demoData()
	set(changed, "windows", object{"few": object{"measure": "count", "lifetime": true, "max": "5"}})
	changed["limits"].(object)["ETH"].(object)["USDT_ETH"].([]object)[0]["max"] = "6000"
	delete(changed["addresses"].(object), "ETH")
	to := source(t, changed)
	to.Modules["own.rego"] = []byte("package countersign.rules.own\n\n# METADATA\n# title: Never\n# labels:\n#   id: own.never\nreject contains {\"id\": \"own.never\", \"message\": \"no\"} if input.node.id == \"nobody\"\n")
	delete(to.Modules, "runes.rego")
	to.Modules["limits.rego"] = append([]byte("# another text\n"), to.Modules["limits.rego"]...)
	replace := func(name, what, by string) {
		if !bytes.Contains(to.Modules[name], []byte(what)) {
			t.Fatalf("%s does not hold %q", name, what)
		}
		to.Modules[name] = bytes.ReplaceAll(to.Modules[name], []byte(what), []byte(by))
	}
	replace("limits.rego", "lib.amount > limit.max_base", "lib.amount >= limit.max_base")
	replace("gas.rego", "input.tx.gas[field] <= cap.base", "input.tx.gas[field] < cap.base")
	build := func(s *policy.Source) *policy.Engine {
		e, err := policy.New(t.Context(), policy.Config{Source: s, Timeout: unhurried})
		must(t, err)
		return e
	}
	a, b := build(from), build(to)
	d, err := a.Compare(b)
	must(t, err)
	if d.From != a.Revision() || d.To != b.Revision() || !slices.Equal(d.RulesAdded, []string{"own.never"}) || !slices.Contains(d.RulesRemoved, "runes.limit.max") ||
		!slices.Equal(d.ModulesAdded, []string{"own.rego"}) || !slices.Equal(d.ModulesRemoved, []string{"runes.rego"}) || !slices.Equal(d.ModulesChanged, []string{"gas.rego", "limits.rego"}) {
		t.Errorf("rules and modules: %+v", d)
	}
	if !slices.Equal(d.RulesChanged, []string{"limit.per_transaction"}) || !slices.Contains(d.HelpersChanged, "countersign.rules.gas.within") ||
		!slices.Contains(d.HelpersChanged, "countersign.rules.runes.entries") || slices.Contains(d.HelpersChanged, "countersign.rules.gas.small") {
		t.Errorf("by rule: %+v, helpers %q", d.RulesChanged, d.HelpersChanged)
	}
	var lines []string
	for _, c := range d.Data {
		lines = append(lines, c.String()[:2]+c.Pointer)
	}
	want := []string{"~ /limits/ETH/USDT_ETH", "+ /windows/few"}
	for _, line := range want {
		if !slices.Contains(lines, line) {
			t.Errorf("the changes of data %v lack %q", lines, line)
		}
	}
	if !slices.ContainsFunc(lines, func(s string) bool { return s == "- /addresses/ETH" }) {
		t.Errorf("the changes of data %v lack the addresses that are gone", lines)
	}
	same, err := a.Compare(a)
	must(t, err)
	if len(same.RulesAdded)+len(same.RulesRemoved)+len(same.ModulesAdded)+len(same.ModulesRemoved)+len(same.ModulesChanged)+len(same.Data)+len(same.RulesChanged)+len(same.HelpersChanged) != 0 {
		t.Errorf("a policy differs from itself: %+v", same)
	}
}

// TestCompareListsAll: what differs is listed in full, so that nothing hides behind a long list.
func TestCompareListsAll(t *testing.T) {
	changed := demoData()
	deny := object{}
	for i := range 10_100 {
		deny[fmt.Sprintf("0x%040x", i+1)] = "listed"
	}
	changed["addresses"].(object)["ETH"].(object)["deny"] = deny
	changed["limits"].(object)["ETH"].(object)["USDT_ETH"].([]object)[0]["max"] = "6000"
	a, err := policy.New(t.Context(), policy.Config{Source: source(t, demoData()), Timeout: unhurried})
	must(t, err)
	b, err := policy.New(t.Context(), policy.Config{Source: source(t, changed), Timeout: unhurried})
	must(t, err)
	d, err := a.Compare(b)
	must(t, err)
	if !slices.ContainsFunc(d.Data, func(c policy.DataChange) bool { return c.Pointer == "/limits/ETH/USDT_ETH" }) || d.More {
		t.Errorf("of %d changes of data that of a limit is not listed", len(d.Data))
	}
}
