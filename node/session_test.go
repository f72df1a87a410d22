package node_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/wire"
)

func joined(s *session) func(*linkv1.Frame) bool {
	return func(f *linkv1.Frame) bool { return f.GetJoin().GetSessionId() == s.id }
}

func contributed(s *session) func(*linkv1.Frame) bool {
	return func(f *linkv1.Frame) bool { return f.GetContribution().GetSessionId() == s.id }
}

func TestTwoSessionsOfOneRequestNeverRunAtOnce(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	stick, let := stick(r.a, true)
	a := r.signing()
	first := r.offer(a)
	receive(t, stick.reached)

	second := r.offer(a) // the coordinator has not ended the first
	r.awaitAnswer(second, r.a.id, linkv1.Answer_APPROVED)
	r.await("begin of the second", func() bool { return second.begin != nil })
	r.send(r.a.id, &linkv1.Frame{Body: &linkv1.Frame_Begin{Begin: second.begin}})
	r.send(r.a.id, &linkv1.Frame{Body: &linkv1.Frame_Offer{Offer: first.offers[r.a.id]}}) // as if delivered again
	r.mustBeSilent(second, r.a.id)
	let()
	if report := r.awaitReport(first, r.a.id); report.Completed || !contains(report.Reason, "begun another session") {
		t.Fatalf("the report is %v", report)
	}
	r.mustBeSigned(t, second) // the share has not been used yet
	for _, s := range []*session{first, second} {
		if n := r.count(r.a.id, joined(s)); n != 1 {
			t.Fatalf("the node joined %d times", n)
		}
	}
}

func TestASecondSessionThatEndsBeforeItBegins(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	stick, let := stick(r.a, true)
	a := r.signing()
	first := r.offer(a)
	receive(t, stick.reached)
	second := r.offer(a)
	r.await("begin of the second", func() bool { return second.begin != nil })
	r.end(second, "failed", "the coordinator has thought better of it")
	r.settle(r.a.id)
	let()
	r.mustFail(t, first, "begun another session", r.a)
	r.mustBeSilent(second, r.a.id)
	r.end(first, "failed", "party a failed")
	for _, m := range []*member{r.b, r.c} {
		r.awaitReport(first, m.id)
	}
	r.mustBeSigned(t, r.offer(a))
}

func TestASessionIsJoinedOnce(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	a := r.signing()
	r.do(func() { r.route = noEnvelopes })
	s := r.offer(a)
	r.await("contributions", func() bool { return len(s.contributions) == 3 })
	begin := proto.CloneOf(s.begin)
	for range 3 {
		r.send(r.a.id, &linkv1.Frame{Body: &linkv1.Frame_Begin{Begin: begin}})
		r.send(r.a.id, &linkv1.Frame{Body: &linkv1.Frame_Offer{Offer: s.offers[r.a.id]}})
	}
	r.settle(r.a.id)
	r.end(s, "failed", "for the test")
	r.mustFail(t, s, "for the test", r.a)

	// A coordinator that has lost its mind, or its store, offers it again.
	for name, between := range map[string]func(){"": func() {}, "restart": r.a.restart, "crash": r.a.crash} {
		between()
		r.do(func() { delete(s.reports, r.a.id) })
		r.send(r.a.id, &linkv1.Frame{Body: &linkv1.Frame_Offer{Offer: s.offers[r.a.id]}})
		r.send(r.a.id, &linkv1.Frame{Body: &linkv1.Frame_Begin{Begin: begin}})
		if report := r.awaitReport(s, r.a.id); report.Completed || !contains(report.Reason, "has joined the session before") {
			t.Fatalf("%s: the report is %v", name, report)
		}
		r.settle(r.a.id)
		if n := r.count(r.a.id, contributed(s)); n != 1 {
			t.Fatalf("%s: the node contributed %d times", name, n)
		}
	}
	r.do(func() { r.route = nil })
	r.mustBeSigned(t, r.offer(a))
}

