//go:build !race

package cmp_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/cmp"
	"github.com/countersign-mpc/countersign/signing/signingtest"
)

func two(t *testing.T) []*signing.Share { return signingtest.Shares(t, "2of3")[1:] } // parties 2 and 3

func TestSign3of3(t *testing.T) {
	shares := signingtest.Shares(t, "3of3")
	network := startSign(t, shares, "m", nil)
	for _, s := range shares {
		s.Wipe() // a session keeps what it needs
	}
	network.Shuffle = rand.New(rand.NewPCG(3, 4))
	network.Adversary = func(d signingtest.Delivery) []signingtest.Delivery { return []signingtest.Delivery{d, d} }
	mustDone(t, network.Run())
	mustVerify(t, network, [33]byte(shares[0].PublicKey()))
	released := 0
	for _, m := range network.Sent {
		if m.ReleasesShare != (m.Round == 5) {
			t.Errorf("round %d releases the share: %t", m.Round, m.ReleasesShare)
		}
		if m.ReleasesShare {
			released++
		}
	}
	if released != 3 {
		t.Errorf("%d messages release a share", released)
	}
}

func TestSignDerived(t *testing.T) {
	const path = "m/44/60/0/0/0"
	shares := two(t)
	network := startSign(t, shares, path, nil)
	mustDone(t, network.Run())
	mustVerify(t, network, [33]byte(derived(t, shares[0], path).PublicKey))
}

// TestSignPartiesDisagree gives one party something else to sign: nobody can be blamed.
func TestSignPartiesDisagree(t *testing.T) {
	other := derived(t, two(t)[0], "m/44/60/0/0/1")
	cases := map[string]func(c *cmp.SignConfig){
		"binding": func(c *cmp.SignConfig) { c.Binding = binding("another session") },
		"digest":  func(c *cmp.SignConfig) { c.Digest[0] ^= 1 },
		"tweak":   func(c *cmp.SignConfig) { c.Tweak, c.PublicKey = other.Tweak, [33]byte(other.PublicKey) },
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			network := startSign(t, two(t), "m/44/60/0/0/0", func(c *cmp.SignConfig) {
				if c.Share.Index() == 3 {
					spoil(c)
				}
			})
			mustAbort(t, network.Run(), map[signing.PartyID]signing.PartyID{2: 0, 3: 0}, "belongs to another session")
		})
	}
}

// TestSignAdversary spoils one message of party 3 on its way to party 2.
func TestSignAdversary(t *testing.T) {
	cases := []struct {
		round     uint16
		broadcast bool
		what      string
		spoil     func(*signing.Message)
		culprit   signing.PartyID
		reason    string
	}{
		{2, true, "a ciphertext that is not the proven one", flip(payload(200)), 3, "a check of the protocol failed"},
		{2, false, "a proof that does not hold", flip(fromEnd(1)), 3, "a check of the protocol failed"},
		{3, false, "a proof that does not hold", flip(fromEnd(1)), 3, "a check of the protocol failed"},
		{4, false, "a proof that does not hold", flip(fromEnd(1)), 3, "a check of the protocol failed"},
		{4, true, "a share of delta that nothing proves", flip(payload(30)), 0, "a check of the protocol failed"},
		{5, true, "a share of s that nothing proves", flip(fromEnd(1)), 0, "failed to validate signature"},
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("round %d broadcast %t: %s", c.round, c.broadcast, c.what), func(t *testing.T) {
			network := startSign(t, two(t), "m", nil)
			network.Adversary = func(d signingtest.Delivery) []signingtest.Delivery {
				m := &d.Message
				if m.From == 3 && m.Round == c.round && m.Broadcast == c.broadcast {
					c.spoil(m)
				}
				return []signingtest.Delivery{d}
			}
			ended := network.Run()
			if c.round < 5 {
				if !errors.Is(ended[3], signing.ErrUnfinished) {
					t.Errorf("party 3 ended with %v", ended[3])
				}
			} else if ended[3] != nil {
				t.Errorf("party 3, which was told the truth, ended with %v", ended[3])
			}
			delete(ended, 3)
			mustAbort(t, ended, map[signing.PartyID]signing.PartyID{2: c.culprit}, c.reason)
			if _, err := network.Sessions[2].(*cmp.Sign).Signature(); err != ended[2] {
				t.Errorf("a signature after the abort: %v", err)
			}
		})
	}
}

