package signing

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

const (
	pointLength  = 33 // compressed secp256k1 point, SEC 1
	scalarLength = 32

	// maxMaterial bounds each half of a Material, in bytes. CMP needs 7241 for nine parties.
	maxMaterial = 64 << 10
)

// validate checks everything that can be checked without the protocol that made the share.
func (c *Contents) validate() error {
	if c.Algorithm != AlgorithmECDSA {
		return fmt.Errorf("%s is not known", c.Algorithm)
	}
	if err := CheckParties(slices.Collect(maps.Keys(c.PublicShares)), c.Index, c.Threshold); err != nil {
		return err
	}
	if c.Material.Protocol == 0 {
		return errors.New("it does not say which protocol made it")
	}
	if len(c.Material.Public) > maxMaterial || len(c.Material.Secret) > maxMaterial {
		return fmt.Errorf("protocol material is longer than %d bytes", maxMaterial)
	}
	if err := c.checkSecret(); err != nil {
		return err
	}
	return c.checkPolynomial()
}

// CheckParties checks the parties of a key: 2..9 of them, all different, ids in 1..9, self among them, and
// 2 <= t <= n.
func CheckParties(parties []PartyID, self PartyID, t int) error {
	n := len(parties)
	if n < 2 || n > MaxParties {
		return fmt.Errorf("%d parties: a key has 2 to %d", n, MaxParties)
	}
	if t < 2 || t > n {
		return fmt.Errorf("threshold %d of %d: t, the number of signers needed, is 2 to n", t, n)
	}
	sorted := slices.Sorted(slices.Values(parties))
	if sorted[0] < 1 || sorted[n-1] > MaxParties {
		return fmt.Errorf("party ids %v: they must be 1 to %d", sorted, MaxParties)
	}
	if len(slices.Compact(sorted)) != n {
		return errors.New("a party is named twice")
	}
	if !slices.Contains(parties, self) {
		return fmt.Errorf("own %s is not among the parties", self)
	}
	return nil
}

// CheckSigners checks that signers can sign with this share: exactly t parties of the key, all different, its own party
// among them.
func (s *Share) CheckSigners(signers []PartyID) error {
	if len(signers) != s.threshold {
		return fmt.Errorf("%d signers are named: the key needs exactly %d", len(signers), s.threshold)
	}
	for _, id := range signers {
		if _, ok := s.shares[id]; !ok {
			return fmt.Errorf("signer %s has no share of the key", id)
		}
	}
	return CheckParties(signers, s.index, len(signers))
}

// checkSecret compares the secret with the own public share.
func (c *Contents) checkSecret() error {
	var x secp256k1.ModNScalar
	defer x.Zero()
	if len(c.Secret) != scalarLength || x.SetByteSlice(c.Secret) || x.IsZero() {
		return errors.New("the secret is no scalar of 1 to the group order less 1")
	}
	var own secp256k1.JacobianPoint
	secp256k1.ScalarBaseMultNonConst(&x, &own)
	if !bytes.Equal(compress(&own), c.PublicShares[c.Index]) {
		return errors.New("the secret does not belong to the own public share")
	}
	return nil
}

// checkPolynomial checks that the public key and all public shares are values, at 0 and at the party ids, of one
// polynomial in the exponent of degree t-1, and of no lower one: any t parties, and no fewer, can then sign for this
// key and for no other.
func (c *Contents) checkPolynomial() error {
	ids := slices.Sorted(maps.Keys(c.PublicShares))
	points := make(map[PartyID]*secp256k1.JacobianPoint, len(ids))
	for _, id := range ids {
		p, err := parsePoint(c.PublicShares[id])
		if err != nil {
			return fmt.Errorf("public share of %s: %w", id, err)
		}
		points[id] = p
	}
	if _, err := parsePoint(c.PublicKey); err != nil {
		return fmt.Errorf("public key: %w", err)
	}
	base := ids[:c.Threshold]
	if !bytes.Equal(compress(interpolate(points, base, 0)), c.PublicKey) {
		return errors.New("the public shares do not stand for the public key")
	}
	if bytes.Equal(compress(interpolate(points, base[1:], 0)), c.PublicKey) {
		return fmt.Errorf("fewer than t = %d public shares stand for the public key", c.Threshold)
	}
	for _, id := range ids[c.Threshold:] {
		if !bytes.Equal(compress(interpolate(points, base, id)), c.PublicShares[id]) {
			return fmt.Errorf("the public share of %s is not on the polynomial of the others", id)
		}
	}
	return nil
}

// interpolate evaluates at x the polynomial in the exponent through the points of base.
func interpolate(points map[PartyID]*secp256k1.JacobianPoint, base []PartyID, x PartyID) *secp256k1.JacobianPoint {
	var sum secp256k1.JacobianPoint
	for _, j := range base {
		var term secp256k1.JacobianPoint
		coefficient := lagrange(base, j, x)
		secp256k1.ScalarMultNonConst(&coefficient, points[j], &term)
		secp256k1.AddNonConst(&sum, &term, &sum)
	}
	return &sum
}

// lagrange is the coefficient of j at x over base: the product of (x - k)/(j - k) for all other k. All of it is
// public, so that variable time does no harm.
func lagrange(base []PartyID, j, x PartyID) secp256k1.ModNScalar {
	var numerator, denominator secp256k1.ModNScalar
	numerator.SetInt(1)
	denominator.SetInt(1)
	for _, k := range base {
		if k == j {
			continue
		}
		a, b := difference(x, k), difference(j, k)
		numerator.Mul(&a)
		denominator.Mul(&b)
	}
	denominator.InverseNonConst()
	numerator.Mul(&denominator)
	return numerator
}

func difference(a, b PartyID) secp256k1.ModNScalar {
	var x, y secp256k1.ModNScalar
	x.SetInt(uint32(a))
	y.SetInt(uint32(b))
	y.Negate()
	x.Add(&y)
	return x
}

func parsePoint(data []byte) (*secp256k1.JacobianPoint, error) {
	if len(data) != pointLength {
		return nil, fmt.Errorf("%d bytes: a compressed secp256k1 point has %d", len(data), pointLength)
	}
	key, err := secp256k1.ParsePubKey(data)
	if err != nil {
		return nil, fmt.Errorf("no compressed secp256k1 point: %v", err)
	}
	var p secp256k1.JacobianPoint
	key.AsJacobian(&p)
	return &p, nil
}

// compress encodes a point; the identity, which has no encoding, becomes 33 zero bytes that equal no valid key.
func compress(p *secp256k1.JacobianPoint) []byte {
	if (p.X.IsZero() && p.Y.IsZero()) || p.Z.IsZero() {
		return make([]byte, pointLength)
	}
	p.ToAffine()
	return secp256k1.NewPublicKey(&p.X, &p.Y).SerializeCompressed()
}
