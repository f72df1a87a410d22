package signing

import (
	"bytes"
	"errors"
	"fmt"

	"filippo.io/edwards25519"
)

// ed25519Group has points of 32 bytes (RFC 8032, section 5.1.2) and little-endian scalars below the group order L.
type ed25519Group struct{}

const ed25519PointLength = 32

func (ed25519Group) pointLength() int { return ed25519PointLength }

func (ed25519Group) check(point []byte) error {
	_, err := parseEd25519(point)
	return err
}

func (ed25519Group) public(secret []byte) ([]byte, error) {
	x, err := edwards25519.NewScalar().SetCanonicalBytes(secret)
	if err != nil || x.Equal(edwards25519.NewScalar()) == 1 {
		return nil, errors.New("the secret is no little-endian scalar of 1 to the group order less 1")
	}
	defer x.Set(edwards25519.NewScalar())
	return new(edwards25519.Point).ScalarBaseMult(x).Bytes(), nil
}

func (ed25519Group) interpolate(points map[PartyID][]byte, base []PartyID, x PartyID) []byte {
	scalars := make([]*edwards25519.Scalar, 0, len(base))
	terms := make([]*edwards25519.Point, 0, len(base))
	for _, j := range base {
		p, err := parseEd25519(points[j])
		if err != nil {
			return make([]byte, ed25519PointLength) // cannot be: they were checked
		}
		scalars = append(scalars, lagrangeEd25519(base, j, x))
		terms = append(terms, p)
	}
	return new(edwards25519.Point).VarTimeMultiScalarMult(scalars, terms).Bytes()
}

// lagrangeEd25519 is the coefficient of j at x over base: the product of (x - k)/(j - k) for all other k.
func lagrangeEd25519(base []PartyID, j, x PartyID) *edwards25519.Scalar {
	numerator, denominator := scalarOf(1), scalarOf(1)
	for _, k := range base {
		if k != j {
			numerator.Multiply(numerator, edwards25519.NewScalar().Subtract(scalarOf(x), scalarOf(k)))
			denominator.Multiply(denominator, edwards25519.NewScalar().Subtract(scalarOf(j), scalarOf(k)))
		}
	}
	return numerator.Multiply(numerator, denominator.Invert(denominator))
}

// scalarOf is a party's index as a scalar.
func scalarOf(id PartyID) *edwards25519.Scalar {
	var wide [64]byte
	wide[0] = byte(id)
	s, err := edwards25519.NewScalar().SetUniformBytes(wide[:])
	if err != nil {
		panic("signing: 64 bytes are not taken as a scalar") // cannot be: that is the length it asks for
	}
	return s
}

// parseEd25519 reads a point of the group of order L. The curve has eight times as many: a point with a component of
// small order would be another point to a verifier that multiplies by the cofactor, and none to one that does not.
func parseEd25519(data []byte) (*edwards25519.Point, error) {
	if len(data) != ed25519PointLength {
		return nil, fmt.Errorf("%d bytes: an Ed25519 point has %d", len(data), ed25519PointLength)
	}
	p, err := new(edwards25519.Point).SetBytes(data)
	if err != nil || !bytes.Equal(p.Bytes(), data) {
		return nil, errors.New("no point on Curve25519 in its one encoding by RFC 8032")
	}
	identity := edwards25519.NewIdentityPoint()
	if p.Equal(identity) == 1 {
		return nil, errors.New("the point is the identity")
	}
	minusOne := edwards25519.NewScalar().Negate(scalarOf(1)) // L-1 as a number
	times := new(edwards25519.Point).ScalarMult(minusOne, p)
	if times.Add(times, p).Equal(identity) != 1 {
		return nil, errors.New("the point is not in the subgroup of prime order")
	}
	return p, nil
}
