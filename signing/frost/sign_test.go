package frost_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/frost"
	"github.com/countersign-mpc/countersign/signing/signingtest"
)

// runs are one signature of each scheme with the shares that real keygens made.
func runs(t testing.TB) map[string]run {
	return map[string]run{
		"bip340":          {shares: signingtest.Shares(t, "3of3"), scheme: derive.SchemeBIP340, path: "m", message: digest[:]},
		"bip340 derived":  {shares: signingtest.Shares(t, "2of3")[1:], scheme: derive.SchemeBIP340, path: "m/86/0/0/0/7", message: digest[:]},
		"taproot":         {shares: signingtest.Shares(t, "2of3")[:2], scheme: derive.SchemeTaproot, path: "m", message: digest[:]},
		"taproot derived": {shares: signingtest.Shares(t, "3of3"), scheme: derive.SchemeTaproot, path: "m/86/0/0/0/7", message: digest[:]},
		"taproot with a root": {
			shares: signingtest.Shares(t, "2of3")[1:], scheme: derive.SchemeTaproot, path: "m/86/0/0/0/8", root: tapRoot[:], message: digest[:]},
		"ed25519":         {shares: signingtest.Shares(t, "ed25519-3of3"), scheme: derive.SchemeEd25519, path: "m", message: bytes.Repeat([]byte("solana"), 33)},
		"ed25519 derived": {shares: signingtest.Shares(t, "ed25519-2of3")[1:], scheme: derive.SchemeEd25519, path: "m/44/501/0/0", message: digest[:]},
		"ed25519 nothing": {shares: signingtest.Shares(t, "ed25519-2of3")[:2], scheme: derive.SchemeEd25519, path: "m", message: []byte{}},
		"ed25519 large":   {shares: signingtest.Shares(t, "ed25519-2of3")[1:], scheme: derive.SchemeEd25519, path: "m/1", message: make([]byte, 100_000)},
	}
}

// TestSign signs with messages twice and in any order, by shares that are wiped as soon as sessions have begun.
func TestSign(t *testing.T) {
	for name, r := range runs(t) {
		t.Run(name, func(t *testing.T) {
			network := r.start(t)
			for _, s := range r.shares {
				s.Wipe() // a session keeps what it needs
			}
			network.Shuffle = rand.New(rand.NewPCG(3, 4))
			network.Adversary = func(d signingtest.Delivery) []signingtest.Delivery { return []signingtest.Delivery{d, d} }
			r.mustSign(t, network)
			for _, m := range network.Sent {
				if !m.Broadcast || m.To != 0 || m.ReleasesShare != (m.Round == 2) {
					t.Errorf("message %+v", m)
				}
			}
			if len(network.Sent) != 2*len(r.shares) {
				t.Errorf("%d messages", len(network.Sent))
			}
		})
	}
}

// TestSignForRecipient signs for one party: nobody else may be able to compute the signature.
func TestSignForRecipient(t *testing.T) {
	for name, r := range runs(t) {
		t.Run(name, func(t *testing.T) {
			r.recipient = r.shares[1].Index()
			network := r.start(t)
			network.Shuffle = rand.New(rand.NewPCG(5, 6))
			r.mustSign(t, network)
			shares := 0
			for _, m := range network.Sent {
				if m.Round == 1 && (!m.Broadcast || m.ReleasesShare) {
					t.Errorf("commitments %+v", m)
				}
				if m.Round == 2 {
					shares++
					if m.Broadcast || m.To != r.recipient || m.From == r.recipient || !m.ReleasesShare {
						t.Errorf("share %+v", m)
					}
				}
			}
			if shares != len(r.shares)-1 {
				t.Errorf("%d shares were sent", shares)
			}
		})
	}
}

