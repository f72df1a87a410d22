package ledgertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// Change makes a policy of this revision the active one.
func Change(base uint64, revision string) ledger.Change {
	return ledger.Change{Base: base, Revision: revision, Content: []byte("content of " + revision), How: ledger.ActivatedPolicy, Operator: "olga", Reason: "because"}
}

// MustActivate activates, and fails the test if that fails.
func MustActivate(t testing.TB, l *ledger.Ledger, c ledger.Change) ledger.ActivationRecord {
	t.Helper()
	rec, err := l.Activate(context.Background(), c)
	must(t, err)
	return rec
}

// Draft is a proposal of a revision.
func Draft(base uint64, revision string) ledger.Draft {
	return ledger.Draft{
		Base: base, Revision: revision, Content: []byte("content of " + revision), Diff: []byte("diff to " + revision), Effect: []byte("effect of " + revision),
		Judged: 10, Proposer: "olga", Reason: "because",
	}
}

func wants(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%v, want %v", err, want)
	}
}

func verified(t testing.TB, l *ledger.Ledger) {
	t.Helper()
	if report, err := l.Verify(context.Background()); err != nil || !report.OK() {
		t.Fatal(err, report.Problems)
	}
}

// by is a verdict of a policy of this revision.
func by(revision string) ledger.Verdict {
	v := Verdict(wire.Approve, nil)
	v.Revision = revision
	return v
}

// testLongPolicies: a policy that is stored in pieces is whole for every server that shares the store.
func testLongPolicies(t *testing.T, store ledger.Store) {
	ctx := context.Background()
	clock := NewClock()
	l := MustOpen(t, store, clock)
	content := map[string][]byte{}
	for i, revision := range []string{"r1", "r2", "r3"} {
		c := Change(uint64(i), revision)
		c.Content = bytes.Repeat([]byte("content of "+revision+"\x00"), 20_000)
		content[revision] = c.Content
		MustActivate(t, l, c)
		MustDecide(t, l, Ask(revision, revision), by(revision))
	}
	MustActivate(t, l, ledger.Change{Base: 3, How: ledger.ActivatedRollback, Operator: "olga", Revision: "r1"})
	l = MustOpen(t, store, clock)
	for revision, want := range content {
		got, err := l.Revision(ctx, revision)
		must(t, err)
		if !bytes.Equal(got, want) {
			t.Fatalf("%s has %d bytes of content, not %d", revision, len(got), len(want))
		}
	}
	verified(t, l)
}

// testActivations: one policy decides at a time, what was live is kept, and going back is one step.
func testActivations(t *testing.T, store ledger.Store) {
	ctx := context.Background()
	clock := NewClock()
	l := MustOpen(t, store, clock)
	MustDecide(t, l, Ask("before", "before"), by("any")) // nothing was activated: nothing to hold it against
	MustActivate(t, l, Change(0, "r1"))
	if _, err := l.Decide(ctx, Ask("stale", "stale"), Give(by("r0")), Reply); !errors.Is(err, ledger.ErrRevision) {
		t.Fatalf("a decision of another policy: %v", err)
	}
	MustDecide(t, l, Ask("stale", "stale"), by("r1")) // nothing had been recorded of it
	_, err := l.Activate(ctx, Change(0, "r2"))
	wants(t, err, ledger.ErrRevision)
	_, err = l.Activate(ctx, Change(1, "r1"))
	wants(t, err, ledger.ErrUnchanged)
	other := Change(1, "r2")
	MustActivate(t, l, other)
	MustActivate(t, l, Change(2, "r3"))
	other.Base, other.Content = 3, []byte("r2 in other words")
	if rec := MustActivate(t, l, other); rec.Content != sha256.Sum256([]byte("content of r2")) {
		t.Fatal("what was stored first does not stand")
	}
	MustActivate(t, l, ledger.Change{Base: 4, How: ledger.ActivatedRollback, Operator: "olga", Revision: "r3"})

	back := ledger.Change{Base: 5, How: ledger.ActivatedRollback, Operator: "olga", Revision: "never"}
	_, err = l.Activate(ctx, back)
	wants(t, err, ledger.ErrNotFound)
	for i, want := range []string{"r2", "r1"} {
		previous, err := l.Previous(ctx)
		must(t, err)
		if previous != want {
			t.Fatalf("back from the activation %d leads to %s, want %s", 5+i, previous, want)
		}
		back.Base, back.Revision = uint64(5+i), previous
		rec := MustActivate(t, l, back)
		if rec.To != want || rec.How != ledger.ActivatedRollback {
			t.Fatalf("%+v", rec)
		}
	}
	_, err = l.Previous(ctx)
	wants(t, err, ledger.ErrNotFound)
	l = MustOpen(t, store, clock)
	active, err := l.Active(ctx)
	must(t, err)
	content, err := l.Revision(ctx, "r3")
	must(t, err)
	history, err := l.Activations(ctx, 0)
	must(t, err)
	if active.Number != 7 || active.Revision != "r1" || string(content) != "content of r3" || len(history) != 7 || history[6].Operator != "olga" || history[0].From != "r2" {
		t.Fatalf("%+v %q %+v", active, content, history)
	}
	if older, err := l.Activations(ctx, 3); err != nil || len(older) != 2 || older[0].To != "r2" {
		t.Fatal(err, older)
	}
	if _, _, err := l.Prove(ctx, history[0].ID); err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Hour)
	if n, err := l.Prune(ctx, clock.Now()); err != nil || n != 2 {
		t.Fatalf("retention has removed %d entries, want the two decisions: %v", n, err)
	}
	if history, err := l.Activations(ctx, 0); err != nil || len(history) != 7 {
		t.Fatalf("retention has removed of the history: %v %v", err, history)
	}
	verified(t, l)
}

