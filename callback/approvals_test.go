package callback_test

import (
	"crypto/ecdsa"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/rego"
	"github.com/countersign-mpc/countersign/wire"
)

// large is a transfer that needs two of three approvers.
func large(callbackID string, requester string) payment {
	return payment{callbackID: callbackID, requestID: "r-large", amount: 20_000, requester: requester}
}

// pending returns the one approval that waits.
func (w *world) pending() callback.ApprovalView {
	w.t.Helper()
	list := get[callback.ApprovalList](w, "/admin/v1/approvals").Approvals
	if len(list) != 1 {
		w.t.Fatalf("%d approvals are pending, want 1", len(list))
	}
	return get[callback.ApprovalView](w, "/admin/v1/approvals/"+list[0].ID)
}

// vote signs what the server shows and hands it in.
func (w *world) vote(a callback.ApprovalView, name string, decision ledger.VoteKind, key *ecdsa.PrivateKey) answer {
	w.t.Helper()
	message := a.Signing.Approve
	if decision == ledger.VoteReject {
		message = a.Signing.Reject
	}
	signature := must[[]byte](w.t)(wire.SignP256(key, message))
	body := fmt.Sprintf(`{"approver":%q,"decision":%q,"signature":%q}`, name, decision, hex.EncodeToString(signature))
	return w.adminCall(http.MethodPost, "/admin/v1/approvals/"+a.ID+"/signatures", body)
}

func (w *world) approveBy(a callback.ApprovalView, names ...string) {
	w.t.Helper()
	for _, name := range names {
		if got := w.vote(a, name, ledger.VoteApprove, w.people.key(name)); got.status != http.StatusOK {
			w.t.Fatalf("%s's vote: HTTP %d %s", name, got.status, got.body)
		}
	}
}

// rejectBy has somebody vote against.
func (w *world) rejectBy(a callback.ApprovalView, name string) {
	w.t.Helper()
	if got := w.vote(a, name, ledger.VoteReject, w.people.key(name)); got.status != http.StatusOK {
		w.t.Fatalf("%s's rejection: HTTP %d %s", name, got.status, got.body)
	}
}

// waiting is a world with one approval that waits, asked for by somebody who is no approver.
func waiting(t testing.TB, o options) (w *world, asker string, a callback.ApprovalView) {
	t.Helper()
	w, asker = newWorld(t, o), keyID(t, newKey(t))
	w.ask(large("cb-1", asker).check(t))
	return w, asker, w.pending()
}

