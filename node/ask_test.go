package node_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/node/asking"
	"github.com/countersign-mpc/countersign/wire"
)

// newAskers makes a trio with a key whose callback answers as the test says.
func newAskers(t testing.TB) *trio {
	t.Helper()
	r := newSigners(t)
	r.guard.set("")
	return r
}

func (c *call) reject(reason string) {
	c.answer <- asking.Answer{Decision: wire.Decision{Action: wire.Reject, Reason: reason}}
}

func (c *call) wait(d time.Duration) {
	c.answer <- asking.Answer{Decision: wire.Decision{Action: wire.Wait, Wait: d, Reason: "two approvers are needed"}}
}

// mustBeSigned waits for a session's signature.
func (r *trio) mustBeSigned(t testing.TB, s *session) {
	t.Helper()
	for _, p := range s.parties {
		report := r.awaitReport(s, wire.NodeID(p.NodeId))
		if !report.Completed {
			t.Fatalf("the session failed at party %d: %s", p.Index, report.Reason)
		}
		mustVerify(t, report)
	}
}

func TestNothingStartsBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	r := newAskers(t)
	s := r.offer(r.signing())
	c := r.guard.next(t)
	if a := r.awaitAnswer(s, r.a.id, linkv1.Answer_ASKING); !a.Guarded || a.CallbackId != c.Asked.CallbackID {
		t.Fatalf("the answer is %v", a)
	}
	r.do(func() { r.begin(s) }) // the coordinator does not wait
	r.mustBeSilent(s, r.a.id)
	c.approve()
	r.awaitAnswer(s, r.a.id, linkv1.Answer_APPROVED)
	r.mustBeSigned(t, s)
}

func TestRejectIsFinal(t *testing.T) {
	t.Parallel()
	r := newAskers(t)
	a := r.signing()
	s := r.offer(a)
	r.guard.next(t).reject("amount over the limit (rule limits.per_tx)")
	if answer := r.awaitAnswer(s, r.a.id, linkv1.Answer_REJECTED); answer.Reason != "amount over the limit (rule limits.per_tx)" {
		t.Fatalf("the reason is %q", answer.Reason)
	}
	for _, between := range []func(){func() {}, r.a.restart, r.a.crash} {
		between()
		r.do(func() { r.begin(s) })
		r.mustBeSilent(s, r.a.id)
		again := r.offer(a)
		r.awaitAnswer(again, r.a.id, linkv1.Answer_REJECTED)
		r.do(func() { r.begin(again) })
		r.mustBeSilent(again, r.a.id)
	}
	if len(r.guard.calls) != 0 {
		t.Fatal("the callback was asked again")
	}
}

func TestWaitIsAskedAgainUnderAnotherID(t *testing.T) {
	t.Parallel()
	r := newAskers(t)
	s := r.offer(r.signing())
	first := r.guard.next(t)
	first.wait(time.Nanosecond)
	if a := r.awaitAnyAnswer(s, r.a.id, linkv1.Answer_WAITING); a.Reason != "two approvers are needed" {
		t.Fatalf("the answer is %v", a)
	}
	second := r.guard.next(t)
	if first.Asked.CallbackID == second.Asked.CallbackID || first.Signature == second.Signature {
		t.Fatal("a callback_id was used for two bodies")
	}
	if !bytes.Equal(bytes.ReplaceAll(first.Body, []byte(first.Asked.CallbackID), []byte(second.Asked.CallbackID)), second.Body) {
		t.Fatalf("another question was asked:\n%s\n%s", first.Body, second.Body)
	}
	r.mustBeSilent(s, r.a.id)
	second.approve()
	r.mustBeSigned(t, s)
}

// awaitAnyAnswer waits until a node has given an answer, be it the latest or not.
func (h *hall) awaitAnyAnswer(s *session, from wire.NodeID, state linkv1.Answer_State) *linkv1.Answer {
	h.t.Helper()
	var out *linkv1.Answer
	h.await("answer "+state.String(), func() bool {
		for _, e := range h.log {
			if a := e.frame.GetAnswer(); e.from == from && a.GetSessionId() == s.id && a.State == state {
				out = a
			}
		}
		return out != nil
	})
	return out
}

