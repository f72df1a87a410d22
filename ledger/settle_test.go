package ledger_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/auditlog"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/ledger/memstore"
	"github.com/countersign-mpc/countersign/wire"
)

func mustSPKI(t *testing.T, pub any) ledger.Hex {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	must(t, err)
	return der
}

// TestStepsIn: where the ledger makes a verdict stricter, and never milder.
func TestStepsIn(t *testing.T) {
	alice, bob := ledgertest.NewApprover(t, "alice"), ledgertest.NewApprover(t, "bob")
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	change := func(f func(*ledger.Requirement)) *ledger.Requirement {
		r := ledgertest.Require(1, alice, bob)
		f(r)
		return r
	}
	tests := map[string]struct {
		action      wire.Action
		requirement *ledger.Requirement
		ask         func(*ledger.Ask)
		want        wire.Action
		rule        string
	}{
		"plain approve":             {wire.Approve, nil, nil, wire.Approve, "test.rule"},
		"plain wait":                {wire.Wait, nil, nil, wire.Wait, "test.rule"},
		"plain reject":              {wire.Reject, nil, nil, wire.Reject, "test.rule"},
		"wait for approvals":        {wire.Wait, ledgertest.Require(1, alice), nil, wire.Wait, "test.rule"},
		"approve on condition":      {wire.Approve, ledgertest.Require(1, alice), nil, wire.Wait, ledger.RuleApproval},
		"reject with a requirement": {wire.Reject, ledgertest.Require(1, alice), nil, wire.Reject, "test.rule"},
		"no digests":                {wire.Wait, ledgertest.Require(1, alice), func(a *ledger.Ask) { a.Digests = nil }, wire.Reject, ledger.RuleRequirement},
		"unknown requester":         {wire.Wait, change(func(r *ledger.Requirement) { r.NotRequester = true }), nil, wire.Reject, ledger.RuleRequester},
		"known requester": {wire.Wait, change(func(r *ledger.Requirement) { r.NotRequester = true }),
			func(a *ledger.Ask) { a.Requester = "somebody" }, wire.Wait, "test.rule"},
		"too few others":   {wire.Wait, ledgertest.Require(2, alice, bob), func(a *ledger.Ask) { a.Requester = bob.KeyID() }, wire.Reject, ledger.RuleRequester},
		"threshold 0":      {wire.Approve, change(func(r *ledger.Requirement) { r.Threshold = 0 }), nil, wire.Reject, ledger.RuleRequirement},
		"threshold 3 of 2": {wire.Approve, change(func(r *ledger.Requirement) { r.Threshold = 3 }), nil, wire.Reject, ledger.RuleRequirement},
		"no lifetime":      {wire.Wait, change(func(r *ledger.Requirement) { r.LifetimeSeconds = 0 }), nil, wire.Reject, ledger.RuleRequirement},
		"too long a life":  {wire.Wait, change(func(r *ledger.Requirement) { r.LifetimeSeconds = 1 << 40 }), nil, wire.Reject, ledger.RuleRequirement},
		"no group":         {wire.Wait, change(func(r *ledger.Requirement) { r.Group = "" }), nil, wire.Reject, ledger.RuleRequirement},
		"same name twice":  {wire.Wait, ledgertest.Require(1, alice, ledgertest.NewApprover(t, "alice")), nil, wire.Reject, ledger.RuleRequirement},
		"same key twice": {wire.Wait, change(func(r *ledger.Requirement) { r.Approvers[1].PublicKey = r.Approvers[0].PublicKey }),
			nil, wire.Reject, ledger.RuleRequirement},
		"no key":        {wire.Wait, change(func(r *ledger.Requirement) { r.Approvers[1].PublicKey = nil }), nil, wire.Reject, ledger.RuleRequirement},
		"trailing byte": {wire.Wait, change(func(r *ledger.Requirement) { r.Approvers[1].PublicKey = append(r.Approvers[1].PublicKey, 0) }), nil, wire.Reject, ledger.RuleRequirement},
		"P-384":         {wire.Wait, change(func(r *ledger.Requirement) { r.Approvers[0].PublicKey = mustSPKI(t, p384.Public()) }), nil, wire.Reject, ledger.RuleRequirement},
		"RSA":           {wire.Wait, change(func(r *ledger.Requirement) { r.Approvers[0].PublicKey = mustSPKI(t, rsaKey.Public()) }), nil, wire.Reject, ledger.RuleRequirement},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := ledgertest.MustOpen(t, memstore.New(), ledgertest.NewClock())
			a := ledgertest.Ask("cb", "body")
			if test.ask != nil {
				test.ask(&a)
			}
			res := ledgertest.MustDecide(t, l, a, ledgertest.Verdict(test.action, test.requirement))
			rec, err := l.Decision(context.Background(), res.ID)
			must(t, err)
			if rec.Action != test.want || rec.Verdict != test.action || rec.Reasons[0].Rule != test.rule || rec.Reasons[0].Severity == "" {
				t.Errorf("%s by %s of %s, want %s by %s", rec.Action, rec.Reasons[0].Rule, rec.Verdict, test.want, test.rule)
			}
			if (rec.WaitSeconds > 0) != (rec.Action == wire.Wait) {
				t.Errorf("%s with %d seconds to wait", rec.Action, rec.WaitSeconds)
			}
			if all, err := l.Approvals(context.Background(), true); err != nil || (len(all) == 1) != rec.Opened || rec.Opened && rec.Action != wire.Wait {
				t.Errorf("%s, opened %v, with %d approvals (%v)", rec.Action, rec.Opened, len(all), err)
			}
			if report, err := l.Verify(context.Background()); err != nil || !report.OK() {
				t.Errorf("%v %v", err, report.Problems)
			}
		})
	}
}

