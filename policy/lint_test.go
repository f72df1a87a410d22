package policy_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"

	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/rego"
)

// TestLint refuses what compiles and does not do what it says. want is what the error has to say, the place first.
func TestLint(t *testing.T) {
	rules := "package countersign.rules.own\n\n"
	labelled := "# METADATA\n# labels:\n#   id: own.rule\n"
	for name, c := range map[string]struct {
		module string
		want   []string
	}{
		"operator as a rule":       {rules + "gt(a, b) if {\n\ta\n\tb\n}\n", []string{"own.rego:3:", "gt takes the place"}},
		"equality as a rule":       {rules + "equal(a, b) if {\n\ta\n\tb\n}\n", []string{"own.rego:3:", "equal takes the place"}},
		"inequality as a rule":     {rules + "neq(a, b) if {\n\ta\n\tb\n}\n", []string{"own.rego:3:", "neq takes the place"}},
		"membership as a rule":     {rules + "internal.member_2(a, b) if {\n\ta\n\tb\n}\n", []string{"own.rego:3:", "internal takes the place"}},
		"built-in as a rule":       {rules + "count(x) := 0 if x\n", []string{"own.rego:3:", "count takes the place"}},
		"built-in's root as a set": {rules + "time contains 1\n", []string{"own.rego:3:", "time takes the place"}},
		"operator as an import":    {"package countersign.rules.own\n\nimport data.countersign.own.lt\n\nx if lt\n", []string{"own.rego:3:", "lt takes the place"}},
		"operator as an alias":     {"package countersign.rules.own\n\nimport data.countersign.own as plus\n\nx if plus\n", []string{"own.rego:3:", "plus takes the place"}},
		"division":                 {rules + "half := input.tx.amount_base / 2\n", []string{"own.rego:3:", "`/` is refused"}},
		"to_number":                {rules + "n := to_number(input.tx.amount)\n", []string{"own.rego:3:", "to_number is refused"}},
		"to_number in a call":      {rules + "n := max([to_number(input.tx.amount)])\n", []string{"own.rego:3:", "to_number is refused"}},
		"round":                    {rules + "n := round(input.tx.amount_base)\n", []string{"own.rego:3:", "round is refused"}},
		"decimal":                  {rules + "x if input.tx.amount_base > 1.5\n", []string{"own.rego:3:", "1.5"}},
		"exponent":                 {rules + "x if input.tx.amount_base > 1e6\n", []string{"own.rego:3:", "1e6"}},
		"clock":                    {rules + "x := time.now_ns()\n", []string{"own.rego:3:", "time.now_ns is refused", "input.now"}},
		"network":                  {rules + "x := http.send({})\n", []string{"own.rego:3:", "http.send is refused"}},
		"name service":             {rules + "x := net.lookup_ip_addr(\"a\")\n", []string{"own.rego:3:", "net.lookup_ip_addr is refused"}},
		"host":                     {rules + "x := opa.runtime()\n", []string{"own.rego:3:", "opa.runtime is refused"}},
		"chance":                   {rules + "x := rand.intn(\"a\", 2)\n", []string{"own.rego:3:", "rand.intn is refused"}},
		"clock by certificate":     {rules + "x := crypto.x509.parse_and_verify_certificates(\"a\")\n", []string{"own.rego:3:", "refused: it reads the clock"}},
		"with":                     {rules + "x if data.countersign.lib.kind == \"raw\" with input as {}\n", []string{"own.rego:3:", "belongs to tests"}},
		"misspelt input":           {rules + "x if input.requst.t > 1\n", []string{"own.rego:3:", "input.requst does not exist"}},
		"misspelt data":            {rules + "x if data.limit.ETH\n", []string{"own.rego:3:", "data.limit does not exist"}},
		"foreign package":          {"package system.authz\n\nallow if true\n", []string{"own.rego:1:", "package system.authz"}},
		"package that is not read": {"package countersign.rules.own.deeper\n\nx if true\n", []string{"own.rego:1:", "countersign.rules.<name>"}},
		"rules without a name":     {"package countersign.rules\n\nx if true\n", []string{"own.rego:1:", "countersign.rules.<name>"}},
		"reject without an id":     {rules + "reject contains {\"id\": \"own.rule\", \"message\": \"m\"} if true\n", []string{"own.rego:3:", "no label id"}},
		"reject that is no set":    {rules + labelled + "reject := true\n", []string{"own.rego:6:", "has to be a set"}},
		"an id of the engine": {rules + strings.Replace(labelled, "own.rule", "engine.error", 1) + "reject contains {\"id\": \"engine.error\", \"message\": \"m\"}\n",
			[]string{"own.rego:6:", "engine.error", "engine's own"}},
		"an id that is taken": {rules + strings.Replace(labelled, "own.rule", "limit.missing", 1) + "reject contains {\"id\": \"limit.missing\", \"message\": \"m\"}\n",
			[]string{"own.rego:6:", "limit.missing", "limits.rego"}},
		"unknown function": {rules + "x := nonsense(1)\n", []string{"own.rego:3", "undefined function nonsense"}},
		"unused variable":  {rules + "x if {\n\ty := 1\n}\n", []string{"own.rego:4", "assigned var y unused"}},
		"syntax":           {rules + "x if {\n", []string{"own.rego:4", "rego_parse_error"}},
		"rego v0":          {rules + "reject[x] { x := 1 }\n", []string{"own.rego:3", "rego_parse_error"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := source(t, demoData())
			s.Modules["own.rego"] = []byte(c.module)
			_, err := policy.New(t.Context(), policy.Config{Source: s, Timeout: unhurried})
			wantError(t, err, c.want...)
		})
	}
}

