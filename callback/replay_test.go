package callback_test

import (
	"context"
	"encoding/json"
	"iter"
	"testing"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

func (w *world) replay(id string) callback.ReplayView {
	w.t.Helper()
	return get[callback.ReplayView](w, "/admin/v1/decisions/"+id+"/replay")
}

// TestReplayDecisions: what is recorded gives the recorded decision and the recorded bytes again, for every kind of decision.
func TestReplayDecisions(t *testing.T) {
	w := newWorld(t, options{data: windowed})
	w.ask(payment{callbackID: "approve", requestID: "r-1", amount: 6_000, nonce: 1}.check(t))
	w.ask(payment{callbackID: "reject", requestID: "r-2", amount: 6_000, nonce: 2}.check(t))
	w.ask(large("wait", keyID(t, newKey(t))).check(t))
	w.ask(payment{callbackID: "mismatch", requestID: "r-3", amount: 1, nonce: 3, claim: func(info map[string]any) { info["amount"] = "2000000" }}.check(t))
	w.ask(payment{callbackID: "scope", requestID: "r-4", amount: 1, nonce: 4, claim: wallet("")}.check(t))
	w.ask(outcome("approve", wire.OutcomeSigned, ""))
	all := w.decisions("")
	if len(all) != 6 {
		t.Fatalf("%d decisions", len(all))
	}
	for _, d := range all {
		v := w.replay(d.ID)
		if judged := d.Path == string(wire.PathCheck); v.Judged != judged || !v.Reply || len(v.Differences) != 0 {
			t.Errorf("%s %s: %+v", d.CallbackID, d.Action, v)
		}
	}
	before := w.live.Engine().Revision()
	w.writeData(testData(func(data map[string]any) { windowed(data); data["custom"] = map[string]any{"other": 1} }))
	if _, err := w.server.ReloadPolicy(t.Context()); err != nil || w.live.Engine().Revision() == before {
		t.Fatalf("the policy was not reloaded: %v", err)
	}
	if v := w.replay(all[0].ID); v.Judged || !v.Reply || v.Revision != "" && v.Revision != before {
		t.Errorf("under another revision: %+v", v)
	}
}

// past is everything that was decided, oldest first.
func (w *world) past() iter.Seq2[callback.Past, error] {
	w.t.Helper()
	page, err := w.ledger.Decisions(context.Background(), ledger.Filter{}, 0, "")
	ok(w.t, err)
	return func(yield func(callback.Past, error) bool) {
		for i := len(page.Decisions) - 1; i >= 0; i-- {
			if !yield(callback.PastOf(page.Decisions[i]), nil) {
				return
			}
		}
	}
}

func (w *world) backtest(change func(map[string]any)) *callback.Backtest {
	w.t.Helper()
	candidate, err := liveOver(change)
	ok(w.t, err)
	b, err := callback.RunBacktest(w.t.Context(), candidate.Engine(), nil, w.past(), nil)
	ok(w.t, err)
	return b
}

// TestBacktest judges the past by other policies: the same one flips nothing, and windows are filled anew by what the
// candidate approves.
func TestBacktest(t *testing.T) {
	w := newWorld(t, options{data: windowed})
	pay := func(callbackID string, amount, nonce int64, action wire.Action) {
		t.Helper()
		d, _ := w.ask(payment{callbackID: callbackID, requestID: "r-" + callbackID, amount: amount, nonce: nonce}.check(t))
		want(t, d, action)
	}
	pay("b-1", 6_000, 1, wire.Approve)
	pay("b-2", 6_000, 2, wire.Reject)
	pay("b-3", 4_000, 3, wire.Approve)
	w.ask(outcome("b-1", wire.OutcomeNotSigned, ""))
	pay("b-4", 5_000, 4, wire.Approve)
	w.ask(large("b-5", keyID(t, newKey(t))).check(t)) // waits
	w.ask(message("b-6", "hello"))

	if b := w.backtest(windowed); len(b.Flips) != 0 || b.Judged != 6 || b.Reports != 1 || b.Skipped != 0 {
		t.Errorf("the same policy: %+v", b)
	}
	wider := w.backtest(func(data map[string]any) {
		windowed(data)
		data["windows"].(map[string]any)["usdt-day"].(map[string]any)["max"] = "12000"
	})
	// b-2 is approved, so that b-3 is not; b-1's outcome makes room for b-4 again.
	flips := map[string]wire.Action{}
	for _, f := range wider.Flips {
		flips[f.CallbackID] = f.Now
	}
	if len(flips) != 2 || flips["b-2"] != wire.Approve || flips["b-3"] != wire.Reject {
		t.Errorf("a wider window: %+v", wider.Flips)
	}
	if len(wider.Sums) != 2 || wider.Sums[0].Count != 1 || wider.Sums[0].Rule != "window.max" || wider.Sums[0].Asset != "USDT_ETH" {
		t.Errorf("its sums: %+v", wider.Sums)
	}
	without := w.backtest(func(data map[string]any) { windowed(data); data["messages"] = map[string]any{} })
	if len(without.Flips) != 1 || without.Flips[0].CallbackID != "b-6" || without.Flips[0].Now != wire.Reject || without.Flips[0].NowRule == "" {
		t.Errorf("without messages: %+v", without.Flips)
	}
}

// TestBacktestOfLateSignature: the word that there is a signature after all, behind the word that there is none, counts in a backtest
// as it did in the log. Where the candidate has nothing to count it is named, and everything else is judged.
func TestBacktestOfLateSignature(t *testing.T) {
	w, _ := quickWorld(t, options{}, fewMessages("1"))
	_, err := w.server.ReloadPolicy(t.Context())
	ok(t, err)
	for _, c := range []*wire.Check{hello(0), outcome("m-0", wire.OutcomeNotSigned, ""), outcome("m-0", wire.OutcomeSigned, "")} {
		d, _ := w.ask(c)
		want(t, d, wire.Approve)
	}
	d, _ := w.ask(hello(1))
	want(t, d, wire.Reject)
	propose := func(change func(map[string]any)) (e callback.Effect) {
		t.Helper()
		var view callback.ProposalView
		if a := w.adminJSON("POST", "/admin/v1/policy/proposals", callback.PolicyRequest{PolicyText: w.text(change)}, &view); a.status != 200 {
			t.Fatal(a)
		}
		ok(t, json.Unmarshal([]byte(view.EffectDocument), &e))
		return e
	}
	same := func(d map[string]any) {
		fewMessages("1")(d)
		d["custom"] = map[string]any{"other": 1}
	}
	all := w.decisions("")
	if e := propose(same); e.Older || e.First != all[len(all)-1].ID || e.Since.IsZero() || e.Judged != 2 || e.Reports != 2 || e.Flipped != 0 || e.Untaken != 0 {
		t.Errorf("the same windows: %+v", e)
	}
	late := w.decisions("callback_id=m-0")[0].ID
	if e := propose(func(map[string]any) {}); e.Judged != 2 || e.Reports != 2 || e.Untaken != 1 || e.UntakenIDs[0] != late {
		t.Errorf("without windows: %+v, want %s untaken", e, late)
	}
	w.server.EffectOver(1)
	if e := propose(fewMessages("5")); !e.Older || e.First != all[0].ID || e.Judged != 1 {
		t.Errorf("over one decision: %+v", e)
	}
}
