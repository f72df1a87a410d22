package signing_test

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"filippo.io/edwards25519"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/signingtest"
)

func TestEd25519ShareRoundTrip(t *testing.T) {
	for name, threshold := range map[string]int{"ed25519-3of3": 3, "ed25519-2of3": 2} {
		shares := signingtest.Shares(t, name)
		for i, s := range shares {
			data := mustMarshal(t, s)
			again, err := signing.ParseShare(data)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(mustMarshal(t, again), data) || !bytes.Equal(s.PublicStatement(), shares[0].PublicStatement()) {
				t.Errorf("%s: another encoding after a round trip, or another statement than share 1", s)
			}
			if s.Algorithm() != signing.AlgorithmEd25519 || s.Algorithm().String() != "eddsa-ed25519" || s.Threshold() != threshold ||
				int(s.Index()) != i+1 || len(s.PublicKey()) != 32 || len(s.PublicShares()) != 3 {
				t.Errorf("%s: wrong accessors", s)
			}
			// The secret is little-endian: its base point multiple is the public share.
			c := mustOpen(t, s)
			x, err := edwards25519.NewScalar().SetCanonicalBytes(c.Secret)
			if err != nil || !bytes.Equal(new(edwards25519.Point).ScalarBaseMult(x).Bytes(), c.PublicShares[s.Index()]) {
				t.Errorf("%s: the secret is not that of the public share: %v", s, err)
			}
		}
	}
}

// smallOrder is a point of order 8 (its encoding from RFC 7748's low-order list, as every verifier tests it).
func smallOrder(t *testing.T) *edwards25519.Point {
	t.Helper()
	data, err := hex.DecodeString("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
	if err != nil {
		t.Fatal(err)
	}
	p, err := new(edwards25519.Point).SetBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func addSmallOrder(t *testing.T, point []byte) []byte {
	t.Helper()
	p, err := new(edwards25519.Point).SetBytes(point)
	if err != nil {
		t.Fatal(err)
	}
	return p.Add(p, smallOrder(t)).Bytes()
}

func TestEd25519ShareRefuses(t *testing.T) {
	identity := edwards25519.NewIdentityPoint().Bytes()
	// The order L, little-endian, and the identity with a sign bit and with y = p+1: encodings that are not canonical.
	order, err := hex.DecodeString("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
	if err != nil {
		t.Fatal(err)
	}
	signed := bytes.Clone(identity)
	signed[31] |= 0x80
	overP := bytes.Repeat([]byte{0xff}, 32)
	overP[0], overP[31] = 0xee, 0x7f
	cases := map[string]struct {
		spoil  func(c *signing.Contents)
		reason string
	}{
		"as ecdsa":                {func(c *signing.Contents) { c.Algorithm = signing.AlgorithmECDSA }, "scalar|point|belong"},
		"secret is the order":     {func(c *signing.Contents) { c.Secret = order }, "no little-endian scalar"},
		"secret over the order":   {func(c *signing.Contents) { c.Secret[31] |= 0xf0 }, "no little-endian scalar"},
		"secret is zero":          {func(c *signing.Contents) { clear(c.Secret) }, "no little-endian scalar"},
		"secret is short":         {func(c *signing.Contents) { c.Secret = c.Secret[:31] }, "no little-endian scalar"},
		"secret is long":          {func(c *signing.Contents) { c.Secret = append(c.Secret, 0) }, "no little-endian scalar"},
		"secret is big-endian":    {func(c *signing.Contents) { slices.Reverse(c.Secret) }, "scalar|belong"},
		"other secret":            {func(c *signing.Contents) { c.Secret[0] ^= 1 }, "does not belong"},
		"public share off curve":  {func(c *signing.Contents) { c.PublicShares[2] = append([]byte{2}, make([]byte, 31)...) }, "no point"},
		"public share compressed": {func(c *signing.Contents) { c.PublicShares[2] = append([]byte{2}, c.PublicShares[2]...) }, "33 bytes"},
		"identity":                {func(c *signing.Contents) { c.PublicShares[2] = identity }, "identity"},
		"identity with a sign":    {func(c *signing.Contents) { c.PublicShares[2] = signed }, "one encoding"},
		"y over p":                {func(c *signing.Contents) { c.PublicShares[2] = overP }, "one encoding"},
		"share of small order":    {func(c *signing.Contents) { c.PublicShares[2] = smallOrder(t).Bytes() }, "prime order"},
		"share with torsion":      {func(c *signing.Contents) { c.PublicShares[2] = addSmallOrder(t, c.PublicShares[2]) }, "prime order"},
		"key with torsion":        {func(c *signing.Contents) { c.PublicKey = addSmallOrder(t, c.PublicKey) }, "prime order"},
		"key is the identity":     {func(c *signing.Contents) { c.PublicKey = identity }, "identity"},
		"other key":               {func(c *signing.Contents) { c.PublicKey = c.PublicShares[2] }, "do not stand"},
		"t below the degree":      {func(c *signing.Contents) { c.Threshold = 2 }, "do not stand"},
	}
	for name, tc := range cases {
		c := mustOpen(t, signingtest.Shares(t, "ed25519-3of3")[0])
		tc.spoil(&c)
		_, err := signing.NewShare(c)
		if err == nil || !slices.ContainsFunc(strings.Split(tc.reason, "|"), func(r string) bool { return strings.Contains(err.Error(), r) }) {
			t.Errorf("%s: %v: want %q", name, err, tc.reason)
		}
	}
	// With more parties than signers: fewer than t stand for the key, and one off the polynomial.
	c := mustOpen(t, signingtest.Shares(t, "ed25519-2of3")[0])
	c.Threshold = 3
	if _, err := signing.NewShare(c); err == nil || !strings.Contains(err.Error(), "fewer than t") {
		t.Errorf("accepted as 3 of 3 what two can sign for: %v", err)
	}
	c.Threshold = 2
	c.PublicShares[3] = c.PublicShares[2]
	if _, err := signing.NewShare(c); err == nil || !strings.Contains(err.Error(), "not on the polynomial") {
		t.Errorf("accepted: %v", err)
	}
}

// TestDealtShares checks that the shares that tests deal are of the key and threshold that they should be.
func TestDealtShares(t *testing.T) {
	for _, a := range []signing.Algorithm{signing.AlgorithmECDSA, signing.AlgorithmEd25519} {
		for n := 2; n <= 5; n++ {
			for threshold := 2; threshold <= n; threshold++ {
				shares := signingtest.Deal(t, uint64(n), a, threshold, signingtest.Parties(n))
				other := signingtest.Deal(t, uint64(n)+1, a, threshold, signingtest.Parties(n))
				if len(shares) != n || bytes.Equal(shares[0].PublicKey(), other[0].PublicKey()) {
					t.Fatalf("%s %d of %d: not random shares of n parties", a, threshold, n)
				}
				for i, s := range shares {
					if int(s.Index()) != i+1 || s.Threshold() != threshold || !bytes.Equal(s.PublicStatement(), shares[0].PublicStatement()) {
						t.Errorf("%s: not what was asked for", s)
					}
				}
			}
		}
	}
}
