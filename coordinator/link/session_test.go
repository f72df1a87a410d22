package link_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/bolt/coordstore/coordtest"
	"github.com/countersign-mpc/countersign/coordinator"
)

// One session over real connections, from offer to signature.
func TestSession(t *testing.T) {
	s := newSite(t, 2, nil)
	nodes := []*node{s.connect(t, 0), s.connect(t, 1)}
	id := s.Submit(s.KeygenOrder(2, "")).Request.SinoID
	session := s.Last(id).ID
	for _, n := range nodes {
		offer := n.next().GetOffer()
		expect(t, "offer", offer.GetSessionId(), session)
		n.send(coordtest.Answer(session, linkv1.Answer_APPROVED, ""))
	}
	for i, n := range nodes {
		expect(t, "begin", n.next().GetBegin().GetSessionId(), session)
		n.send(coordtest.Join(session, s.Last(id).Members[i].Token))
		n.send(n.Contribution(t, session, byte(i+1), "manifest", ""))
	}
	for i, n := range nodes {
		f := n.next()
		expect(t, "contribution", f.GetContribution().GetIndex(), 2-i)
		n.ack(f.Seq)
	}
	const messages = 100 // more than are sent without an acknowledgement
	for seq := range uint64(messages) {
		nodes[0].post(coordtest.Envelope(session, 1, 2, seq, fmt.Sprint(seq)))
	}
	for seq := range uint64(messages) {
		f := nodes[1].next()
		expect(t, "message", []any{f.GetEnvelope().GetSeq(), string(f.GetEnvelope().GetSealed())}, []any{seq, fmt.Sprint(seq)})
		if seq%20 == 19 || seq == messages-1 {
			nodes[1].ack(f.Seq)
		}
	}
	for _, n := range nodes {
		n.send(n.Report(t, session, s.Wallet.Made()))
	}
	for _, active := range []bool{false, true} {
		for i, n := range nodes {
			n.send(n.Confirmation(t, s.Last(id).KeyID, byte(i+1), "share", active))
		}
	}
	expect(t, "request", s.Status(id).Request.State, coordinator.StateCompleted)
	if key := s.Status(id).Key; !bytes.Equal(key.PublicKey, s.Wallet.PublicKey) {
		t.Error("another key")
	}
}

// What a node does not acknowledge comes again on the next connection, numbered anew; what it does, does not. What a node
// sends again is taken once.
func TestResendAndDedupe(t *testing.T) {
	s := newSite(t, 2, nil)
	a, b := s.connect(t, 0), s.connect(t, 1)
	id := s.Submit(s.KeygenOrder(2, "")).Request.SinoID
	session := s.Last(id).ID
	for i, n := range []*node{a, b} {
		n.next() // offer
		n.send(coordtest.Answer(session, linkv1.Answer_APPROVED, ""))
		if i == 1 {
			a.next() // begin
			b.next()
		}
	}
	for i, n := range []*node{a, b} {
		n.send(coordtest.Join(session, s.Last(id).Members[i].Token))
		n.send(n.Contribution(t, session, byte(i+1), "manifest", ""))
	}
	for seq, text := range []string{"x", "y", "z"} {
		a.send(coordtest.Envelope(session, 1, 2, uint64(seq), text))
	}
	var last *linkv1.Frame
	for _, want := range []string{"", "x", "y", "z"} {
		last = b.next()
		expect(t, "first connection", string(last.GetEnvelope().GetSealed()), want)
	}
	b.ack(last.Seq - 2) // the contribution and x
	b.send(coordtest.Answer("nowhere", linkv1.Answer_ASKING, ""))
	b = s.connect(t, 1)
	for i, want := range []string{"y", "z"} {
		f := b.next()
		expect(t, "second connection", []any{f.Seq, string(f.GetEnvelope().GetSealed())}, []any{i + 1, want})
	}
	a = s.connect(t, 0) // it did not hear that z had arrived
	expect(t, "contribution, unacknowledged", a.next().GetContribution().GetIndex(), 2)
	a.send(coordtest.Envelope(session, 1, 2, 2, "z"))
	a.send(coordtest.Envelope(session, 1, 2, 3, "w"))
	expect(t, "once", string(b.next().GetEnvelope().GetSealed()), "w")
}