func TestWaitSeconds(t *testing.T) {
	l := ledgertest.MustOpen(t, memstore.New(), ledgertest.NewClock())
	for _, test := range []struct{ given, want int }{{-5, 30}, {0, 30}, {1, 1}, {3600, 3600}, {3601, 3600}} {
		v := ledgertest.Verdict(wire.Wait, nil)
		v.WaitSeconds = test.given
		res := ledgertest.MustDecide(t, l, ledgertest.Ask(fmt.Sprint("wait ", test.given), "body"), v)
		rec, err := l.Decision(context.Background(), res.ID)
		must(t, err)
		if rec.WaitSeconds != test.want {
			t.Errorf("%d seconds became %d, want %d", test.given, rec.WaitSeconds, test.want)
		}
	}
}

// TestStoreFails: if a decision cannot be written, no reply leaves and nothing was decided; when the store works again,
// the same ask is decided.
func TestStoreFails(t *testing.T) {
	store := memstore.New()
	l := ledgertest.MustOpen(t, store, ledgertest.NewClock())
	ctx := context.Background()
	before := ledgertest.MustDecide(t, l, ledgertest.Ask("before", "body"), ledgertest.Verdict(wire.Approve, nil))
	full := errors.New("no space left on device")
	store.Fail(full)
	res, err := l.Decide(ctx, ledgertest.Ask("cb", "body"), ledgertest.Give(ledgertest.Verdict(wire.Approve, nil)), ledgertest.Reply)
	if !errors.Is(err, full) || !errors.Is(err, ledger.ErrUnavailable) || res.Reply != nil {
		t.Fatalf("%q, %v; want no reply and the store's error", res.Reply, err)
	}
	if res, err := l.Decide(ctx, ledgertest.Ask("before", "body"), nil, nil); err == nil {
		t.Errorf("a decide without functions: %q", res.Reply)
	}
	if res := ledgertest.MustDecide(t, l, ledgertest.Ask("before", "body"), ledgertest.Verdict(wire.Reject, nil)); string(res.Reply) != string(before.Reply) {
		t.Errorf("what is recorded gets %q", res.Reply)
	}
	store.Fail(nil)
	if res := ledgertest.MustDecide(t, l, ledgertest.Ask("cb", "body"), ledgertest.Verdict(wire.Reject, nil)); res.Replayed || res.Action != wire.Reject {
		t.Errorf("afterwards: %+v", res)
	}
	if report, err := l.Verify(ctx); err != nil || !report.OK() || report.Size != 2 {
		t.Errorf("log %+v, %v", report, err)
	}
}

func TestNewRefuses(t *testing.T) {
	store := memstore.New()
	key, err := auditlog.GenerateKey("another.example")
	must(t, err)
	own, err := auditlog.GenerateKey(ledgertest.Origin)
	must(t, err)
	for name, cfg := range map[string]ledger.Config{
		"no store":         {Origin: ledgertest.Origin},
		"no origin":        {Store: store},
		"bad origin":       {Store: store, Origin: "with blank"},
		"key of other log": {Store: store, Origin: ledgertest.Origin, LogKey: key},
	} {
		if _, err := ledger.New(context.Background(), cfg); err == nil {
			t.Errorf("%s: it was opened", name)
		}
	}
	l, err := ledger.New(context.Background(), ledger.Config{Store: store, Origin: ledgertest.Origin, LogKey: own})
	must(t, err)
	if l.LogPublic() != own.Public() {
		t.Errorf("public key %s, want %s", l.LogPublic(), own.Public())
	}
	if _, err := ledger.New(context.Background(), ledger.Config{Store: store, Origin: ledgertest.Origin}); err == nil || !strings.Contains(err.Error(), "give that file") {
		t.Errorf("a log with a key from outside is opened without it: %v", err)
	}
}