func TestAQuestionOutlivesTheNode(t *testing.T) {
	t.Parallel()
	r := newAskers(t)
	s := r.offer(r.signing())
	first := r.guard.next(t)
	for name, restart := range map[string]func(){
		"crash": r.a.crash, "restart": r.a.restart, "seal": func() { r.a.node.Seal(); r.a.unseal() },
	} {
		restart()
		again := r.guard.next(t)
		if !bytes.Equal(first.Body, again.Body) || first.Signature != again.Signature || first.Asked != again.Asked {
			t.Fatalf("after a %s the node asks\n%s\nbefore\n%s", name, again.Body, first.Body)
		}
		first = again
	}
	first.approve()
	r.awaitAnswer(s, r.a.id, linkv1.Answer_APPROVED)
	r.mustBeSigned(t, s)
}

func TestAWaitOutlivesTheNode(t *testing.T) {
	t.Parallel()
	r := newAskers(t)
	a := r.signing()
	a.expires = r.clock.Now().Add(2 * time.Hour)
	s := r.offer(a)
	first := r.guard.next(t)
	first.wait(time.Hour)
	r.awaitAnswer(s, r.a.id, linkv1.Answer_WAITING)
	r.a.restart()
	r.awaitAnswer(s, r.a.id, linkv1.Answer_WAITING)
	if len(r.guard.calls) != 0 {
		t.Fatal("the node did not wait")
	}
	r.clock.step(30 * time.Minute)
	r.a.crash()
	r.settle(r.a.id)
	if len(r.guard.calls) != 0 {
		t.Fatal("the node did not wait long enough")
	}
	r.clock.step(29*time.Minute + 59*time.Second + 900*time.Millisecond)
	r.a.restart()
	second := r.guard.next(t)
	if first.Asked.CallbackID == second.Asked.CallbackID {
		t.Fatal("a callback_id was used for two bodies")
	}
	second.approve() // an hour after it was asked for, the request's session is begun and has its ten minutes
	r.mustBeSigned(t, s)
}

func TestAnApprovalOutlivesTheNodeForTenMinutes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		step  time.Duration
		again bool
	}{
		"nine minutes":               {9 * time.Minute, false},
		"eleven minutes":             {11 * time.Minute, true},
		"the clock was put back":     {-time.Minute, true},
		"the clock was put far back": {-12 * time.Hour, true},
	} {
		for how, restart := range map[string]func(*member){"": func(*member) {}, ", after a crash": (*member).crash} {
			t.Run(name+how, func(t *testing.T) {
				t.Parallel()
				r := newAskers(t)
				r.do(func() { r.manual = true })
				a := r.signing()
				a.expires = r.clock.Now().Add(2 * time.Hour)
				s := r.offer(a)
				first := r.guard.next(t)
				first.approve()
				r.awaitAnswer(s, r.a.id, linkv1.Answer_APPROVED)
				r.awaitAnswer(s, r.b.id, linkv1.Answer_APPROVED)
				r.awaitAnswer(s, r.c.id, linkv1.Answer_APPROVED)
				restart(r.a)
				r.clock.step(c.step)
				r.do(func() { r.manual = false; r.begin(s) })
				if c.again {
					second := r.guard.next(t)
					r.mustBeSilent(s, r.a.id)
					if second.Asked.CallbackID == first.Asked.CallbackID {
						t.Fatal("a callback_id was used for two bodies")
					}
					second.approve()
				}
				r.mustBeSigned(t, s)
				if len(r.guard.calls) != 0 {
					t.Fatal("the node asked once too often")
				}
			})
		}
	}
}

func TestTheOldestOfSeveralApprovalsCounts(t *testing.T) {
	t.Parallel()
	r := newAskers(t)
	r.do(func() { r.manual = true })
	s := r.offer(r.signing())
	r.guard.next(t).answer <- asking.Answer{Decision: wire.Decision{Action: wire.Approve}, Age: 11 * time.Minute}
	r.awaitAnswer(s, r.a.id, linkv1.Answer_APPROVED)
	r.do(func() { r.begin(s) })
	r.guard.next(t)
	r.mustBeSilent(s, r.a.id)
}

func TestAnApprovalServesTheNextSession(t *testing.T) {
	t.Parallel()
	r := newAskers(t)
	a := r.signing()
	r.do(func() { r.route = noEnvelopes })
	s := r.offer(a)
	r.guard.next(t).approve()
	r.await("contributions", func() bool { return len(s.contributions) == 3 })
	r.end(s, "failed", "party b is not heard")
	r.mustFail(t, s, "party b is not heard", r.a, r.b, r.c)
	r.do(func() { r.route = nil })
	r.mustBeSigned(t, r.offer(a))
	if len(r.guard.calls) != 0 {
		t.Fatal("an approval of a minute ago was asked for again")
	}
}

