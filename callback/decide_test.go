package callback_test

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/wire"
)

func TestVerifiedTransferIsApproved(t *testing.T) {
	w := newWorld(t, options{})
	d, a := w.ask(payment{callbackID: "cb-1", requestID: "r-1", amount: 500}.check(t))
	want(t, d, wire.Approve)
	var reply wire.Response
	ok(t, json.Unmarshal([]byte(a.body), &reply))
	if reply.Error != "" || reply.Data.WaitTime != "" || reply.Data.Action != "Approve" {
		t.Errorf("the reply is %s", a.body)
	}
	decision := w.decision1("callback_id=cb-1")
	if status := decision.input(t).Evidence.Status; status != "verified" {
		t.Errorf("evidence is %q", status)
	}
	if got := decision.input(t).Tx.Source; got != "evidence" {
		t.Errorf("the transaction's source is %q", got)
	}
}

func TestLimitsAndEvidence(t *testing.T) {
	w := newWorld(t, options{})
	claim := func(key, value string) func(map[string]any) { return func(info map[string]any) { info[key] = value } }
	for _, tc := range []struct {
		name string
		p    payment
		says []string
	}{
		{"over the limit", payment{amount: 100_001}, []string{"limit.per_transaction: "}},
		{"other amount than signed", payment{amount: 500, claim: claim("amount", "1")}, []string{"evidence.mismatch: ", "amount"}},
		{"other recipient than signed", payment{amount: 500, claim: claim("to", "0x742d35Cc6634C0532925a3b844Bc454e4438f44e")}, []string{"evidence.mismatch: ", "to"}},
		{"other gas price than signed", payment{amount: 500, claim: claim("gasPrice", "1")}, []string{"evidence.mismatch: ", "gasPrice"}},
		{"other gas limit than signed", payment{amount: 500, claim: claim("gasLimit", "1")}, []string{"evidence.mismatch: ", "gasLimit"}},
		{"asset that is another", payment{amount: 500, claim: claim("assetId", "ETH")}, []string{"evidence.mismatch: ", "assetId"}},
		{"asset that nobody knows", payment{amount: 500, claim: claim("assetId", "DOGE")}, []string{"asset.unknown: "}},
		{"from that is not the derived key's", payment{amount: 500, claim: func(info map[string]any) {
			info["publickKey"], info["from"] = rootKey, "0x742d35Cc6634C0532925a3b844Bc454e4438f44e"
		}}, []string{"evidence.mismatch: ", "from"}},
		{"rawTx of another chain's family", payment{amount: 500, claim: func(info map[string]any) {
			info["chainSymbol"], info["assetId"], info["to"] = "BTC", "BTC_BTC", "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx"
			info["amount"] = "5"
		}}, []string{"request.malformed: ", "another family than chainSymbol names"}},
		{"rawTx that is none", payment{amount: 500, claim: claim("rawTx", "0xff")}, []string{"request.malformed: ", "rawTx"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.p.callbackID, tc.p.requestID = "cb-"+tc.name, "r"
			d, _ := w.ask(tc.p.check(t))
			want(t, d, wire.Reject, tc.says...)
		})
	}
	c := payment{callbackID: "cb-digest", requestID: "r", amount: 5}.check(t)
	c.RequestDetail.Message = strings.Repeat("00", 32)
	d, _ := w.ask(c)
	want(t, d, wire.Reject, "evidence.mismatch: ", "message")
	c = payment{callbackID: "cb-digest-btc", requestID: "r", amount: 5, claim: func(info map[string]any) { info["chainSymbol"] = "BTC" }}.check(t)
	c.RequestDetail.Message = strings.Repeat("00", 32)
	d, _ = w.ask(c)
	want(t, d, wire.Reject, "request.malformed: ", "digest")
}

// TestPolicyCannotApproveAMismatch: the server rejects by itself what no policy may approve.
func TestPolicyCannotApproveAMismatch(t *testing.T) {
	w := newWorld(t, options{live: permissive(t)})
	d, _ := w.ask(payment{callbackID: "fine", requestID: "r", amount: 5}.check(t))
	want(t, d, wire.Approve)
	d, _ = w.ask(payment{callbackID: "lie", requestID: "r", amount: 5, claim: func(i map[string]any) { i["amount"] = "1" }}.check(t))
	want(t, d, wire.Reject, "evidence.mismatch: ", "amount")
	c := payment{callbackID: "malformed", requestID: "r", amount: 5}.check(t)
	c.RequestDetail.SignType = "7"
	d, _ = w.ask(c)
	want(t, d, wire.Reject, "request.malformed: ")
}

// TestCallbackIDOwnsOneBody: the same body gets the same bytes, at once and later, and another body an error.
func TestCallbackIDOwnsOneBody(t *testing.T) {
	w := newWorld(t, options{})
	p := payment{callbackID: "cb-1", requestID: "r-1", amount: 500}
	_, first := w.ask(p.check(t))
	_, again := w.ask(p.check(t))
	if again.status != 200 || again.body != first.body {
		t.Errorf("again: HTTP %d\n%s\nfirst\n%s", again.status, again.body, first.body)
	}
	p.amount = 501
	body, signature, err := wire.SealCheck(w.nodeKey, p.check(t))
	ok(t, err)
	other := w.send("/check", string(body), http.Header{"Signature": {signature}})
	if other.status != http.StatusBadRequest || !strings.Contains(other.body, "conflict") {
		t.Errorf("another body: HTTP %d %s", other.status, other.body)
	}
	if got := w.decisions("callback_id=cb-1"); len(got) != 1 {
		t.Errorf("%d decisions under one callback_id", len(got))
	}
}

