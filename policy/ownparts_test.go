package policy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/policy"
)

// ownPolicy writes modules at random, of rules and helpers of every form, that look at steady and fleeting parts of the input, at
// data and at each other, and of which some fail for some inputs.
type ownPolicy struct {
	*rand.Rand
	helpers []string // references that give a value
}

func (p *ownPolicy) one(of ...string) string { return of[p.IntN(len(of))] }

func (p *ownPolicy) path() string {
	return p.one(
		"input.request.request_type", "input.request.sign_type", "input.request.path", "input.tx.chain", "input.tx.asset", "input.tx.to",
		"input.tx.amount_base", "input.tx.wallet_id", "input.tx.gas", "input.tx.gas.limit", "input.tx", "input.now.unix", "input.now.rfc3339",
		"input.evidence.status", "input.evidence.codes", "input.evidence.decoded", "input.call.steps", "input.call", "input.windows", "input.brc20",
		"input.utxo", "input.tx_info", "input.tx_info.chainSymbol", "input.problems", "input.requester.key_id", "data.custom.limit",
		"data.custom.names", "data.custom.names[input.tx.chain]", "data.limits[input.tx.chain][input.tx.asset]", "input.tx.nothing",
	)
}

func (p *ownPolicy) term() string {
	switch p.IntN(6) {
	case 0:
		return p.one("1", "2", `"ETH"`, `"sign"`, `"1"`, "null", "[]", "{}", "1500000000", `{"a"}`)
	case 1, 2:
		if len(p.helpers) > 0 {
			return p.one(p.helpers...)
		}
	case 3:
		return fmt.Sprintf(p.one("double(%s)", "shown(%s)", "object.get(%s, \"chain\", 1)"), p.path())
	}
	return p.path()
}

// body writes expressions; some give the variable x a value.
func (p *ownPolicy) body() string {
	var out []string
	for i := range 1 + p.IntN(4) {
		v := fmt.Sprintf("x%d", i)
		out = append(out, p.one(
			p.term()+p.one(" == ", " != ", " < ", " >= ")+p.term(),
			p.term()+" == "+p.one(`"ETH"`, `"sign"`, `"1"`, `"evm"`, "1500000000"),
			fmt.Sprintf("%s(%s)", p.one("is_string", "is_number", "is_object", "is_array", "not is_null"), p.path()),
			p.term(), "not "+p.term(),
			fmt.Sprintf("some %s in %s\n\t%s != 7", v, p.term(), v),
			fmt.Sprintf("every %s in %s {\n\t\t%s != %s\n\t}", v, p.one("input.evidence.codes", "input.call.steps", "input.brc20", "names"), v, p.path()),
			fmt.Sprintf("%s := %s\n\t%s != %s", v, p.term(), v, p.term()),
			fmt.Sprintf("count(%s) >= %d", p.path(), p.IntN(2)),
			fmt.Sprintf("count([%s | some %s in %s]) >= 0", v, v, p.path()),
			fmt.Sprintf("%s in %s", p.term(), p.term()),
			fmt.Sprintf("startswith(%s, %q)", p.path(), p.one("E", "s", "")),
			fmt.Sprintf("time.parse_rfc3339_ns(%s) > 0", p.one("input.now.rfc3339", "input.tx.chain")),
		))
	}
	return strings.Join(out, "\n\t")
}