// TestTooFew leaves one signer out: the others never finish.
func TestTooFew(t *testing.T) {
	for name, r := range runs(t) {
		for _, round := range []uint16{1, 2} {
			network := r.start(t)
			silent := r.shares[0].Index()
			network.Adversary = func(d signingtest.Delivery) []signingtest.Delivery {
				if d.Message.From == silent && d.Message.Round >= round {
					return nil
				}
				return []signingtest.Delivery{d}
			}
			for id, err := range network.Run() {
				if round == 2 && id == silent {
					continue // it was told the shares of the others and has its own
				}
				if !errors.Is(err, signing.ErrUnfinished) || errors.As(err, new(*signing.Abort)) {
					t.Errorf("%s: %s ended with %v", name, id, err)
				}
				session := network.Sessions[id].(signing.SignSession)
				if _, err := session.Signature(); !errors.Is(err, signing.ErrUnfinished) || session.Done() {
					t.Errorf("%s: %s has a signature: %v", name, id, err)
				}
			}
		}
		r.shares = r.shares[:len(r.shares)-1]
		if _, err := frost.NewSign(r.config(t, r.shares[0])); err == nil || !strings.Contains(err.Error(), "needs exactly") {
			t.Errorf("%s: fewer signers than t: %v", name, err)
		}
	}
}

// TestNonces gives machines the same random bytes: what differs otherwise still makes other nonces.
func TestNonces(t *testing.T) {
	for name, r := range runs(t) {
		commit := func(change func(c *frost.SignConfig)) []byte {
			cryptotest.SetGlobalRandom(t, 1)
			c := r.config(t, r.shares[0])
			change(&c)
			s, err := frost.NewSign(c)
			if err != nil {
				t.Fatal(err)
			}
			return s.Outgoing()[0].Data[36:]
		}
		same := commit(func(*frost.SignConfig) {})
		if !bytes.Equal(same, commit(func(*frost.SignConfig) {})) {
			t.Fatalf("%s: the test does not control the random bytes", name)
		}
		for what, change := range map[string]func(c *frost.SignConfig){
			"binding":   func(c *frost.SignConfig) { c.Binding[31] ^= 1 },
			"message":   func(c *frost.SignConfig) { c.Message = bytes.Repeat([]byte{1}, 32) },
			"recipient": func(c *frost.SignConfig) { c.Recipient = c.Share.Index() },
			"key":       func(c *frost.SignConfig) { c.Derived = derived(t, c.Share, "m/99") },
			"share":     func(c *frost.SignConfig) { c.Share = r.shares[1] },
		} {
			other := commit(change)
			if half := len(other) / 2; bytes.Equal(other[:half], same[:half]) || bytes.Equal(other[half:], same[half:]) {
				t.Errorf("%s: another %s gives the same nonce", name, what)
			}
		}
		if half := len(same) / 2; bytes.Equal(same[:half], same[half:]) {
			t.Errorf("%s: both halves are the same", name)
		}
	}
}

// TestNoncesAreFresh starts the same session twice.
func TestNoncesAreFresh(t *testing.T) {
	for name, r := range runs(t) {
		a, b := r.start(t), r.start(t)
		for id := range a.Sessions {
			if bytes.Equal(a.Sessions[id].Outgoing()[0].Data, b.Sessions[id].Outgoing()[0].Data) {
				t.Errorf("%s: %s commits to one nonce twice", name, id)
			}
		}
	}
}