// TestNoBuiltinOfChance goes through everything that OPA itself calls nondeterministic.
func TestNoBuiltinOfChance(t *testing.T) {
	refused := 0
	for _, b := range ast.Builtins {
		if !b.IsNondeterministic() {
			continue
		}
		refused++
		s := source(t, demoData())
		s.Modules["own.rego"] = []byte("package countersign.rules.own\n\nx := " + b.Name + "(input.node)\n")
		_, err := policy.New(t.Context(), policy.Config{Source: s, Timeout: unhurried})
		wantError(t, err, "own.rego:3:", b.Name+" is refused")
	}
	if refused < 8 {
		t.Errorf("only %d built-ins are nondeterministic: is that still how OPA marks them?", refused)
	}
}

// TestShippedModulesAreFormatted holds rego/ to OPA's own format.
func TestShippedModulesAreFormatted(t *testing.T) {
	s, err := policy.Load(rego.FS(), "")
	must(t, err)
	for name, b := range s.Modules {
		want, err := format.SourceWithOpts(name, b, format.Opts{RegoVersion: ast.RegoV1})
		must(t, err)
		if string(want) != string(b) {
			t.Errorf("rego/%s is not formatted as opa fmt does:\n%s", name, want)
		}
	}
}

// TestOwnRules adds a package of rules of one's own: it has its say beside the shipped ones.
func TestOwnRules(t *testing.T) {
	data := demoData()
	data["custom"] = object{"vaults": object{"2": "frozen"}, "most": 5}
	s := source(t, data)
	s.Modules["own/frozen.rego"] = []byte(`package countersign.rules.frozen

# METADATA
# title: The wallet is frozen
# labels:
#   id: own.frozen
reject contains {"id": "own.frozen", "message": sprintf("wallet %s is %s", [input.tx.wallet_id, data.custom.vaults[input.tx.wallet_id]])} if {
	data.custom.vaults[input.tx.wallet_id]
	data.custom.most == 5
}
`)
	s.Modules["own/frozen_test.rego"] = []byte(`package countersign.frozen_test

import data.countersign.rules.frozen

test_frozen if {
	count(frozen.reject) == 1 with input as {"tx": {"wallet_id": "7"}} with data.custom as {"vaults": {"7": "gone"}, "most": 5}
	count(frozen.reject) == 0 with input as {"tx": {"wallet_id": "8"}} with data.custom as {"vaults": {"7": "gone"}, "most": 5}
}
`)
	e, err := policy.New(t.Context(), policy.Config{Source: s, Timeout: unhurried})
	must(t, err)
	d := decide(t, e, transfer(e, "1"))
	wantAction(t, d, policy.Reject, "own.frozen")
	if d.ErrorText() != "own.frozen: wallet 2 is frozen" {
		t.Errorf("got %q", d.ErrorText())
	}
	ids := map[string]string{}
	for _, r := range e.Rules() {
		ids[r.ID] = r.Title + " " + r.File
	}
	if ids["own.frozen"] != "The wallet is frozen own/frozen.rego" || ids["limit.missing"] == "" {
		t.Errorf("got rules %v", ids)
	}
}