// TestSignEquivocation runs party 3 twice, each with its own randomness and each honest to one of the others: both
// find that the other was told something else, and neither blames the other.
func TestSignEquivocation(t *testing.T) {
	shares := signingtest.Shares(t, "3of3")
	network := startSign(t, shares, "m", nil)
	second := startSign(t, shares[2:], "m", func(c *cmp.SignConfig) { c.Signers = parties(3) })
	for _, m := range second.Sessions[3].Outgoing() {
		if !m.Broadcast && m.To != 2 {
			continue
		}
		if err := network.Sessions[2].Accept(m); err != nil {
			t.Fatal(err)
		}
	}
	network.Adversary = func(d signingtest.Delivery) []signingtest.Delivery {
		if d.Message.From == 3 && d.To == 2 && d.Message.Round == 2 {
			return nil
		}
		return []signingtest.Delivery{d}
	}
	mustAbort(t, network.Run(), map[signing.PartyID]signing.PartyID{1: 0, 2: 0, 3: 0}, "was told other broadcasts")
}

// TestSignCopiedMessages lets party 3 send what party 2 sent, as its own: the proofs are bound to their prover.
func TestSignCopiedMessages(t *testing.T) {
	network := startSign(t, signingtest.Shares(t, "3of3"), "m", nil)
	copied := map[bool][]byte{}
	network.Adversary = func(d signingtest.Delivery) []signingtest.Delivery {
		if d.To == 1 && d.Message.From == 2 {
			copied[d.Message.Broadcast] = append([]byte(nil), d.Message.Data...)
		}
		if d.To == 1 && d.Message.From == 3 {
			d.Message.Data = copied[d.Message.Broadcast]
		}
		return []signingtest.Delivery{d}
	}
	mustAbort(t, network.Run(), map[signing.PartyID]signing.PartyID{1: 3}, "a check of the protocol failed")
}

// TestSignReplayAndGarbage sends a waiting session, for every place of the protocol, a message of an earlier session
// and garbage. (That the codec refuses every kind of garbage is tested in internal/frame.)
func TestSignReplayAndGarbage(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("internal", "frame", "testdata", "frames", "sign-*.bin"))
	if err != nil || len(files) != 8 {
		t.Fatalf("%d frames of sign: %v", len(files), err)
	}
	garbage := []func([]byte) []byte{ // one for each file
		func(b []byte) []byte { b[0] = 2; return b },
		func(b []byte) []byte { return nil },
		func(b []byte) []byte { return b[:len(b)/2] },
		func(b []byte) []byte { return append(b, 0) },
		func(b []byte) []byte { return append(b, make([]byte, signing.MaxFrame)...) },
		func(b []byte) []byte { b[payload(0)(b)] = 0xf6; return b },
		func(b []byte) []byte { b[payload(0)(b)]++; return b },
		func(b []byte) []byte { b[payload(2)(b)] ^= 0x20; return b },
	}
	for i, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		m := signing.Message{From: 1, Round: uint16(data[3]), Broadcast: data[4]&1 != 0, Data: data}
		if !m.Broadcast {
			m.To = 2
		}
		for _, c := range []struct {
			change  func([]byte) []byte
			culprit signing.PartyID
			reason  string
		}{
			{func(b []byte) []byte { return b }, 0, "belongs to another session"},
			{garbage[i], 1, "a message is malformed"},
		} {
			share := signingtest.Shares(t, "3of3")[1]
			session, err := cmp.NewSign(cmp.SignConfig{
				Binding: binding(t.Name()), Share: share, Signers: parties(3),
				PublicKey: [33]byte(share.PublicKey()), Digest: digest,
			})
			if err != nil {
				t.Fatal(err)
			}
			m.Data = c.change(append([]byte(nil), data...))
			mustAbort(t, map[signing.PartyID]error{2: session.Accept(m)}, map[signing.PartyID]signing.PartyID{2: c.culprit}, c.reason)
		}
	}
}

func BenchmarkSign2of3(b *testing.B) {
	shares := signingtest.Shares(b, "2of3")[1:]
	signers := []signing.PartyID{2, 3}
	for i := range b.N {
		sessions, err := signingtest.Start(signers, func(id signing.PartyID) (*cmp.Sign, error) {
			return cmp.NewSign(cmp.SignConfig{
				Binding: binding(fmt.Sprint(i)), Share: shares[id-2], Signers: signers,
				PublicKey: [33]byte(shares[0].PublicKey()), Digest: digest,
			})
		})
		if err != nil {
			b.Fatal(err)
		}
		for id, err := range signingtest.NewNetwork(sessions).Run() {
			if err != nil {
				b.Fatalf("%s: %v", id, err)
			}
		}
	}
}