func TestASessionBelongsToOneRequest(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	r.do(func() { r.manual = true })
	a := r.signing()
	s := r.offer(a)
	r.awaitAnswer(s, r.a.id, linkv1.Answer_APPROVED)
	other := r.signing()
	other.expires = r.clock.Now().Add(time.Hour)
	r.send(r.a.id, &linkv1.Frame{Body: &linkv1.Frame_Offer{Offer: other.frame(s)}})
	r.settle(r.a.id)
	r.do(func() { r.begin(s) })
	if report := r.awaitReport(s, r.a.id); hexOf(report.Digest) != a.terms.Message {
		t.Fatalf("%x was signed under a session that was offered for %s", report.Digest, a.terms.Message)
	}
}

func TestOnlyTheLatestSeatCounts(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	r.do(func() { r.manual = true })
	a := r.signing()
	first := r.offer(a)
	r.awaitAnswer(first, r.a.id, linkv1.Answer_APPROVED)
	second := r.offer(a)
	r.awaitAnswer(second, r.a.id, linkv1.Answer_APPROVED)
	r.do(func() { r.begin(first) })
	r.mustBeSilent(first, r.a.id)
	r.end(first, "failed", "party a did not join")
	for _, m := range []*member{r.b, r.c} {
		r.settle(m.id)
	}
	r.do(func() { r.begin(second) })
	r.mustBeSigned(t, second)
}

func TestRequestsHaveSoManySessions(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	a := r.signing()
	a.terms.SignType = wire.SignTypeRaw
	r.do(func() { r.route = noEnvelopes })
	for range 32 {
		s := r.offer(a)
		r.await("contributions", func() bool { return s.contributions[r.a.id] != nil })
		r.end(s, "failed", "for the test")
		r.awaitReport(s, r.a.id)
	}
	s := r.offer(a)
	if answer := r.awaitAnswer(s, r.a.id, linkv1.Answer_REFUSED); !contains(answer.Reason, "joined 32 sessions") {
		t.Fatalf("the answer is %v", answer)
	}
}

func TestAShareThatWasUsedIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	a := r.signing()
	r.do(func() {
		r.route = func(to wire.NodeID, f *linkv1.Frame) []*linkv1.Frame {
			if to == r.a.id && f.GetEnvelope().GetRound() == 3 { // a gets no other party's share
				return nil
			}
			return []*linkv1.Frame{f}
		}
	})
	s := r.offer(a)
	for _, m := range []*member{r.b, r.c} {
		if report := r.awaitReport(s, m.id); !report.Completed {
			t.Fatalf("the report is %v", report)
		}
	}
	r.end(s, "failed", "party a is not heard")
	r.mustFail(t, s, "party a is not heard", r.a)
	r.do(func() { r.route = nil })
	for _, between := range []func(){func() {}, r.a.restart, r.a.crash} {
		between()
		again := r.offer(a)
		if answer := r.awaitAnswer(again, r.a.id, linkv1.Answer_DONE); !contains(answer.Reason, "has used its share") {
			t.Fatalf("the answer is %v", answer)
		}
		r.do(func() { r.begin(again) })
		r.mustBeSilent(again, r.a.id)
	}
	r.mustSign(r.signing())
}

func TestAShareIsNotUsedForARequestThatHasExpired(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	stick, let := stick(r.a, false)
	s := r.offer(r.signing())
	receive(t, stick.reached)
	r.clock.step(2 * time.Hour)
	let()
	r.mustFail(t, s, "the request has expired: the share is not used", r.a)
	r.settle(r.a.id)
	if n := r.count(r.a.id, func(f *linkv1.Frame) bool { return lastRound(s, f) }); n != 0 {
		t.Fatal("the share was used")
	}
}

