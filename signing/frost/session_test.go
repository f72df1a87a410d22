package frost_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/signingtest"
)

// outgoing drains a session that has one message to send.
func outgoing(t *testing.T, s signing.Session) signing.Message {
	t.Helper()
	out := s.Outgoing()
	if len(out) != 1 || len(s.Outgoing()) != 0 {
		t.Fatalf("%d messages to send", len(out))
	}
	return out[0]
}

func mustAccept(t *testing.T, s signing.Session, messages ...signing.Message) {
	t.Helper()
	for _, m := range messages {
		if err := s.Accept(m); err != nil {
			t.Fatalf("message of %s in round %d: %v", m.From, m.Round, err)
		}
	}
}

// TestEarlyShares gives party 2 the share of party 3, right or wrong, before the commitments of party 1.
func TestEarlyShares(t *testing.T) {
	for name, r := range three(t) {
		for _, wrong := range []bool{false, true} {
			sessions := r.start(t).Sessions
			c1, c2, c3 := outgoing(t, sessions[1]), outgoing(t, sessions[2]), outgoing(t, sessions[3])
			mustAccept(t, sessions[1], c2, c3)
			mustAccept(t, sessions[3], c1, c2)
			s1, s3 := outgoing(t, sessions[1]), outgoing(t, sessions[3])
			if wrong {
				flip(atShare)(&s3)
			}
			mustAccept(t, sessions[2], s3, s1, s1, c3)
			if out := sessions[2].Outgoing(); len(out) != 0 {
				t.Fatalf("%s: a share before all commitments are there", name)
			}
			err := sessions[2].Accept(c1)
			if wrong {
				mustAbort(t, map[signing.PartyID]error{2: err}, map[signing.PartyID]signing.PartyID{2: 3}, "signature share is wrong")
				if len(sessions[2].Outgoing()) != 0 {
					t.Errorf("%s: a message after the abort", name)
				}
				continue
			}
			if err != nil || !sessions[2].Done() {
				t.Fatalf("%s: not done: %v", name, err)
			}
			s2 := outgoing(t, sessions[2])
			mustAccept(t, sessions[1], s2, s3)
			mustAccept(t, sessions[3], s1, s2)
			r.mustSign(t, signingtest.NewNetwork(sessions))
		}
	}
}

// TestTwoMessagesForOnePlace lets party 1 send a second, other message to party 2 in each round.
func TestTwoMessagesForOnePlace(t *testing.T) {
	for name, r := range three(t) {
		for _, round := range []uint16{1, 2} {
			network := r.start(t)
			other := outgoing(t, r.start(t).Sessions[1]).Data
			network.Adversary = func(d signingtest.Delivery) []signingtest.Delivery {
				if d.Message.From != 1 || d.To != 2 || d.Message.Round != round {
					return []signingtest.Delivery{d}
				}
				twice := d
				if twice.Message.Data = other; round == 2 {
					twice.Message.Data = bytes.Clone(d.Message.Data)
					flip(atShare)(&twice.Message)
				}
				return []signingtest.Delivery{d, twice}
			}
			t.Log(name, round)
			mustAbort(t, network.Run(), map[signing.PartyID]signing.PartyID{2: 1}, "two different messages for one place")
		}
	}
}

func TestLateMessagesChangeNothing(t *testing.T) {
	for name, r := range three(t) {
		network := r.start(t)
		r.mustSign(t, network)
		for _, s := range network.Sessions {
			before, err := s.(signing.SignSession).Signature()
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range network.Sent {
				m.Data = []byte("garbage")
				if err := s.Accept(m); err != nil && !errors.Is(err, signing.ErrMisdelivered) {
					t.Fatalf("%s: %v", name, err)
				}
			}
			if after, err := s.(signing.SignSession).Signature(); err != nil || after != before || !s.Done() || len(s.Outgoing()) != 0 {
				t.Fatalf("%s: a late message took the result away or made a message: %v", name, err)
			}
		}
	}
}

func TestMisdeliveredMessagesChangeNothing(t *testing.T) {
	for name, r := range three(t) {
		network := r.start(t)
		session := network.Sessions[1]
		good := outgoing(t, r.start(t).Sessions[2]).Data
		for what, m := range map[string]signing.Message{
			"from us":             {From: 1, Round: 1, Broadcast: true, Data: good},
			"from nobody":         {From: 0, Round: 1, Broadcast: true, Data: good},
			"from a stranger":     {From: 4, Round: 1, Broadcast: true, Data: good},
			"for another":         {From: 2, To: 3, Round: 1, Data: good},
			"broadcast to one":    {From: 2, To: 1, Round: 1, Broadcast: true, Data: good},
			"direct to everybody": {From: 2, To: 0, Round: 1, Data: good},
		} {
			if err := session.Accept(m); !errors.Is(err, signing.ErrMisdelivered) || errors.As(err, new(*signing.Abort)) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
		r.mustSign(t, network)
	}
}
