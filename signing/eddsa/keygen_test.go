package eddsa_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/eddsa"
	"github.com/countersign-mpc/countersign/signing/signingtest"
)

func binding(name string) [32]byte { return sha256.Sum256([]byte("test binding " + name)) }

// start starts one session per party, each with a configuration that change may spoil.
func start(t testing.TB, parties []signing.PartyID, threshold int, change func(*eddsa.KeygenConfig)) *signingtest.Network {
	t.Helper()
	sessions, err := signingtest.Start(parties, func(id signing.PartyID) (*eddsa.Keygen, error) {
		c := eddsa.KeygenConfig{Binding: binding(t.Name()), Self: id, Parties: parties, Threshold: threshold}
		if change != nil {
			change(&c)
		}
		return eddsa.NewKeygen(c)
	})
	if err != nil {
		t.Fatal(err)
	}
	return signingtest.NewNetwork(sessions)
}

// mustShares demands that every session ended with a share, all of one key.
func mustShares(t testing.TB, network *signingtest.Network, ended map[signing.PartyID]error) map[signing.PartyID]*signing.Share {
	t.Helper()
	out := map[signing.PartyID]*signing.Share{}
	var first *signing.Share
	for id, err := range ended {
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		share, err := network.Sessions[id].(*eddsa.Keygen).Share()
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		if err := eddsa.CheckShare(share); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = share
		}
		if share.Index() != id || !bytes.Equal(share.PublicStatement(), first.PublicStatement()) {
			t.Fatalf("%s is not %s's share of the key of %s", share, id, first)
		}
		out[id] = share
	}
	return out
}

func TestKeygen(t *testing.T) {
	for n := 2; n <= mostParties; n++ {
		for threshold := 2; threshold <= n; threshold++ {
			t.Run(fmt.Sprintf("%d of %d", threshold, n), func(t *testing.T) {
				network := start(t, signingtest.Parties(n), threshold, nil)
				network.Shuffle = rand.New(rand.NewPCG(uint64(n), uint64(threshold)))
				network.Adversary = func(d signingtest.Delivery) []signingtest.Delivery { return []signingtest.Delivery{d, d} }
				shares := mustShares(t, network, network.Run())
				if len(shares) != n || shares[1].Threshold() != threshold {
					t.Fatalf("%d shares of %s", len(shares), shares[1])
				}
			})
		}
	}
}
