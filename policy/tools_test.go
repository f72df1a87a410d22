package policy_test

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/rego"
)

// TestCheckTellsAllAtOnce: a module that does not parse, faults of the data and findings hide none of the others.
func TestCheckTellsAllAtOnce(t *testing.T) {
	s := source(t, demoData())
	if r := s.Check(t.Context()); !r.Passed() || r.Tests == nil || r.Tests.Passed != 1 || r.Rules < 50 || r.Groups != 1 {
		t.Fatalf("what is right: %+v", r)
	}
	s.Modules["own.rego"] = []byte(own + fmt.Sprintf(banned, "input.tx.amout_base > 5"))
	s.Modules["other.rego"] = []byte("package countersign.other\n\nx if {\n\ty := 1\n}\n")
	s.Modules["failing_test.rego"] = []byte("package countersign.failing_test\n\nimport data.countersign\n\ntest_wrong if count(countersign.reject) == 7\n")
	s.Data = []byte(`{"format":"countersign/policy-data/v1","groups":{"g":{"members":["nobody"]}},"request_types":["none"]}`)
	r := s.Check(t.Context())
	for _, says := range []string{"at /groups/g/members", "at /request_types/0", "other.rego:4"} {
		if !slices.ContainsFunc(r.Faults, func(f string) bool { return strings.Contains(f, says) }) {
			t.Errorf("%q does not tell of %s", r.Faults, says)
		}
	}
	if r.Passed() || len(r.Findings) == 0 || r.Findings[1].Lint != "unknown-field" && r.Findings[0].Lint != "unknown-field" {
		t.Errorf("findings %q", r.Findings)
	}
	delete(s.Modules, "other.rego")
	s.Data = source(t, demoData()).Data
	r = s.Check(t.Context())
	if r.Tests == nil || len(r.Tests.Failures) != 1 || !strings.HasPrefix(r.Tests.Why[0], "failing_test.rego:5: this failed:\n") || !strings.Contains(r.Tests.Why[0], "count(countersign.reject) == 7") {
		t.Errorf("the tests: %+v", r.Tests)
	}
	s.Modules["broken.rego"] = []byte("package countersign.rules.broken\n\nx if {\n")
	if r := s.Check(t.Context()); len(r.Faults) == 0 || !strings.Contains(r.Faults[0], "broken.rego:") {
		t.Errorf("what does not parse: %q", r.Faults)
	}
}

// TestCheckPassesWhatNewTakes: a warning does not hide what the compiler says of the same line.
func TestCheckPassesWhatNewTakes(t *testing.T) {
	for name, condition := range map[string]string{
		"warning":           "startswith(input.tx.to, \"0x12\")",
		"warning and fault": "startswith(input.tx.to, \"0x12\"); nonsense(1)",
		"refused":           "input.tx.amout_base > 5",
	} {
		s := source(t, demoData())
		s.Modules["own.rego"] = []byte(own + fmt.Sprintf(banned, condition))
		_, err := policy.New(t.Context(), policy.Config{Source: s})
		if r := s.Check(t.Context()); r.Passed() != (err == nil) || (r.Refused() == 0) != (err == nil) {
			t.Errorf("%s: passed %t with faults %q and findings %q, and New says %v", name, r.Passed(), r.Faults, r.Findings, err)
		}
	}
}

// TestRunAndCoverage: single tests, and the lines of each file that they run through.
func TestRunAndCoverage(t *testing.T) {
	s, err := policy.Load(rego.FS(), "")
	must(t, err)
	r, err := s.Test(t.Context(), policy.TestOptions{Run: regexp.MustCompile(`countersign\.gas_test\.`), Coverage: true})
	must(t, err)
	i := slices.IndexFunc(r.Files, func(f policy.FileCoverage) bool { return f.File == "gas.rego" })
	if r.Passed < 3 || r.Passed > 30 || i < 0 || r.Files[i].PerCent < 99 || r.Coverage > 60 || len(r.Missed) == 0 {
		t.Errorf("got %+v", r)
	}
}