func TestOwnTestsHaveToPass(t *testing.T) {
	for name, c := range map[string]struct{ test, want string }{
		"failing":   {"package countersign.own_test\n\ntest_wrong if 1 == 2\n", "own_test.rego:3: test_wrong: failed"},
		"erring":    {"package countersign.own_test\n\ntest_wrong if json.unmarshal(\"{\")\n", "own_test.rego:3: test_wrong: "},
		"skipped":   {"package countersign.own_test\n\ntodo_test_later if true\n", "own_test.rego:3: todo_test_later: is skipped"},
		"ambiguous": {"package countersign.own_test\n\ntest_wrong if data.nothing\n", "data.nothing does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			s := source(t, demoData())
			s.Modules["own_test.rego"] = []byte(c.test)
			_, err := policy.New(t.Context(), policy.Config{Source: s, Timeout: unhurried})
			wantError(t, err, c.want)
		})
	}
}

func TestPolicyWithoutTestsIsRefused(t *testing.T) {
	s := source(t, demoData())
	delete(s.Modules, "passing_test.rego")
	_, err := policy.New(t.Context(), policy.Config{Source: s, Timeout: unhurried})
	wantError(t, err, "has no tests")
}

func TestLoad(t *testing.T) {
	module := &fstest.MapFile{Data: []byte("package countersign\n")}
	data := &fstest.MapFile{Data: []byte("{}")}
	s, err := policy.Load(fstest.MapFS{
		"a.rego": module, "b/c.rego": module, "data.json": data, "README.md": data,
		"..data/a.rego": module, ".hidden.rego": module,
	}, "")
	must(t, err)
	if len(s.Modules) != 2 || s.Modules["a.rego"] == nil || s.Modules["b/c.rego"] == nil || string(s.Data) != "{}" {
		t.Errorf("got %v and data %s", s.Modules, s.Data)
	}
	for name, c := range map[string]struct {
		files fstest.MapFS
		path  string
		want  string
	}{
		"yaml":             {fstest.MapFS{"a.rego": module, "data.json": data, "x.yaml": data}, "", "x.yaml"},
		"yml in a folder":  {fstest.MapFS{"a.rego": module, "data.json": data, "b/data.yml": data}, "", "b/data.yml"},
		"data in a folder": {fstest.MapFS{"a.rego": module, "data.json": data, "b/data.json": data}, "", "b/data.json"},
		"no module":        {fstest.MapFS{"data.json": data}, "", "no .rego file"},
		"no data":          {fstest.MapFS{"a.rego": module}, "", "data.json"},
		"no data file":     {fstest.MapFS{"a.rego": module}, "testdata/nowhere.json", "nowhere.json"},
		"a huge module":    {fstest.MapFS{"a.rego": {Data: make([]byte, 2<<20)}, "data.json": data}, "", "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := policy.Load(c.files, c.path)
			wantError(t, err, c.want)
		})
	}
}

func TestConfig(t *testing.T) {
	_, err := policy.New(t.Context(), policy.Config{})
	wantError(t, err, "no policy is given")
	s, err := policy.Load(rego.FS(), "")
	must(t, err)
	_, err = policy.New(t.Context(), policy.Config{Source: s, Timeout: -1})
	wantError(t, err, "negative")
}
