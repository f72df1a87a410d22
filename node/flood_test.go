package node_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/node"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/wire"
)

// stuck is a signature that computes until it is let go: over the first message that comes, or before its own first.
type stuck struct {
	signing.SignSession
	starting bool
	reached  chan signing.PartyID // of whom the first message was
	gate     chan struct{}
	taken    *atomic.Int32 // messages
}

func (s stuck) Accept(m signing.Message) error {
	s.taken.Add(1)
	if !s.starting {
		s.wait(m.From)
	}
	return s.SignSession.Accept(m)
}

func (s stuck) Outgoing() []signing.Message {
	if s.starting {
		s.wait(0)
	}
	return s.SignSession.Outgoing()
}

func (s stuck) wait(from signing.PartyID) {
	select {
	case s.reached <- from:
	default:
	}
	<-s.gate
}

// stick makes the next signature of a member stick; let lets it go.
func stick(m *member, starting bool) (s stuck, let func()) {
	s = stuck{starting: starting, reached: make(chan signing.PartyID, 1), gate: make(chan struct{}), taken: new(atomic.Int32)}
	let = onceClose(s.gate)
	m.h.t.Cleanup(let)
	m.toys.change(func(y *toys) {
		y.sign = func(inner signing.SignSession) signing.SignSession {
			y.sign = nil
			s.SignSession = inner
			return s
		}
	})
	return s, let
}

func TestMoreMessagesThanASessionHas(t *testing.T) {
	t.Parallel()
	for name, flood := range map[string]func(*trio, *session, signing.PartyID){
		"in number": func(r *trio, s *session, from signing.PartyID) {
			for range 600 {
				r.send(r.a.id, &linkv1.Frame{Body: &linkv1.Frame_Envelope{Envelope: &linkv1.Envelope{SessionId: s.id, From: uint32(from), To: 1}}})
			}
		},
		"in bytes": func(r *trio, s *session, from signing.PartyID) {
			for range 40 {
				e := &linkv1.Envelope{SessionId: s.id, From: uint32(from), To: 1, Sealed: make([]byte, 1<<20)}
				r.send(r.a.id, &linkv1.Frame{Body: &linkv1.Frame_Envelope{Envelope: e}})
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newSigners(t)
			stick, let := stick(r.a, false)
			s := r.offer(r.signing())
			flood(r, s, receive(t, stick.reached)) // with what it has had already
			r.settle(r.a.id)                       // the node goes on taking frames
			let()
			r.mustFail(t, s, "more messages came than a session has", r.a)
			r.end(s, "failed", "party a failed")
			r.mustSign(r.signing())
		})
	}
}

// What is too much for all sessions together costs those that took most, not the honest one whose message comes next.
func TestMoreMessagesThanAllSessionsHave(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	r.a.limited(node.WithBytes(node.Limits{}, 16<<20))
	junk := make(map[string]bool) // sessions in which this party never hears party 3
	r.do(func() {
		r.route = func(to wire.NodeID, f *linkv1.Frame) []*linkv1.Frame {
			if junk[f.GetContribution().GetSessionId()] && to == r.a.id && f.GetContribution().GetIndex() == 3 {
				return nil
			}
			return []*linkv1.Frame{f}
		}
	})
	var flooded []*session
	for i := range 3 {
		a := r.signing()
		a.session = fmt.Sprintf("junk-%d", i)
		r.do(func() { junk[a.session] = true })
		s := r.offer(a)
		r.await("contribution", func() bool { return s.contributions[r.a.id] != nil })
		flooded = append(flooded, s)
	}
	fill := func(s *session, frames int) {
		for range frames {
			r.send(r.a.id, &linkv1.Frame{Body: &linkv1.Frame_Envelope{Envelope: &linkv1.Envelope{SessionId: s.id, Sealed: make([]byte, 1<<20)}}})
		}
	}
	fill(flooded[0], 6)
	fill(flooded[1], 5)
	fill(flooded[2], 5) // all there is
	r.settle(r.a.id)
	r.mustSign(r.signing())
	r.mustHaveFailed(t, flooded[0], "have taken 16 MB of messages, and this one most", r.a)
	fill(flooded[1], 2)
	fill(flooded[2], 3) // there is room again, of the first one's 6
	r.settle(r.a.id)
	for _, s := range flooded[1:] {
		r.do(func() {
			if s.reports[r.a.id] != nil {
				t.Error("a session failed although there is room")
			}
		})
	}
	fill(flooded[2], 2)
	r.mustHaveFailed(t, flooded[2], "and this one most", r.a)
}

func TestMessagesBeforeTheContributionsAreBounded(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	r.do(func() {
		r.route = func(to wire.NodeID, f *linkv1.Frame) []*linkv1.Frame {
			if to == r.a.id && f.GetContribution().GetIndex() == 3 {
				return nil
			}
			return []*linkv1.Frame{f}
		}
	})
	s := r.offer(r.signing())
	r.await("contribution", func() bool { return s.contributions[r.a.id] != nil })
	for range 40 {
		r.send(r.a.id, &linkv1.Frame{Body: &linkv1.Frame_Envelope{Envelope: &linkv1.Envelope{SessionId: s.id, Sealed: make([]byte, 1<<20)}}})
	}
	r.mustFail(t, s, "more messages came than a session has", r.a)
}

func TestFramesThatANodeDoesNotTake(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	for _, f := range []*linkv1.Frame{
		{},
		{Body: &linkv1.Frame_Challenge{Challenge: &linkv1.Challenge{}}},
		{Body: &linkv1.Frame_Hello{Hello: &linkv1.Hello{}}},
		{Body: &linkv1.Frame_Welcome{Welcome: &linkv1.Welcome{}}},
		{Body: &linkv1.Frame_Answer{Answer: &linkv1.Answer{}}},
		{Body: &linkv1.Frame_Join{Join: &linkv1.Join{}}},
		{Body: &linkv1.Frame_Report{Report: &linkv1.Report{}}},
		{Body: &linkv1.Frame_Begin{Begin: &linkv1.Begin{}}},
		{Body: &linkv1.Frame_Begin{Begin: &linkv1.Begin{SessionId: "never offered", Deadline: 1 << 40}}},
		{Body: &linkv1.Frame_End{End: &linkv1.End{SessionId: "never begun"}}},
		{Body: &linkv1.Frame_Contribution{Contribution: &linkv1.Contribution{SessionId: "never begun"}}},
		{Body: &linkv1.Frame_Envelope{Envelope: &linkv1.Envelope{SessionId: "never begun"}}},
	} {
		r.send(r.a.id, f)
	}
	r.settle(r.a.id)
	r.mustSign(r.signing())
}