// noEnvelopes drops all protocol messages, so that no share is used.
func noEnvelopes(_ wire.NodeID, f *linkv1.Frame) []*linkv1.Frame {
	if f.GetEnvelope() != nil {
		return nil
	}
	return []*linkv1.Frame{f}
}

// envelopesTo drops protocol messages on the way to a node.
func envelopesTo(id wire.NodeID) func(wire.NodeID, *linkv1.Frame) []*linkv1.Frame {
	return func(to wire.NodeID, f *linkv1.Frame) []*linkv1.Frame {
		if to == id && f.GetEnvelope() != nil {
			return nil
		}
		return []*linkv1.Frame{f}
	}
}

func TestWhatWasTakenOnUnaskedIsAskedOnceThereIsACallback(t *testing.T) {
	t.Parallel()
	r := newAskers(t)
	r.do(func() { r.manual = true })
	a := r.signing()
	a.terms.SignType, a.terms.Message = wire.SignTypeMessage, "hello"
	s := r.offer(a)
	r.guard.next(t).approve()
	r.awaitAnswer(s, r.b.id, linkv1.Answer_APPROVED) // b asks nobody
	guard := r.b.guarded("")
	r.b.restart()
	r.do(func() { r.begin(s) })
	r.mustBeSilent(s, r.b.id)
	if check := guard.next(t).check(t); check.ExtraInfo.SinoID != a.sino {
		t.Fatalf("the callback was asked %v", check)
	}

	r.b.settings.change(func(s *settings) { s.guard = nil })
	u := r.offer(r.signing())
	r.guard.next(t).approve()
	r.awaitAnswer(u, r.b.id, linkv1.Answer_APPROVED)
	r.b.settings.change(func(s *settings) { s.guardErr = errors.New("the key file is missing") })
	r.do(func() { r.begin(u) })
	r.mustFail(t, u, "the key file is missing", r.b)
	r.mustBeSilent(u, r.b.id)
}

func TestNoAnswerIsNoApproval(t *testing.T) {
	t.Parallel()
	r := newAskers(t)
	s := r.offer(r.signing())
	c := r.guard.next(t)
	bad := "callback server \xff does not answer" + strings.Repeat("é", 1000)
	c.progress(asking.Try{Err: &wire.ReplyError{Fault: wire.FaultStatus, Detail: bad}})
	if a := r.awaitAnswerWith(s, r.a.id, "does not answer"); a.State != linkv1.Answer_ASKING || len(a.Reason) > 1024 {
		t.Fatalf("the answer is %v", a)
	}
	c.fail <- &asking.UnansweredError{Server: "http://callback", Tries: 61, Last: errors.New("connection refused")}
	if a := r.awaitAnswer(s, r.a.id, linkv1.Answer_REFUSED); !contains(a.Reason, "gave no answer that counts in 61 tries") {
		t.Fatalf("the answer is %v", a)
	}
	r.do(func() { r.begin(s) })
	r.mustBeSilent(s, r.a.id)
}

func (h *hall) awaitAnswerWith(s *session, from wire.NodeID, reason string) *linkv1.Answer {
	h.t.Helper()
	var out *linkv1.Answer
	h.await("answer with "+reason, func() bool {
		out = s.answers[from]
		return contains(out.GetReason(), reason)
	})
	return out
}

func TestAnAnswerThatIsNoneIsNoApproval(t *testing.T) {
	t.Parallel()
	r := newAskers(t)
	for _, action := range []wire.Action{"", "approve", "Maybe"} {
		s := r.offer(r.signing())
		r.guard.next(t).answer <- asking.Answer{Decision: wire.Decision{Action: action}}
		r.awaitAnswer(s, r.a.id, linkv1.Answer_REFUSED)
		r.do(func() { r.begin(s) })
		r.mustBeSilent(s, r.a.id)
	}
}

