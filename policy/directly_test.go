package policy_test

import (
	"encoding/json"
	"math/big"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// TestShippedDirectly: whatever of the shipped policy is asked each time is evaluated without OPA: of transfers, payments, messages
// and keygens, approved, rejected and waiting.
func TestShippedDirectly(t *testing.T) {
	engines := map[string]*policy.Engine{}
	for name, data := range map[string]object{"demo": demoData(), "traffic": trafficData(), "bitcoin": bitcoinData()} {
		e := freshEngine(t, source(t, data)) // that nothing has asked yet
		over, err := freshEngine(t, source(t, demoData())).Over(t.Context(), source(t, data))
		must(t, err)
		engines[name], engines[name+" reloaded"] = e, over
	}
	for name, e := range engines {
		bitcoin := strings.HasPrefix(name, "bitcoin")
		if !e.InParts() {
			t.Fatalf("%s: it is not taken apart", name)
		}
		for _, left := range e.LeftToOPA() {
			t.Errorf("%s: OPA has to evaluate %s", name, left)
		}
		var all []policy.Input
		if bitcoin {
			all = append(all, runePayment(t, e, payment().Amount), runePayment(t, e, "5000"))
			wantAction(t, decide(t, e, all[0]), policy.Approve, "address.listed")
		} else {
			all = append(traffic(t, e, 100), transfer(e, "1500000000"), transfer(e, "7000000000"), transfer(e, "1500000000000000"))
		}
		parts := e.WithoutWhole()
		for _, in := range all {
			if _, err := parts.Evaluate(t.Context(), in); err != nil {
				t.Fatal(err)
			}
			decide(t, e, in)
		}
		for _, in := range inputs(t, e) {
			if _, err := parts.Replay(t.Context(), recorded(t, in)); err != nil {
				t.Fatal(err)
			}
		}
		if e.AskedOPA() {
			t.Errorf("%s: OPA was asked what can be evaluated directly", name)
		}
	}
}

// runePayment is a payment in Bitcoin beside which a rune moves.
func runePayment(t *testing.T, e *policy.Engine, amount string) policy.Input {
	info, account := payment(), bitcoin()
	info.ExtraData, info.RuneDetails, info.Amount = nil, []wire.RuneDetail{hello()}, amount
	account.Runestone = &evidence.Runestone{Edicts: []evidence.Edict{{RuneID: helloID, Amount: big.NewInt(10_000)}}}
	account.VSize = 10_000
	return completed(t, e, info, account, nil)
}

// TestPaymentsAsWhole: about payments with inputs, outputs and runes too, also such as no server makes, the policy says in parts what
// it says as a whole.
func TestPaymentsAsWhole(t *testing.T) {
	e := newEngine(t, bitcoinData())
	b, err := runePayment(t, e, payment().Amount).Canonical()
	must(t, err)
	r := rand.New(rand.NewPCG(9, 10))
	actions := map[policy.Action]int{}
	for range 300 {
		var in map[string]any
		must(t, json.Unmarshal(b, &in))
		delete(in, "format")
		for range r.IntN(3) {
			change(r, in)
		}
		changed := recorded(t, in)
		want, wantErr := e.Whole().Replay(t.Context(), changed)
		got, gotErr := e.Replay(t.Context(), changed)
		if !reflect.DeepEqual(got, want) || (gotErr == nil) != (wantErr == nil) {
			t.Fatalf("%s\nin parts: %+v, %v\nas a whole: %+v, %v", changed, got, gotErr, want, wantErr)
		}
		actions[want.Action]++
	}
	if actions[policy.Approve] == 0 || actions[policy.Reject] == 0 {
		t.Errorf("not every action was decided: %v", actions)
	}
}

// TestOddData: over data that only OPA compares, and over plain data again, a policy is asked of OPA rule by rule, and not as a whole,
// also where the data comes with a reload.
func TestOddData(t *testing.T) {
	odd := trafficData()
	odd["custom"] = object{"limit": json.RawMessage("-0")}
	plain := freshEngine(t, source(t, trafficData()))
	over, err := plain.Over(t.Context(), source(t, odd))
	must(t, err)
	again, err := over.Over(t.Context(), source(t, trafficData()))
	must(t, err)
	for _, e := range []*policy.Engine{plain, over, again, freshEngine(t, source(t, odd))} {
		in := traffic(t, e, 2)[1]
		got, err := e.WithoutWhole().Evaluate(t.Context(), in)
		must(t, err)
		if want := decide(t, e.Whole(), in); !reflect.DeepEqual(got, want) {
			t.Errorf("in parts: %+v\nas a whole: %+v", got, want)
		}
		isOdd := e != plain && e != again
		if isOdd && !e.AskedOPA() || (len(e.LeftToOPA()) > 0) != isOdd {
			t.Errorf("over odd data %t, OPA was asked %t, %v is left to it", isOdd, e.AskedOPA(), e.LeftToOPA())
		}
	}
}

// TestLeftToOPA: an own rule of a form that only OPA evaluates, or one that fails, takes nothing from what the policy says.
func TestLeftToOPA(t *testing.T) {
	const head = "package countersign.rules.own\n\n# METADATA\n# labels:\n#   id: own.rule\nreject contains {\"id\": \"own.rule\", \"message\": \"no\"} if {\n\t"
	for name, c := range map[string]struct {
		body   string
		left   bool // to OPA, of the rules
		action policy.Action
	}{
		"as the others": {"input.tx.amount_base > 1400000000", false, policy.Reject},
		"a walk":        {"walk(input.tx, [_, 1500000000])", true, policy.Reject},
		"another walk":  {"walk(input.tx, [_, 1500000001])", true, policy.Approve},
		"many steps":    {"list := numbers.range(1, 330)\n\tsome a in list\n\tsome b in list\n\ta + b == input.tx.amount_base", false, policy.Approve},
		"a fault":       {"input.tx.amount_base > 1\n\ttime.parse_rfc3339_ns(input.tx.to) > 0", false, policy.Reject},
	} {
		t.Run(name, func(t *testing.T) {
			s := source(t, demoData())
			s.Modules["own.rego"] = []byte(head + c.body + "\n}\n")
			e := freshEngine(t, s)
			if left := e.LeftToOPA(); (len(left) > 0) != c.left {
				t.Errorf("left to OPA: %v", left)
			}
			for _, amount := range []string{"1500000000", "1"} {
				in := transfer(e, amount)
				got, gotErr := e.Evaluate(t.Context(), in)
				want, wantErr := e.Whole().Evaluate(t.Context(), in)
				if !reflect.DeepEqual(got, want) || (gotErr == nil) != (wantErr == nil) {
					t.Errorf("in parts: %+v, %v\nas a whole: %+v, %v", got, gotErr, want, wantErr)
				}
				if amount != "1" && got.Action != c.action {
					t.Errorf("got %s: %v", got.Action, got.Reasons)
				}
			}
		})
	}
}

// TestFaultBehindIndex: a fault is one also where OPA's index of rules, which knows what is remembered, would leave the rule out.
func TestFaultBehindIndex(t *testing.T) {
	s := source(t, trafficData())
	s.Modules["own.rego"] = []byte(`package countersign.rules.own

import data.countersign.lib

number := 1 if is_array(input.tx.gas.limit)

number := 2 if {
	count(input.call) >= 1
	count(lib.limits) == 0
}

# METADATA
# labels:
#   id: own.rule
reject contains {"id": "own.rule", "message": message} if {
	input.request.sign_type == "1"
	message := sprintf("%v", [number])
}
`)
	e := freshEngine(t, s)
	in := transfer(e, "1500000000")
	in.Call, in.Request.RequestType = nil, "none" // for which nothing is limited
	want, _ := e.Whole().Evaluate(t.Context(), in)
	got, _ := e.Evaluate(t.Context(), in)
	if !reflect.DeepEqual(got, want) || want.Rule() != policy.RuleEngineError {
		t.Errorf("in parts: %+v\nas a whole: %+v", got, want)
	}
}

// TestOddNumbers: a number of the request that can be written in another way is OPA's to compare.
func TestOddNumbers(t *testing.T) {
	e := freshEngine(t, source(t, demoData()))
	for amount, odd := range map[string]bool{"1500000000": false, "1500000000.0": true, "-0": true, "0.50": true} {
		in := inputs(t, e)[0]
		in["tx"].(map[string]any)["amount_base"] = json.Number(amount)
		b := recorded(t, in)
		want, wantErr := e.Whole().Replay(t.Context(), b)
		got, gotErr := e.Replay(t.Context(), b)
		if !reflect.DeepEqual(got, want) || (gotErr == nil) != (wantErr == nil) {
			t.Errorf("%s: in parts: %+v, %v\nas a whole: %+v, %v", amount, got, gotErr, want, wantErr)
		}
		if _, err := e.WithoutWhole().Replay(t.Context(), b); (err != nil) != odd {
			t.Errorf("%s: asked of OPA is %t: %v", amount, odd, err)
		}
	}
}
