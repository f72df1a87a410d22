package library

import (
	"errors"
	"fmt"
	"math/big"
	"slices"

	"filippo.io/edwards25519"
	"github.com/bnb-chain/tss-lib/v2/common"
	"github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/eddsa/internal/frame"
	"github.com/countersign-mpc/countersign/signing/internal/edwards"
)

// Config describes the run. All parties must give the same values, Self apart.
type Config struct {
	Session   [32]byte          // hash of what identifies the session
	Self      signing.PartyID   // this party
	Parties   []signing.PartyID // all parties, ascending
	Threshold int               // t, the number of signers needed
}

// toDegree translates t, the number of signers needed, into the library's threshold, the degree of the polynomial.
func toDegree(t int) int { return t - 1 }

// number is the library's number of a party: its index modulo the group order, the session above it.
func (c Config) number(id signing.PartyID) *big.Int {
	n := new(big.Int).SetBytes(c.Session[:])
	n.Mul(n, tss.Edwards().Params().N)
	return n.Add(n, big.NewInt(int64(id)))
}

// place is the library's index of a party: its place in the ascending list.
func (c Config) place(id signing.PartyID) int { return slices.Index(c.Parties, id) }

// proofContext is what the library hashes into the proof of a party: its session id and the party's place.
func (c Config) proofContext(id signing.PartyID) []byte {
	curve := tss.Edwards().Params()
	fields := []*big.Int{curve.P, curve.N, curve.Gx, curve.Gy}
	for _, p := range c.Parties {
		fields = append(fields, c.number(p))
	}
	fields = append(fields, big.NewInt(1), new(big.Int)) // the round in which the id is made, and a nonce that is always 0
	return append(common.SHA512_256i(fields...).Bytes(), big.NewInt(int64(c.place(id))).Bytes()...)
}

// Proof verifies what a party opened against what it committed itself to: the coefficients, and that it knows the lowest
// one's logarithm in this session. The library verifies it too, where a wrong value could end the process.
func (c Config) Proof(of signing.PartyID, commitment [32]byte, o *frame.Open) error {
	if len(o.Coefficients) != c.Threshold {
		return fmt.Errorf("%d coefficients where %d sign", len(o.Coefficients), c.Threshold)
	}
	if common.SHA512_256i(opening(o)...).Cmp(new(big.Int).SetBytes(commitment[:])) != 0 {
		return errors.New("it opens its commitment to other coefficients than it committed itself to")
	}
	lowest := o.Coefficients[0]
	x, y := edwards.Affine(lowest)
	ax, ay := edwards.Affine(o.ProofPoint)
	curve := tss.Edwards().Params()
	hash := common.SHA512_256i_TAGGED(c.proofContext(of), x, y, curve.Gx, curve.Gy, ax, ay)
	challenge, err := edwards.ScalarOfInt(hash.Mod(hash, curve.N))
	if err != nil {
		return fmt.Errorf("challenge of the proof: %w", err)
	}
	right := new(edwards25519.Point).ScalarMult(challenge, lowest)
	right.Add(right, o.ProofPoint)
	if new(edwards25519.Point).ScalarBaseMult(o.ProofScalar).Equal(right) != 1 {
		return errors.New("its proof that it knows its part of the key does not hold in this session")
	}
	return nil
}

// opening is the library's de-commitment: the blind, then the coordinates of each coefficient.
func opening(o *frame.Open) []*big.Int {
	out := []*big.Int{new(big.Int).SetBytes(o.Blind[:])}
	for _, p := range o.Coefficients {
		x, y := edwards.Affine(p)
		out = append(out, x, y)
	}
	return out
}

// Evaluate gives a polynomial in the exponent at a party's index.
func Evaluate(coefficients []*edwards25519.Point, at signing.PartyID) *edwards25519.Point {
	x, sum := edwards.Scalar(byte(at)), edwards25519.NewIdentityPoint()
	for i := len(coefficients) - 1; i >= 0; i-- {
		sum.ScalarMult(x, sum)
		sum.Add(sum, coefficients[i])
	}
	return sum
}
