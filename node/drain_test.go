package node_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/node"
	"github.com/countersign-mpc/countersign/wire"
)

// drain begins to stop a node, and tells when that is over.
func (m *member) drain(ctx context.Context) chan struct{} {
	done := make(chan struct{})
	go func() { defer close(done); m.node.Drain(ctx) }()
	spin(m.h.t, "the node is stopping", func() bool { return m.node.NotReady() == "the node is stopping" })
	return done
}

func TestStoppingFinishesWhatRuns(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	r.guard.set("")
	asked := r.offer(r.signing())
	pending := r.guard.next(t)
	r.guard.set(wire.Approve)
	stick, let := stick(r.a, true)
	s := r.offer(r.signing())
	receive(t, stick.reached)

	done := r.a.drain(context.Background())
	w := httptest.NewRecorder()
	r.a.node.Health().ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
	if w.Code != http.StatusServiceUnavailable || w.Body.String() != "the node is stopping\n" {
		t.Fatalf("readyz: HTTP %d %s", w.Code, w.Body.String())
	}
	late := r.offer(r.signing())
	r.awaitAnswer(late, r.b.id, linkv1.Answer_APPROVED)
	r.settle(r.a.id)
	pending.approve() // the answer is kept; the session is begun after the next start
	r.awaitAnswer(asked, r.a.id, linkv1.Answer_APPROVED)
	r.settle(r.a.id)
	if r.do(func() {}); late.answers[r.a.id] != nil || now(done) {
		t.Fatal("a node that stops has answered an offer, or has not waited")
	}
	r.mustBeSilent(asked, r.a.id)
	let()
	receive(t, done)
	r.mustBeSigned(t, s)
	if running := r.a.node.Sessions(); slices.ContainsFunc(running, func(i node.SessionInfo) bool { return i.State == "computing" || i.State == "gathering" }) {
		t.Fatalf("sessions run: %v", running)
	}
	if err := r.a.node.Unseal(context.Background(), pass(password)); err == nil || !contains(err.Error(), "stopping") {
		t.Fatalf("a node that stops is unsealed: %v", err)
	}
	r.a.restart()
	r.mustBeSigned(t, late)
	r.mustBeSigned(t, asked)
}

func TestStoppingFailsWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	r.do(func() { r.route = envelopesTo(r.a.id) })
	s := r.offer(r.signing())
	r.await("contributions", func() bool { return len(s.contributions) == 3 })
	grace, end := context.WithCancel(context.Background())
	done := r.a.drain(grace)
	if r.settle(r.a.id); now(done) || s.reports[r.a.id] != nil {
		t.Fatal("the grace period is not kept")
	}
	end()
	receive(t, done) // the report has arrived by then
	r.mustFail(t, s, "the node is stopping, and its grace period is over", r.a)
	must(t, r.a.node.Close())
}

// TestStoppingLeavesWhatComputes: a step that takes longer than the grace period, and then some, holds the process no more.
func TestStoppingLeavesWhatComputes(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	stick, let := stick(r.a, true)
	r.offer(r.signing())
	receive(t, stick.reached)
	receive(t, r.a.drain(over()))
	let()
}

func TestStoppingASealedNode(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.mustAnswer("GET", "/sys/sessions", "", `{"data":[],"status":"ok"}`)
	o.node.Drain(context.Background())
	o.mustRefuse("POST", "/sys/init", bkey(password), "stopping")
}

// stateOf is what a node says of a session.
func (m *member) stateOf(s *session) node.SessionInfo {
	for _, info := range m.node.Sessions() {
		if info.SessionID == s.id {
			return info
		}
	}
	return node.SessionInfo{}
}

func TestSessionsAreListed(t *testing.T) {
	t.Parallel()
	r := newAskers(t)
	a := r.signing()
	s := r.offer(a)
	ask := r.guard.next(t)
	r.awaitAnswer(s, r.a.id, linkv1.Answer_ASKING)
	r.settle(r.a.id)
	before := r.a.stateOf(s)
	if before.State != "asking" || before.SinoID != a.sino || before.RequestID != a.terms.RequestID || before.Type != wire.TypeSign || before.KeyID != r.keyID ||
		len(before.Parties) != 3 || before.Parties[1] != (node.SessionParty{Index: 2, NodeID: string(r.b.id)}) || before.Since.IsZero() {
		t.Fatalf("the session is %+v", before)
	}
	r.do(func() {
		r.route = func(to wire.NodeID, f *linkv1.Frame) []*linkv1.Frame {
			if f.GetContribution() != nil || f.GetEnvelope() != nil {
				return nil
			}
			return []*linkv1.Frame{f}
		}
	})
	ask.approve()
	r.await("contributions", func() bool { return len(s.contributions) == 3 })
	if got := r.a.stateOf(s); got.State != "gathering" || len(got.Parties) != 3 {
		t.Fatalf("the session is %+v", got)
	}
	r.end(s, "failed", "party b is away")
	r.mustFail(t, s, "party b is away", r.a)
	if got := r.a.stateOf(s); got.State != "failed" || !contains(got.Reason, "party b is away") || got.Culprit != 0 || got.SinoID != a.sino {
		t.Fatalf("the session is %+v", got)
	}
	for _, m := range []*member{r.b, r.c} {
		r.awaitReport(s, m.id)
	}
	r.do(func() { r.route = nil })
	r.guard.set(wire.Approve)
	stick, let := stick(r.a, true)
	second := r.offer(r.signing())
	receive(t, stick.reached)
	if all := r.a.node.Sessions(); len(all) != 3 || all[0].SessionID != second.id || all[0].State != "computing" || all[1].SessionID != s.id || all[2].Type != wire.TypeKeygen {
		t.Fatalf("the sessions are %+v", all)
	}
	let()
	r.mustBeSigned(t, second)
	spin(t, "the session is over", func() bool { return r.a.stateOf(second).State == "completed" })

	data, err := json.Marshal(r.a.node.Sessions())
	must(t, err)
	for _, secret := range []string{a.terms.Message, hexOf(r.awaitReport(second, r.a.id).Result), "token"} {
		if contains(string(data), secret) {
			t.Fatalf("the list tells %s", secret)
		}
	}
	r.a.node.Seal()
	if all := r.a.node.Sessions(); len(all) != 3 {
		t.Fatalf("after a seal the sessions are %+v", all)
	}
}

func TestSoManySessionsAreRemembered(t *testing.T) {
	t.Parallel()
	n, frames := lone(t, node.Limits{Sessions: 1, Requests: 1000})
	for i := range 260 {
		offer, begin := numbered(frames, i)
		n.Frame(offer)
		n.Frame(begin)
	}
	all := n.Sessions()
	if len(all) != 201 || all[0].SessionID != "session-0" || all[1].SessionID != "session-259" || all[200].SessionID != "session-60" {
		t.Fatalf("%d sessions, the first two %s and %s, the last %s", len(all), all[0].SessionID, all[1].SessionID, all[len(all)-1].SessionID)
	}
}
