package policy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/policy"
)

// engineOf builds an engine over one module, with the demo's data.
func engineOf(t testing.TB, module string, timeout time.Duration) (*policy.Engine, error) {
	t.Helper()
	if timeout == 0 {
		timeout = unhurried
	}
	s := source(t, demoData())
	s.Modules = map[string][]byte{"own.rego": []byte(module), "passing_test.rego": []byte(passing)}
	return policy.New(t.Context(), policy.Config{Source: s, Timeout: timeout})
}

// rule declares an id, so that a decision may name it.
const rule = "package countersign\n\n# METADATA\n# labels:\n#   id: own.rule\ndeclared := true\n\n"

func verdict(allow, reject, wait, require string) string {
	return fmt.Sprintf("%sdecision := {\"allow\": %s, \"reject\": %s, \"wait\": %s, \"require\": %s}\n", rule, allow, reject, wait, require)
}

const none = "set()"

// TestFailuresReject makes the policy go wrong in every way that it can: none of them may approve.
func TestFailuresReject(t *testing.T) {
	group, _ := demoEngine(t).Group("treasury")
	requirement := func(change string) string {
		r := fmt.Sprintf(`{"rule": "own.rule", "group": "treasury", "group_revision": %q, "threshold": 2, "expiry_seconds": 60, `+
			`"not_requester": false, "rejection_final": false}`, group.Revision)
		return verdict(none, none, `{{"id": "own.rule", "message": "m", "seconds": 1, "requirement": object.union(`+r+`, `+change+`)}}`,
			`{"own.rule"}`)
	}
	allowed := `{{"id": "own.rule"}}`
	required := `{"own.rule"}`
	for name, c := range map[string]struct{ module, rule string }{
		"undefined":             {rule + "decision := {} if input.node.name == \"nobody\"\n", policy.RuleEngineUndefined},
		"no entrypoint":         {rule, policy.RuleEngineUndefined},
		"two values":            {rule + "decision := 1 if true\n\ndecision := 2 if input.now.unix > 0\n", policy.RuleEngineError},
		"a built-in that fails": {rule + "decision := json.unmarshal(sprintf(\"{%s\", [input.node.name]))\n", policy.RuleEngineError},
		"true":                  {rule + "decision := true\n", policy.RuleEngineShape},
		"a string":              {rule + "decision := \"Approve\"\n", policy.RuleEngineShape},
		"an action":             {rule + "decision := {\"action\": \"Approve\"}\n", policy.RuleEngineShape},
		"a member missing":      {rule + "decision := {\"allow\": {{\"id\": \"own.rule\"}}, \"reject\": set(), \"require\": {\"own.rule\"}}\n", policy.RuleEngineShape},
		"a member too many": {strings.Replace(verdict(allowed, none, none, required), "\"allow\"", "\"more\": 1, \"allow\"", 1),
			policy.RuleEngineShape},
		"arrays for sets":         {verdict(`[{"id": "own.rule"}]`, "[]", "[]", `["own.rule"]`), policy.RuleEngineShape},
		"objects for sets":        {verdict("{}", "{}", "{}", "{}"), policy.RuleEngineShape},
		"null for sets":           {verdict("null", "null", "null", "null"), policy.RuleEngineShape},
		"ids that are no strings": {verdict(`{{"id": 1}}`, none, none, `{1}`), policy.RuleEngineShape},
		"an undeclared id":        {verdict(`{{"id": "other.rule"}}`, none, none, `{"other.rule"}`), policy.RuleEngineShape},
		"an unknown key":          {verdict(`{{"id": "own.rule", "sure": true}}`, none, none, required), policy.RuleEngineShape},
		"a reject without why":    {verdict(allowed, `{{"id": "own.rule"}}`, none, required), policy.RuleEngineShape},
		"a wait without time":     {verdict(allowed, none, `{{"id": "own.rule", "message": "m"}}`, required), policy.RuleEngineShape},
		"a wait for ever": {verdict(allowed, none, `{{"id": "own.rule", "message": "m", "seconds": 3601}}`, required),
			policy.RuleEngineShape},
		"a wait of some time": {verdict(allowed, none, `{{"id": "own.rule", "message": "m", "seconds": "1"}}`, required),
			policy.RuleEngineShape},
		"seconds on an allow":        {verdict(`{{"id": "own.rule", "seconds": 1}}`, none, none, required), policy.RuleEngineShape},
		"a group that is not there":  {requirement(`{"group": "board"}`), policy.RuleEngineShape},
		"another group's revision":   {requirement(`{"group_revision": "00"}`), policy.RuleEngineShape},
		"a threshold of none":        {requirement(`{"threshold": 0}`), policy.RuleEngineShape},
		"a threshold out of reach":   {requirement(`{"threshold": 4}`), policy.RuleEngineShape},
		"no expiry":                  {requirement(`{"expiry_seconds": 0}`), policy.RuleEngineShape},
		"another rule's requirement": {requirement(`{"rule": "other.rule"}`), policy.RuleEngineShape},
		"nothing required":           {verdict(allowed, none, none, none), policy.RuleEngineUnproven},
		"nothing said":               {verdict(none, none, none, none), policy.RuleEngineUnproven},
		"a proof missing":            {verdict(allowed, none, none, `{"own.rule", "own.other"}`), policy.RuleEngineUnproven},
		"a wait beside a missing proof": {verdict(none, none, `{{"id": "own.rule", "message": "m", "seconds": 1}}`, `{"own.rule", "x.y"}`),
			policy.RuleEngineUnproven},
		"a wait with nothing required": {verdict(allowed, none, `{{"id": "own.rule", "message": "m", "seconds": 1}}`, none),
			policy.RuleEngineUnproven},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := engineOf(t, c.module, 0)
			must(t, err)
			d, err := e.Evaluate(t.Context(), transfer(e, "1"))
			wantAction(t, d, policy.Reject, c.rule)
			if (err == nil) != (c.rule == policy.RuleEngineUnproven) {
				t.Errorf("got error %v", err)
			}
			if d.Revision != e.Revision() || d.ErrorText() == "" {
				t.Errorf("the decision %+v does not say by which policy, or why", d)
			}
		})
	}
}

