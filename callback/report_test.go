package callback_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/ecies"
	"github.com/countersign-mpc/countersign/wire"
)

// message has the key sign a message, which the test data allows.
func message(callbackID, text string) *wire.Check {
	return &wire.Check{
		CallbackID: callbackID, RequestType: wire.TypeSign, RequestDetail: wire.RequestDetail{SignType: wire.SignTypeMessage, PublicKey: rootKey, Path: "m", Message: text},
		ExtraInfo: wire.ExtraInfo{SinoID: "s-1", RequestID: "r-1"},
	}
}

func report(callbackID, text, signature string) *wire.Check {
	return &wire.Check{
		CallbackID: callbackID, RequestDetail: wire.RequestDetail{Message: text, Signature: signature}, ExtraInfo: wire.ExtraInfo{SinoID: "s-1", RequestID: "r-1"},
	}
}

func outcome(callbackID, word, sum string) *wire.Check {
	c := report(callbackID, word, sum)
	c.RequestType = wire.TypeOutcome
	return c
}

// recorded is what stands in the log of the newest report under a callback_id.
func (w *world) recorded(callbackID string) map[string]any {
	w.t.Helper()
	for _, d := range w.decisions("callback_id=" + callbackID) {
		if d.Path != string(wire.PathCheck) {
			var out map[string]any
			ok(w.t, json.Unmarshal(d.Record.Input, &out))
			return out
		}
	}
	w.t.Fatalf("no report under %s", callbackID)
	return nil
}

func TestReports(t *testing.T) {
	w := newWorld(t, options{})
	plain := hex.EncodeToString(signMessage("hello"))
	for _, id := range []string{"cb-1", "cb-2", "cb-3", "cb-4"} {
		d, _ := w.ask(message(id, "hello"))
		want(t, d, wire.Approve)
	}
	for _, tc := range []struct {
		name, id  string
		text, sig string
		action    wire.Action
		says      string
	}{
		{"approved", "cb-1", "hello", plain, wire.Approve, ""},
		{"another message", "cb-2", "hell", plain, wire.Reject, "report.message: "},
		{"never approved", "cb-none", "hello", plain, wire.Reject, "report.check: "},
		{"no signature", "cb-3", "hello", "", wire.Reject, "report.signature: "},
		{"signature of another length", "cb-4", "hello", plain[:100], wire.Reject, "report.signature: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, first := w.ask(report(tc.id, tc.text, tc.sig))
			want(t, d, tc.action, tc.says)
			if _, again := w.ask(report(tc.id, tc.text, tc.sig)); again.body != first.body {
				t.Errorf("again it says %s", again.body)
			}
		})
	}
	sum := sha256.Sum256(fromHex(plain))
	got := w.recorded("cb-1")
	if got["signature_sha256"] != hex.EncodeToString(sum[:]) || got["check"] == "" || got["message"] != "hello" {
		t.Errorf("recorded is %v", got)
	}
	for _, d := range w.decisions("") {
		if strings.Contains(string(d.Record.Input), plain) {
			t.Error("a signature is recorded")
		}
	}
}

// TestReportOfAnotherNode: what one node was allowed is not acknowledged to another.
func TestReportOfAnotherNode(t *testing.T) {
	w := newWorld(t, options{})
	w.ask(message("cb-1", "hello"))
	c := report("cb-1", "hello", strings.Repeat("ab", 64))
	a := w.post(w.nodeB, "/rawdata_signature", string(must[[]byte](t)(c.Marshal())))
	want(t, w.decision(a, &w.replyB.PublicKey, c.Asked()), wire.Reject, "report.check: ")
}

func TestReportOfRejectedCheck(t *testing.T) {
	w := newWorld(t, options{})
	c := message("cb-1", "hello")
	c.RequestDetail.SignType, c.RequestDetail.Message = "3", strings.Repeat("00", 32)
	d, _ := w.ask(c)
	want(t, d, wire.Reject)
	d, _ = w.ask(report("cb-1", strings.Repeat("00", 32), strings.Repeat("ab", 64)))
	want(t, d, wire.Reject, "report.check: ")
}

