package library_test

import (
	"crypto/rand"
	"math/big"
	"testing"

	"filippo.io/edwards25519"
	"github.com/bnb-chain/tss-lib/v2/crypto"
	"github.com/bnb-chain/tss-lib/v2/crypto/commitments"
	"github.com/bnb-chain/tss-lib/v2/crypto/schnorr"
	"github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/eddsa/internal/frame"
	"github.com/countersign-mpc/countersign/signing/eddsa/internal/library"
	"github.com/countersign-mpc/countersign/signing/internal/edwards"
)

// chosen makes what a party says that chooses its polynomial at will, all of it right.
func chosen(t *testing.T, c library.Config, of signing.PartyID, polynomial ...int64) (commitment [32]byte, o *frame.Open, at1 *edwards25519.Scalar) {
	t.Helper()
	order := tss.Edwards().Params().N
	o = &frame.Open{Blind: [32]byte{1}}
	numbers, sum := []*big.Int{new(big.Int).SetBytes(o.Blind[:])}, new(big.Int)
	for _, a := range polynomial {
		n := big.NewInt(a)
		n.Mod(n, order)
		sum.Add(sum, n)
		s, err := edwards.ScalarOfInt(n)
		if err != nil {
			t.Fatal(err)
		}
		p := new(edwards25519.Point).ScalarBaseMult(s)
		x, y := edwards.Affine(p)
		o.Coefficients, numbers = append(o.Coefficients, p), append(numbers, x, y)
	}
	lowest := crypto.ScalarBaseMult(tss.Edwards(), big.NewInt(polynomial[0]))
	proof, err := schnorr.NewZKProof(c.ProofContext(of), big.NewInt(polynomial[0]), lowest, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if o.ProofPoint, err = edwards.PointOfAffine(proof.Alpha.X(), proof.Alpha.Y()); err != nil {
		t.Fatal(err)
	}
	if o.ProofScalar, err = edwards.ScalarOfInt(proof.T); err != nil {
		t.Fatal(err)
	}
	if at1, err = edwards.ScalarOfInt(sum.Mod(sum, order)); err != nil {
		t.Fatal(err)
	}
	commitments.NewHashCommitmentWithRandomness(numbers[0], numbers[1:]...).C.FillBytes(commitment[:])
	return commitment, o, at1
}

// TestChosenPolynomials gives the library polynomials that an honest party would never draw, but that pass every check:
// small coefficients, and such that a sum on the library's way is the identity.
func TestChosenPolynomials(t *testing.T) {
	for name, polynomial := range map[string][]int64{
		"identity on the way":  {5, -5, 7},
		"all the same":         {1, 1, 1},
		"share of one":         {3, -9, 7},
		"identity on the end":  {5, -9, 5},
		"the highest is small": {1 << 40, 1 << 50, -1},
	} {
		c := config(name, 1, 3, 1, 2, 3)
		commits, opens := map[signing.PartyID][32]byte{}, map[signing.PartyID]*frame.Open{}
		shares := map[signing.PartyID]*edwards25519.Scalar{}
		for _, id := range []signing.PartyID{2, 3} {
			commits[id], opens[id], shares[id] = chosen(t, c, id, polynomial...)
			if err := c.Proof(id, commits[id], opens[id]); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		p, _, err := library.Start(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.Commitments(commits); err != nil {
			t.Fatal(err)
		}
		result, err := p.Openings(opens, shares)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if new(edwards25519.Point).ScalarBaseMult(result.Secret).Equal(result.PublicShares[1]) != 1 {
			t.Errorf("%s: the secret is not that of the public share", name)
		}
	}
}
