//go:build !race

package bip445_test

import (
	"testing"

	btcec "github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/countersign-mpc/countersign/signing/frost/internal/bip445"
	frost "github.com/countersign-mpc/countersign/signing/frost/internal/schnorr"
	"pgregory.net/rapid"
)

// TestAnyTweaks signs with t to n signers of up to 5, for keys with any list of tweaks, and verifies by btcec under a
// key that btcec has tweaked.
func TestAnyTweaks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 5).Draw(t, "n")
		threshold := rapid.IntRange(1, n).Draw(t, "t")
		u := rapid.IntRange(threshold, n).Draw(t, "signers")
		ids := rapid.Permutation([]uint32{0, 1, 2, 3, 4}[:n]).Draw(t, "ids")[:u]
		var coefficients []*bip445.Scalar
		for range threshold {
			coefficients = append(coefficients, scalar(t, "coefficient"))
		}
		s := bip445.Session{
			Signers: bip445.Signers{N: n, T: threshold, IDs: ids, PublicKey: curve.Base(coefficients[0]).Bytes()},
			Message: rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "message"),
		}
		for range rapid.IntRange(0, 4).Draw(t, "tweaks") {
			s.Tweaks = append(s.Tweaks, scalar(t, "tweak").Bytes())
			s.XOnly = append(s.XOnly, rapid.Bool().Draw(t, "x-only"))
		}
		secrets := map[uint32]*bip445.Scalar{}
		nonces := map[uint32]*bip445.Nonce{}
		var public [][]byte
		for _, id := range ids {
			value := curve.Integer(0)
			for i := threshold - 1; i >= 0; i-- {
				value = value.Mul(curve.Integer(id + 1)).Add(coefficients[i])
			}
			secrets[id] = value
			s.PublicShares = append(s.PublicShares, curve.Base(value).Bytes())
			nonces[id], public = nonce(t, public)
		}
		signature := signAll(t, s, public, nonces, secrets)
		parsed, err := schnorr.ParseSignature(signature)
		if err != nil || !parsed.Verify(s.Message, tweakedKey(t, s)) {
			t.Errorf("btcec does not verify %x: %v", signature, err)
		}
	})
}

func scalar(t *rapid.T, name string) *bip445.Scalar {
	return curve.Reduce([32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, name))).Add(curve.Integer(1))
}

func nonce(t *rapid.T, public [][]byte) (*bip445.Nonce, [][]byte) {
	random := [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "random"))
	n, err := bip445.NonceGen(&random, bip445.NonceInput{Extra: []byte{byte(len(public))}})
	if err != nil {
		t.Fatal(err)
	}
	return n, append(public, commit(t, n))
}

func signAll(t *rapid.T, s bip445.Session, public [][]byte, nonces map[uint32]*bip445.Nonce, secrets map[uint32]*bip445.Scalar) []byte {
	var err error
	if s.AggregateNonce, err = bip445.NonceAgg(public); err != nil {
		t.Fatal(err)
	}
	values, err := s.Values()
	if err != nil {
		t.Fatal(err)
	}
	var shares []*bip445.Scalar
	for i, id := range s.IDs {
		share, err := values.Share(id+1, nonces[id], secrets[id])
		if err != nil {
			t.Fatal(err)
		}
		commitment, err := bip445.ParsePublicNonce(public[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := values.Verify(id+1, commitment, share); err != nil {
			t.Error(err)
		}
		shares = append(shares, share)
	}
	signature, err := values.Sum(shares)
	if err != nil {
		t.Fatal(err)
	}
	return signature[:]
}

// tweakedKey tweaks the key by btcec.
func tweakedKey(t *rapid.T, s bip445.Session) *btcec.PublicKey {
	key, err := btcec.ParsePubKey(s.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for i, tweak := range s.Tweaks {
		if s.XOnly[i] {
			if key, err = schnorr.ParsePubKey(schnorr.SerializePubKey(key)); err != nil {
				t.Fatal(err)
			}
		}
		var p, q btcec.JacobianPoint
		var scalar btcec.ModNScalar
		scalar.SetByteSlice(tweak)
		key.AsJacobian(&p)
		btcec.ScalarBaseMultNonConst(&scalar, &q)
		btcec.AddNonConst(&p, &q, &p)
		p.ToAffine()
		key = btcec.NewPublicKey(&p.X, &p.Y)
	}
	return key
}

func commit(t *rapid.T, n *bip445.Nonce) []byte {
	c, err := frost.Commit(curve, n)
	if err != nil {
		t.Fatal(err)
	}
	return c.Bytes()
}