func (p *ownPolicy) module() string {
	var b strings.Builder
	b.WriteString("package countersign.rules.own\n\nimport data.countersign.lib\n\n")
	b.WriteString("double(x) := x * 2\n\nshown(x) := sprintf(\"%v\", [x])\n\nnames contains name if some name, _ in data.custom.names\n\n")
	p.helpers = []string{"names", "lib.kind", "lib.amount", "lib.limits", "data.countersign.rules.windows.counted", "data.countersign.rules.addresses.denied"}
	for i := range 1 + p.IntN(4) {
		name := fmt.Sprintf("h%d", i)
		switch p.IntN(6) {
		case 0:
			fmt.Fprintf(&b, "%s if {\n\t%s\n}\n\n", name, p.body())
		case 1:
			fmt.Fprintf(&b, "default %s := 0\n\n%s := %s if {\n\t%s\n}\n\n", name, name, p.term(), p.body())
		case 2:
			fmt.Fprintf(&b, "%s contains %s if {\n\t%s\n}\n\n", name, p.term(), p.body())
		case 3:
			fmt.Fprintf(&b, "%s := %s if {\n\t%s\n} else := %s if {\n\t%s\n}\n\n", name, p.term(), p.body(), p.term(), p.body())
		case 4: // two values, if both hold
			fmt.Fprintf(&b, "%s := 1 if {\n\t%s\n}\n\n%s := 2 if {\n\t%s\n}\n\n", name, p.body(), name, p.body())
		case 5:
			fmt.Fprintf(&b, "%s[key] := %s if {\n\tsome key in %s\n\t%s\n}\n\n", name, p.term(), p.one("names", "input.evidence.codes", `["ETH", "BTC"]`), p.body())
			p.helpers = append(p.helpers, name+`["ETH"]`)
		}
		p.helpers = append(p.helpers, name)
	}
	for i := range 1 + p.IntN(4) {
		fmt.Fprintf(&b, "# METADATA\n# labels:\n#   id: own.rule%d\n", i)
		switch p.IntN(4) {
		case 0:
			fmt.Fprintf(&b, "reject contains {\"id\": \"own.rule%d\", \"message\": message} if {\n\t%s\n\tmessage := sprintf(\"%%v\", [%s])\n}\n\n", i, p.body(), p.term())
		case 1:
			fmt.Fprintf(&b, "wait contains {\"id\": \"own.rule%d\", \"message\": \"later\", \"seconds\": 5} if {\n\t%s\n}\n\n", i, p.body())
		default:
			fmt.Fprintf(&b, "allow contains {\"id\": \"own.rule%d\"} if {\n\t%s\n}\n\n", i, p.body())
		}
	}
	return b.String()
}

// TestOwnPolicies: whatever the rules of an own policy look at and however they ask each other, the engine that remembers
// decides what the same policy decides as a whole: about inputs that follow each other, alike in some parts and not in others.
func TestOwnPolicies(t *testing.T) {
	data := trafficData()
	data["addresses"] = demoData()["addresses"]
	data["custom"] = object{"limit": 5, "names": object{"ETH": "a", "BTC": "b"}}
	p := &ownPolicy{Rand: rand.New(rand.NewPCG(5, 6))}
	d := newEngine(t, data)
	var base []map[string]any
	for _, in := range traffic(t, d, 3) {
		b, err := in.Canonical()
		must(t, err)
		var plain map[string]any
		must(t, json.Unmarshal(b, &plain))
		delete(plain, "format")
		base = append(base, plain)
	}
	base = append(base, inputs(t, d)...)
	shipped := source(t, data)
	custom, err := json.Marshal(object{"custom": data["custom"]})
	must(t, err)
	seen := map[string]int{}
	for built := 0; built < ownPolicies; {
		module := p.module()
		e, err := newOwn(t, shipped, custom, module)
		if err != nil {
			seen["refused"]++
			if seen["refused"] > 400*ownPolicies {
				t.Fatalf("%s\n%v", module, err)
			}
			continue
		}
		built++
		if e.InParts() {
			seen["in parts"]++
		}
		whole := e.Whole()
		var last []byte
		for range 40 {
			var in map[string]any
			b, err := json.Marshal(base[p.IntN(len(base))])
			must(t, err)
			must(t, json.Unmarshal(b, &in))
			for range p.IntN(3) {
				change(p.Rand, in)
			}
			for _, b := range [][]byte{recorded(t, in), last} {
				if b == nil {
					continue
				}
				want, wantErr := whole.Replay(t.Context(), b)
				got, gotErr := e.Replay(t.Context(), b)
				if !reflect.DeepEqual(got, want) || (gotErr == nil) != (wantErr == nil) {
					t.Fatalf("%s\n%s\nin parts: %+v, %v\nas a whole: %+v, %v", module, b, got, gotErr, want, wantErr)
				}
				for _, rule := range want.Fired {
					seen[rule]++
				}
			}
			last = recorded(t, in)
		}
	}
	for _, what := range []string{"in parts", "own.rule0", policy.RuleEngineError} {
		if seen[what] == 0 {
			t.Errorf("it was never %s: %v", what, seen)
		}
	}
}

// ownPolicies is how many are tried.
const ownPolicies = 4

// newOwn is an engine of the shipped modules with one more. Most are refused, which is soon told of one module, beside what a lint looks
// at of the data.
func newOwn(t *testing.T, shipped *policy.Source, custom []byte, module string) (*policy.Engine, error) {
	t.Helper()
	alone := &policy.Source{Modules: map[string][]byte{"own.rego": []byte(module)}, Data: custom}
	found, err := alone.Lint()
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(found, func(f policy.Finding) bool { return f.Refused }); i >= 0 {
		return nil, errors.New(found[i].String())
	}
	s := *shipped
	s.Modules = maps.Clone(shipped.Modules)
	s.Modules["own.rego"] = []byte(module)
	return policy.New(t.Context(), policy.Config{Source: &s, Timeout: unhurried})
}