func TestEndStopsASession(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	for _, state := range []string{"failed", "expired", "", "anything"} {
		r.do(func() { r.route = envelopesTo(r.a.id) })
		s := r.offer(r.signing())
		r.await("contributions", func() bool { return len(s.contributions) == 3 })
		r.end(s, state, "no longer wanted")
		r.mustFail(t, s, "the coordinator ended the session: no longer wanted", r.a)
		r.do(func() { r.route = nil })
		for _, m := range []*member{r.b, r.c} {
			r.awaitReport(s, m.id)
		}
	}
	t.Run("completed does not", func(t *testing.T) {
		stick, let := stick(r.a, true)
		s := r.offer(r.signing())
		receive(t, stick.reached)
		r.send(r.a.id, &linkv1.Frame{Body: &linkv1.Frame_End{End: &linkv1.End{SessionId: s.id, State: "completed"}}})
		r.settle(r.a.id)
		let()
		r.mustBeSigned(t, s)
	})
	t.Run("of another session does not", func(t *testing.T) {
		stick, let := stick(r.a, true)
		s := r.offer(r.signing())
		receive(t, stick.reached)
		r.send(r.a.id, &linkv1.Frame{Body: &linkv1.Frame_End{End: &linkv1.End{SessionId: "other", State: "failed"}}})
		r.settle(r.a.id)
		let()
		r.mustBeSigned(t, s)
	})
	r.mustSign(r.signing())
}

func TestASessionThatWasEndedTakesNoMore(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	for range 6 { // by chance it might take none
		stick, let := stick(r.a, false)
		a := r.signing()
		s := r.offer(a)
		receive(t, stick.reached)
		r.await("all messages of round 2", func() bool {
			n := 0
			for _, e := range r.log {
				if e.frame.GetEnvelope().GetSessionId() == s.id && e.frame.GetEnvelope().To == 1 {
					n++
				}
			}
			return n >= 4
		})
		r.end(s, "failed", "no longer wanted")
		r.settle(r.a.id)
		let()
		r.mustFail(t, s, "no longer wanted", r.a)
		if n := stick.taken.Load(); n != 1 {
			t.Fatalf("the protocol was given %d messages", n)
		}
		for _, m := range []*member{r.b, r.c} {
			r.awaitReport(s, m.id)
		}
	}
}

func TestSealEndsASession(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	stick, let := stick(r.a, true)
	a := r.signing()
	s := r.offer(a)
	receive(t, stick.reached)
	sealed := make(chan struct{})
	go func() { defer close(sealed); r.a.node.Seal() }()
	r.await("end of a's link", func() bool {
		let() // the protocol's step ends, and the session with it
		return true
	})
	receive(t, sealed)
	if r.a.node.State() != "sealed" {
		t.Fatalf("the node is %s", r.a.node.State())
	}
	if info, err := r.a.node.Info(); err != nil || info.NodeID != "" || info.Keys != nil || info.Link != nil {
		t.Fatalf("a sealed node says %+v (%v)", info, err)
	}
	if _, err := r.a.node.Identity(); err == nil {
		t.Fatal("a sealed node tells its identity")
	}
	if _, err := r.a.store.Get("key", r.keyID); !errors.Is(err, keystore.ErrSealed) {
		t.Fatalf("the store of a sealed node says %v", err)
	}
	r.end(s, "failed", "party a is away")
	for _, m := range []*member{r.b, r.c} {
		r.awaitReport(s, m.id)
	}

	waiting := r.offer(r.signing()) // while a is sealed
	r.awaitAnswer(waiting, r.b.id, linkv1.Answer_APPROVED)
	r.await("nothing of a", func() bool { return waiting.answers[r.a.id] == nil })
	r.a.unseal()
	r.mustBeSigned(t, waiting)
	if err := r.a.node.Unseal(context.Background(), pass(password)); !errors.Is(err, keystore.ErrUnsealed) {
		t.Fatalf("unsealing twice gives %v", err)
	}
}

func TestTheLinkMayBreakInASession(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	stick, let := stick(r.a, true)
	s := r.offer(r.signing())
	receive(t, stick.reached)
	var before port
	r.do(func() {
		before = r.ports[r.a.id]
		_ = before.(*socket).conn.CloseNow()
	})
	r.await("a new link", func() bool { return r.ports[r.a.id] != before })
	let()
	r.mustBeSigned(t, s)
}

func TestASessionThatCannotStart(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	r.a.toys.change(func(y *toys) { y.refuse = errors.New("no randomness") })
	s := r.offer(r.signing())
	r.mustFail(t, s, "no randomness", r.a)
	r.end(s, "failed", "party a failed")
	r.a.toys.change(func(y *toys) { y.refuse = nil })
	r.mustSign(r.signing())
}
