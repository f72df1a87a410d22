package signing_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/signingtest"
	"pgregory.net/rapid"
)

// key draws the shares of a random key of either curve: t and n up to 5, party ids with gaps in any order.
func key(t *rapid.T) []*signing.Share {
	a := rapid.SampledFrom([]signing.Algorithm{signing.AlgorithmECDSA, signing.AlgorithmEd25519}).Draw(t, "algorithm")
	n := rapid.IntRange(2, 5).Draw(t, "n")
	parties := rapid.Permutation(signingtest.Parties(signing.MaxParties)).Draw(t, "parties")[:n]
	return signingtest.Deal(t, rapid.Uint64().Draw(t, "seed"), a, rapid.IntRange(2, n).Draw(t, "t"), parties)
}

// TestAnyShare: every share of a key is read back as it was written, says the same about the key as the others, and signs
// with exactly t parties of the key, itself among them.
func TestAnyShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shares := key(t)
		for _, s := range shares {
			data, err := s.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			again, err := signing.ParseShare(data)
			if err != nil {
				t.Fatal(err)
			}
			written, err := again.MarshalBinary()
			if err != nil || !bytes.Equal(written, data) || !bytes.Equal(again.PublicStatement(), shares[0].PublicStatement()) {
				t.Fatalf("%s: not the same after a round trip (%v)", s, err)
			}
			signers := rapid.Permutation(signingtest.Parties(signing.MaxParties)).Draw(t, "signers")
			signers = signers[:rapid.IntRange(1, 6).Draw(t, "number of signers")]
			good := len(signers) == s.Threshold() && slices.Contains(signers, s.Index()) &&
				!slices.ContainsFunc(signers, func(id signing.PartyID) bool { return !slices.Contains(s.Parties(), id) })
			if err := s.CheckSigners(signers); (err == nil) != good {
				t.Fatalf("%s with signers %v: %v", s, signers, err)
			}
		}
	})
}

// TestAnyDamage: a share with one byte changed is refused, unless it is a byte of the chain code or of the protocol's
// material: those are not bound to the curve (the store's seal and the confirmation keep them).
func TestAnyDamage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shares := key(t)
		s := shares[rapid.IntRange(0, len(shares)-1).Draw(t, "share")]
		data, err := s.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		point, n := len(s.PublicKey()), len(shares)
		code := 9 + n*(1+point) + point
		at := rapid.IntRange(0, code+32+32).Draw(t, "at") // up to the protocol's byte
		data[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "change"))
		free := (at >= code && at < code+32) || (at == code+64 && data[at] != 0)
		if _, err := signing.ParseShare(data); (err == nil) != free {
			t.Fatalf("byte %d of %s changed: %v", at, s, err)
		}
	})
}