// TestApprovals: Wait, two of three approve, and the next ask, under another callback_id and from another node, is Approve.
func TestApprovals(t *testing.T) {
	w := newWorld(t, options{})
	asker := keyID(t, newKey(t))
	d, _ := w.ask(large("cb-1", asker).check(t))
	a := w.pending()
	want(t, d, wire.Wait, "approval.required: waiting for approval "+a.ID+": ", "2 approvals of group treasury")
	if d.Wait != 15*time.Second {
		t.Errorf("the wait is %v, want that of the policy", d.Wait)
	}
	if a.State != ledger.ApprovalPending || a.Requester != asker || a.Requirement.Threshold != 2 || len(a.Requirement.Approvers) != 3 || len(a.Reasons) == 0 {
		t.Errorf("the approval is %+v", a)
	}
	var in struct {
		TxInfo struct {
			To     string `json:"to"`
			Amount string `json:"amount"`
		} `json:"tx_info"`
		Evidence struct{ Status string } `json:"evidence"`
	}
	ok(t, json.Unmarshal(a.Request, &in))
	if in.TxInfo.To != recipient || in.TxInfo.Amount != "20000000000" || in.Evidence.Status != "verified" {
		t.Errorf("the approver sees %+v", in)
	}

	w.approveBy(a, "alice")
	d, _ = w.ask(large("cb-2", asker).check(t))
	want(t, d, wire.Wait, a.ID, "1 so far")
	w.approveBy(a, "bob")
	if again := w.vote(a, "bob", ledger.VoteApprove, w.people.bob); again.status != http.StatusOK {
		t.Errorf("the same vote again: HTTP %d %s", again.status, again.body)
	}
	d, _ = w.ask(large("cb-3", asker).check(t))
	want(t, d, wire.Approve)
	if got := w.decision1("callback_id=cb-3"); got.Approval != a.ID {
		t.Errorf("it is approved under %q, want %s", got.Approval, a.ID)
	}
	c := large("cb-4", asker).check(t)
	b := w.post(w.nodeB, "/check", string(must[[]byte](t)(c.Marshal())))
	want(t, w.decision(b, &w.replyB.PublicKey, c.Asked()), wire.Approve)
	// What was answered with Wait stays so: a callback_id is decided once.
	d, _ = w.ask(large("cb-1", asker).check(t))
	want(t, d, wire.Wait)
	for state, n := range map[string]int{"pending": 0, "approved": 1, "all": 1, "void": 0, "": 0} {
		if got := get[callback.ApprovalList](w, "/admin/v1/approvals?state="+state).Approvals; len(got) != n {
			t.Errorf("state %q: %d approvals, want %d", state, len(got), n)
		}
	}
	if a := w.adminCall(http.MethodGet, "/admin/v1/approvals?state=open", ""); a.status != http.StatusBadRequest {
		t.Errorf("an unknown state: HTTP %d", a.status)
	}
}

// TestApprovalIsForOneThing: it serves nobody and nothing else.
func TestApprovalIsForOneThing(t *testing.T) {
	w, asker, a := waiting(t, options{})
	w.approveBy(a, "alice", "bob")
	for name, change := range map[string]func(p *payment){
		"another amount":    func(p *payment) { p.amount++ },
		"another nonce":     func(p *payment) { p.nonce++ },
		"another payment":   func(p *payment) { p.requestID = "r-other" },
		"another requester": func(p *payment) { p.requester = keyID(t, newKey(t)) },
		"another note":      func(p *payment) { p.claim = func(info map[string]any) { info["note"] = "x" } },
	} {
		p := large("cb-"+strings.ReplaceAll(name, " ", "-"), asker)
		change(&p)
		d, _ := w.ask(p.check(t))
		if d.Action != wire.Wait || strings.Contains(d.Reason, a.ID) {
			t.Errorf("%s: %s %s", name, d.Action, d.Reason)
		}
	}
	c := large("cb-path", asker).check(t)
	c.RequestDetail.Path = "m/44/60/0/0/1"
	d, _ := w.ask(c)
	want(t, d, wire.Wait)
	d, _ = w.ask(large("cb-last", asker).check(t))
	want(t, d, wire.Approve)
}

func TestVotesThatDoNotCount(t *testing.T) {
	w, _, a := waiting(t, options{})
	stranger := newKey(t)
	for name, tc := range map[string]struct {
		got    answer
		status int
		says   string
	}{
		"a stranger's":                 {w.vote(a, "mallory", ledger.VoteApprove, stranger), 403, "not an approver"},
		"a stranger's in alice's name": {w.vote(a, "alice", ledger.VoteApprove, stranger), 403, "does not verify"},
		"bob's in alice's name":        {w.vote(a, "alice", ledger.VoteApprove, w.people.bob), 403, "does not verify"},
		"neither yes nor no":           {w.vote(a, "alice", "perhaps", w.people.alice), 400, "invalid"},
	} {
		if tc.got.status != tc.status || !strings.Contains(tc.got.body, tc.says) {
			t.Errorf("%s: HTTP %d %s", name, tc.got.status, tc.got.body)
		}
	}
	// The signature of a rejection is none of an approval.
	signature := hex.EncodeToString(must[[]byte](t)(wire.SignP256(w.people.alice, a.Signing.Reject)))
	got := w.adminCall(http.MethodPost, "/admin/v1/approvals/"+a.ID+"/signatures", `{"approver":"alice","decision":"approve","signature":"`+signature+`"}`)
	if got.status != http.StatusForbidden {
		t.Errorf("the signature of a rejection as an approval: HTTP %d %s", got.status, got.body)
	}
	if v := w.pending().Votes; len(v) != 0 {
		t.Errorf("counted are %+v", v)
	}
	w.approveBy(a, "alice")
	if got := w.vote(a, "alice", ledger.VoteReject, w.people.alice); got.status != http.StatusConflict {
		t.Errorf("another vote of alice: HTTP %d %s", got.status, got.body)
	}
}