// TestMerge holds the order Reject, Wait, Approve over what a policy says.
func TestMerge(t *testing.T) {
	say := func(action string) string {
		if action == "wait" {
			return `{{"id": "own.rule", "message": "wait", "seconds": 7}, {"id": "own.rule", "message": "longer", "seconds": 9}}`
		}
		return fmt.Sprintf(`{{"id": "own.rule", "message": %q}}`, action)
	}
	required := `{"own.rule"}`
	for name, c := range map[string]struct {
		module  string
		action  policy.Action
		text    string
		seconds int
	}{
		"all three": {verdict(say("allow"), say("reject"), say("wait"), required), policy.Reject, "own.rule: reject", 0},
		"reject":    {verdict(none, say("reject"), none, none), policy.Reject, "own.rule: reject", 0},
		"wait":      {verdict(say("allow"), none, say("wait"), required), policy.Wait, "own.rule: longer; own.rule: wait", 9},
		"approve":   {verdict(say("allow"), none, none, required), policy.Approve, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := engineOf(t, c.module, 0)
			must(t, err)
			d := decide(t, e, transfer(e, "1"))
			if d.Action != c.action || d.ErrorText() != c.text || d.WaitSeconds != c.seconds {
				t.Errorf("got %s %q %d, want %s %q %d", d.Action, d.ErrorText(), d.WaitSeconds, c.action, c.text, c.seconds)
			}
		})
	}
}

