package callback_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// changedTier is the tests' data with another first tier of USDT.
func changedTier(change func(data, tier map[string]any)) func(map[string]any) {
	return func(data map[string]any) {
		limits := data["limits"].(map[string]any)["ETH"].(map[string]any)["USDT_ETH"].([]any)
		change(data, limits[0].(map[string]any)["approvals"].([]any)[0].(map[string]any))
	}
}

// TestQuorumIsOfDifferentPeople: one approver's vote counts once, however often it is handed in.
func TestQuorumIsOfDifferentPeople(t *testing.T) {
	w, asker, a := waiting(t, options{})
	w.approveBy(a, "alice")
	w.approveBy(a, "alice") // handed in again, as after a lost reply, it is no fault
	if v := w.pending(); len(v.Votes) != 1 || v.State != ledger.ApprovalPending {
		t.Errorf("one vote, twice: %s with %d votes", v.State, len(v.Votes))
	}
	d, _ := w.ask(large("cb-2", asker).check(t))
	want(t, d, wire.Wait)
	w.approveBy(a, "carol")
	d, _ = w.ask(large("cb-3", asker).check(t))
	want(t, d, wire.Approve)
}

// TestApproverOfAnotherGroup: who is an approver of data.json, and not of the group that is asked, does not count.
func TestApproverOfAnotherGroup(t *testing.T) {
	w, asker, a := waiting(t, options{data: func(data map[string]any) {
		data["groups"] = map[string]any{
			"treasury": map[string]any{"members": []string{"alice", "bob"}}, "security": map[string]any{"members": []string{"carol"}},
		}
	}})
	w.approveBy(a, "alice")
	if got := w.vote(a, "carol", ledger.VoteApprove, w.people.carol); got.status != http.StatusForbidden || !strings.Contains(got.body, "not an approver") {
		t.Errorf("the vote of another group: HTTP %d %s", got.status, got.body)
	}
	d, _ := w.ask(large("cb-2", asker).check(t))
	want(t, d, wire.Wait)
}

// TestRejectionThatIsNotFinal: one voice against is not the end where the tier does not say so, and is none for it.
func TestRejectionThatIsNotFinal(t *testing.T) {
	w, asker, a := waiting(t, options{data: changedTier(func(_, tier map[string]any) { tier["rejection_final"] = false })})
	w.rejectBy(a, "carol")
	w.approveBy(a, "alice")
	d, _ := w.ask(large("cb-2", asker).check(t))
	want(t, d, wire.Wait)
	w.approveBy(a, "bob")
	d, _ = w.ask(large("cb-3", asker).check(t))
	want(t, d, wire.Approve)
}

// TestApprovalUntilItExpires: it holds up to its last second, and from its end on everybody is asked anew.
func TestApprovalUntilItExpires(t *testing.T) {
	w, asker, a := waiting(t, options{})
	w.approveBy(a, "alice")
	w.clock.step(time.Hour - time.Second)
	w.approveBy(a, "bob")
	d, _ := w.ask(large("cb-2", asker).check(t))
	want(t, d, wire.Approve)
	w.clock.step(time.Second)
	other := large("cb-3", asker)
	other.requestID = "r-other"
	d, _ = w.ask(other.check(t))
	want(t, d, wire.Wait)
	if again := w.pending(); again.ID == a.ID || len(again.Votes) != 0 {
		t.Errorf("asked anew: %s with %d votes", again.ID, len(again.Votes))
	}
}

// TestRequesterOfAGroupOfTwo: where the requester is one of two and both are needed, nobody can ever approve: that is said at once.
func TestRequesterOfAGroupOfTwo(t *testing.T) {
	asker := strings.Repeat("ab", 32)
	w := newWorld(t, options{data: func(data map[string]any) {
		data["groups"] = map[string]any{"treasury": map[string]any{"members": []string{"alice", "bob"}}}
		data["approvers"].(map[string]any)["alice"].(map[string]any)["requester_key_ids"] = []string{asker}
	}})
	d, _ := w.ask(large("cb-1", asker).check(t))
	want(t, d, wire.Reject, "ledger.requester: ", "fewer than the 2 that are needed")
	d, _ = w.ask(payment{callbackID: "cb-2", requestID: "r-2", amount: 20_000, requester: keyID(t, newKey(t))}.check(t))
	want(t, d, wire.Wait)
}
