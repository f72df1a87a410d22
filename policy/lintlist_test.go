package policy_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/rego"
)

// own is where a module of the tests stands: a package of rules.
const (
	own    = "package countersign.rules.own\n\n"
	banned = "# METADATA\n# labels:\n#   id: own.ban\nreject contains {\"id\": \"own.ban\", \"message\": \"m\"} if {\n\t%s\n}\n" // the condition stands in row 7
	proved = "# METADATA\n# labels:\n#   id: own.proof\nallow contains {\"id\": \"own.proof\"} if {\n\t%s\n}\n\nrequire contains \"own.proof\"\n"
)

// lintOf lints the shipped modules with one more.
func lintOf(t testing.TB, name, module string) []policy.Finding {
	t.Helper()
	data := demoData()
	data["custom"] = object{
		"text": "30", "number": 30, "mixed": object{"ETH": 30, "BTC": "30"}, "texts": []string{"a"}, "capitals": []string{burned}, "chains": object{"ETH": []string{burned}},
		"banned": object{}, "keys": object{burned: "us"}, "lower": object{strings.ToLower(burned): "us"},
	}
	s := source(t, data)
	for file := range s.Modules { // those that a module of one's own needs
		if file != "main.rego" && file != "lib.rego" && file != "transaction.rego" {
			delete(s.Modules, file)
		}
	}
	s.Modules["passing_test.rego"] = []byte("package countersign.passing_test\n\nimport data.countersign\n\ntest_nothing if count(countersign.require) == 0 with input as {}\n")
	s.Modules[name] = []byte(module)
	found, err := s.Lint()
	must(t, err)
	return slices.DeleteFunc(found, func(f policy.Finding) bool { return f.File != name })
}

// TestShippedModulesPassTheLint: without a warning, too.
func TestShippedModulesPassTheLint(t *testing.T) {
	s, err := policy.Load(rego.FS(), "")
	must(t, err)
	found, err := s.Lint()
	must(t, err)
	for _, f := range found {
		t.Errorf("rego/%s", f)
	}
}

