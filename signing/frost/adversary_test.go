package frost_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/frost"
	"github.com/countersign-mpc/countersign/signing/frost/internal/group"
	"github.com/countersign-mpc/countersign/signing/frost/internal/schnorr"
	"github.com/countersign-mpc/countersign/signing/signingtest"
)

// Places in a frame (docs/FORMATS.md).
const (
	atProtocol = 1
	atRound    = 3
	atSession  = 4
	atBody     = 36
	atShare    = atBody + 32
)

// three are a signature by three parties over each group.
func three(t testing.TB) map[string]run {
	return map[string]run{
		"secp256k1": {shares: signingtest.Shares(t, "3of3"), scheme: derive.SchemeTaproot, path: "m/1", root: tapRoot[:], message: digest[:]},
		"ed25519":   {shares: signingtest.Shares(t, "ed25519-3of3"), scheme: derive.SchemeEd25519, path: "m/1", message: digest[:]},
	}
}

// from3 spoils what party 3 tells party 2 in a round.
func from3(round uint16, spoil func(*signing.Message)) func(signingtest.Delivery) []signingtest.Delivery {
	return func(d signingtest.Delivery) []signingtest.Delivery {
		if d.Message.From == 3 && d.To == 2 && d.Message.Round == round {
			spoil(&d.Message)
		}
		return []signingtest.Delivery{d}
	}
}

func flip(at int) func(*signing.Message) {
	return func(m *signing.Message) { m.Data[at] ^= 1 }
}

func write(at int, value string) func(*signing.Message) {
	return func(m *signing.Message) {
		b, err := hex.DecodeString(value)
		if err != nil {
			panic(err)
		}
		copy(m.Data[at:], b)
	}
}

// direct makes a message point to point.
func direct(m *signing.Message) { m.Broadcast, m.To = false, 2 }

type attack struct {
	what    string
	round   uint16
	spoil   func(*signing.Message)
	culprit signing.PartyID
	reason  string
}

// TestEquivocation runs party 3 twice, each with its own nonce and each honest to one of the others: both find that the
// other was told something else, and neither blames the other.
func TestEquivocation(t *testing.T) {
	for name, r := range three(t) {
		network, second := r.start(t), r.start(t)
		other := second.Sessions[3].Outgoing()[0]
		network.Adversary = from3(1, func(m *signing.Message) { m.Data = bytes.Clone(other.Data) })
		t.Log(name)
		mustAbort(t, network.Run(), map[signing.PartyID]signing.PartyID{1: 0, 2: 0, 3: 0}, "was told other commitments")
	}
}

// asParty1 lets party 3 send what party 1 sends, as its own, to everybody.
func asParty1(round uint16) func(signingtest.Delivery) []signingtest.Delivery {
	var copied, echo []byte
	return func(d signingtest.Delivery) []signingtest.Delivery {
		m := &d.Message
		switch {
		case m.From == 1 && m.Round == round:
			copied = bytes.Clone(m.Data)
		case m.From == 3 && m.Round == round:
			m.Data = bytes.Clone(copied)
		}
		if m.From == 1 && m.Round == 2 {
			echo = bytes.Clone(m.Data[atBody:atShare])
		} else if m.From == 3 && m.Round == 2 {
			copy(m.Data[atBody:], echo) // it says to have seen what the others saw
		}
		return []signingtest.Delivery{d}
	}
}

// TestCopiedMessages lets party 3 send the commitments, and then the share, of party 1 as its own.
func TestCopiedMessages(t *testing.T) {
	for name, r := range three(t) {
		for _, round := range []uint16{1, 2} {
			network := r.start(t)
			network.Adversary = asParty1(round)
			t.Log(name, round)
			mustAbort(t, network.Run(), map[signing.PartyID]signing.PartyID{1: 3, 2: 3}, "signature share is wrong")
		}
	}
}

// TestSwappedShares exchanges the shares of parties 1 and 3 on their way to party 2.
func TestSwappedShares(t *testing.T) {
	for name, r := range three(t) {
		network := r.start(t)
		var kept *signingtest.Delivery
		network.Adversary = func(d signingtest.Delivery) []signingtest.Delivery {
			if d.To != 2 || d.Message.Round != 2 {
				return []signingtest.Delivery{d}
			}
			if kept == nil {
				kept = &d
				return nil
			}
			kept.Message.Data, d.Message.Data = d.Message.Data, kept.Message.Data
			return []signingtest.Delivery{*kept, d}
		}
		t.Log(name)
		mustAbort(t, network.Run(), map[signing.PartyID]signing.PartyID{2: 1}, "signature share is wrong")
	}
}