func TestConfigRefusals(t *testing.T) {
	for name, r := range runs(t) {
		ed25519 := r.scheme == derive.SchemeEd25519
		other := signingtest.Deal(t, 1, signing.AlgorithmECDSA, len(r.shares), r.signers())[0]
		if !ed25519 {
			other = signingtest.Deal(t, 1, signing.AlgorithmEd25519, len(r.shares), r.signers())[0]
		}
		wiped := signingtest.Deal(t, 2, r.shares[0].Algorithm(), len(r.shares), r.signers())[0]
		wiped.Wipe()
		cases := map[string]struct {
			spoil func(c *frost.SignConfig)
			want  string
		}{
			"no binding":           {func(c *frost.SignConfig) { c.Binding = [32]byte{} }, "binding is zero"},
			"no share":             {func(c *frost.SignConfig) { c.Share = nil }, "no share"},
			"a share of the other": {func(c *frost.SignConfig) { c.Share = other }, "signs with a share of"},
			"a wiped share":        {func(c *frost.SignConfig) { c.Share, c.Derived = wiped, derived(t, wiped, "m") }, "wiped"},
			"no scheme":            {func(c *frost.SignConfig) { c.Scheme = "" }, "not one that FROST signs"},
			"ecdsa":                {func(c *frost.SignConfig) { c.Scheme = derive.SchemeECDSA }, "not one that FROST signs"},
			"a foreign recipient":  {func(c *frost.SignConfig) { c.Recipient = 9 }, "recipient"},
			"a signer twice":       {func(c *frost.SignConfig) { c.Signers[0] = c.Signers[1] }, "twice"},
			"a foreign signer":     {func(c *frost.SignConfig) { c.Signers[len(c.Signers)-1] = 9 }, "has no share"},
			"not a signer": {func(c *frost.SignConfig) {
				c.Signers = slices.DeleteFunc(c.Signers, func(id signing.PartyID) bool { return id == c.Share.Index() })
			}, "signers"},
			"no derived key":     {func(c *frost.SignConfig) { c.Derived = derive.Derived{} }, "verifying key"},
			"tweak of another":   {func(c *frost.SignConfig) { c.Derived.Tweak = derived(t, c.Share, "m/5").Tweak }, "do not give the public key"},
			"key of another":     {func(c *frost.SignConfig) { c.Derived.PublicKey = derived(t, c.Share, "m/5").PublicKey }, "do not give the public key"},
			"tweak above order":  {func(c *frost.SignConfig) { c.Derived.Tweak = [32]byte(bytes.Repeat([]byte{0xff}, 32)) }, "derivation"},
			"a root of 31 bytes": {func(c *frost.SignConfig) { c.TapScriptRoot = tapRoot[1:] }, "verifying key"},
		}
		if r.scheme != derive.SchemeTaproot {
			cases["a root"] = struct {
				spoil func(c *frost.SignConfig)
				want  string
			}{func(c *frost.SignConfig) { c.TapScriptRoot = tapRoot[:] }, "tapScriptRoot is for"}
		}
		if !ed25519 {
			cases["a short message"] = struct {
				spoil func(c *frost.SignConfig)
				want  string
			}{func(c *frost.SignConfig) { c.Message = c.Message[1:] }, "31 bytes"}
		}
		for what, c := range cases {
			config := r.config(t, r.shares[0])
			c.spoil(&config)
			if s, err := frost.NewSign(config); err == nil || s != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, %s: %v, want %q", name, what, err, c.want)
			}
		}
	}
}

// TestConfigIsCopied changes what was given after a session has begun.
func TestConfigIsCopied(t *testing.T) {
	for name, r := range runs(t) {
		t.Run(name, func(t *testing.T) {
			r.change = func(_ signing.PartyID, c *frost.SignConfig) {
				c.Message, c.TapScriptRoot = bytes.Clone(c.Message), bytes.Clone(c.TapScriptRoot)
			}
			sessions := map[signing.PartyID]signing.SignSession{}
			for _, share := range r.shares {
				c := r.config(t, share)
				s, err := frost.NewSign(c)
				if err != nil {
					t.Fatal(err)
				}
				sessions[share.Index()] = s
				clear(c.Message)
				clear(c.TapScriptRoot)
				clear(c.Signers)
				clear(c.Derived.PublicKey)
			}
			r.mustSign(t, signingtest.NewNetwork(sessions))
		})
	}
}

func BenchmarkSign(b *testing.B) {
	for name, r := range runs(b) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r.mustSign(b, r.start(b))
			}
		})
	}
}
