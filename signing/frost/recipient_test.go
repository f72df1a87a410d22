package frost_test

import (
	"errors"
	"testing"

	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/signingtest"
)

// forOne are signatures by three parties for party 2.
func forOne(t testing.TB) map[string]run {
	runs := three(t)
	for name, r := range runs {
		r.recipient = 2
		runs[name] = r
	}
	return runs
}

// TestAttacksOnRecipient spoils the share of party 3, or where it goes.
func TestAttacksOnRecipient(t *testing.T) {
	broadcast := func(m *signing.Message) { m.Broadcast, m.To = true, 0 }
	for name, r := range forOne(t) {
		for _, a := range []attack{
			{"another share", 2, flip(atShare), 3, "signature share is wrong"},
			{"another echo", 2, flip(atBody), 0, "party 3 was told other commitments"},
			{"another session", 2, flip(atSession), 0, "belongs to another session"},
			{"malformed", 2, flip(0), 3, "malformed"},
			{"a broadcast", 2, broadcast, 3, "sent to others than it is for"},
			{"commitments to one only", 1, direct, 3, "sent to others than it is for"},
		} {
			network := r.start(t)
			network.Adversary = from3(a.round, a.spoil)
			ended := network.Run()
			t.Log(name, a.what)
			mustAbort(t, ended, map[signing.PartyID]signing.PartyID{2: a.culprit}, a.reason)
			for _, id := range []signing.PartyID{1, 3} {
				// Their shares are made: they do not learn what became of them.
				if _, err := network.Sessions[id].(signing.SignSession).Signature(); !errors.Is(err, signing.ErrForRecipient) {
					t.Errorf("%s has %v", id, err)
				}
			}
		}
	}
}

// TestShareForAnother lets party 3 send its share to party 1 too, which must not have it.
func TestShareForAnother(t *testing.T) {
	for name, r := range forOne(t) {
		for _, broadcast := range []bool{false, true} {
			sessions := r.start(t).Sessions
			c1, c2, c3 := outgoing(t, sessions[1]), outgoing(t, sessions[2]), outgoing(t, sessions[3])
			mustAccept(t, sessions[3], c1, c2)
			share := outgoing(t, sessions[3])
			if share.To != 2 || share.Broadcast {
				t.Fatalf("%s: the share is for %s", name, share.To)
			}
			if share.To = 1; broadcast {
				share.To, share.Broadcast = 0, true
			}
			mustAccept(t, sessions[1], c3)
			err := sessions[1].Accept(share)
			mustAbort(t, map[signing.PartyID]error{1: err}, map[signing.PartyID]signing.PartyID{1: 3}, "sent to others than it is for")
		}
	}
}

// TestRecipientKeepsItsShare makes sure that nothing of the recipient's share leaves it, whatever comes.
func TestRecipientKeepsItsShare(t *testing.T) {
	for name, r := range forOne(t) {
		network := r.start(t)
		network.Adversary = func(d signingtest.Delivery) []signingtest.Delivery { return []signingtest.Delivery{d, d} }
		r.mustSign(t, network)
		for _, m := range network.Sent {
			if m.From == 2 && (m.Round != 1 || m.ReleasesShare) {
				t.Errorf("%s: the recipient sent a message in round %d", name, m.Round)
			}
		}
	}
}

// TestRecipientIsMissing leaves the recipient out of round 1: the others release nothing.
func TestRecipientIsMissing(t *testing.T) {
	for name, r := range forOne(t) {
		network := r.start(t)
		network.Adversary = func(d signingtest.Delivery) []signingtest.Delivery {
			if d.Message.From == 2 {
				return nil
			}
			return []signingtest.Delivery{d}
		}
		for id, err := range network.Run() {
			if !errors.Is(err, signing.ErrUnfinished) && id != 2 {
				t.Errorf("%s: %s ended with %v", name, id, err)
			}
		}
		for _, m := range network.Sent {
			if m.ReleasesShare {
				t.Errorf("%s: %s released its share", name, m.From)
			}
		}
	}
}