func TestTimeoutRejects(t *testing.T) {
	loop := rule + "decision := count([1 | some i in numbers.range(1, 4000); some j in numbers.range(1, 4000); i == j])\n"
	e, err := engineOf(t, loop, 20*time.Millisecond)
	must(t, err)
	d, err := e.Evaluate(t.Context(), transfer(e, "1"))
	wantAction(t, d, policy.Reject, policy.RuleEngineTimeout)
	wantError(t, err, "20ms")
}

func TestCancelledEvaluationRejects(t *testing.T) {
	e := demoEngine(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d, err := e.Evaluate(ctx, transfer(e, "1"))
	wantAction(t, d, policy.Reject, policy.RuleEngineError)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want one that is context.Canceled", err)
	}
}

// TestInputsThatCannotBeJudged are inputs on which Rego would compute something other than what stands there.
func TestInputsThatCannotBeJudged(t *testing.T) {
	e := demoEngine(t)
	for name, spoil := range map[string]func(*policy.Input){
		"duplicate keys in tx_info": func(in *policy.Input) { in.TxInfo = json.RawMessage(`{"amount":"1","amount":"2"}`) },
		"tx_info that is no JSON":   func(in *policy.Input) { in.TxInfo = json.RawMessage(`{`) },
		"an exponent":               func(in *policy.Input) { in.TxInfo = json.RawMessage(`{"n":1e999999999}`) },
		"an endless number":         func(in *policy.Input) { in.TxInfo = json.RawMessage(`{"n":` + strings.Repeat("9", 1000) + `}`) },
		"deep nesting": func(in *policy.Input) {
			in.TxInfo = json.RawMessage(strings.Repeat("[", 200) + strings.Repeat("]", 200))
		},
		"no time":                     func(in *policy.Input) { in.Now = policy.Now{} },
		"a negative amount":           func(in *policy.Input) { in.Tx.AmountBase = "-1" },
		"an amount with a point":      func(in *policy.Input) { in.Tx.AmountBase = "1.5" },
		"an amount with a sign":       func(in *policy.Input) { in.Tx.AmountBase = "+1" },
		"an amount over 2^256":        func(in *policy.Input) { in.Tx.AmountBase = json.Number(new(big.Int).Lsh(big.NewInt(1), 256).String()) },
		"a window without a sum":      func(in *policy.Input) { in.Windows = map[string]policy.Window{"w": {Used: "1", Reserved: "1"}} },
		"an unknown evidence status":  func(in *policy.Input) { in.Evidence.Status = "fine" },
		"verified with a difference":  func(in *policy.Input) { in.Evidence.Differences = []policy.Difference{{Field: "to"}} },
		"an input of many megabytes":  func(in *policy.Input) { in.Request.Message = strings.Repeat("x", 17<<20) },
		"an amount of an UTXO output": func(in *policy.Input) { in.UTXO = &policy.UTXO{Outputs: []policy.Coin{{AmountBase: "1e3"}}} },
	} {
		t.Run(name, func(t *testing.T) {
			in := transfer(e, "1")
			spoil(&in)
			d, err := e.Evaluate(t.Context(), in)
			wantAction(t, d, policy.Reject, policy.RuleEngineInput)
			if err == nil {
				t.Error("got no error for the log")
			}
		})
	}
}

// TestSameInputSameDecision evaluates one input many times, at once and in engines built anew, and replays it.
func TestSameInputSameDecision(t *testing.T) {
	engines := []*policy.Engine{newEngine(t, demoData()), freshEngine(t, source(t, demoData()))}
	for _, amount := range []string{"1", "6000000000", "99999999999", "x"} {
		in := transfer(engines[0], amount)
		recorded, err := in.Canonical()
		must(t, err)
		want, err := json.Marshal(decide(t, engines[0], in))
		must(t, err)
		var group sync.WaitGroup
		for i := range 50 {
			group.Go(func() {
				e := engines[i%2]
				d, err := e.Evaluate(context.Background(), in)
				if i%3 == 0 {
					d, err = e.Replay(context.Background(), recorded)
				}
				got, _ := json.Marshal(d)
				if err != nil || string(got) != string(want) {
					t.Errorf("got %s, %v, want %s", got, err, want)
				}
			})
		}
		group.Wait()
	}
}