// TestTrace: each rule says whether it fired, and otherwise where it stopped and on what.
func TestTrace(t *testing.T) {
	s := source(t, demoData())
	s.Modules["own.rego"] = []byte(own + fmt.Sprintf(banned, "input.tx.amount_base > 5\n\tinput.tx.wallet_id == \"frozen\""))
	e, err := policy.NewUntested(t.Context(), policy.Config{Source: s, Timeout: unhurried})
	must(t, err)
	in := transfer(e, "1000000")
	recorded, err := in.Canonical()
	must(t, err)
	var full bytes.Buffer
	rules, err := e.Trace(t.Context(), recorded, &full)
	must(t, err)
	byID := map[string]policy.RuleTrace{}
	for _, r := range rules {
		byID[r.Outcome+" "+r.ID] = r
	}
	if r := byID["allow limit.per_transaction"]; !r.Fired || r.Stopped != 0 {
		t.Errorf("what fired: %+v", r)
	}
	if r := byID["reject own.ban"]; r.Fired || r.File != "own.rego" || r.Stopped != 8 || !strings.Contains(r.Why, `input.tx.wallet_id == "frozen"`) {
		t.Errorf("what did not: %+v", r)
	}
	fired := []string{}
	for _, r := range rules {
		if r.Fired && r.Outcome != "require" && !slices.Contains(fired, r.ID) {
			fired = append(fired, r.ID)
		}
	}
	slices.Sort(fired)
	if d := decide(t, e, in); !slices.Equal(fired, d.Fired) {
		t.Errorf("the trace says that %q fired, the decision %q", fired, d.Fired)
	}
	if !strings.Contains(full.String(), "Enter data.countersign.decision") {
		t.Error("there is no full trace")
	}
	if _, err := e.Trace(t.Context(), []byte("{}"), nil); err == nil {
		t.Error("what is no recorded input was traced")
	}
}

// FuzzLint: whatever parses is linted without a panic, each finding names a place in the module, and formatting it twice
// changes nothing more.
func FuzzLint(f *testing.F) {
	s, err := policy.Load(rego.FS(), "")
	must(f, err)
	for _, name := range []string{"limits.rego", "windows.rego", "transaction.rego", "limits_test.rego"} {
		f.Add(string(s.Modules[name]))
	}
	for _, condition := range []string{
		"input.tx.amout_base > 5", "not input.tx.amount_base > 5", "some k, v in input.windows\n\tv.aftr > k", "every c in input.utxo.inputs { c.x }", "input.tx[_][_] == null",
		"x := input\n\tx.y", "not not input.a", "{1 | input.tx}[_]", "input[input.tx.to].x", "data[_].x", "true # lint:ignore never-true x", "with input as 1",
	} {
		f.Add(own + fmt.Sprintf(banned, condition))
	}
	f.Fuzz(func(t *testing.T, module string) {
		if len(module) > 4096 {
			return
		}
		s := &policy.Source{Modules: map[string][]byte{"own.rego": []byte(module)}}
		found, err := s.Lint()
		if err != nil {
			return
		}
		lines := strings.Count(module, "\n") + 1
		for _, f := range found {
			if f.File != "own.rego" || f.Row < 1 || f.Row > lines || f.Message == "" || strings.Contains(f.Message, "\n") {
				t.Errorf("%q", f)
			}
		}
		once, err := policy.Format("own.rego", []byte(module))
		if err != nil {
			return
		}
		if again, err := policy.Format("own.rego", once); err == nil && !bytes.Equal(once, again) && !strings.Contains(module, "#") {
			t.Logf("formatted twice it changes again:\n%s\n%s", once, again)
		}
	})
}

// TestFaultsAreCounted: the line that names the file is no fault of its own.
func TestFaultsAreCounted(t *testing.T) {
	s := source(t, set(demoData(), "limits.XTH", object{}))
	s.DataName = "data.json"
	if r := s.Check(t.Context()); r.Refused() != 1 {
		t.Errorf("%d faults: %q", r.Refused(), r.Faults)
	}
}