// TestLints goes through every lint: wrong code is found, at its place and once; right code is not.
func TestLints(t *testing.T) {
	ban := func(condition string) string { return own + fmt.Sprintf(banned, condition) }
	proof := func(condition string) string { return own + fmt.Sprintf(proved, condition) }
	plain := func(text string) string { return own + text + "\n" }
	for _, c := range []struct {
		lint, wrong, place, says string
		right                    string
	}{
		{"missing-custom", ban("input.tx.amount_base > data.custom.nummber"), "7:25", "data.custom.nummber is not in data.json: did you mean data.custom.number?", ban("input.tx.amount_base > data.custom.number")},
		{"missing-custom", ban("burnt := data.custom.chains.SOL\n\tinput.tx.to in burnt"), "7:11", "data.custom.chains.SOL is not in data.json: there are ETH", ban("input.tx.amount_base > object.get(data.custom, \"none\", 5)")},
		{"unknown-field", ban("input.tx.amout_base > 5"), "7:11", "did you mean input.tx.amount_base?", ban("input.tx.amount_base > 5")},
		{"unknown-field", ban("input.requst.t > 1"), "7:8", "input.requst does not exist: did you mean input.request?", ban("input.request.t > 1")},
		{"unknown-field", ban("some coin in input.utxo.outputs\n\tcoin.adress == \"x\""), "8:7", "did you mean coin.address?", ban("some coin in input.utxo.outputs\n\tcoin.address == \"x\"")},
		{"unknown-field", ban("input.utxo.outputs[_].adress == \"x\""), "7:24", "address", ban("input.utxo.outputs[_].address == \"x\"")},
		{"unknown-field", ban("input.windows[_].aftr > 1"), "7:19", "after", ban("input.windows[_].after > 1")},
		{"unknown-field", ban("some name, window in input.windows\n\twindow.aftr > count(name)"), "8:9", "window.after", ban("some name, window in input.windows\n\twindow.after > count(name)")},
		{"unknown-field", ban("every c in input.utxo.inputs {\n\t\tc.owned == true\n\t}"), "8:5", "c.owned does not exist", ban("every c in input.utxo.inputs {\n\t\tc.own == true\n\t}")},
		{"unknown-field", ban("input.tx.wallet == \"7\""), "7:11", "did you mean input.tx.wallet_id?", ban("input.tx.wallet_id == \"7\"")},
		{"unknown-field", ban("object.get(input.tx, \"walet_id\", \"\") == \"7\""), "7:23", "did you mean input.tx.wallet_id?", ban("object.get(input.tx, \"wallet_id\", \"\") == \"7\"")},
		{"unknown-field", ban("x := object.get(input, [\"tx\", \"gas\", \"limt\"], 0)\n\tx > 5"), "7:39", "did you mean input.tx.gas.limit?", ban("x := object.get(input, [\"tx\", \"gas\", \"limit\"], 0)\n\tx > 5")},
		{"unknown-field", ban("data.limit.ETH"), "7:7", "data.limits", ban("data.limits.ETH")},
		{"unknown-field", ban("data.limits[input.tx.chain][input.tx.asset][_].max_bas < 1"), "7:49", "max_base", ban("data.limits[input.tx.chain][input.tx.asset][_].max_base < 1")},
		{"unknown-field", plain("caps := data.gas[input.tx.chain]\n\nx if caps.mx"), "5:11", "caps.max", plain("caps := data.gas[input.tx.chain]\n\nx if caps.max")},
		{"unknown-field", plain("import input.tx\n\nx if tx.amout == \"5\""), "5:9", "tx.amount", plain("import input.tx\n\nx if tx.amount == \"5\"")},
		{"unknown-field", plain("f(t) := t.amout_base\n\nx if f(input.tx) == 5\n\ny := input.tx\n\nz if y.amout_base == 1"), "3:11", "t.amount_base", plain("f(t) := t.anything\n\nx if f({\"anything\": 5}) == 5")},
		{"unknown-field", ban("input.tx.amount.base == 1"), "7:18", "input.tx.amount is of type string", ban("input.tx_info.amount.base == 1")},
		{"type-mismatch", ban("input.tx.amount_base > data.custom.text"), "7:2", "a number with a string", ban("input.tx.amount_base > data.custom.number")},
		{"type-mismatch", ban("input.tx.amount_base > data.custom.mixed[input.tx.chain]"), "7:2", "a text here", ban("input.tx.to == data.custom.mixed[input.tx.chain]")},
		{"type-mismatch", ban("input.tx.amount_base in data.custom.texts"), "7:2", "looks for a number", ban("input.tx.chain in data.custom.texts")},
		{"unknown-field", ban("k := \"amout_base\"\n\tinput.tx[k] > 5"), "8:11", "input.tx.amount_base", ban("k := \"amount_base\"\n\tinput.tx[k] > 5")},
		{"unknown-field", ban("large(input.tx)") + "\nlarge(t) if t.amout_base > 5", "10:15", "t.amount_base", ban("large(input.tx)") + "\nlarge(t) if t.amount_base > 5"},
		{"type-mismatch", ban("large(input.tx)") + "\nlarge(t) if over(t.to)\n\nover(n) if n > 5", "12:12", "a string with a number", ban("large(input.tx)") + "\nlarge(t) if over(t.amount_base)\n\nover(n) if n > 5"},
		{"type-mismatch", ban("{\"amount\": a} = input.tx\n\ta == \"5\""), "7:2", "has to name all members", ban("a := input.tx.amount\n\ta == \"5\"")},
		{"amount-as-text", ban("input.tx.amount > input.tx_info.most"), "7:2", "input.tx.amount_base", ban("input.tx.amount_base > input.tx_info.most")},
		{"amount-as-text", ban("a := input.tx.amount\n\ta > data.custom.text"), "8:2", "beside it", ban("a := input.tx.amount_base\n\ta > data.custom.number")},
		{"address-case", own + "banned := {\"" + burned + "\"}\n\n" + fmt.Sprintf(banned, "input.tx.to in banned"), "3:12", "in lower case", own + "banned := {\"" + strings.ToLower(burned) + "\"}\n\n" + fmt.Sprintf(banned, "banned[input.tx.to]")},
		{"address-case", ban("{\"" + burned + "\": 1}[input.tx.to]"), "7:3", "in lower case", ban("input.tx_info.to in {\"" + burned + "\"}")},
		{"address-case", ban("a := \"" + burned + "\"\n\tinput.tx.to == a"), "7:7", "in lower case", ban("a := \"" + strings.ToLower(burned) + "\"\n\tinput.tx.to == a")},
		{"address-case", ban("data.custom.keys[input.tx.to]"), "7:2", "data.custom", ban("data.custom.lower[input.tx.to]")},
		{"address-case", ban("input.tx.to in data.custom.capitals"), "7:2", "data.custom", ban("input.tx_info.to in data.custom.capitals")},
		{"address-case", ban("input.tx.to in data.custom.chains[input.tx.chain]"), "7:2", "data.custom", ban("lower(input.tx.to) in data.custom.texts")},
		{"address-case", ban("some a in data.custom.capitals\n\ta == input.tx.to"), "8:2", "data.custom", ban("some a in data.custom.texts\n\ta == input.tx.to")},
		{"type-mismatch", ban("input.request.sign_type == 1"), "7:2", "compares a string with a number", ban("input.request.sign_type == \"1\"")},
		{"type-mismatch", ban("input.request.t > \"1\""), "7:2", "compares a number with a string", ban("input.request.t > 1")},
		{"type-mismatch", ban("t := input.tx.to\n\tt > 5"), "8:2", "compares a string with a number", ban("t := input.tx.amount_base\n\tt > 5")},
		{"type-mismatch", ban("input.tx.amount_base == null"), "7:2", "is never null", ban("input.tx == null")},
		{"type-mismatch", ban("input.tx.chain in {1, \"ETH\"}"), "7:2", "input.tx.chain is a string", ban("input.tx.chain in {\"ETH\"}")},
		{"type-mismatch", ban("input.tx.to + 1 == 2"), "7:2", "plus", ban("input.tx.amount_base + 1 == 2")},
		{"amount-as-text", ban("input.tx.amount < 5"), "7:2", "input.tx.amount_base", ban("input.tx.amount_base < 5")},
		{"amount-as-text", ban("input.tx.amount > \"1000\""), "7:2", "input.tx.amount_base", ban("input.tx.amount == \"1000\"")},
		{"amount-as-text", ban("input.tx.gas_price > 5"), "7:2", "input.tx.gas.price_base", ban("input.tx.gas.price_base > 5")},
		{"amount-as-text", ban("input.tx.amount_base > data.limits.ETH.ETH[0].max"), "7:2", "max_base", ban("input.tx.amount_base > data.limits.ETH.ETH[0].max_base")},
		{"unknown-value", ban("input.evidence.status == \"verifed\""), "7:2", "\"verified\"", ban("input.evidence.status == \"verified\"")},
		{"unknown-value", ban("input.tx.source in {\"claim\", \"signed\"}"), "7:2", "never \"signed\"", ban("input.tx.source in {\"claim\"}")},
		{"address-case", ban("input.tx.to == \"" + burned + "\""), "7:2", "in lower case", ban("input.tx.to == \"" + strings.ToLower(burned) + "\"")},
		{"address-case", ban("input.tx.to in {\"" + burned + "\"}"), "7:2", "in lower case", ban("input.tx_info.to == \"" + burned + "\"")},
		{"never-true", ban("false"), "7:2", "cannot hold", ban("true")},
		{"never-true", ban("1 > 2"), "7:2", "cannot hold", ban("2 > 1")},
		{"never-true", ban("not true"), "7:2", "cannot hold", ban("not false")},
		{"never-true", ban("input.tx.chain == \"ETH\"\n\tinput.tx.chain == \"BTC\""), "8:2", "at once", ban("input.tx.chain == \"ETH\"\n\tinput.tx.to == \"BTC\"")},
		{"never-true", ban("input.tx.to != input.tx.to"), "7:2", "with itself", ban("input.tx.to != input.tx.from")},
		{"default-outcome", "package countersign\n\ndefault decision := {}\n", "3:1", "default decision", "package countersign\n\ndefault helper := 1\n"},
		{"default-outcome", plain("default allow := true"), "3:1", "default allow", plain("default helper := true")},
		{"outcome-shape", plain("# METADATA\n# labels:\n#   id: own.ban\nreject contains {\"id\": \"own.ban\"} if input.tx"), "6:1", "has to have id, message", ban("input.tx")},
		{"outcome-shape", plain("# METADATA\n# labels:\n#   id: own.ban\nreject contains \"own.ban\" if input.tx"), "6:1", "an element is an object", ban("input.tx")},
		{"outcome-shape", plain("# METADATA\n# labels:\n#   id: own.ban\nreject contains {\"id\": \"own.ban\", \"message\": \"m\", \"reason\": \"r\"} if input.tx"), "6:1", "no member \"reason\"", ban("input.tx")},
		{"outcome-shape", plain("# METADATA\n# labels:\n#   id: own.ban\nreject contains {\"id\": \"own.bann\", \"message\": \"m\"} if input.tx"), "6:1", "own.bann", ban("input.tx")},
		{"outcome-shape", plain("# METADATA\n# labels:\n#   id: own.ban\nwait contains {\"id\": \"own.ban\", \"message\": \"m\", \"seconds\": \"5\"} if input.tx"), "6:1", "seconds is a text",
			plain("# METADATA\n# labels:\n#   id: own.ban\nwait contains {\"id\": \"own.ban\", \"message\": \"m\", \"seconds\": 5} if input.tx")},
		{"outcome-shape", plain("require contains {\"id\": \"own.x\"} if input.tx"), "3:1", "an element is an id", plain("require contains \"tx.invalid\" if input.tx")},
		{"missing-id", plain("reject contains {\"id\": \"own.ban\", \"message\": \"m\"} if input.tx"), "3:1", "no label id", ban("input.tx")},
		{"unrequired-allow", own + "# METADATA\n# labels:\n#   id: own.proof\nallow contains {\"id\": \"own.proof\"} if input.tx\n", "6:1", "nothing requires", proof("input.tx")},
		{"unprovable-require", plain("require contains \"own.proof\" if input.tx"), "3:1", "no allow and no wait", proof("input.tx")},
		{"allow-by-absence", proof("not input.tx.amount_base > 5"), "7:2", "where input.tx.amount_base is missing", proof("input.tx.amount_base <= 5")},
		{"allow-by-absence", proof("not is_number(input.tx.fee_base)"), "7:2", "is missing", proof("is_object(input.tx)\n\tnot input.tx.to == \"x\"")},
		{"allow-by-absence", proof("not data.custom.banned[input.tx.to]"), "7:2", "where input.tx.to is missing", proof("is_string(input.tx.to)\n\tnot data.custom.banned[input.tx.to]")},
		{"loose-match", ban("regex.match(\"0x12\", input.tx.to)"), "7:2", "not anchored", ban("regex.match(\"^0x12.*$\", input.tx.to)")},
		{"loose-match", ban("regex.match(\"^a$|b\", input.tx.to)"), "7:2", "not anchored", ban("regex.match(\"^(a|b)$\", input.tx.to)")},
		{"loose-match", ban("startswith(input.tx.to, \"0x12\")"), "7:2", "every other text", ban("startswith(\"0x12\", \"0\")")},
		{"uncollected-rule", "package countersign.helpers\n\nreject contains \"x\" if input.tx\n", "3:1", "rule reject of package countersign.helpers", "package countersign.helpers\n\nbans contains \"x\" if input.tx\n"},
		{"uncollected-package", "package countersign.rules.a.b\n\nx if true\n", "1:1", "countersign.rules.<name>", "package countersign.rules.a\n\nx if true\n"},
		{"foreign-package", "package system.authz\n\nx if true\n", "1:1", "package system.authz", "package countersign.authz\n\nx if true\n"},
		{"shadowed-operator", plain("gt(a, b) if {\n\ta\n\tb\n}"), "3:1", "gt takes the place", plain("above(a, b) if {\n\ta\n\tb\n}")},
		{"refused-builtin", plain("x := input.tx.amount_base / 2"), "3:27", "`/` is refused", plain("x := input.tx.amount_base * 2")},
		{"decimal", plain("x if input.request.t > 1.5"), "3:24", "1.5", plain("x if input.request.t > 1")},
		{"with-outside-test", plain("x if data.countersign.lib.kind == \"raw\" with input as {}"), "3:41", "belongs to tests", plain("x if data.countersign.lib.kind == \"raw\"")},
		{"ignore-comment", ban("true # lint:ignore"), "7:7", "names no lint", ban("true # ignore")},
		{"ignore-comment", ban("true # lint:ignore nonsense because"), "7:7", "is no lint", ban("true")},
		{"ignore-comment", ban("true # lint:ignore decimal because"), "7:7", "cannot be ignored", ban("true")},
		{"ignore-comment", ban("false # lint:ignore never-true"), "7:8", "no reason", ban("false # lint:ignore never-true off until spring")},
		{"ignore-comment", ban("true # lint:ignore never-true off until spring"), "7:7", "no never-true here", ban("# lint:ignore never-true off until spring\n\tfalse")},
	} {
		t.Run(c.lint+"/"+c.says, func(t *testing.T) {
			found := lintOf(t, "own.rego", c.wrong)
			if len(found) == 0 {
				t.Fatalf("nothing was found in\n%s", c.wrong)
			}
			i := slices.IndexFunc(found, func(f policy.Finding) bool { return f.Lint == c.lint })
			if i < 0 || fmt.Sprintf("%d:%d", found[i].Row, found[i].Col) != c.place || !strings.Contains(found[i].Message, c.says) {
				t.Errorf("found %q, not %s at %s that says %q in\n%s", found, c.lint, c.place, c.says, c.wrong)
			}
			for _, f := range found {
				if f.Lint != c.lint && c.lint != "ignore-comment" {
					t.Errorf("beside it %s", f)
				}
			}
			for _, f := range lintOf(t, "own.rego", c.right) {
				t.Errorf("in what is right: %s\n%s", f, c.right)
			}
		})
	}
}