// The coordinator is stopped with frames undelivered in the middle of a session; after its start the session goes on.
func TestRestart(t *testing.T) {
	s := newSite(t, 2, nil)
	a, b := s.connect(t, 0), s.connect(t, 1)
	id := s.Submit(s.KeygenOrder(2, "")).Request.SinoID
	session := s.Last(id).ID
	for _, n := range []*node{a, b} {
		n.send(coordtest.Answer(session, linkv1.Answer_APPROVED, ""))
	}
	for i, n := range []*node{a, b} {
		n.send(coordtest.Join(session, s.Last(id).Members[i].Token))
		n.send(n.Contribution(t, session, byte(i+1), "manifest", ""))
	}
	a.send(coordtest.Envelope(session, 1, 2, 0, "x"))
	a.post(coordtest.Envelope(session, 1, 2, 1, "y")) // perhaps taken, perhaps not
	s.stop()
	s.Restart()
	s.serve(nil)
	a, b = s.connect(t, 0), s.connect(t, 1)
	expect(t, "contribution", b.next().GetContribution().GetIndex(), 1)
	expect(t, "x", string(b.next().GetEnvelope().GetSealed()), "x")
	a.send(coordtest.Envelope(session, 1, 2, 1, "y"))
	expect(t, "y", string(b.next().GetEnvelope().GetSealed()), "y")
	for _, n := range []*node{a, b} {
		n.send(n.Report(t, session, s.Wallet.Made()))
	}
	expect(t, "session", s.Last(id).State, coordinator.StateCompleted)
}

func TestReplaced(t *testing.T) {
	s := newSite(t, 1, nil)
	old := s.connect(t, 0)
	s.connect(t, 0).send(coordtest.Answer("nowhere", linkv1.Answer_ASKING, ""))
	expect(t, "the old connection", old.refused(), "replaced")
}

func TestStopping(t *testing.T) {
	s := newSite(t, 1, nil)
	n := s.connect(t, 0)
	done := make(chan struct{})
	go func() {
		s.server.Close(context.Background())
		close(done)
	}()
	expect(t, "code", n.refused(), "stopping")
	<-done
	_, response, err := websocket.Dial(t.Context(), s.http.URL, nil)
	if err == nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a stopped server takes connections: %v", err)
	}
}

// A frame that breaks the protocol is acknowledged, so that it does not come again, and ends the connection.
func TestViolations(t *testing.T) {
	s := newSite(t, 1, nil)
	for name, f := range map[string]*linkv1.Frame{
		"a coordinator's frame":         {Seq: 1, Body: &linkv1.Frame_Begin{Begin: &linkv1.Begin{}}},
		"a gap":                         {Seq: 2, Body: coordtest.Answer("nowhere", linkv1.Answer_ASKING, "").Body},
		"ack of what was not sent":      {Body: &linkv1.Frame_Ack{Ack: &linkv1.Ack{Seq: 1}}},
		"a second hello":                {Seq: 1, Body: &linkv1.Frame_Hello{Hello: &linkv1.Hello{}}},
		"a confirmation of nobody":      {Seq: 1, Body: &linkv1.Frame_Confirmation{Confirmation: &linkv1.Confirmation{KeyId: "k"}}},
		"nothing":                       {Seq: 1},
		"a contribution of no session ": {Seq: 1, Body: &linkv1.Frame_Refusal{Refusal: &linkv1.Refusal{}}},
	} {
		n := s.connect(t, 0)
		n.write(f)
		acked := false
		for {
			got, err := n.tryRead()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			acked = acked || got.GetAck().GetSeq() == f.Seq && f.Seq == 1
			if r := got.GetRefusal(); r != nil {
				expect(t, name, r.Code, "protocol_violation")
				_ = n.ws.CloseNow()
				break
			}
		}
		expect(t, name+" is acknowledged", acked, f.Seq == 1)
	}
}

// A node that reads nothing stops nobody: its frames wait in the store, and other sessions go on.
func TestSlowPeer(t *testing.T) {
	s := newSite(t, 3, nil)
	a, slow, c := s.connect(t, 0), s.connect(t, 1), s.connect(t, 2)
	id := s.Submit(s.KeygenOrder(2, "")).Request.SinoID
	session := s.Last(id).ID
	for _, n := range []*node{a, slow, c} {
		n.send(coordtest.Answer(session, linkv1.Answer_APPROVED, ""))
	}
	for i, n := range []*node{a, slow, c} {
		n.send(coordtest.Join(session, s.Last(id).Members[i].Token))
		n.send(n.Contribution(t, session, byte(i+1), "manifest", ""))
	}
	const messages = 40
	large := strings.Repeat("x", 256<<10)
	for seq := range uint64(messages) { // more than sockets buffer
		a.send(coordtest.Envelope(session, 1, 2, seq, large))
	}
	a.send(coordtest.Envelope(session, 1, 3, 0, "for c"))
	for {
		if f := c.next(); f.GetEnvelope() != nil {
			expect(t, "c", string(f.GetEnvelope().Sealed), "for c")
			break
		}
	}
	for seq := uint64(0); seq < messages; { // and when it reads again, it gets all
		if e := slow.next().GetEnvelope(); e != nil {
			expect(t, "seq", e.Seq, seq)
			seq++
		}
	}
}