func TestReplayRefusesWhatWasNotRecorded(t *testing.T) {
	e := demoEngine(t)
	good, err := transfer(e, "1").Canonical()
	must(t, err)
	for name, b := range map[string][]byte{
		"nothing":       nil,
		"another form":  []byte(`{"format":"countersign/policy-input/v2","request":{}}`),
		"more after it": append(append([]byte{}, good...), '1'),
		"cut off":       good[:len(good)-1],
		"a key twice":   []byte(strings.Replace(string(good), `"node":`, `"node":null,"node":`, 1)),
	} {
		t.Run(name, func(t *testing.T) {
			d, err := e.Replay(t.Context(), b)
			wantAction(t, d, policy.Reject, policy.RuleEngineInput)
			wantError(t, err, "replay")
		})
	}
}

func TestRevisionFollowsContentOnly(t *testing.T) {
	base := newEngine(t, demoData()).Revision()
	build := func(change func(*policy.Source)) string {
		s := source(t, demoData())
		change(s)
		revision, err := s.Revision()
		must(t, err)
		return revision
	}
	if again := build(func(*policy.Source) {}); again != base {
		t.Errorf("the same content has revisions %s and %s", base, again)
	}
	if got := build(func(s *policy.Source) {
		var v any
		must(t, json.Unmarshal(s.Data, &v))
		s.Data, _ = json.MarshalIndent(v, "", "   ")
	}); got != base {
		t.Error("white space in data.json changes the revision")
	}
	if got := build(func(s *policy.Source) { s.Data = []byte(strings.Replace(string(s.Data), `"10000"`, `"10001"`, 1)) }); got == base {
		t.Error("another limit has the same revision")
	}
	if got := build(func(s *policy.Source) { s.Modules["lib.rego"] = append(s.Modules["lib.rego"], "# x\n"...) }); got == base {
		t.Error("another module has the same revision")
	}
	if got := build(func(s *policy.Source) { s.Modules["a/own_test.rego"] = []byte(passing) }); got == base {
		t.Error("another file has the same revision")
	}
}

func TestEngineDoesNotFollowItsSource(t *testing.T) {
	s := source(t, demoData())
	e, err := policy.New(t.Context(), policy.Config{Source: s, Timeout: unhurried})
	must(t, err)
	s.Modules["lib.rego"][0] = 'x'
	clear(s.Modules)
	if report, err := e.Test(t.Context()); err != nil || len(report.Failures) > 0 {
		t.Errorf("got %v, %v after the source changed", report.Failures, err)
	}
}

func TestRequirementHash(t *testing.T) {
	base := policy.Requirement{RuleID: "a.b", Group: "g", GroupRevision: "00", Threshold: 2, ExpirySeconds: 60}
	seen := map[[32]byte]bool{base.Hash(): true}
	for name, change := range map[string]func(*policy.Requirement){
		"rule":      func(r *policy.Requirement) { r.RuleID, r.Group = "a", "bg" },
		"group":     func(r *policy.Requirement) { r.Group = "h" },
		"revision":  func(r *policy.Requirement) { r.GroupRevision = "01" },
		"threshold": func(r *policy.Requirement) { r.Threshold = 3 },
		"expiry":    func(r *policy.Requirement) { r.ExpirySeconds = 61 },
		"requester": func(r *policy.Requirement) { r.NotRequester = true },
		"rejection": func(r *policy.Requirement) { r.RejectionFinal = true },
	} {
		r := base
		change(&r)
		if seen[r.Hash()] {
			t.Errorf("a requirement with another %s has the same hash", name)
		}
		seen[r.Hash()] = true
	}
}