// TestLintsOfTests goes through those that look at tests.
func TestLintsOfTests(t *testing.T) {
	module := "package countersign.own_test\n\nimport data.countersign\nimport data.countersign.lib\n\n"
	for name, c := range map[string]struct{ lint, test, place, says string }{
		"true":           {"empty-test", "test_x if true", "6:1", "asks no rule"},
		"input only":     {"empty-test", "test_x if {\n\tinput.tx.to == \"a\" with input as {\"tx\": {\"to\": \"a\"}}\n}", "6:1", "asks no rule"},
		"misspelt input": {"test-input", "test_x if lib.kind == \"raw\" with input as {\"request\": {\"sign_typ\": \"3\"}}", "6:56", "did you mean"},
		"in a list":      {"test-input", "test_x if lib.utxo with input as {\"utxo\": {\"inputs\": [{\"adress\": \"3\"}]}}", "6:56", "address"},
		"a part":         {"test-input", "test_x if lib.utxo with input.tx as {\"amout\": \"3\"}", "6:38", "amount"},
		"right":          {"", "test_x if not lib.utxo with input as {\"tx\": {\"family\": \"evm\"}, \"tx_info\": {\"any\": 1}}", "", ""},
		"right too":      {"", "test_x if count(countersign.reject) == 0 with input as {} with data.limits as {}", "", ""},
		"a helper":       {"", "test_x if ok(1)\n\nok(x) if x == 1\n\nok(_) if lib.utxo", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			found := lintOf(t, "own_test.rego", module+c.test+"\n")
			if c.lint == "" {
				if len(found) > 0 {
					t.Errorf("found %q", found)
				}
				return
			}
			if len(found) != 1 || found[0].Lint != c.lint || fmt.Sprintf("%d:%d", found[0].Row, found[0].Col) != c.place || !strings.Contains(found[0].Message, c.says) {
				t.Errorf("found %q, not %s at %s that says %q", found, c.lint, c.place, c.says)
			}
		})
	}
}