// guarded is a ledger whose active policy r1 asks two of three to approve its change.
type guarded struct {
	t                 *testing.T
	l                 *ledger.Ledger
	clock             *Clock
	alice, bob, carol *Approver
}

func newGuarded(t *testing.T, store ledger.Store, change func(*ledger.Guard)) *guarded {
	g := &guarded{t: t, clock: NewClock(), alice: NewApprover(t, "alice"), bob: NewEd25519Approver(t, "bob"), carol: NewApprover(t, "carol")}
	g.l = MustOpen(t, store, g.clock)
	c := Change(0, "r1")
	c.Guard = &ledger.Guard{Requirement: *Require(2, g.alice, g.bob, g.carol), MinJudged: 5, RollbackSeconds: 600}
	if change != nil {
		change(c.Guard)
	}
	MustActivate(t, g.l, c)
	return g
}

func (g *guarded) propose(d ledger.Draft) ledger.Proposal {
	g.t.Helper()
	p, err := g.l.Propose(context.Background(), d)
	must(g.t, err)
	return p
}

func (g *guarded) vote(a *Approver, p ledger.Proposal, kind ledger.VoteKind) (ledger.Proposal, error) {
	return g.l.VoteOnProposal(context.Background(), p.ID, a.SignProposal(g.t, p, kind))
}

func (g *guarded) approve(p ledger.Proposal, by ...*Approver) ledger.Proposal {
	g.t.Helper()
	for _, a := range by {
		var err error
		p, err = g.vote(a, p, ledger.VoteApprove)
		must(g.t, err)
	}
	return p
}

// activate takes a proposal; the new policy has the guard of the first one.
func (g *guarded) activate(p ledger.Proposal) error {
	active, err := g.l.Active(context.Background())
	must(g.t, err)
	_, err = g.l.Activate(context.Background(), ledger.Change{
		Base: active.Number, Revision: p.To, How: ledger.ActivatedProposal, Proposal: p.ID, Operator: "olga", Guard: active.Guard,
	})
	return err
}

// testGuard: a guarded policy is changed by what was approved, once, and by nothing else.
func testGuard(t *testing.T, store ledger.Store) {
	ctx := context.Background()
	g := newGuarded(t, store, nil)
	for _, how := range []ledger.ActivationKind{ledger.ActivatedPolicy, ledger.ActivatedFiles} {
		c := Change(1, "r2")
		c.How = how
		_, err := g.l.Activate(ctx, c)
		wants(t, err, ledger.ErrNeedsApproval)
	}
	p := g.propose(Draft(1, "r2"))
	if p.State != ledger.ProposalPending || p.From != "r1" {
		t.Fatalf("%+v", p)
	}
	wants(t, g.activate(p), ledger.ErrNeedsApproval)
	p = g.approve(p, g.alice, g.alice)
	if p.State != ledger.ProposalPending || len(p.Votes) != 1 {
		t.Fatalf("%+v", p)
	}
	wants(t, g.activate(p), ledger.ErrNeedsApproval)
	if p = g.approve(p, g.bob); p.State != ledger.ProposalApproved {
		t.Fatalf("%+v", p)
	}
	late := g.propose(Draft(1, "r3"))
	must(t, g.activate(p))
	wants(t, g.activate(p), ledger.ErrUnchanged)
	_, err := g.vote(g.alice, late, ledger.VoteApprove)
	wants(t, err, ledger.ErrProposalVoid)
	history, err := g.l.Activations(ctx, 0)
	must(t, err)
	if rec := history[0]; rec.Proposal != p.ID || len(rec.Votes) != 2 || rec.Effect != p.Effect || rec.Diff != p.Diff {
		t.Fatalf("%+v", rec)
	}
	// Back without approvals: to the one before, soon. What was approved is not approved again.
	back := ledger.Change{Base: 2, Revision: "r1", How: ledger.ActivatedRollback, Operator: "olga", Guard: guardOf(t, g.l)}
	MustActivate(t, g.l, back)
	wants(t, g.activate(p), ledger.ErrNeedsApproval)
	back.Base, back.Revision = 3, "r2"
	_, err = g.l.Activate(ctx, back)
	wants(t, err, ledger.ErrNeedsApproval) // a rollback is not undone
	verified(t, g.l)
}

