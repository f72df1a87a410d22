package callback_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/e2e/bitcoin"
	"github.com/countersign-mpc/countersign/wire"
)

// askB has node b ask.
func (w *world) askB(c *wire.Check) *wire.Decision {
	w.t.Helper()
	a := w.post(w.nodeB, "/v1/check", string(must[[]byte](w.t)(c.Marshal())))
	return w.decision(a, &w.replyB.PublicKey, c.Asked())
}

// TestOneApprovalForAllInputs: three inputs are three requests, each signed anew by the requester, asked by two nodes under
// callback_ids of their own. They wait for one approval, and one approval serves all of them.
func TestOneApprovalForAllInputs(t *testing.T) {
	w := newWorld(t, options{live: bitcoinLive()})
	s := three(keyID(t, newKey(t)))
	ids := map[string]bool{}
	for i := range 3 {
		s.input = i
		d, _ := w.ask(s.check(fmt.Sprint("cb-a-", i)))
		want(t, d, wire.Wait, "approval.required: waiting for approval ")
		ids[strings.Fields(d.Reason)[4]] = true
		d = w.askB(s.check(fmt.Sprint("cb-b-", i)))
		want(t, d, wire.Wait, "approval.required: waiting for approval ")
		ids[strings.Fields(d.Reason)[4]] = true
	}
	if len(ids) != 1 {
		t.Fatalf("they wait for %v, want one approval", ids)
	}
	a := w.pending()
	if len(a.Digests) != 3 {
		t.Fatalf("the approval is about %d digests, want 3", len(a.Digests))
	}
	for i, d := range a.Digests {
		if want := mustGet(s.payment.Digest(i)); d.String() != hex.EncodeToString(want) {
			t.Errorf("digest %d is %s, btcd's is %x", i, d, want)
		}
	}
	w.approveBy(a, "alice", "bob")
	for i := range 3 {
		s.input = i
		d, _ := w.ask(s.check(fmt.Sprint("cb-a2-", i)))
		want(t, d, wire.Approve)
		want(t, w.askB(s.check(fmt.Sprint("cb-b2-", i))), wire.Approve)
	}
	for _, id := range []string{"cb-a2-0", "cb-b2-2"} {
		if got := w.decision1("callback_id=" + id); got.Approval != a.ID {
			t.Errorf("%s is approved under %q, want %s", id, got.Approval, a.ID)
		}
	}
	w.clock.step(time.Hour)
	d, _ := w.ask(s.check("cb-late"))
	want(t, d, wire.Wait)
	if again := w.pending(); again.ID == a.ID {
		t.Error("an approval that has expired is waited for")
	}
}

