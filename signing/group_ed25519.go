package signing

import (
	"fmt"

	"filippo.io/edwards25519"
	"github.com/countersign-mpc/countersign/signing/internal/edwards"
)

// ed25519Group has points of 32 bytes (RFC 8032, section 5.1.2) and little-endian scalars below the group order L.
type ed25519Group struct{}

func (ed25519Group) pointLength() int { return edwards.Length }

func (ed25519Group) check(point []byte) error {
	_, err := edwards.ParsePoint(point)
	return err
}

func (ed25519Group) public(secret []byte) ([]byte, error) {
	x, err := edwards.ParseScalar(secret)
	if err != nil {
		return nil, fmt.Errorf("the secret is %w", err)
	}
	defer x.Set(edwards25519.NewScalar())
	return new(edwards25519.Point).ScalarBaseMult(x).Bytes(), nil
}

func (ed25519Group) interpolate(points map[PartyID][]byte, base []PartyID, x PartyID) []byte {
	scalars := make([]*edwards25519.Scalar, 0, len(base))
	terms := make([]*edwards25519.Point, 0, len(base))
	for _, j := range base {
		p, err := edwards.ParsePoint(points[j])
		if err != nil {
			return make([]byte, edwards.Length) // cannot be: they were checked
		}
		scalars = append(scalars, lagrangeEd25519(base, j, x))
		terms = append(terms, p)
	}
	return new(edwards25519.Point).VarTimeMultiScalarMult(scalars, terms).Bytes()
}

// lagrangeEd25519 is the coefficient of j at x over base: the product of (x - k)/(j - k) for all other k.
func lagrangeEd25519(base []PartyID, j, x PartyID) *edwards25519.Scalar {
	numerator, denominator := edwards.Scalar(1), edwards.Scalar(1)
	for _, k := range base {
		if k != j {
			numerator.Multiply(numerator, edwards25519.NewScalar().Subtract(edwards.Scalar(byte(x)), edwards.Scalar(byte(k))))
			denominator.Multiply(denominator, edwards25519.NewScalar().Subtract(edwards.Scalar(byte(j)), edwards.Scalar(byte(k))))
		}
	}
	return numerator.Multiply(numerator, denominator.Invert(denominator))
}
