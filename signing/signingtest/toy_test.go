package signingtest_test

import (
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/cmp"
	"github.com/countersign-mpc/countersign/signing/signingtest"
)

var (
	all    = []signing.PartyID{1, 2, 3}
	digest = sha256.Sum256([]byte("digest"))
)

func binding(name string) [32]byte { return sha256.Sum256([]byte(name)) }

func startKeygen(t *testing.T, name string, threshold int) *signingtest.Network {
	t.Helper()
	sessions, err := signingtest.Start(all, func(id signing.PartyID) (signing.KeygenSession, error) {
		return signingtest.NewKeygen(cmp.KeygenConfig{Binding: binding(name), Self: id, Parties: all, Threshold: threshold})
	})
	if err != nil {
		t.Fatal(err)
	}
	return signingtest.NewNetwork(sessions)
}

func startSign(t *testing.T, shares []*signing.Share, signers []signing.PartyID, change func(*cmp.SignConfig)) *signingtest.Network {
	t.Helper()
	path, err := derive.ParsePath("m/44/60/0/0/0")
	if err != nil {
		t.Fatal(err)
	}
	code := shares[0].ChainCode()
	key, err := derive.Secp256k1Child(shares[0].PublicKey(), code[:], path)
	if err != nil {
		t.Fatal(err)
	}
	sessions, err := signingtest.Start(signers, func(id signing.PartyID) (signing.SignSession, error) {
		c := cmp.SignConfig{
			Binding: binding(t.Name()), Share: shares[id-1], Signers: signers,
			Tweak: key.Tweak, PublicKey: [33]byte(key.PublicKey), Digest: digest,
		}
		if change != nil {
			change(&c)
		}
		return signingtest.NewSign(c)
	})
	if err != nil {
		t.Fatal(err)
	}
	return signingtest.NewNetwork(sessions)
}

func mustDone(t *testing.T, ended map[signing.PartyID]error) {
	t.Helper()
	for id, err := range ended {
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
	}
}

func mustShares(t *testing.T, network *signingtest.Network) []*signing.Share {
	t.Helper()
	mustDone(t, network.Run())
	var shares []*signing.Share
	for _, id := range all {
		share, err := network.Sessions[id].(signing.KeygenSession).Share()
		if err != nil {
			t.Fatal(err)
		}
		shares = append(shares, share)
	}
	return shares
}

func TestToyKeygenThenSign(t *testing.T) {
	for seed := range uint64(20) {
		network := startKeygen(t, t.Name(), 2)
		network.Shuffle = rand.New(rand.NewPCG(seed, 0))
		shares := mustShares(t, network)
		if seed == 0 {
			again := mustShares(t, startKeygen(t, t.Name(), 2))
			if string(again[0].PublicStatement()) != string(shares[1].PublicStatement()) {
				t.Fatal("the same binding gives another key")
			}
		}
		signers := []signing.PartyID{1, 3}
		network = startSign(t, shares, signers, nil)
		network.Shuffle = rand.New(rand.NewPCG(seed, 1))
		network.Adversary = func(d signingtest.Delivery) []signingtest.Delivery { return []signingtest.Delivery{d, d} }
		mustDone(t, network.Run())
		for _, id := range signers {
			sig, err := network.Sessions[id].(signing.SignSession).Signature()
			if err != nil {
				t.Fatal(err)
			}
			if sig.RecoveryID > 1 {
				t.Errorf("recovery id %d", sig.RecoveryID)
			}
		}
		for _, m := range network.Sent {
			if m.ReleasesShare != (m.Round == 3) {
				t.Fatalf("round %d releases the share: %t", m.Round, m.ReleasesShare)
			}
		}
	}
}

func TestToySignsWithRealShares(t *testing.T) {
	for name, signers := range map[string][]signing.PartyID{"3of3": all, "2of3": {2, 3}} {
		mustDone(t, startSign(t, signingtest.Shares(t, name), signers, nil).Run())
	}
}

func TestToyShareIsOfNoUseForCMP(t *testing.T) {
	shares := mustShares(t, startKeygen(t, t.Name(), 2))
	if err := cmp.CheckShare(shares[0]); err == nil {
		t.Fatal("CMP accepts a share of the toy protocol")
	}
}