func TestRejectionIsFinal(t *testing.T) {
	w, asker, a := waiting(t, options{})
	w.approveBy(a, "alice")
	w.rejectBy(a, "carol")
	d, _ := w.ask(large("cb-2", asker).check(t))
	want(t, d, wire.Reject, "approval.rejected: ", "carol")
	if got := w.vote(a, "bob", ledger.VoteApprove, w.people.bob); got.status != http.StatusConflict {
		t.Errorf("a vote after the rejection: HTTP %d %s", got.status, got.body)
	}
}

// TestRequesterCannotApprove: an approver that asks does not count for its own request, and an unknown one is rejected.
func TestRequesterCannotApprove(t *testing.T) {
	w := newWorld(t, options{})
	alice := keyID(t, w.people.alice)
	d, _ := w.ask(large("cb-1", alice).check(t))
	want(t, d, wire.Wait)
	a := w.pending()
	if got := w.vote(a, "alice", ledger.VoteApprove, w.people.alice); got.status != http.StatusForbidden || !strings.Contains(got.body, "own request") {
		t.Errorf("alice's vote: HTTP %d %s", got.status, got.body)
	}
	w.approveBy(a, "bob", "carol")
	d, _ = w.ask(large("cb-2", alice).check(t))
	want(t, d, wire.Approve)
	d, _ = w.ask(large("cb-3", "").check(t))
	want(t, d, wire.Reject, "approval.requester_unknown: ")
}

func TestApprovalExpires(t *testing.T) {
	w, asker, a := waiting(t, options{})
	w.approveBy(a, "alice", "bob")
	w.clock.step(time.Hour)
	if got := w.vote(a, "carol", ledger.VoteApprove, w.people.carol); got.status != http.StatusConflict || !strings.Contains(got.body, "expired") {
		t.Errorf("a vote after the end: HTTP %d %s", got.status, got.body)
	}
	d, _ := w.ask(large("cb-2", asker).check(t))
	want(t, d, wire.Wait)
	if got := w.pending(); got.ID == a.ID {
		t.Error("an approval that has expired is waited for")
	}
}

// TestRequirementChanges: an approval is void when what it was given under has changed, be it only under which keys an
// approver is known to ask.
func TestRequirementChanges(t *testing.T) {
	asker := newKey(t)
	for name, change := range map[string]func(data map[string]any){
		"the group": func(data map[string]any) {
			data["groups"] = map[string]any{"treasury": map[string]any{"members": []string{"alice", "bob"}}}
		},
		"an approver's requester keys": func(data map[string]any) {
			data["approvers"].(map[string]any)["bob"].(map[string]any)["requester_key_ids"] = []string{keyID(t, asker)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, options{data: func(map[string]any) {}})
			w.ask(large("cb-1", keyID(t, asker)).check(t))
			a := w.pending()
			w.approveBy(a, "alice", "bob")
			w.writeData(testData(change))
			if _, err := w.server.ReloadPolicy(t.Context()); err != nil {
				t.Fatal(err)
			}
			d, _ := w.ask(large("cb-2", keyID(t, asker)).check(t))
			if d.Action != wire.Wait || strings.Contains(d.Reason, a.ID) {
				t.Fatalf("after the change: %s %s", d.Action, d.Reason)
			}
			if got := get[callback.ApprovalView](w, "/admin/v1/approvals/"+a.ID); got.State != ledger.ApprovalVoid {
				t.Errorf("the approval before is %s", got.State)
			}
		})
	}
}

