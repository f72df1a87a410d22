package ledger_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/ledger/memstore"
	"github.com/countersign-mpc/countersign/wire"
)

// model is a second and simpler account of approvals: a list, searched from the end, in which nothing is cached.
type model struct {
	now       time.Time
	approvals []*modelApproval
}

type modelApproval struct {
	id        string
	execution string // intent, digest and requester in plain text
	rule      int    // which requirement
	threshold int
	final     bool
	excluded  int // index of the approver who asked, or -1
	expires   time.Time
	void      bool
	votes     map[int]ledger.VoteKind
}

const modelApprovers = 4

func (a *modelApproval) count(kind ledger.VoteKind) (n int) {
	for _, v := range a.votes {
		if v == kind {
			n++
		}
	}
	return n
}

func (a *modelApproval) state(now time.Time) ledger.ApprovalState {
	voters := modelApprovers
	if a.excluded >= 0 {
		voters--
	}
	over := !now.Before(a.expires)
	switch rejected := a.count(ledger.VoteReject); {
	case a.void:
		return ledger.ApprovalVoid
	case a.final && rejected > 0:
		return ledger.ApprovalRejected
	case over:
		return ledger.ApprovalExpired
	case voters-rejected < a.threshold:
		return ledger.ApprovalRejected
	case a.count(ledger.VoteApprove) >= a.threshold:
		return ledger.ApprovalApproved
	}
	return ledger.ApprovalPending
}

// ask is what a policy that approves under a requirement gets.
func (m *model) ask(execution string, rule, threshold int, excluded int) (wire.Action, *modelApproval) {
	if excluded >= 0 && modelApprovers-1 < threshold {
		return wire.Reject, nil
	}
	for i := len(m.approvals) - 1; i >= 0; i-- {
		a := m.approvals[i]
		if a.execution != execution || a.rule != rule {
			continue
		}
		switch a.state(m.now) {
		case ledger.ApprovalRejected:
			return wire.Reject, nil
		case ledger.ApprovalApproved:
			m.voidOthers(execution, rule)
			return wire.Approve, a
		case ledger.ApprovalPending:
			m.voidOthers(execution, rule)
			return wire.Wait, a
		}
	}
	m.voidOthers(execution, rule)
	return wire.Wait, nil
}

func (m *model) voidOthers(execution string, rule int) {
	for _, a := range m.approvals {
		if s := a.state(m.now); a.execution == execution && a.rule != rule && s != ledger.ApprovalExpired {
			a.void = true
		}
	}
}

func (m *model) vote(a *modelApproval, approver int, kind ledger.VoteKind) error {
	if approver == a.excluded {
		return ledger.ErrOwnRequest
	}
	if before, ok := a.votes[approver]; ok {
		if before == kind {
			return nil
		}
		return ledger.ErrAlreadyVoted
	}
	switch a.state(m.now) {
	case ledger.ApprovalVoid:
		return ledger.ErrApprovalVoid
	case ledger.ApprovalExpired:
		return ledger.ErrApprovalExpired
	case ledger.ApprovalRejected:
		return ledger.ErrApprovalRejected
	}
	a.votes[approver] = kind
	return nil
}

// rules are the requirements that asks come under: thresholds, and whether one rejection is final.
var rules = []struct {
	threshold int
	final     bool
}{{1, false}, {2, false}, {2, true}, {4, false}}

// TestApprovalsModel drives a ledger and the model with the same random asks, votes and passing of time.
func TestApprovalsModel(t *testing.T) {
	var approvers []*ledgertest.Approver
	for i := range modelApprovers {
		approvers = append(approvers, ledgertest.NewEd25519Approver(t, fmt.Sprint("approver-", i)))
	}
	ctx := context.Background()
	rapid.Check(t, func(rt *rapid.T) {
		clock := ledgertest.NewClock()
		l := ledgertest.MustOpen(t, memstore.New(), clock)
		m := model{now: clock.Now()}
		asks := 0
		ask := func(rt *rapid.T) {
			asks++
			rule := rapid.IntRange(0, len(rules)-1).Draw(rt, "rule")
			digest := rapid.SampledFrom([]string{"d1", "d2"}).Draw(rt, "digest")
			who := rapid.IntRange(-1, 1).Draw(rt, "requester")
			a := ledgertest.Ask(fmt.Sprint("cb-", asks), "body")
			a.Node = rapid.SampledFrom([]string{"node-a", "node-b"}).Draw(rt, "node")
			a.IntentHash, a.Digests = sha256.Sum256([]byte("intent")), [][]byte{[]byte(digest)}
			if who >= 0 {
				a.Requester = approvers[who].KeyID()
			}
			r := ledgertest.Require(rules[rule].threshold, approvers...)
			r.RejectionFinal = rules[rule].final
			res, err := l.Decide(ctx, a, ledgertest.Give(ledgertest.Verdict(wire.Approve, r)), ledgertest.Reply)
			if err != nil {
				rt.Fatal(err)
			}
			rec, err := l.Decision(ctx, res.ID)
			if err != nil {
				rt.Fatal(err)
			}
			execution := fmt.Sprint(digest, " ", who)
			want, under := m.ask(execution, rule, r.Threshold, who)
			if rec.Action != want || under != nil && rec.Approval != under.id || rec.Opened != (want == wire.Wait && under == nil) {
				rt.Fatalf("got %s under %q (opened %v), want %s under %+v", rec.Action, rec.Approval, rec.Opened, want, under)
			}
			if rec.Opened {
				m.approvals = append(m.approvals, &modelApproval{
					id: rec.Approval, execution: execution, rule: rule, threshold: r.Threshold, final: r.RejectionFinal, excluded: who,
					expires: m.now.Add(time.Hour).Truncate(time.Second), votes: map[int]ledger.VoteKind{},
				})
			}
		}
		vote := func(rt *rapid.T) {
			if len(m.approvals) == 0 {
				rt.Skip("nothing to vote on")
			}
			a := rapid.SampledFrom(m.approvals).Draw(rt, "approval")
			who := rapid.IntRange(0, modelApprovers-1).Draw(rt, "approver")
			kind := rapid.SampledFrom([]ledger.VoteKind{ledger.VoteApprove, ledger.VoteApprove, ledger.VoteReject}).Draw(rt, "vote")
			now, err := l.Approval(ctx, a.id)
			if err != nil {
				rt.Fatal(err)
			}
			want := m.vote(a, who, kind)
			_, err = l.SubmitApproval(ctx, a.id, approvers[who].Sign(t, now, kind))
			if !errors.Is(err, want) || (err == nil) != (want == nil) {
				rt.Fatalf("vote: %v, want %v", err, want)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"ask": ask, "ask more": ask, "vote": vote, "vote more": vote,
			"wait": func(rt *rapid.T) {
				d := time.Duration(rapid.IntRange(1, 2500).Draw(rt, "seconds")) * time.Second
				clock.Advance(d)
				m.now = m.now.Add(d)
			},
			"": func(rt *rapid.T) { // after each step: the newest approvals are in the states that the model has them in
				for _, a := range m.approvals[max(0, len(m.approvals)-4):] {
					got, err := l.Approval(ctx, a.id)
					if err != nil || got.State != a.state(m.now) || len(got.Votes) != len(a.votes) {
						rt.Fatalf("approval %s is %s with %d votes (%v), want %s with %d", a.id, got.State, len(got.Votes), err, a.state(m.now), len(a.votes))
					}
				}
			},
		})
		if report, err := l.Verify(ctx); err != nil || !report.OK() {
			rt.Fatalf("%v %v", err, report.Problems)
		}
	})
}
