package policy_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/countersign-mpc/countersign/policy"
)

// inputs are requests of several kinds as they are recorded, without their format.
func inputs(t testing.TB, e *policy.Engine) []map[string]any {
	t.Helper()
	message := transfer(e, "1")
	message.Request.SignType, message.Tx, message.TxInfo = "2", nil, nil
	keygen := policy.Input{Now: policy.NowAt(testTime)}
	keygen.Request = policy.Request{RequestType: "keygen", Cryptography: "ecdsa-secp256k1", T: 3, N: 3, PartyIDs: []string{"sinoA", "sinoB", "sinoC"}}
	waiting := transfer(e, "7000000000")
	var out []map[string]any
	for _, in := range []policy.Input{transfer(e, "1500000000"), waiting, message, keygen} {
		b, err := in.Canonical()
		must(t, err)
		var plain map[string]any
		must(t, json.Unmarshal(b, &plain))
		delete(plain, "format")
		out = append(out, plain)
	}
	return out
}

// recorded writes an input as Canonical does.
func recorded(t testing.TB, in map[string]any) []byte {
	t.Helper()
	b, err := json.Marshal(in)
	must(t, err)
	return append([]byte(`{"format":"`+policy.InputFormat+`",`), b[1:]...)
}

// strange are values that stand in for others.
var strange = []any{
	nil, true, false, "", "1", "2", "3", "ETH", "USDT_ETH", "evm", "utxo", "sign", "keygen", "verified", "unverifiable", "mismatch", "no-raw-tx",
	0, 1, 1500000000, -1, []any{}, []any{"x"}, map[string]any{}, map[string]any{"status": "verified"},
	[]any{map[string]any{"rule": "tx.invalid", "field": "to", "message": "is odd"}},
}

// change puts a strange value into a random place of an input, or takes away what was there.
func change(r *rand.Rand, in map[string]any) {
	at := in
	for {
		keys := slices.Sorted(mapsKeys(at))
		if len(keys) == 0 {
			return
		}
		key := keys[r.IntN(len(keys))]
		if inner, isObject := at[key].(map[string]any); isObject && r.IntN(8) > 0 {
			at = inner
			continue
		}
		if r.IntN(4) == 0 {
			delete(at, key)
		} else {
			at[key] = strange[r.IntN(len(strange))]
		}
		return
	}
}

func mapsKeys(m map[string]any) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// TestPartsAsWhole: asked package by package, with what it remembers, the policy says what it says as a whole, also about
// inputs that no server makes.
func TestPartsAsWhole(t *testing.T) {
	e := newEngine(t, demoData())
	if !e.InParts() {
		t.Fatal("the shipped policy is not asked package by package")
	}
	whole := e.Whole()
	r := rand.New(rand.NewPCG(1, 2))
	base := inputs(t, e)
	actions := map[policy.Action]int{}
	for range 1500 {
		var in map[string]any
		b, err := json.Marshal(base[r.IntN(len(base))])
		must(t, err)
		must(t, json.Unmarshal(b, &in))
		for range r.IntN(3) {
			change(r, in)
		}
		b = recorded(t, in)
		want, wantErr := whole.Replay(t.Context(), b)
		for range 2 { // the second time it may remember
			got, gotErr := e.Replay(t.Context(), b)
			if !reflect.DeepEqual(got, want) || (gotErr == nil) != (wantErr == nil) {
				t.Fatalf("%s\nin parts: %+v, %v\nas a whole: %+v, %v", b, got, gotErr, want, wantErr)
			}
		}
		actions[want.Action]++
	}
	if len(actions) != 3 {
		t.Errorf("not every action was decided: %v", actions)
	}
}

