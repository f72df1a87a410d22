package signing

import (
	"errors"
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// secp256k1Group has points of 33 bytes (SEC 1, compressed) and big-endian scalars.
type secp256k1Group struct{}

const secp256k1PointLength = 33

func (secp256k1Group) pointLength() int { return secp256k1PointLength }

func (secp256k1Group) check(point []byte) error {
	_, err := parseSecp256k1(point)
	return err
}

func (secp256k1Group) public(secret []byte) ([]byte, error) {
	var x secp256k1.ModNScalar
	defer x.Zero()
	if len(secret) != scalarLength || x.SetByteSlice(secret) || x.IsZero() {
		return nil, errors.New("the secret is no scalar of 1 to the group order less 1")
	}
	var p secp256k1.JacobianPoint
	secp256k1.ScalarBaseMultNonConst(&x, &p)
	return compress(&p), nil
}

func (secp256k1Group) interpolate(points map[PartyID][]byte, base []PartyID, x PartyID) []byte {
	var sum secp256k1.JacobianPoint
	for _, j := range base {
		p, err := parseSecp256k1(points[j])
		if err != nil {
			return make([]byte, secp256k1PointLength) // cannot be: they were checked
		}
		var term secp256k1.JacobianPoint
		coefficient := lagrangeSecp256k1(base, j, x)
		secp256k1.ScalarMultNonConst(&coefficient, p, &term)
		secp256k1.AddNonConst(&sum, &term, &sum)
	}
	return compress(&sum)
}

// lagrangeSecp256k1 is the coefficient of j at x over base: the product of (x - k)/(j - k) for all other k.
func lagrangeSecp256k1(base []PartyID, j, x PartyID) secp256k1.ModNScalar {
	difference := func(a, b PartyID) *secp256k1.ModNScalar {
		var m, n secp256k1.ModNScalar
		m.SetInt(uint32(a))
		n.SetInt(uint32(b))
		return m.Add(n.Negate())
	}
	var numerator, denominator secp256k1.ModNScalar
	numerator.SetInt(1)
	denominator.SetInt(1)
	for _, k := range base {
		if k != j {
			numerator.Mul(difference(x, k))
			denominator.Mul(difference(j, k))
		}
	}
	return *numerator.Mul(denominator.InverseNonConst())
}

func parseSecp256k1(data []byte) (*secp256k1.JacobianPoint, error) {
	if len(data) != secp256k1PointLength {
		return nil, fmt.Errorf("%d bytes: a compressed secp256k1 point has %d", len(data), secp256k1PointLength)
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
		return make([]byte, secp256k1PointLength)
	}
	p.ToAffine()
	return secp256k1.NewPublicKey(&p.X, &p.Y).SerializeCompressed()
}
