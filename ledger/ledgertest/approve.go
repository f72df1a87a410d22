package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// byQuorum is a policy that waits for a requirement and approves when an approval under it is granted.
func byQuorum(r *ledger.Requirement) ledger.EvaluateFunc {
	return func(_ context.Context, s ledger.State) (ledger.Verdict, error) {
		for _, a := range s.Approvals {
			if a.State == ledger.ApprovalApproved && a.Requirement.GroupRevision == r.GroupRevision && a.Requirement.Threshold == r.Threshold {
				return Verdict(wire.Approve, r), nil
			}
		}
		v := Verdict(wire.Wait, r)
		v.WaitSeconds = 5
		return v, nil
	}
}

func mustAsk(t testing.TB, l *ledger.Ledger, a ledger.Ask, evaluate ledger.EvaluateFunc) (ledger.Result, ledger.Record) {
	t.Helper()
	res, err := l.Decide(context.Background(), a, evaluate, Reply)
	must(t, err)
	rec, err := l.Decision(context.Background(), res.ID)
	must(t, err)
	return res, rec
}

func mustApproval(t testing.TB, l *ledger.Ledger, id string) ledger.Approval {
	t.Helper()
	a, err := l.Approval(context.Background(), id)
	must(t, err)
	return a
}

func mustVote(t testing.TB, l *ledger.Ledger, by *Approver, id string, kind ledger.VoteKind) ledger.Approval {
	t.Helper()
	a, err := l.SubmitApproval(context.Background(), id, by.Sign(t, mustApproval(t, l, id), kind))
	must(t, err)
	return a
}

// testApprovals goes through the life of an approval: opened by a Wait, found again by the next ask, granted, used until
// it expires, and void when the requirement changes.
func testApprovals(t *testing.T, s ledger.Store) {
	clock := NewClock()
	l := MustOpen(t, s, clock)
	ctx := context.Background()
	alice, bob, carol := NewApprover(t, "alice"), NewEd25519Approver(t, "bob"), NewApprover(t, "carol")
	r := Require(2, carol, alice, bob)

	_, first := mustAsk(t, l, Ask("cb-1", "transfer"), byQuorum(r))
	if first.Action != wire.Wait || first.WaitSeconds != 5 || !first.Opened || first.Approval == "" {
		t.Fatalf("first ask: %+v", first)
	}
	a := mustApproval(t, l, first.Approval)
	if a.State != ledger.ApprovalPending || a.OpenedBy != first.ID || a.IntentHash != first.Ask.IntentHash ||
		!a.Expires.Equal(clock.Now().Add(time.Hour).Truncate(time.Second)) || a.Requirement.Approvers[0].Name != "alice" {
		t.Fatalf("approval: %+v", a)
	}
	clock.Advance(5 * time.Second)
	again := Ask("cb-2", "transfer")
	again.Node = "node-b" // from any node of this server
	if _, rec := mustAsk(t, l, again, byQuorum(r)); rec.Opened || rec.Approval != a.ID || rec.Action != wire.Wait {
		t.Errorf("second ask: %+v", rec)
	}
	other := Ask("cb-3", "transfer")
	other.Digests = [][]byte{[]byte("something else")}
	if _, rec := mustAsk(t, l, other, byQuorum(r)); !rec.Opened || rec.Approval == a.ID {
		t.Errorf("ask with another digest: %+v", rec)
	}
	if got := mustVote(t, l, alice, a.ID, ledger.VoteApprove); got.State != ledger.ApprovalPending || len(got.Votes) != 1 {
		t.Errorf("after one vote: %+v", got)
	}
	if got := mustVote(t, l, alice, a.ID, ledger.VoteApprove); len(got.Votes) != 1 { // ECDSA or not, the same vote
		t.Errorf("after the same vote twice: %+v", got)
	}
	if _, rec := mustAsk(t, l, Ask("cb-4", "transfer"), byQuorum(r)); rec.Action != wire.Wait {
		t.Errorf("with one of two: %+v", rec)
	}
	if got := mustVote(t, l, bob, a.ID, ledger.VoteApprove); got.State != ledger.ApprovalApproved {
		t.Errorf("after two votes: %+v", got)
	}
	res, rec := mustAsk(t, l, Ask("cb-5", "transfer"), byQuorum(r))
	if rec.Action != wire.Approve || rec.Approval != a.ID || rec.Opened || !strings.Contains(string(res.Reply), a.ID) {
		t.Errorf("with two of two: %+v", rec)
	}
	if pending, err := l.Approvals(ctx, false); err != nil || len(pending) != 1 {
		t.Errorf("pending: %+v, %v; want the one of the other digest", pending, err)
	}
	if all, err := l.Approvals(ctx, true); err != nil || len(all) != 2 || all[1].ID != a.ID {
		t.Errorf("all: %+v, %v", all, err)
	}
	testRequirementChanges(t, l, clock, a, r)
	report, err := l.Verify(ctx)
	must(t, err)
	if !report.OK() {
		t.Errorf("log: %v", report.Problems)
	}
}