// careless is the shipped policy as somebody might copy it: its rule about approvals counts who approved, and looks neither
// at the time nor at rejections.
func careless(t *testing.T) *policy.Live {
	t.Helper()
	modules := fstest.MapFS{}
	ok(t, fs.WalkDir(rego.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || name == "approvals_test.rego" {
			return err
		}
		text := string(must[[]byte](t)(fs.ReadFile(rego.FS(), name)))
		if name == "approvals.rego" {
			for _, line := range []string{"\tinput.now.unix < approval.expires_unix\n", " - rejecters(tier)", "\ttier.rejection_final != false\n"} {
				if !strings.Contains(text, line) {
					t.Fatalf("approvals.rego has no %q", line)
				}
			}
			text = strings.ReplaceAll(text, "\tinput.now.unix < approval.expires_unix\n", "")
			text = strings.ReplaceAll(text, " - rejecters(tier)", "")
			text = strings.ReplaceAll(text, "\ttier.rejection_final != false\n", "\ttier.threshold < 0\n")
		}
		modules[name] = &fstest.MapFile{Data: []byte(text)}
		return nil
	}))
	path := filepath.Join(t.TempDir(), "data.json")
	ok(t, os.WriteFile(path, must[[]byte](t)(json.Marshal(testData(nil))), 0o600))
	return must[*policy.Live](t)(policy.NewLive(t.Context(), policy.LiveConfig{
		Read: func() (*policy.Source, error) { return policy.Load(modules, path) }, Engine: policy.Config{Timeout: 30 * time.Second},
	}))
}

// TestCarelessPolicy: a policy that forgets when approvals end, or that they were rejected, does not approve under them.
func TestCarelessPolicy(t *testing.T) {
	live := careless(t)
	for _, tc := range []struct {
		name   string
		reject bool
		wait   time.Duration
		action wire.Action
	}{
		{"open", false, 0, wire.Approve},
		{"expired", false, time.Hour, wire.Wait},
		{"rejected", true, 0, wire.Reject},
		{"rejected long ago", true, time.Hour, wire.Reject},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, asker, a := waiting(t, options{live: live})
			w.approveBy(a, "alice", "bob")
			if tc.reject {
				w.rejectBy(a, "carol")
			}
			w.clock.step(tc.wait)
			d, _ := w.ask(large("cb-2", asker).check(t))
			want(t, d, tc.action)
		})
	}
}

// TestRuleOfADecision: the one that says most is shown, in the list and in the log.
func TestRuleOfADecision(t *testing.T) {
	w := newWorld(t, options{})
	asker := keyID(t, newKey(t))
	w.ask(payment{callbackID: "cb-small", requestID: "r-small", amount: 500}.check(t))
	w.ask(large("cb-wait", asker).check(t))
	w.approveBy(w.pending(), "alice", "bob")
	w.ask(large("cb-approved", asker).check(t))
	for id, rule := range map[string]string{
		"cb-small": "limit.per_transaction", "cb-wait": "approval.required", "cb-approved": "approval.required",
	} {
		d := w.decision1("callback_id=" + id)
		if d.Rule != rule {
			t.Errorf("%s: %s by %s, want %s", id, d.Action, d.Rule, rule)
		}
		if line := "decision=" + d.ID; !strings.Contains(w.logged.String(), line) {
			t.Errorf("the log does not have %s", line)
		}
	}
	for line := range strings.Lines(w.logged.String()) {
		if strings.Contains(line, "msg=decided") && strings.Contains(line, "rule=address.listed") {
			t.Errorf("the log shows another rule: %s", line)
		}
	}
}