// TestWarningsDoNotKeepAPolicyFromGoingLive, refusals do.
func TestWarningsDoNotKeepAPolicyFromGoingLive(t *testing.T) {
	for _, c := range []struct {
		condition string
		refused   bool
	}{{"startswith(input.tx.to, \"0x12\")", false}, {"false", true}} {
		s := source(t, demoData())
		s.Modules["own.rego"] = []byte(own + fmt.Sprintf(banned, c.condition))
		_, err := policy.New(t.Context(), policy.Config{Source: s, Timeout: unhurried})
		if (err != nil) != c.refused {
			t.Errorf("%s: %v", c.condition, err)
		}
	}
}

// TestLintsAreDocumented: docs/POLICY.md has a section for each lint, with wrong and right code, and the list is sorted.
func TestLintsAreDocumented(t *testing.T) {
	b, err := os.ReadFile("../docs/POLICY.md")
	must(t, err)
	_, section, _ := strings.Cut(string(b), "\n## Lint\n")
	section, _, _ = strings.Cut(section, "\n## ")
	documented := map[string]string{}
	for _, part := range strings.Split(section, "\n### ")[1:] {
		name, text, _ := strings.Cut(part, "\n")
		documented[name] = text
	}
	lints := policy.Lints()
	if !slices.IsSortedFunc(lints, func(a, b policy.Lint) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the lints are not sorted by name")
	}
	for _, l := range lints {
		text, there := documented[l.Name]
		delete(documented, l.Name)
		switch {
		case !there:
			t.Errorf("docs/POLICY.md, \"Lint\", has no section %s", l.Name)
		case !regexp.MustCompile(`(?s)wrong.*right`).MatchString(text):
			t.Errorf("docs/POLICY.md, %s: it does not show what is wrong and what is right", l.Name)
		case strings.Contains(text, "(refused)") != l.Refused:
			t.Errorf("docs/POLICY.md, %s: whether it is refused is not as it is", l.Name)
		case strings.Contains(text, "may be ignored") != l.Ignorable:
			t.Errorf("docs/POLICY.md, %s: whether it may be ignored is not as it is", l.Name)
		}
		if l.Why == "" || l.Instead == "" {
			t.Errorf("%s does not say why, or what to do instead", l.Name)
		}
	}
	for name := range documented {
		t.Errorf("docs/POLICY.md, %s: there is no such lint", name)
	}
}