// testRequirementChanges goes on with a granted approval: another requirement makes it void, and time ends the next.
func testRequirementChanges(t *testing.T, l *ledger.Ledger, clock *Clock, a ledger.Approval, r *ledger.Requirement) {
	t.Helper()
	stricter := *r
	stricter.Threshold = 3
	// Even a policy that would approve without looking gets Wait: what it asks for is not there.
	_, rec := mustAsk(t, l, Ask("cb-6", "transfer"), Give(Verdict(wire.Approve, &stricter)))
	if rec.Action != wire.Wait || rec.Verdict != wire.Approve || !rec.Opened || rec.Approval == a.ID || len(rec.Voided) != 1 || rec.Voided[0] != a.ID ||
		rec.Reasons[0].Rule != ledger.RuleApproval {
		t.Errorf("under a stricter requirement: %+v", rec)
	}
	if got := mustApproval(t, l, a.ID); got.State != ledger.ApprovalVoid {
		t.Errorf("the old approval is %s", got.State)
	}
	_, back := mustAsk(t, l, Ask("cb-7", "transfer"), byQuorum(r))
	if back.Action != wire.Wait || !back.Opened || back.Approval == a.ID {
		t.Errorf("back under the old requirement: %+v", back)
	}
	clock.Advance(time.Hour)
	if got := mustApproval(t, l, back.Approval); got.State != ledger.ApprovalExpired {
		t.Errorf("after an hour it is %s", got.State)
	}
	if _, rec := mustAsk(t, l, Ask("cb-8", "transfer"), byQuorum(r)); !rec.Opened || rec.Approval == back.Approval {
		t.Errorf("after an hour: %+v", rec)
	}
}

func testVotesRefused(t *testing.T, s ledger.Store) {
	clock := NewClock()
	l := MustOpen(t, s, clock)
	ctx := context.Background()
	alice, bob, carol, eve := NewApprover(t, "alice"), NewApprover(t, "bob"), NewApprover(t, "carol"), NewApprover(t, "eve")
	carol.RequesterKeyIDs = []string{"carol's other key"}
	r := Require(1, alice, bob, carol)
	open := func(name, requester string, r *ledger.Requirement) ledger.Approval {
		a := Ask("cb-"+name, name)
		a.Requester = requester
		_, rec := mustAsk(t, l, a, byQuorum(r))
		if rec.Approval == "" {
			t.Fatalf("%s: no approval was opened: %+v", name, rec)
		}
		return mustApproval(t, l, rec.Approval)
	}
	one, two := open("one", alice.KeyID(), r), open("two", "carol's other key", r)
	final := *Require(1, alice, bob)
	final.RejectionFinal = true
	three := open("three", "", &final)
	both := open("both", "", Require(2, alice, bob))
	refuse := func(name string, id string, s ledger.Signed, want error) {
		t.Helper()
		before := mustApproval(t, l, id)
		if _, err := l.SubmitApproval(ctx, id, s); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		if after := mustApproval(t, l, id); len(after.Votes) != len(before.Votes) {
			t.Errorf("%s: the vote was counted", name)
		}
	}
	refuse("not in the group", one.ID, eve.Sign(t, one, ledger.VoteApprove), ledger.ErrNotApprover)
	refuse("own request, by its key", one.ID, alice.Sign(t, one, ledger.VoteApprove), ledger.ErrOwnRequest)
	refuse("own request, by another key", two.ID, carol.Sign(t, two, ledger.VoteApprove), ledger.ErrOwnRequest)
	refuse("other approval", one.ID, bob.Sign(t, two, ledger.VoteApprove), ledger.ErrBadSignature)
	refuse("other decision", one.ID, ledger.Signed{Approver: "bob", Decision: ledger.VoteApprove, Signature: bob.Sign(t, one, ledger.VoteReject).Signature}, ledger.ErrBadSignature)
	refuse("other approver", one.ID, ledger.Signed{Approver: "carol", Decision: ledger.VoteApprove, Signature: bob.Sign(t, one, ledger.VoteApprove).Signature}, ledger.ErrBadSignature)
	refuse("no signature", one.ID, ledger.Signed{Approver: "bob", Decision: ledger.VoteApprove}, ledger.ErrBadSignature)
	refuse("no decision", one.ID, ledger.Signed{Approver: "bob", Decision: "maybe"}, ledger.ErrInvalid)
	mustVote(t, l, bob, one.ID, ledger.VoteApprove)
	refuse("changed mind", one.ID, bob.Sign(t, one, ledger.VoteReject), ledger.ErrAlreadyVoted)
	if _, err := l.SubmitApproval(ctx, strings.Repeat("0", 32), bob.Sign(t, one, ledger.VoteApprove)); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("no approval: %v", err)
	}
	testRejections(t, l, clock, three, both, alice, bob, &final, refuse)
}

