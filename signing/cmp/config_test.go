package cmp_test

import (
	"crypto/sha256"
	"testing"

	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/cmp"
	"github.com/countersign-mpc/countersign/signing/internal/custody"
	"github.com/countersign-mpc/countersign/signing/signingtest"
)

func TestKeygenRefusesConfigurations(t *testing.T) {
	good := cmp.KeygenConfig{Binding: sha256.Sum256(nil), Self: 1, Parties: []signing.PartyID{1, 2, 3}, Threshold: 2}
	for name, spoil := range map[string]func(*cmp.KeygenConfig){
		"no binding":      func(c *cmp.KeygenConfig) { c.Binding = [32]byte{} },
		"not a party":     func(c *cmp.KeygenConfig) { c.Self = 4 },
		"nobody":          func(c *cmp.KeygenConfig) { c.Self = 0 },
		"one party":       func(c *cmp.KeygenConfig) { c.Parties = []signing.PartyID{1} },
		"ten parties":     func(c *cmp.KeygenConfig) { c.Parties = []signing.PartyID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10} },
		"a party twice":   func(c *cmp.KeygenConfig) { c.Parties = []signing.PartyID{1, 2, 2} },
		"party 0":         func(c *cmp.KeygenConfig) { c.Parties = []signing.PartyID{0, 1, 2} },
		"party 10":        func(c *cmp.KeygenConfig) { c.Parties = []signing.PartyID{1, 2, 10} },
		"threshold 1":     func(c *cmp.KeygenConfig) { c.Threshold = 1 },
		"threshold above": func(c *cmp.KeygenConfig) { c.Threshold = 4 },
	} {
		c := good
		spoil(&c)
		if _, err := cmp.NewKeygen(c); err == nil {
			t.Errorf("%s: started", name)
		}
	}
}

func TestSignRefusesConfigurations(t *testing.T) {
	share := signingtest.Shares(t, "2of3")[0]
	good := cmp.SignConfig{
		Binding: sha256.Sum256(nil), Share: share, Signers: []signing.PartyID{1, 2},
		PublicKey: [33]byte(share.PublicKey()), Digest: sha256.Sum256(nil),
	}
	for name, spoil := range map[string]func(*cmp.SignConfig){
		"no binding":            func(c *cmp.SignConfig) { c.Binding = [32]byte{} },
		"no share":              func(c *cmp.SignConfig) { c.Share = nil },
		"wiped share":           func(c *cmp.SignConfig) { c.Share = signingtest.Shares(t, "2of3")[0]; c.Share.Wipe() },
		"one signer":            func(c *cmp.SignConfig) { c.Signers = c.Signers[:1] },
		"more signers than t":   func(c *cmp.SignConfig) { c.Signers = []signing.PartyID{1, 2, 3} },
		"without us":            func(c *cmp.SignConfig) { c.Signers = []signing.PartyID{2, 3} },
		"a signer twice":        func(c *cmp.SignConfig) { c.Signers = []signing.PartyID{1, 1} },
		"a stranger":            func(c *cmp.SignConfig) { c.Signers = []signing.PartyID{1, 4} },
		"a strange recipient":   func(c *cmp.SignConfig) { c.Recipient = 3 },
		"tweak without its key": func(c *cmp.SignConfig) { c.Tweak[31] = 1 },
		"key without its tweak": func(c *cmp.SignConfig) { c.PublicKey = [33]byte(share.PublicShares()[1]) },
		"tweak over the order":  func(c *cmp.SignConfig) { c.Tweak = overOrder },
	} {
		c := good
		spoil(&c)
		if _, err := cmp.NewSign(c); err == nil {
			t.Errorf("%s: started", name)
		}
	}
}

var overOrder = [32]byte{
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
}

// TestSessionsOfOneShare runs sessions of one share at the same time, for the race detector: they share no memory that
// the library writes to.
func TestSessionsOfOneShare(t *testing.T) {
	share := signingtest.Shares(t, "2of3")[0]
	sessions, err := signingtest.Start([]signing.PartyID{2, 3}, func(other signing.PartyID) (*cmp.Sign, error) {
		return cmp.NewSign(cmp.SignConfig{
			Binding: [32]byte{byte(other)}, Share: share, Signers: []signing.PartyID{1, other},
			PublicKey: [33]byte(share.PublicKey()), Digest: sha256.Sum256(nil),
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	for other, session := range sessions {
		if out := session.Outgoing(); len(out) != 2 {
			t.Errorf("with %s: %d first messages", other, len(out))
		}
	}
}

func TestCheckShare(t *testing.T) {
	for _, name := range []string{"3of3", "2of3"} {
		for _, share := range signingtest.Shares(t, name) {
			if err := cmp.CheckShare(share); err != nil {
				t.Errorf("%s: %v", share, err)
			}
		}
	}
	const (
		y1, n1, s1, t1 = 32, 32 + 33, 32 + 33 + 256, 32 + 33 + 512 // in the public material, of party 1
		y2, n2, s2     = y1 + 801, n1 + 801, s1 + 801
		p, q           = 32, 32 + 128 // in the secret material
	)
	for name, spoil := range map[string]func(public, secret []byte, m *signing.Material){
		"other protocol":       func(_, _ []byte, m *signing.Material) { m.Protocol = signingtest.ToyProtocolID },
		"short public":         func(public, _ []byte, m *signing.Material) { m.Public = public[1:] },
		"long secret":          func(_, secret []byte, m *signing.Material) { m.Secret = append(secret, 0) },
		"own Y":                func(public, _ []byte, _ *signing.Material) { public[y1] ^= 1 },
		"Y off the curve":      func(public, _ []byte, _ *signing.Material) { clear(public[y2+1 : n2]) },
		"own N":                func(public, _ []byte, _ *signing.Material) { public[n1+200] ^= 1 },
		"even N":               func(public, _ []byte, _ *signing.Material) { public[s2-1] ^= 1 },
		"zero N":               func(public, _ []byte, _ *signing.Material) { clear(public[n2:s2]) },
		"short N":              func(public, _ []byte, _ *signing.Material) { public[n2] = 0 },
		"zero s":               func(public, _ []byte, _ *signing.Material) { clear(public[s1:t1]) },
		"s equal t":            func(public, _ []byte, _ *signing.Material) { copy(public[s1:t1], public[t1:]) },
		"s above N":            func(public, _ []byte, _ *signing.Material) { copy(public[s1:t1], overOrder[:]) },
		"y":                    func(_, secret []byte, _ *signing.Material) { secret[31] ^= 1 },
		"zero y":               func(_, secret []byte, _ *signing.Material) { clear(secret[:32]) },
		"y over the order":     func(_, secret []byte, _ *signing.Material) { copy(secret, overOrder[:]) },
		"P is not prime":       func(_, secret []byte, _ *signing.Material) { secret[p+60] ^= 1 },
		"P is even":            func(_, secret []byte, _ *signing.Material) { secret[q-1] ^= 1 },
		"P is zero":            func(_, secret []byte, _ *signing.Material) { clear(secret[p:q]) },
		"P and Q are the same": func(_, secret []byte, _ *signing.Material) { copy(secret[p:q], secret[q:]) },
	} {
		c, err := signingtest.Shares(t, "2of3")[0].Open(custody.Open())
		if err != nil {
			t.Fatal(err)
		}
		spoil(c.Material.Public, c.Material.Secret, &c.Material)
		share, err := signing.NewShare(c)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := cmp.CheckShare(share); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