// TestRemembers: what differs from request to request does not fill the memory, and what rules look at does.
func TestRemembers(t *testing.T) {
	e := newEngine(t, demoData())
	ask := func(wallet, amount string) {
		in := transfer(e, amount)
		in.Tx.WalletID = wallet
		_, err := e.Evaluate(t.Context(), in)
		must(t, err)
	}
	ask("1", "1500000000")
	first := e.Remembered()
	ask("1", "1400000000")
	if now := e.Remembered(); first == 0 || now != first {
		t.Errorf("%d answers are remembered after one request and %d after a second of the same kind", first, now)
	}
	ask("2", "1500000000") // limits may hold for a wallet
	if now := e.Remembered(); now <= first {
		t.Errorf("%d answers are remembered of two wallets, and %d of one", now, first)
	}
	for i := range policy.MaxRemembered + 10 {
		ask(fmt.Sprint(i), "1")
		if most := e.MostRemembered(); most > policy.MaxRemembered {
			t.Fatalf("%d answers are remembered", most)
		}
	}
	before := e.Remembered()
	ask(strings.Repeat("1", 5000), "1") // too long to be remembered
	if now := e.Remembered(); now != before {
		t.Errorf("%d answers are remembered behind a long one, and %d before", now, before)
	}
}

// TestWholeWhereNeeded: a policy that does more than collect, or whose rules look at things in a way that cannot be followed, is
// asked as a whole, and what its rules say counts.
func TestWholeWhereNeeded(t *testing.T) {
	const rule = "# METADATA\n# labels:\n#   id: own.rule\nreject contains {\"id\": \"own.rule\", \"message\": \"no\"} if "
	for name, c := range map[string]struct {
		module string
		parts  bool
	}{
		"a rule of its own":     {"package countersign.rules.own\n\n" + rule + "input.request.sign_type == \"1\"\n", true},
		"beside the collecting": {"package countersign\n\n" + rule + "input.request.sign_type == \"1\"\n", true},
		"collecting twice":      {"package countersign\n\nallow contains say if {\n\tsome name\n\tsome say in data.countersign.rules[name].allow\n}\n\n" + rule + "input.request.sign_type == \"1\"\n", true},
		"collecting otherwise":  {"package countersign\n\nallow contains say if {\n\tsome name\n\tsome say in data.countersign.rules[name].allow\n\tname != \"x\"\n}\n\n" + rule + "input.request.sign_type == \"1\"\n", true},
		"any member":            {"package countersign.rules.own\n\n" + rule + "input[_].family == \"evm\"\n", false},
		"the input":             {"package countersign.rules.own\n\n" + rule + "object.get(input, [\"tx\", \"family\"], \"\") == \"evm\"\n", false},
		"another input":         {"package countersign.rules.own\n\nimport data.countersign.lib\n\n" + rule + "lib.kind == \"keygen\" with input.request.request_type as \"keygen\"\n", false},
		"the decision":          {"package countersign.rules.own\n\n" + rule + "count(data.countersign.require) < 0\n\n" + rule + "input.tx.family == \"evm\"\n", false},
		"below a package":       {"package countersign.rules.own.allow\n\nx := 1\n\n# METADATA\n# labels:\n#   id: own.rule\ny if true\n", false},
	} {
		s := source(t, demoData())
		s.Modules["own.rego"] = []byte(c.module)
		e, err := policy.New(t.Context(), policy.Config{Source: s, Timeout: unhurried})
		if err != nil {
			if c.parts { // refused is as good: with is for tests, and what is below a package is not collected
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if e.InParts() != c.parts {
			t.Errorf("%s: asked in parts: %v", name, e.InParts())
		}
		d, err := e.Evaluate(t.Context(), transfer(e, "1500000000"))
		if d.Action != policy.Reject {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

// TestNotTakenApart: modules over which taking apart panics are not taken apart; a server goes on.
func TestNotTakenApart(t *testing.T) {
	main := ast.MustParseModule("package countersign.main\nimport data.countersign.rules\ndecision := 1 if rules")
	main.Rules[0].Head = nil
	if policy.TakenApart(map[string]*ast.Module{"main.rego": main, "none.rego": nil}) {
		t.Error("they are taken apart")
	}
}