// TestToyAborts checks that the toy ends as a real protocol does, so that its users' tests mean something.
func TestToyAborts(t *testing.T) {
	once := func(match func(d signingtest.Delivery) bool, change func(d signingtest.Delivery) []signingtest.Delivery) func(signingtest.Delivery) []signingtest.Delivery {
		return func(d signingtest.Delivery) []signingtest.Delivery {
			if match(d) {
				return change(d)
			}
			return []signingtest.Delivery{d}
		}
	}
	from2to1 := func(round uint16, broadcast bool) func(d signingtest.Delivery) bool {
		return func(d signingtest.Delivery) bool {
			return d.To == 1 && d.Message.From == 2 && d.Message.Round == round && d.Message.Broadcast == broadcast
		}
	}
	spoil := func(f func(m *signing.Message)) func(d signingtest.Delivery) []signingtest.Delivery {
		return func(d signingtest.Delivery) []signingtest.Delivery {
			f(&d.Message)
			return []signingtest.Delivery{d}
		}
	}
	cases := []struct {
		name      string
		adversary func(signingtest.Delivery) []signingtest.Delivery
		culprit   signing.PartyID
		reason    string
	}{
		{"cut", once(from2to1(2, true), spoil(func(m *signing.Message) { m.Data = m.Data[:5] })), 2, "malformed"},
		{"other head", once(from2to1(2, true), spoil(func(m *signing.Message) { m.Data[0] = 'X' })), 2, "malformed"},
		{"other round", once(from2to1(2, true), spoil(func(m *signing.Message) { m.Round = 3 })), 2, "malformed"},
		{"other session", once(from2to1(2, false), spoil(func(m *signing.Message) { m.Data[10] ^= 1 })), 0, "another session"},
		{"other echo", once(from2to1(3, false), spoil(func(m *signing.Message) { m.Data[len(m.Data)-1] ^= 1 })), 0, "other broadcasts"},
		{"equivocation", once(from2to1(2, true), spoil(func(m *signing.Message) { m.Data[len(m.Data)-1] ^= 1 })), 0, "other broadcasts"},
		{"other share", once(from2to1(3, true), spoil(func(m *signing.Message) { m.Data[len(m.Data)-1] ^= 1 })), 0, "does not verify"},
		{"twice, different", once(from2to1(2, true), func(d signingtest.Delivery) []signingtest.Delivery {
			other := d
			other.Message.Data = append([]byte(nil), d.Message.Data...)
			other.Message.Data[len(other.Message.Data)-1] ^= 1
			return []signingtest.Delivery{d, other}
		}), 2, "two different messages"},
	}
	shares := signingtest.Shares(t, "3of3")
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			network := startSign(t, shares, all, nil)
			network.Adversary = c.adversary
			err := network.Run()[1]
			var abort *signing.Abort
			if !errors.As(err, &abort) || abort.Culprit != c.culprit || !strings.Contains(err.Error(), c.reason) {
				t.Fatalf("party 1 ended with %v: want culprit %d and %q", err, c.culprit, c.reason)
			}
			if _, err := network.Sessions[1].(signing.SignSession).Signature(); err != error(abort) {
				t.Fatalf("a signature after the abort: %v", err)
			}
		})
	}
}

// TestToyForRecipient checks that the toy does with a recipient what CMP does.
func TestToyForRecipient(t *testing.T) {
	for seed := range uint64(10) {
		network := startSign(t, signingtest.Shares(t, "3of3"), all, func(c *cmp.SignConfig) { c.Recipient = 2 })
		network.Shuffle = rand.New(rand.NewPCG(seed, 2))
		mustDone(t, network.Run())
		for id, s := range network.Sessions {
			sig, err := s.(signing.SignSession).Signature()
			if (id == 2) != (err == nil) || (id != 2 && !errors.Is(err, signing.ErrForRecipient)) || (id != 2 && sig != signing.Signature{}) {
				t.Errorf("%s: %v", id, err)
			}
		}
		last := 0
		for _, m := range network.Sent {
			if m.ReleasesShare != (m.Round == 3) || (m.Round == 3 && (m.Broadcast || m.To != 2 || m.From == 2)) {
				t.Fatalf("sent round %d from %s to %s, broadcast %t, releasing %t", m.Round, m.From, m.To, m.Broadcast, m.ReleasesShare)
			}
			if m.Round == 3 {
				last++
			}
		}
		if last != 2 {
			t.Fatalf("%d last messages", last)
		}
	}
}

