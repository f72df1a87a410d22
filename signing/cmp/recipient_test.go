//go:build !race

package cmp_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/cmp"
	"github.com/countersign-mpc/countersign/signing/signingtest"
)

// TestSignForRecipient: one signer learns the signature, the others make their share and learn nothing.
func TestSignForRecipient(t *testing.T) {
	const recipient = 2
	shares := signingtest.Shares(t, "3of3")
	network := startSign(t, shares, "m/44/60/0/0/0", func(c *cmp.SignConfig) { c.Recipient = recipient })
	mustDone(t, network.Run())
	for id, session := range network.Sessions {
		if id == recipient {
			continue
		}
		if sig, err := session.(*cmp.Sign).Signature(); !errors.Is(err, signing.ErrForRecipient) || sig != (signing.Signature{}) {
			t.Errorf("%s: %v", id, err)
		}
	}
	for _, m := range network.Sent {
		last := m.Round == 5
		if m.ReleasesShare != last || (last && (m.Broadcast || m.To != recipient || m.From == recipient)) {
			t.Errorf("%s sent round %d to %s, broadcast %t, releasing %t", m.From, m.Round, m.To, m.Broadcast, m.ReleasesShare)
		}
	}
	network.Sessions = map[signing.PartyID]signing.Session{recipient: network.Sessions[recipient]}
	mustVerify(t, network, [33]byte(derived(t, shares[0], "m/44/60/0/0/0").PublicKey))
}

// TestRecipientGetsASpoiltShare: the recipient finds out and blames nobody; the other is done and cannot know.
func TestRecipientGetsASpoiltShare(t *testing.T) {
	network := startSign(t, two(t), "m", func(c *cmp.SignConfig) { c.Recipient = 2 })
	network.Adversary = func(d signingtest.Delivery) []signingtest.Delivery {
		if d.Message.Round == 5 {
			flip(fromEnd(1))(&d.Message)
		}
		return []signingtest.Delivery{d}
	}
	ended := network.Run()
	if ended[3] != nil {
		t.Errorf("party 3 ended with %v", ended[3])
	}
	delete(ended, 3)
	mustAbort(t, ended, map[signing.PartyID]signing.PartyID{2: 0}, "failed to validate signature")
}

// TestSignersDisagreeAboutTheRecipient: they find out before a share is released.
func TestSignersDisagreeAboutTheRecipient(t *testing.T) {
	for name, recipients := range map[string]map[signing.PartyID]signing.PartyID{
		"one knows of none":    {2: 2, 3: 0},
		"each is its own":      {2: 2, 3: 3},
		"each names the other": {2: 3, 3: 2},
	} {
		t.Run(name, func(t *testing.T) {
			network := startSign(t, two(t), "m", func(c *cmp.SignConfig) { c.Recipient = recipients[c.Share.Index()] })
			mustAbort(t, network.Run(), map[signing.PartyID]signing.PartyID{2: 0, 3: 0}, "belongs to another session")
			if slices.ContainsFunc(network.Sent, func(m signing.Message) bool { return m.ReleasesShare }) {
				t.Error("a share was released")
			}
		})
	}
}
