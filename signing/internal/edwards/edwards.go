// Package edwards reads points and scalars of edwards25519 (RFC 8032, section 5.1) more strictly than the curve's own
// package: one encoding each, the subgroup of prime order only, neither the identity nor zero. It also converts them to
// the affine coordinates and big integers of the Ed25519 keygen library. It computes nothing with secrets.
package edwards

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

// Length is the length of an encoded point and of an encoded scalar, in bytes.
const Length = 32

// ParsePoint reads a point of the group of prime order L that is not the identity, in its one encoding. The curve has
// eight times as many points: one with a component of small order would be another point to a verifier that multiplies
// by the cofactor, and none to one that does not. data is public: the time depends on it.
func ParsePoint(data []byte) (*edwards25519.Point, error) {
	if len(data) != Length {
		return nil, fmt.Errorf("%d bytes: an Ed25519 point has %d", len(data), Length)
	}
	p, err := new(edwards25519.Point).SetBytes(data)
	if err != nil || !bytes.Equal(p.Bytes(), data) {
		return nil, errors.New("no point on Curve25519 in its one encoding by RFC 8032")
	}
	identity := edwards25519.NewIdentityPoint()
	if p.Equal(identity) == 1 {
		return nil, errors.New("the point is the identity")
	}
	minusOne := edwards25519.NewScalar().Negate(Scalar(1)) // L-1 as a number
	times := new(edwards25519.Point).ScalarMult(minusOne, p)
	if times.Add(times, p).Equal(identity) != 1 {
		return nil, errors.New("the point is not in the subgroup of prime order")
	}
	return p, nil
}

// ParseScalar reads a scalar of 1 to L-1: 32 bytes, little-endian. Its error shows nothing of data.
func ParseScalar(data []byte) (*edwards25519.Scalar, error) {
	s, err := edwards25519.NewScalar().SetCanonicalBytes(data)
	if err != nil || s.Equal(edwards25519.NewScalar()) == 1 {
		return nil, errors.New("no little-endian scalar of 1 to the group order less 1")
	}
	return s, nil
}

// Scalar returns a small number as a scalar.
func Scalar(n byte) *edwards25519.Scalar {
	var wide [64]byte
	wide[0] = n
	s, err := edwards25519.NewScalar().SetUniformBytes(wide[:])
	if err != nil {
		panic("edwards: 64 bytes are not taken as a scalar") // cannot be: that is the length it asks for
	}
	return s
}

// ScalarOfInt converts a number of 1 to L-1.
func ScalarOfInt(n *big.Int) (*edwards25519.Scalar, error) {
	if n == nil || n.Sign() <= 0 || n.BitLen() > 8*Length {
		return nil, errors.New("no number of 1 to the group order less 1")
	}
	data := n.FillBytes(make([]byte, Length))
	defer clear(data)
	slices.Reverse(data)
	return ParseScalar(data)
}

// Int converts a scalar.
func Int(s *edwards25519.Scalar) *big.Int { return bigEndian(s.Bytes()) }

// Affine returns the coordinates of a point, each of 0 to the field's prime less 1.
func Affine(p *edwards25519.Point) (x, y *big.Int) {
	px, py, pz, _ := p.ExtendedCoordinates()
	inverse := new(field.Element).Invert(pz)
	x = bigEndian(new(field.Element).Multiply(px, inverse).Bytes())
	y = bigEndian(new(field.Element).Multiply(py, inverse).Bytes())
	return x, y
}

// PointOfAffine is the inverse of Affine, with the checks of ParsePoint.
func PointOfAffine(x, y *big.Int) (*edwards25519.Point, error) {
	if x == nil || y == nil || x.Sign() < 0 || y.Sign() < 0 || x.BitLen() > 255 || y.BitLen() > 255 {
		return nil, errors.New("coordinates that are no field elements")
	}
	data := y.FillBytes(make([]byte, Length))
	slices.Reverse(data)
	data[Length-1] |= byte(x.Bit(0)) << 7
	p, err := ParsePoint(data)
	if err != nil {
		return nil, err
	}
	if ownX, _ := Affine(p); ownX.Cmp(x) != 0 {
		return nil, errors.New("coordinates that are not of one point on the curve")
	}
	return p, nil
}

// bigEndian reads little-endian bytes, which it overwrites.
func bigEndian(data []byte) *big.Int {
	slices.Reverse(data)
	defer clear(data)
	return new(big.Int).SetBytes(data)
}