func TestToyLastMessageInAnotherForm(t *testing.T) {
	shares := signingtest.Shares(t, "3of3")
	messages := func(recipient signing.PartyID) []signing.Message {
		network := startSign(t, shares, all, func(c *cmp.SignConfig) { c.Recipient = recipient })
		mustDone(t, network.Run())
		return network.Sent
	}
	for name, c := range map[string]struct{ session, sent signing.PartyID }{
		"a broadcast to the recipient": {1, 0},
		"to us beside the recipient":   {3, 1},
		"a broadcast beside it":        {3, 0},
		"to us alone without one":      {0, 1},
	} {
		network := startSign(t, shares, all, func(s *cmp.SignConfig) { s.Recipient = c.session })
		for _, m := range messages(c.sent) {
			if m.Round != 3 || m.From != 2 || (!m.Broadcast && m.To != 1) {
				continue
			}
			err := network.Sessions[1].Accept(m)
			var abort *signing.Abort
			if c.session == 0 && !errors.As(err, &abort) { // the form itself is known, what it belongs to is not
				t.Errorf("%s: %v", name, err)
			}
			if c.session != 0 && (!errors.As(err, &abort) || abort.Culprit != 2 || !strings.Contains(err.Error(), "alone")) {
				t.Errorf("%s: %v", name, err)
			}
			break
		}
	}
}

func TestToyWaitsForEveryMessage(t *testing.T) {
	network := startSign(t, signingtest.Shares(t, "3of3"), all, nil)
	network.Adversary = func(d signingtest.Delivery) []signingtest.Delivery {
		if d.Message.From == 3 && d.Message.Round == 3 && d.To == 1 && d.Message.Broadcast {
			return nil
		}
		return []signingtest.Delivery{d}
	}
	ended := network.Run()
	if !errors.Is(ended[1], signing.ErrUnfinished) || ended[2] != nil || ended[3] != nil {
		t.Fatalf("ended %v", ended)
	}
}

func TestToyDifferentConfigurationsAbort(t *testing.T) {
	network := startSign(t, signingtest.Shares(t, "3of3"), all, func(c *cmp.SignConfig) {
		if c.Share.Index() == 3 {
			c.Digest[0] ^= 1
		}
	})
	for id, err := range network.Run() {
		var abort *signing.Abort
		if !errors.As(err, &abort) || abort.Culprit != 0 {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func TestToyRefusesConfigurations(t *testing.T) {
	share := signingtest.Shares(t, "3of3")[0]
	good := cmp.SignConfig{Binding: binding("x"), Share: share, Signers: all, PublicKey: [33]byte(share.PublicKey()), Digest: digest}
	if _, err := signingtest.NewSign(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*cmp.SignConfig){
		"no binding":                     func(c *cmp.SignConfig) { c.Binding = [32]byte{} },
		"no share":                       func(c *cmp.SignConfig) { c.Share = nil },
		"two signers":                    func(c *cmp.SignConfig) { c.Signers = all[:2] },
		"a stranger":                     func(c *cmp.SignConfig) { c.Signers = []signing.PartyID{2, 3, 4} },
		"a recipient that does not sign": func(c *cmp.SignConfig) { c.Recipient = 4 },
		"wrong tweak":                    func(c *cmp.SignConfig) { c.Tweak[31] = 1 },
		"wrong key":                      func(c *cmp.SignConfig) { c.PublicKey[1] ^= 1 },
		"wiped share":                    func(c *cmp.SignConfig) { c.Share = signingtest.Shares(t, "3of3")[0]; c.Share.Wipe() },
		"huge tweak": func(c *cmp.SignConfig) {
			c.Tweak = [32]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
		},
		"party 9 of 3": func(c *cmp.SignConfig) { c.Signers = []signing.PartyID{1, 2, 9} },
	} {
		c := good
		spoil(&c)
		if _, err := signingtest.NewSign(c); err == nil {
			t.Errorf("%s: started", name)
		}
	}
	if _, err := signingtest.NewKeygen(cmp.KeygenConfig{Binding: binding("x"), Self: 4, Parties: all, Threshold: 2}); err == nil {
		t.Error("keygen of a party that is not among the parties started")
	}
}