// TestOneDecisionUnderLoad: many at the same time with one callback_id are decided once and get the same bytes.
func TestOneDecisionUnderLoad(t *testing.T) {
	w := newWorld(t, options{})
	body, signature, err := wire.SealCheck(w.nodeKey, payment{callbackID: "cb-1", requestID: "r-1", amount: 500}.check(t))
	ok(t, err)
	replies := make([]string, 16)
	var wg sync.WaitGroup
	for i := range replies {
		wg.Go(func() { replies[i] = w.send("/check", string(body), http.Header{"Signature": {signature}}).body })
	}
	wg.Wait()
	for _, r := range replies {
		if r != replies[0] {
			t.Fatalf("two replies:\n%s\n%s", r, replies[0])
		}
	}
	if got := w.decisions(""); len(got) != 1 {
		t.Errorf("%d decisions", len(got))
	}
}

// TestDeterministicReplies: another server with the same keys and policy gives the same bytes.
func TestDeterministicReplies(t *testing.T) {
	checks := []*wire.Check{
		payment{callbackID: "cb-1", requestID: "r-1", amount: 500}.check(t), payment{callbackID: "cb-2", requestID: "r-2", amount: 100_001}.check(t),
	}
	one, two := newWorld(t, options{}), newWorld(t, options{})
	for _, c := range checks {
		_, a := one.ask(c)
		_, b := two.ask(c)
		if a.body != b.body {
			t.Errorf("two servers say\n%s\n%s", a.body, b.body)
		}
	}
}

// TestTwoNodes: each node is answered under its own key, owns its own callback_ids, and cannot speak for the other.
func TestTwoNodes(t *testing.T) {
	w := newWorld(t, options{})
	c := payment{callbackID: "cb-1", requestID: "r-1", amount: 500}.check(t)
	body := string(must[[]byte](t)(c.Marshal()))
	a, b := w.post(w.nodeKey, "/check", body), w.post(w.nodeB, "/check", body)
	want(t, w.decision(a, &w.replyKey.PublicKey, c.Asked()), wire.Approve)
	want(t, w.decision(b, &w.replyB.PublicKey, c.Asked()), wire.Approve)
	if _, err := wire.OpenReply(a.status, []byte(a.body), &w.replyB.PublicKey, c.Asked()); err == nil {
		t.Error("a's reply counts at b")
	}
	// b may use a callback_id of a for another body, and does not touch a's by it.
	other := payment{callbackID: "cb-1", requestID: "r-2", amount: 7}.check(t)
	if got := w.post(w.nodeB, "/check", string(must[[]byte](t)(other.Marshal()))); got.status != http.StatusBadRequest {
		t.Errorf("b's second body under its callback_id: HTTP %d", got.status)
	}
	if got := w.post(w.nodeKey, "/check", body); got.body != a.body {
		t.Error("a's reply changed")
	}
	// a's body under b's signature is b's question; a's signature on b's body is nobody's.
	signature := hex.EncodeToString(must[[]byte](t)(wire.SignP256(w.nodeB, []byte(body))))
	fresh := strings.Replace(body, "cb-1", "cb-9", 1)
	if got := w.send("/check", fresh, http.Header{"Signature": {signature}}); got.status != http.StatusBadRequest {
		t.Errorf("a signature of another body: HTTP %d %s", got.status, got.body)
	}
	nodes := map[string]bool{}
	for _, d := range w.decisions("callback_id=cb-1") {
		nodes[d.Node] = true
	}
	if len(nodes) != 2 {
		t.Errorf("decisions under cb-1 are of %d nodes, want 2", len(nodes))
	}
}

// TestForms: the spellings and forms that the protocol allows are one request.
func TestForms(t *testing.T) {
	w := newWorld(t, options{cfg: func(c *callback.Config) { c.ActionStyle = wire.StyleUpper }})
	c := payment{callbackID: "cb-1", requestID: "r-1", amount: 500}.check(t)
	body := string(must[[]byte](t)(c.Marshal()))
	signature := hex.EncodeToString(must[[]byte](t)(wire.SignP256(w.nodeKey, []byte(body))))
	first := w.send("/check", body, http.Header{"Signature": {signature}})
	if !strings.Contains(first.body, `"action":"APPROVE"`) {
		t.Errorf("the reply is %s", first.body)
	}
	for name, header := range map[string]http.Header{
		"the guide's spelling": {"Sigature": {signature}}, "both spellings": {"Sigature": {signature}, "Signature": {signature}}, "upper case": {"Signature": {strings.ToUpper(signature)}},
	} {
		if got := w.send("/v1/check", body, header); got.body != first.body {
			t.Errorf("%s: HTTP %d %s", name, got.status, got.body)
		}
	}
	// The same request with white space, signed in its canonical form.
	spaced := strings.Replace(body, `{"callback_id"`, `{ "callback_id"`, 1)
	if got := w.send("/check", spaced, http.Header{"Signature": {signature}}); got.body != first.body {
		t.Errorf("with white space: HTTP %d %s", got.status, got.body)
	}
}