func guardOf(t testing.TB, l *ledger.Ledger) *ledger.Guard {
	t.Helper()
	active, err := l.Active(context.Background())
	must(t, err)
	return active.Guard
}

// testGuardRefuses: what does not count as approved.
func testGuardRefuses(t *testing.T, store ledger.Store) {
	ctx := context.Background()
	g := newGuarded(t, store, func(g *ledger.Guard) { g.Requirement.NotRequester, g.Requirement.RejectionFinal = true, true })
	d := Draft(1, "r2")
	for _, change := range []func(*ledger.Draft){
		func(d *ledger.Draft) { d.Judged = 4 }, func(d *ledger.Draft) { d.Anonymous = true }, func(d *ledger.Draft) { d.Proposer = "" },
		func(d *ledger.Draft) {
			d.Proposer, d.ProposerKeys = "alice", []string{g.bob.KeyID()} // one is left of the two that are needed
		},
	} {
		bad := d
		change(&bad)
		_, err := g.l.Propose(ctx, bad)
		wants(t, err, ledger.ErrInvalid)
	}
	_, err := g.l.Propose(ctx, Draft(1, "r1"))
	wants(t, err, ledger.ErrUnchanged)
	_, err = g.l.Propose(ctx, Draft(2, "r2"))
	wants(t, err, ledger.ErrRevision)

	d.Proposer = "alice"
	p := g.propose(d)
	_, err = g.vote(g.alice, p, ledger.VoteApprove)
	wants(t, err, ledger.ErrOwnRequest)
	_, err = g.vote(NewApprover(t, "mallory"), p, ledger.VoteApprove)
	wants(t, err, ledger.ErrNotApprover)
	_, err = g.vote(NewApprover(t, "bob"), p, ledger.VoteApprove) // another key under the name
	wants(t, err, ledger.ErrBadSignature)
	for name, change := range map[string]func(*ledger.Proposal){
		"another proposal": func(p *ledger.Proposal) { p.ID = strings.Repeat("0", 32) },
		"another policy":   func(p *ledger.Proposal) { p.Content[0]++ },
		"another effect":   func(p *ledger.Proposal) { p.Effect[0]++ },
		"another diff":     func(p *ledger.Proposal) { p.Diff[0]++ },
		"another base":     func(p *ledger.Proposal) { p.Base++ },
		"another reason":   func(p *ledger.Proposal) { p.Reason += "!" },
		"a longer time":    func(p *ledger.Proposal) { p.Expires = p.Expires.Add(time.Hour) },
	} {
		shown := p
		change(&shown)
		_, err := g.l.VoteOnProposal(ctx, p.ID, g.bob.SignProposal(t, shown, ledger.VoteApprove))
		if !errors.Is(err, ledger.ErrBadSignature) {
			t.Errorf("a vote on %s: %v", name, err)
		}
	}
	other := g.propose(Draft(1, "r3"))
	_, err = g.l.VoteOnProposal(ctx, other.ID, g.bob.SignProposal(t, p, ledger.VoteApprove))
	wants(t, err, ledger.ErrBadSignature)
	p, err = g.vote(g.carol, p, ledger.VoteReject)
	must(t, err)
	if p.State != ledger.ProposalRejected {
		t.Fatalf("%+v", p)
	}
	wants(t, g.activate(p), ledger.ErrNeedsApproval)

	other = g.approve(other, g.alice, g.bob)
	g.clock.Advance(time.Hour)
	wants(t, g.activate(other), ledger.ErrNeedsApproval) // it has expired
	back := ledger.Change{Base: 1, Revision: "r9", How: ledger.ActivatedRollback, Operator: "olga"}
	_, err = g.l.Activate(ctx, back)
	wants(t, err, ledger.ErrNotFound)
	verified(t, g.l)
}

// testRollbackEnds: the time for a rollback without approvals ends, and a clock in doubt does not lengthen it.
func testRollbackEnds(t *testing.T, store ledger.Store) {
	ctx := context.Background()
	g := newGuarded(t, store, nil)
	p := g.approve(g.propose(Draft(1, "r2")), g.alice, g.carol)
	must(t, g.activate(p))
	back := ledger.Change{Base: 2, Revision: "r1", How: ledger.ActivatedRollback, Operator: "olga"}
	g.clock.Jump(-time.Hour)
	_, err := g.l.Activate(ctx, back)
	wants(t, err, ledger.ErrNeedsApproval)
	g.clock.Jump(time.Hour)
	g.clock.Advance(time.Minute)
	if _, err := g.l.Proposals(ctx); err != nil { // the clock is read, and agrees
		t.Fatal(err)
	}
	g.clock.Advance(10 * time.Minute)
	_, err = g.l.Activate(ctx, back)
	wants(t, err, ledger.ErrNeedsApproval)
	verified(t, g.l)
}
