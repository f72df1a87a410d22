package signing_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/internal/custody"
	"github.com/countersign-mpc/countersign/signing/signingtest"
)

func mustMarshal(t testing.TB, s *signing.Share) []byte {
	t.Helper()
	data, err := s.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func mustOpen(t testing.TB, s *signing.Share) signing.Contents {
	t.Helper()
	c, err := s.Open(custody.Open())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestShareRoundTrip(t *testing.T) {
	for name, threshold := range map[string]int{"3of3": 3, "2of3": 2} {
		shares := signingtest.Shares(t, name)
		if len(shares) != 3 {
			t.Fatalf("%s: %d shares", name, len(shares))
		}
		for i, s := range shares {
			data := mustMarshal(t, s)
			again, err := signing.ParseShare(data)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(mustMarshal(t, again), data) {
				t.Errorf("%s: another encoding after a round trip", s)
			}
			if s.Algorithm() != signing.AlgorithmECDSA || s.Threshold() != threshold || int(s.Index()) != i+1 ||
				!slices.Equal(s.Parties(), []signing.PartyID{1, 2, 3}) || len(s.PublicKey()) != 33 || len(s.PublicShares()) != 3 {
				t.Errorf("%s: wrong accessors", s)
			}
			if !bytes.Equal(s.PublicStatement(), shares[0].PublicStatement()) || s.ChainCode() != shares[0].ChainCode() {
				t.Errorf("%s: another public statement than share 1", s)
			}
			if bytes.Contains(s.PublicStatement(), mustOpen(t, s).Secret) {
				t.Errorf("%s: its secret is in the public statement", s)
			}
		}
	}
}

func TestPublicStatementCoversEverything(t *testing.T) {
	share := signingtest.Shares(t, "3of3")[0]
	want := share.PublicStatement()
	c := mustOpen(t, share)
	c.ChainCode[0] ^= 1
	other := mustOpen(t, share)
	other.Material.Public[0] ^= 1
	third := mustOpen(t, share)
	third.Material.Protocol = 9
	for i, contents := range []signing.Contents{c, other, third} {
		changed, err := signing.NewShare(contents)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(changed.PublicStatement(), want) {
			t.Errorf("change %d is not in the statement", i)
		}
	}
}

func TestShareIsNotChangedThroughItsAccessors(t *testing.T) {
	share := signingtest.Shares(t, "3of3")[0]
	before := mustMarshal(t, share)
	clear(share.PublicKey())
	clear(share.PublicShares()[2])
	delete(share.PublicShares(), 1)
	clear(share.PublicStatement())
	c := mustOpen(t, share)
	c.Wipe()
	clear(c.Material.Public)
	clear(c.PublicKey)
	if !bytes.Equal(mustMarshal(t, share), before) {
		t.Fatal("the share changed")
	}
}

func TestNewShareRefuses(t *testing.T) {
	others := signingtest.Shares(t, "2of3")
	cases := map[string]func(c *signing.Contents){
		"algorithm":           func(c *signing.Contents) { c.Algorithm = 3 },
		"t of 1":              func(c *signing.Contents) { c.Threshold = 1 },
		"t above n":           func(c *signing.Contents) { c.Threshold = 4 },
		"t below the degree":  func(c *signing.Contents) { c.Threshold = 2 },
		"index of nobody":     func(c *signing.Contents) { c.Index = 4 },
		"index of another":    func(c *signing.Contents) { c.Index = 2 },
		"no secret":           func(c *signing.Contents) { c.Secret = nil },
		"zero secret":         func(c *signing.Contents) { clear(c.Secret) },
		"secret over order":   func(c *signing.Contents) { c.Secret = bytes.Repeat([]byte{0xff}, 32) },
		"long secret":         func(c *signing.Contents) { c.Secret = append(c.Secret, 0) },
		"other secret":        func(c *signing.Contents) { c.Secret[31] ^= 1 },
		"other public key":    func(c *signing.Contents) { c.PublicKey = others[0].PublicKey() },
		"negated public key":  func(c *signing.Contents) { c.PublicKey[0] ^= 1 },
		"no public key":       func(c *signing.Contents) { c.PublicKey = nil },
		"long public key":     func(c *signing.Contents) { c.PublicKey = append(c.PublicKey, 0) },
		"other public share":  func(c *signing.Contents) { c.PublicShares[2] = others[1].PublicShares()[2] },
		"broken public share": func(c *signing.Contents) { c.PublicShares[2][0] = 7 },
		"party 0":             func(c *signing.Contents) { c.PublicShares[0] = c.PublicShares[3]; delete(c.PublicShares, 3) },
		"party 10":            func(c *signing.Contents) { c.PublicShares[10] = c.PublicShares[3]; delete(c.PublicShares, 3) },
		"moved party":         func(c *signing.Contents) { c.PublicShares[4] = c.PublicShares[3]; delete(c.PublicShares, 3) },
		"one party":           func(c *signing.Contents) { delete(c.PublicShares, 2); delete(c.PublicShares, 3) },
		"no protocol":         func(c *signing.Contents) { c.Material.Protocol = 0 },
		"huge material":       func(c *signing.Contents) { c.Material.Public = make([]byte, 1<<17) },
	}
	for name, spoil := range cases {
		c := mustOpen(t, signingtest.Shares(t, "3of3")[0])
		secret := hex.EncodeToString(c.Secret)
		spoil(&c)
		if _, err := signing.NewShare(c); err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error shows the secret", name)
		}
	}
}

// TestSharesOnOnePolynomial is about a key with more parties than signers: a public share that is off the polynomial
// of the first t is found although those stand for the public key.
func TestSharesOnOnePolynomial(t *testing.T) {
	c := mustOpen(t, signingtest.Shares(t, "2of3")[0])
	c.Threshold = 3
	if _, err := signing.NewShare(c); err == nil || !strings.Contains(err.Error(), "fewer than t") {
		t.Fatalf("accepted as 3 of 3 what two can sign for: %v", err)
	}
	c.Threshold = 2
	c.PublicShares[3] = c.PublicShares[2]
	if _, err := signing.NewShare(c); err == nil || !strings.Contains(err.Error(), "polynomial") {
		t.Fatalf("accepted: %v", err)
	}
}

func TestParseShareRefuses(t *testing.T) {
	data := mustMarshal(t, signingtest.Shares(t, "3of3")[0])
	change := func(at int, to byte) []byte {
		b := bytes.Clone(data)
		b[at] = to
		return b
	}
	cases := map[string][]byte{
		"empty":           {},
		"other magic":     change(0, 'X'),
		"version 0":       change(4, 0),
		"version 2":       change(4, 2),
		"algorithm":       change(5, 3),
		"other algorithm": change(5, 2),
		"t":               change(6, 2),
		"n of 2":          change(7, 2),
		"n of 255":        change(7, 255),
		"index":           change(8, 2),
		"descending ids":  change(9, 9),
		"a public share":  change(11, data[11]^1),
		"trailing byte":   append(bytes.Clone(data), 0),
	}
	for i := range data[:300] {
		cases[fmt.Sprintf("cut at %d", i)] = data[:i]
	}
	cases["cut at its end"] = data[:len(data)-1]
	for name, bad := range cases {
		if _, err := signing.ParseShare(bad); !errors.Is(err, signing.ErrEncoding) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseShare(f *testing.F) {
	for _, name := range []string{"3of3", "2of3", "ed25519-3of3", "ed25519-2of3"} {
		for _, s := range signingtest.Shares(f, name) {
			f.Add(mustMarshal(f, s))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := signing.ParseShare(data)
		if err != nil {
			if !errors.Is(err, signing.ErrEncoding) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		if !bytes.Equal(mustMarshal(t, s), data) {
			t.Fatal("another encoding after a round trip")
		}
	})
}

func TestShareNeverPrintsItsSecret(t *testing.T) {
	share := signingtest.Shares(t, "3of3")[0]
	c := mustOpen(t, share)
	asJSON := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for _, v := range []any{share, c, c.Material, &c} {
		for _, out := range []string{fmt.Sprint(v), fmt.Sprintf("%+v", v), fmt.Sprintf("%#v", v), fmt.Sprintf("%x", v), fmt.Sprintf("%d", v), fmt.Sprintf("%s", v), asJSON(v)} {
			lower := strings.ToLower(out)
			if strings.Contains(lower, hex.EncodeToString(c.Secret)[:8]) || strings.Contains(out, fmt.Sprint(c.Secret[:4])[1:10]) || len(out) > 200 {
				t.Errorf("%T prints %.200s", v, out)
			}
		}
	}
}

func TestWipe(t *testing.T) {
	share := signingtest.Shares(t, "3of3")[0]
	if _, err := share.Open(custody.Key{}); err == nil {
		t.Error("opened without a custody key")
	}
	share.Wipe()
	if _, err := share.MarshalBinary(); !errors.Is(err, signing.ErrWiped) {
		t.Errorf("encoded after the wipe: %v", err)
	}
	if _, err := share.Open(custody.Open()); !errors.Is(err, signing.ErrWiped) {
		t.Errorf("opened after the wipe: %v", err)
	}
	if len(share.PublicKey()) != 33 {
		t.Error("the public key went with the secret")
	}
}
