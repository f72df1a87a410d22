//go:build !race

package cmp_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/cmp"
	"github.com/countersign-mpc/countersign/signing/signingtest"
)

// TestKeygen makes keys and signs with one of them; that a 3-of-3 key signs is tested with the test shares.
func TestKeygen(t *testing.T) {
	for name, signers := range map[string][]int{"3of3": {0, 1, 2}, "2of3": {0, 2}} {
		t.Run(name, func(t *testing.T) {
			shares, network := keygen(t, 3, len(signers))
			for i, share := range shares {
				if share.Threshold() != len(signers) || share.Index() != signing.PartyID(i+1) || len(share.Parties()) != 3 {
					t.Errorf("%s: not what was asked for", share)
				}
				if !slices.Equal(share.PublicStatement(), shares[0].PublicStatement()) {
					t.Errorf("%s: another public statement than share 1", share)
				}
				if share.ChainCode() == [32]byte{} {
					t.Errorf("%s: no chain code", share)
				}
				data, err := share.MarshalBinary()
				if err != nil {
					t.Fatal(err)
				}
				if shares[i], err = signing.ParseShare(data); err != nil {
					t.Fatal(err)
				}
			}
			for _, m := range network.Sent {
				if m.ReleasesShare {
					t.Fatalf("round %d of keygen says that it releases a share", m.Round)
				}
			}
			if len(signers) == 3 {
				return
			}
			var of []*signing.Share
			for _, i := range signers {
				of = append(of, shares[i])
			}
			signed := startSign(t, of, "m/44/60/0/0/7", nil)
			mustDone(t, signed.Run())
			mustVerify(t, signed, [33]byte(derived(t, shares[0], "m/44/60/0/0/7").PublicKey))
		})
	}
}

// TestKeygenPartiesDisagree starts parties that were given different things: nobody can be blamed.
func TestKeygenPartiesDisagree(t *testing.T) {
	network := startKeygen(t, 2, 2, func(c *cmp.KeygenConfig) {
		if c.Self == 2 {
			c.Binding = binding("another session")
		}
	})
	mustAbort(t, network.Run(), map[signing.PartyID]signing.PartyID{1: 0, 2: 0}, "belongs to another session")
}

// TestKeygenAdversary lets party 3 cheat each of the others in another way, in each round.
func TestKeygenAdversary(t *testing.T) {
	type cheat struct {
		round     uint16
		broadcast bool
		to        signing.PartyID
		spoil     func(m *signing.Message)
	}
	cases := map[string]struct {
		cheats []cheat
		reason string
	}{
		"a commitment that is not opened, and garbage": {[]cheat{
			{3, true, 1, flip(fromEnd(1))},
			{3, true, 2, func(m *signing.Message) { m.Data = m.Data[:200] }},
		}, ""},
		"a share that is not on the polynomial, and a proof that does not hold": {[]cheat{
			{4, false, 1, flip(payload(100))},
			{4, true, 2, flip(fromEnd(1))},
		}, "a check of the protocol failed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			network := startKeygen(t, 3, 2, nil)
			network.Adversary = func(d signingtest.Delivery) []signingtest.Delivery {
				for _, x := range c.cheats {
					if d.Message.From == 3 && d.To == x.to && d.Message.Round == x.round && d.Message.Broadcast == x.broadcast {
						x.spoil(&d.Message)
					}
				}
				return []signingtest.Delivery{d}
			}
			network.Shuffle = rand.New(rand.NewPCG(1, 2))
			ended := network.Run()
			if !errors.Is(ended[3], signing.ErrUnfinished) {
				t.Errorf("party 3 ended with %v", ended[3])
			}
			delete(ended, 3)
			mustAbort(t, ended, map[signing.PartyID]signing.PartyID{1: 3, 2: 3}, c.reason)
		})
	}
}

// mustAbort demands that exactly the parties of culprits aborted, each blaming the given party, 0 being nobody.
func mustAbort(t *testing.T, ended map[signing.PartyID]error, culprits map[signing.PartyID]signing.PartyID, reason string) {
	t.Helper()
	for id := range culprits {
		if _, ok := ended[id]; !ok {
			t.Errorf("%s has not ended", id)
		}
	}
	for id, err := range ended {
		culprit, expected := culprits[id]
		var abort *signing.Abort
		if !errors.As(err, &abort) {
			if expected {
				t.Errorf("%s did not abort: %v", id, err)
			}
			continue
		}
		if !expected || abort.Culprit != culprit || abort.Reason == "" || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v: want culprit %d and %q", id, err, culprit, reason)
		}
	}
}

// flip changes one bit of a message, at a place that keeps its form.
func flip(at func(data []byte) int) func(*signing.Message) {
	return func(m *signing.Message) { m.Data[at(m.Data)] ^= 1 }
}

func fromEnd(n int) func([]byte) int { return func(data []byte) int { return len(data) - n } }

// payload is a place in the payload of a frame.
func payload(n int) func([]byte) int {
	return func(data []byte) int {
		if data[4]&2 != 0 {
			return 69 + 64 + 4 + n
		}
		return 69 + 4 + n
	}
}