func TestAnApprovalThatCannotBeStoredIsNone(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(*call){
		"approve": (*call).approve, "wait": func(c *call) { c.wait(time.Nanosecond) }, "reject": func(c *call) { c.reject("no") },
	} {
		t.Run(name, func(t *testing.T) {
			r := newAskers(t)
			s := r.offer(r.signing())
			c := r.guard.next(t)
			r.a.store.Seal()
			answer(c)
			if a := r.awaitAnswer(s, r.a.id, linkv1.Answer_REFUSED); !contains(a.Reason, "could not store") {
				t.Fatalf("the answer is %v", a)
			}
			r.do(func() { r.begin(s) })
			r.mustBeSilent(s, r.a.id)
			if len(r.guard.calls) != 0 {
				t.Fatal("the node goes on asking")
			}
		})
	}
}

func TestAQuestionThatCannotBeStoredIsNotAsked(t *testing.T) {
	t.Parallel()
	r := newAskers(t)
	r.a.store.Seal()
	s := r.offer(r.signing())
	r.awaitAnswer(s, r.a.id, linkv1.Answer_REFUSED)
	r.settle(r.a.id)
	if len(r.guard.calls) != 0 {
		t.Fatal("the callback was asked")
	}
}

func TestRequestsExpire(t *testing.T) {
	t.Parallel()
	// nearlyOver seals a until a moment before the request is over.
	nearlyOver := func(r *trio, a ask) {
		r.a.node.Seal()
		r.clock.step(time.Unix(a.expires.Unix(), 0).Sub(r.clock.Now()) - 50*time.Millisecond)
		r.a.unseal()
	}
	t.Run("while the callback does not answer", func(t *testing.T) {
		r := newAskers(t)
		a := r.signing()
		a.expires = r.clock.Now().Add(time.Hour)
		s := r.offer(a)
		r.guard.next(t)
		nearlyOver(r, a)
		if a := r.awaitAnswer(s, r.a.id, linkv1.Answer_REFUSED); !contains(a.Reason, "expired before the callback answered") {
			t.Fatalf("the answer is %v", a)
		}
	})
	t.Run("while it says Wait", func(t *testing.T) {
		r := newAskers(t)
		a := r.signing()
		a.expires = r.clock.Now().Add(time.Hour)
		s := r.offer(a)
		r.guard.next(t).wait(2 * time.Hour)
		r.awaitAnswer(s, r.a.id, linkv1.Answer_WAITING)
		nearlyOver(r, a)
		if a := r.awaitAnswer(s, r.a.id, linkv1.Answer_REFUSED); !contains(a.Reason, "expired while the callback said Wait") {
			t.Fatalf("the answer is %v", a)
		}
	})
	t.Run("while nobody begins", func(t *testing.T) {
		r := newAskers(t)
		r.do(func() { r.manual = true })
		a := r.signing()
		s := r.offer(a)
		r.guard.next(t).approve()
		r.awaitAnswer(s, r.a.id, linkv1.Answer_APPROVED)
		r.clock.step(2 * time.Hour)
		late := r.offer(a)
		if a := r.awaitAnswer(late, r.a.id, linkv1.Answer_REFUSED); !contains(a.Reason, "expired") {
			t.Fatalf("the answer is %v", a)
		}
		r.do(func() { r.begin(late) })
		r.mustBeSilent(late, r.a.id)
		r.do(func() { r.begin(s) })
		r.mustBeSilent(s, r.a.id)
	})
	t.Run("in the store", func(t *testing.T) {
		r := newAskers(t)
		r.do(func() { r.manual = true })
		a := r.signing()
		s := r.offer(a)
		r.guard.next(t).approve()
		r.awaitAnswer(s, r.a.id, linkv1.Answer_APPROVED)
		r.end(s, "failed", "another party failed")
		r.clock.step(2 * time.Hour)
		r.a.crash()
		late := r.offer(a)
		if a := r.awaitAnswer(late, r.a.id, linkv1.Answer_REFUSED); !contains(a.Reason, "expired") {
			t.Fatalf("the answer is %v", a)
		}
	})
}

func TestRequestsOfFailedSessionsLeaveRoomForOthers(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	r.do(func() { r.manual = true })
	for range 3 {
		s := r.offer(r.signing())
		r.awaitAnswer(s, r.a.id, linkv1.Answer_APPROVED)
		r.end(s, "failed", "another party rejected")
		r.settle(r.a.id)
	}
	if info, err := r.a.node.Info(); err != nil || info.Requests != 0 {
		t.Fatalf("the node works on %d requests (%v)", info.Requests, err)
	}
}