func testRejections(t *testing.T, l *ledger.Ledger, clock *Clock, final, both ledger.Approval, alice, bob *Approver, rule *ledger.Requirement, refuse func(string, string, ledger.Signed, error)) {
	t.Helper()
	if got := mustVote(t, l, alice, final.ID, ledger.VoteReject); got.State != ledger.ApprovalRejected {
		t.Errorf("after a final rejection: %s", got.State)
	}
	refuse("after a final rejection", final.ID, bob.Sign(t, final, ledger.VoteApprove), ledger.ErrApprovalRejected)
	if got := mustVote(t, l, alice, both.ID, ledger.VoteReject); got.State != ledger.ApprovalRejected {
		t.Errorf("out of reach: %s", got.State)
	}
	refuse("out of reach", both.ID, bob.Sign(t, both, ledger.VoteApprove), ledger.ErrApprovalRejected)
	if _, rec := mustAsk(t, l, Ask("cb-both-2", "both"), byQuorum(Require(2, alice, bob))); rec.Action != wire.Reject || rec.Reasons[0].Rule != ledger.RuleRejected {
		t.Errorf("ask after a rejection: %+v", rec)
	}
	clock.Advance(2 * time.Hour)
	refuse("expired", both.ID, bob.Sign(t, both, ledger.VoteApprove), ledger.ErrApprovalExpired)
	if _, rec := mustAsk(t, l, Ask("cb-three-2", "three"), byQuorum(rule)); rec.Action != wire.Reject {
		t.Errorf("ask long after a final rejection: %+v", rec)
	}
	_, rec := mustAsk(t, l, Ask("cb-both-3", "both"), byQuorum(Require(2, alice, bob)))
	if rec.Action != wire.Wait || !rec.Opened {
		t.Errorf("ask after a rejection has expired: %+v", rec)
	}
	_, void := mustAsk(t, l, Ask("cb-both-4", "both"), byQuorum(Require(1, alice, bob)))
	refuse("void", rec.Approval, bob.Sign(t, mustApproval(t, l, rec.Approval), ledger.VoteApprove), ledger.ErrApprovalVoid)
	if len(void.Voided) != 1 || void.Voided[0] != rec.Approval {
		t.Errorf("voided %v, want %s", void.Voided, rec.Approval)
	}
}

// testVotesAtOnce: votes and asks in parallel; every vote counts once, and nothing is approved before the quorum.
func testVotesAtOnce(t *testing.T, s ledger.Store) {
	l := MustOpen(t, s, NewClock())
	const n, threshold = 6, 4
	var approvers []*Approver
	for i := range n {
		approvers = append(approvers, NewEd25519Approver(t, fmt.Sprint("approver-", i)))
	}
	r := Require(threshold, approvers...)
	_, first := mustAsk(t, l, Ask("first", "transfer"), byQuorum(r))
	a := mustApproval(t, l, first.Approval)
	var wg sync.WaitGroup
	for i, by := range approvers {
		wg.Go(func() {
			for range 3 {
				if _, err := l.SubmitApproval(context.Background(), a.ID, by.Sign(t, a, ledger.VoteApprove)); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			_, err := l.Decide(context.Background(), Ask(fmt.Sprint("cb-", i), "transfer"), func(ctx context.Context, s ledger.State) (ledger.Verdict, error) {
				v, err := byQuorum(r)(ctx, s)
				if enough := len(s.Approvals) == 1 && len(s.Approvals[0].Votes) >= threshold; enough != (v.Action == wire.Approve) {
					t.Errorf("%s with approvals %+v", v.Action, s.Approvals)
				}
				return v, err
			}, Reply)
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := mustApproval(t, l, a.ID); len(got.Votes) != n || got.State != ledger.ApprovalApproved {
		t.Errorf("%d votes, %s; want %d, approved", len(got.Votes), got.State, n)
	}
	report, err := l.Verify(context.Background())
	must(t, err)
	if want := int64(1 + n + n); !report.OK() || report.Size != want {
		t.Errorf("log of %d, problems %v; want %d and none", report.Size, report.Problems, want)
	}
}