// TestSeveralGroups: an execution that needs two groups, asked for one after the other, gets through, and each approval
// still counts when the other group's turn has come.
func TestSeveralGroups(t *testing.T) {
	alice, bob := ledgertest.NewApprover(t, "alice"), ledgertest.NewApprover(t, "bob")
	treasury, risk := ledgertest.Require(1, alice), ledgertest.Require(1, bob)
	risk.Group = "risk"
	l := ledgertest.MustOpen(t, memstore.New(), ledgertest.NewClock())
	decide := func(id string, action wire.Action, r *ledger.Requirement) ledger.Record {
		t.Helper()
		res := ledgertest.MustDecide(t, l, ledgertest.Ask(id, "transfer"), ledgertest.Verdict(action, r))
		rec, err := l.Decision(context.Background(), res.ID)
		must(t, err)
		return rec
	}
	vote := func(approver *ledgertest.Approver, id string) {
		t.Helper()
		a, err := l.Approval(context.Background(), id)
		must(t, err)
		_, err = l.SubmitApproval(context.Background(), id, approver.Sign(t, a, ledger.VoteApprove))
		must(t, err)
	}
	first := decide("cb-1", wire.Wait, treasury)
	vote(alice, first.Approval)
	second := decide("cb-2", wire.Wait, risk)
	if len(second.Voided) != 0 {
		t.Fatalf("asking the second group voided the first group's approval: %v", second.Voided)
	}
	vote(bob, second.Approval)
	for i, r := range []*ledger.Requirement{treasury, risk} {
		if rec := decide(fmt.Sprint("cb-again-", i), wire.Approve, r); rec.Action != wire.Approve {
			t.Errorf("group %s: %+v", r.Group, rec.Reasons)
		}
	}
}

// TestStateHasNoDeadApprovals: an evaluation is not shown approvals whose time is over, so that one that forgets to look
// cannot approve under them; a final rejection stays.
func TestStateHasNoDeadApprovals(t *testing.T) {
	alice, bob := ledgertest.NewApprover(t, "alice"), ledgertest.NewApprover(t, "bob")
	for name, test := range map[string]struct {
		final  bool
		vote   ledger.VoteKind
		during ledger.ApprovalState
		after  []ledger.ApprovalState
	}{
		"pending":          {false, "", ledger.ApprovalPending, nil},
		"approved":         {false, ledger.VoteApprove, ledger.ApprovalApproved, nil},
		"rejected":         {false, ledger.VoteReject, ledger.ApprovalRejected, nil},
		"finally rejected": {true, ledger.VoteReject, ledger.ApprovalRejected, []ledger.ApprovalState{ledger.ApprovalRejected}},
	} {
		t.Run(name, func(t *testing.T) {
			clock := ledgertest.NewClock()
			l := ledgertest.MustOpen(t, memstore.New(), clock)
			r := ledgertest.Require(1, alice)
			if !test.final && test.vote == ledger.VoteReject {
				r = ledgertest.Require(2, alice, bob) // one rejection puts it out of reach
			}
			r.RejectionFinal = test.final
			ask := func(id string) (states []ledger.ApprovalState) {
				t.Helper()
				_, err := l.Decide(context.Background(), ledgertest.Ask(id, "transfer"), func(_ context.Context, s ledger.State) (ledger.Verdict, error) {
					for _, a := range s.Approvals {
						states = append(states, a.State)
					}
					return ledgertest.Verdict(wire.Wait, r), nil
				}, ledgertest.Reply)
				must(t, err)
				return states
			}
			ask("cb-1")
			pending, err := l.Approvals(context.Background(), false)
			must(t, err)
			if test.vote != "" {
				_, err = l.SubmitApproval(context.Background(), pending[0].ID, alice.Sign(t, pending[0], test.vote))
				must(t, err)
			}
			if got := ask("cb-2"); len(got) != 1 || got[0] != test.during {
				t.Errorf("before the end: %v, want %s", got, test.during)
			}
			clock.Advance(pending[0].Expires.Sub(ledgertest.Epoch))
			if got := ask("cb-3"); !slices.Equal(got, test.after) {
				t.Errorf("after the end: %v, want %v", got, test.after)
			}
		})
	}
}