// TestApprovalIsForOnePayment: nothing that is not of the payment rides on its approval.
func TestApprovalIsForOnePayment(t *testing.T) {
	w := newWorld(t, options{live: bitcoinLive()})
	requester := keyID(t, newKey(t))
	s := three(requester)
	d, _ := w.ask(s.check("cb-1"))
	want(t, d, wire.Wait)
	a := w.pending()
	w.approveBy(a, "alice", "bob")

	other := three(requester)
	other.payment = mustGet(bitcoin.PayThree(coinKey(), other.amount-1_000))
	stranger := func(c *wire.Check, _ map[string]any) {
		c.RequestDetail.Message = hex.EncodeToString(mustGet(other.payment.Digest(0)))
	}
	for i, tc := range []struct {
		name   string
		change func(s *spending)
		action wire.Action
		says   string
	}{
		{"a digest of another payment", func(s *spending) { s.change = stranger }, wire.Reject, "evidence.mismatch: "},
		{"the digest of another input", func(s *spending) {
			s.change = func(c *wire.Check, _ map[string]any) {
				c.RequestDetail.Message = hex.EncodeToString(mustGet(s.payment.Digest(1)))
			}
		}, wire.Reject, "evidence.mismatch: "},
		{"an input that is none", func(s *spending) {
			s.change = func(_ *wire.Check, info map[string]any) { info["curInputId"] = "3" }
		}, wire.Reject, "request.malformed: "},
		{"changed outputs", func(s *spending) { s.payment, s.amount = other.payment, other.amount-1_000 }, wire.Wait, "approval.required: "},
		{"another payment", func(s *spending) { s.requestID = "p-2" }, wire.Wait, "approval.required: "},
		{"another requester", func(s *spending) { s.requester = keyID(t, newKey(t)) }, wire.Wait, "approval.required: "},
		{"another note", func(s *spending) {
			s.change = func(_ *wire.Check, info map[string]any) { info["note"] = "x" }
		}, wire.Wait, "approval.required: "},
		{"another sign_type", func(s *spending) {
			s.change = func(c *wire.Check, info map[string]any) {
				c.RequestDetail.SignType = wire.SignTypeRaw
				delete(info, "rawTx")
			}
		}, wire.Reject, "raw."},
		{"without its PSBT", func(s *spending) {
			s.change = func(_ *wire.Check, info map[string]any) { delete(info, "rawTx") }
		}, wire.Reject, "evidence.unverifiable: "},
		{"another key", func(s *spending) {
			s.change = func(_ *wire.Check, info map[string]any) { info["publickKey"] = publicAt("m/84/0/0/0/1") }
		}, wire.Reject, "evidence.mismatch: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := three(requester)
			tc.change(&s)
			d, _ := w.ask(s.check(fmt.Sprint("cb-other-", i)))
			want(t, d, tc.action, tc.says)
			if strings.Contains(d.Reason, a.ID) {
				t.Errorf("it rides on the payment's approval: %s", d.Reason)
			}
		})
	}
	s.input = 2
	d, _ = w.ask(s.check("cb-last"))
	want(t, d, wire.Approve)
}

// TestSameRequestOfTwoNodes: two guarded nodes of a 2-of-3 key ask about the same requests and are told the same.
func TestSameRequestOfTwoNodes(t *testing.T) {
	w := newWorld(t, options{live: bitcoinLive()})
	requester := keyID(t, newKey(t))
	small := payment{requestID: "r-small", amount: 500}
	tooLarge := payment{requestID: "r-large", amount: 200_000}
	for name, tc := range map[string]struct {
		check  func(callbackID string) *wire.Check
		action wire.Action
	}{
		"approved": {func(id string) *wire.Check { small.callbackID = id; return small.check(t) }, wire.Approve},
		"rejected": {func(id string) *wire.Check { tooLarge.callbackID = id; return tooLarge.check(t) }, wire.Reject},
		"waits":    {func(id string) *wire.Check { return three(requester).check(id) }, wire.Wait},
		"taproot":  {func(id string) *wire.Check { return taproot(true).check(id) }, wire.Approve},
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := w.ask(tc.check("cb-" + name)) // the same callback_id is two, of two nodes
			want(t, d, tc.action)
			b := w.askB(tc.check("cb-" + name))
			want(t, b, tc.action)
			if b.Reason != d.Reason {
				t.Errorf("node a is told %q, node b %q", d.Reason, b.Reason)
			}
			for _, view := range w.decisions("callback_id=cb-" + name) {
				if other := w.decisions("callback_id=cb-" + name)[0]; view.IntentHash != other.IntentHash {
					t.Error("the same request has two intents")
				}
			}
		})
	}
	// Each node's result is its own: b's approval vouches for nothing that a reports.
	c := message("cb-result", "hello")
	want(t, w.askB(c), wire.Approve)
	d, _ := w.ask(report("cb-result", "hello", hex.EncodeToString(signMessage("hello"))))
	want(t, d, wire.Reject, "report.check: ")
	r := report("cb-result", "hello", hex.EncodeToString(signMessage("hello")))
	a := w.post(w.nodeB, "/v1/rawdata_signature", string(must[[]byte](t)(r.Marshal())))
	want(t, w.decision(a, &w.replyB.PublicKey, r.Asked()), wire.Approve)
	kept := map[string]string{}
	for _, r := range w.results("callback_id=cb-result") {
		kept[r.NodeName] = r.Status
	}
	if len(kept) != 2 || kept["a"] != callback.ResultUnmatched || kept["b"] != callback.ResultVerified {
		t.Errorf("kept are %v", kept)
	}
}