// TestCancellingNonce lets party 3 commit, after the others, to what makes the sum of all nonces the point at infinity:
// it cannot know the secret of that, and is named for its share (BIP 445, "Dealing with Infinity in Nonce Aggregation").
func TestCancellingNonce(t *testing.T) {
	curve := group.Secp256k1{}
	hiding, binding := curve.Identity(), curve.Identity()
	var echo []byte
	network := three(t)["secp256k1"].start(t)
	network.Adversary = func(d signingtest.Delivery) []signingtest.Delivery {
		m := &d.Message
		switch {
		case m.Round == 1 && m.From != 3 && d.To == 3:
			c, err := schnorr.ParseCommitment(curve, m.Data[atBody:])
			if err != nil {
				t.Fatal(err)
			}
			hiding, binding = hiding.Add(c.Hiding), binding.Add(c.Binding)
		case m.Round == 1 && m.From == 3:
			copy(m.Data[atBody:], append(hiding.Negate().Bytes(), binding.Negate().Bytes()...))
		case m.Round == 2 && m.From == 1:
			echo = bytes.Clone(m.Data[atBody:atShare])
		case m.Round == 2 && m.From == 3:
			copy(m.Data[atBody:], echo)
		}
		return []signingtest.Delivery{d}
	}
	mustAbort(t, network.Run(), map[signing.PartyID]signing.PartyID{1: 3, 2: 3}, "signature share is wrong")
}

// TestPartiesDisagree gives party 3 something else than the others: nobody can be blamed, and no share is released.
func TestPartiesDisagree(t *testing.T) {
	for name, r := range three(t) {
		cases := map[string]func(c *frost.SignConfig){
			"binding":   func(c *frost.SignConfig) { c.Binding[0] ^= 1 },
			"message":   func(c *frost.SignConfig) { c.Message = tapRoot[:] },
			"key":       func(c *frost.SignConfig) { c.Derived = derived(t, c.Share, "m/2") },
			"recipient": func(c *frost.SignConfig) { c.Recipient = 2 },
		}
		if r.scheme == derive.SchemeTaproot {
			cases["script tree"] = func(c *frost.SignConfig) { c.TapScriptRoot = digest[:] }
			cases["no script tree"] = func(c *frost.SignConfig) { c.TapScriptRoot = nil }
			cases["scheme"] = func(c *frost.SignConfig) { c.Scheme, c.TapScriptRoot = derive.SchemeBIP340, nil }
			cases["share of another key"] = func(c *frost.SignConfig) {
				c.Share = signingtest.Deal(t, 1, signing.AlgorithmECDSA, 3, signingtest.Parties(3))[2]
				c.Derived = derived(t, c.Share, "m/1")
			}
		}
		for what, change := range cases {
			r.change = func(id signing.PartyID, c *frost.SignConfig) {
				if id == 3 {
					change(c)
				}
			}
			network := r.start(t)
			t.Log(name, what)
			mustAbort(t, network.Run(), map[signing.PartyID]signing.PartyID{1: 0, 2: 0, 3: 0}, "belongs to another session")
			for _, m := range network.Sent {
				if m.ReleasesShare {
					t.Error("a share was released")
				}
			}
		}
	}
}

// TestPartiesDisagreeAboutLittle gives parties 1 and 2 shares of two epochs of one key, and schemes that lead to one
// derived key.
func TestPartiesDisagreeAboutLittle(t *testing.T) {
	old, renewed := split(t, digest[:], 7), split(t, digest[:], 8)
	r := run{shares: []*signing.Share{old[0], renewed[1]}, scheme: derive.SchemeBIP340, path: "m", message: digest[:]}
	if !bytes.Equal(old[0].PublicKey(), renewed[1].PublicKey()) {
		t.Fatal("not one key")
	}
	nobody := map[signing.PartyID]signing.PartyID{1: 0, 2: 0}
	mustAbort(t, r.start(t).Run(), nobody, "belongs to another session")
	r.shares = old[:2]
	r.change = func(id signing.PartyID, c *frost.SignConfig) {
		if id == 2 {
			c.Scheme = derive.SchemeTaproot
		}
	}
	mustAbort(t, r.start(t).Run(), nobody, "belongs to another session")
}

// TestReplay feeds a session what the same parties sent in an earlier one, for the same key and message.
func TestReplay(t *testing.T) {
	for name, r := range three(t) {
		earlier := r.start(t)
		r.mustSign(t, earlier)
		r.change = func(_ signing.PartyID, c *frost.SignConfig) { c.Binding = binding("later") }
		for _, old := range earlier.Sent {
			network := r.start(t)
			network.Adversary = func(d signingtest.Delivery) []signingtest.Delivery {
				if d.Message.From == old.From && d.Message.Round == old.Round {
					d.Message.Data = bytes.Clone(old.Data)
				}
				return []signingtest.Delivery{d}
			}
			ended := network.Run()
			delete(ended, old.From)
			want := map[signing.PartyID]signing.PartyID{}
			for id := range ended {
				want[id] = 0
			}
			t.Log(name, old.From, old.Round)
			mustAbort(t, ended, want, "belongs to another session")
		}
	}
}