// TestEncryptedReport: an encrypted signature is opened with the node's key; one that does not open is status 501, is no
// decision, and may be sent again.
func TestEncryptedReport(t *testing.T) {
	w := newWorld(t, options{})
	w.ask(message("cb-1", "hello"))
	w.ask(message("cb-2", "hello"))
	plain := signMessage("hello")
	own, other := privateKey(t, "decrypt_sig"), newKey(t)
	seal := func(to *ecdsa.PrivateKey) string {
		return hex.EncodeToString(must[[]byte](t)(ecies.Encrypt(nil, &to.PublicKey, plain)))
	}
	d, _ := w.ask(report("cb-1", "hello", seal(own)))
	want(t, d, wire.Approve)
	sum := sha256.Sum256(plain)
	if got := w.recorded("cb-1"); got["signature_sha256"] != hex.EncodeToString(sum[:]) || got["ciphertext_sha256"] != "" {
		t.Errorf("recorded is %v", got)
	}

	body, signature, err := wire.SealCheck(w.nodeKey, report("cb-2", "hello", seal(other)))
	ok(t, err)
	a := w.send("/rawdata_signature", string(body), http.Header{"Signature": {signature}})
	var refusal *wire.ReplyError
	if _, err := wire.OpenReply(a.status, []byte(a.body), &w.replyKey.PublicKey, wire.Asked{CallbackID: "cb-2"}); !errors.As(err, &refusal) || !refusal.DecryptFailed() {
		t.Errorf("HTTP %d %s, want status 501", a.status, a.body)
	}
	if got := w.decisions("callback_id=cb-2"); len(got) != 1 {
		t.Errorf("%d decisions under cb-2, want the check only", len(got))
	}
	d, _ = w.ask(report("cb-2", "hello", seal(own)))
	want(t, d, wire.Approve)
}

// TestUnopenedReport: without a key an encrypted signature is acknowledged, kept as it came, and in the log is only its hash.
func TestUnopenedReport(t *testing.T) {
	w := newWorld(t, options{cfg: func(c *callback.Config) { c.Nodes[0].DecryptKey = nil }})
	w.ask(message("cb-1", "hello"))
	sealed := must[[]byte](t)(ecies.Encrypt(nil, &newKey(t).PublicKey, fromHex(strings.Repeat("ab", 65))))
	d, _ := w.ask(report("cb-1", "hello", hex.EncodeToString(sealed)))
	want(t, d, wire.Approve)
	sum := sha256.Sum256(sealed)
	if got := w.recorded("cb-1"); got["ciphertext_sha256"] != hex.EncodeToString(sum[:]) || got["signature_sha256"] != "" {
		t.Errorf("recorded is %v", got)
	}
}

// TestOutcomes: the first word on an approved check stands.
func TestOutcomes(t *testing.T) {
	w := newWorld(t, options{})
	w.ask(message("cb-1", "hello"))
	w.ask(message("cb-2", "hello"))
	w.ask(message("cb-3", "hello"))
	sum := strings.Repeat("cd", 32)
	d, first := w.ask(outcome("cb-1", wire.OutcomeSigned, sum))
	want(t, d, wire.Approve)
	if _, again := w.ask(outcome("cb-1", wire.OutcomeSigned, sum)); again.body != first.body {
		t.Errorf("again it says %s", again.body)
	}
	body, signature, err := wire.SealCheck(w.nodeKey, outcome("cb-1", wire.OutcomeNotSigned, ""))
	ok(t, err)
	if a := w.send("/v1/outcome", string(body), http.Header{"Signature": {signature}}); a.status != http.StatusBadRequest {
		t.Errorf("a second word: HTTP %d %s", a.status, a.body)
	}
	d, _ = w.ask(outcome("cb-2", "perhaps", ""))
	want(t, d, wire.Reject, "report.outcome: ")
	d, _ = w.ask(outcome("cb-3", wire.OutcomeSigned, "cdcd"))
	want(t, d, wire.Reject, "report.signature: ")
	d, _ = w.ask(outcome("cb-none", wire.OutcomeUnknown, ""))
	want(t, d, wire.Reject, "report.check: ")
	if got := w.recorded("cb-1"); got["endpoint"] != "outcome" || got["message"] != "signed" || got["signature_sha256"] != sum {
		t.Errorf("recorded is %v", got)
	}
}
