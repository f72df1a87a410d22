package group

import (
	"crypto/rand"
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

const (
	secpScalarLength  = 32
	secpElementLength = 33
)

// Secp256k1 is the group of the curve secp256k1 (SEC 2, 2.4.1).
type Secp256k1 struct{}

// SecpScalar is a scalar of Secp256k1.
type SecpScalar struct{ n secp256k1.ModNScalar }

// SecpElement is an element of Secp256k1, in affine coordinates; both coordinates are 0 for the identity.
type SecpElement struct{ p secp256k1.JacobianPoint }

var _ Group[*SecpScalar, *SecpElement] = Secp256k1{}

// Scalar implements Group.
func (Secp256k1) Scalar(encoded []byte) (*SecpScalar, error) {
	s := &SecpScalar{}
	if len(encoded) != secpScalarLength || s.n.SetByteSlice(encoded) {
		s.Wipe()
		return nil, fmt.Errorf("%w secp256k1: it has %d bytes and is below the order", ErrScalar, secpScalarLength)
	}
	return s, nil
}

// Reduce returns a hash, read as a big-endian number, modulo the order.
func (Secp256k1) Reduce(hash [32]byte) *SecpScalar {
	s := &SecpScalar{}
	s.n.SetBytes(&hash)
	return s
}

// Element implements Group.
func (Secp256k1) Element(encoded []byte) (*SecpElement, error) {
	if len(encoded) != secpElementLength {
		return nil, fmt.Errorf("%w secp256k1: %d bytes, a compressed point has %d", ErrElement, len(encoded), secpElementLength)
	}
	key, err := secp256k1.ParsePubKey(encoded)
	if err != nil {
		return nil, fmt.Errorf("%w secp256k1: %v", ErrElement, err)
	}
	e := &SecpElement{}
	key.AsJacobian(&e.p)
	return e, nil
}

// ElementOrIdentity is Element, but takes 33 zero bytes for the identity (BIP 445, cpoint_ext).
func (g Secp256k1) ElementOrIdentity(encoded []byte) (*SecpElement, error) {
	if len(encoded) == secpElementLength && [secpElementLength]byte(encoded) == [secpElementLength]byte{} {
		return g.Identity(), nil
	}
	return g.Element(encoded)
}

// Integer implements Group.
func (Secp256k1) Integer(n uint32) *SecpScalar {
	s := &SecpScalar{}
	s.n.SetInt(n)
	return s
}

// Identity implements Group.
func (Secp256k1) Identity() *SecpElement { return affine(secp256k1.JacobianPoint{}) }

// Base implements Group. The library multiplies in variable time only, so a secret scalar is split into the difference
// of two random ones, each of which takes a time that tells nothing of the secret by itself. This blurs what a stopwatch
// sees; it is not constant time.
func (g Secp256k1) Base(s *SecpScalar) *SecpElement {
	var noise [secpScalarLength]byte
	_, _ = rand.Read(noise[:]) // never fails (crypto/rand)
	mask := g.Reduce(noise)
	unmask, masked := mask.Negate(), s.Add(mask)
	defer mask.Wipe()
	defer unmask.Wipe()
	defer masked.Wipe()
	var a, b, sum secp256k1.JacobianPoint
	secp256k1.ScalarBaseMultNonConst(&masked.n, &a)
	secp256k1.ScalarBaseMultNonConst(&unmask.n, &b)
	secp256k1.AddNonConst(&a, &b, &sum)
	return affine(sum)
}

// Add implements Scalar.
func (s *SecpScalar) Add(t *SecpScalar) *SecpScalar {
	sum := &SecpScalar{}
	sum.n.Add2(&s.n, &t.n)
	return sum
}

// Mul implements Scalar.
func (s *SecpScalar) Mul(t *SecpScalar) *SecpScalar {
	product := &SecpScalar{}
	product.n.Mul2(&s.n, &t.n)
	return product
}

// Negate implements Scalar.
func (s *SecpScalar) Negate() *SecpScalar {
	negated := &SecpScalar{}
	negated.n.NegateVal(&s.n)
	return negated
}

// Invert implements Scalar. It runs in variable time.
func (s *SecpScalar) Invert() *SecpScalar {
	inverse := &SecpScalar{}
	inverse.n.InverseValNonConst(&s.n)
	return inverse
}

// IsZero implements Scalar.
func (s *SecpScalar) IsZero() bool { return s.n.IsZero() }

// Bytes implements Scalar.
func (s *SecpScalar) Bytes() []byte {
	encoded := s.n.Bytes()
	return encoded[:]
}

// Wipe implements Scalar.
func (s *SecpScalar) Wipe() { s.n.Zero() }

// affine wraps a point, whose Z may be anything.
func affine(p secp256k1.JacobianPoint) *SecpElement {
	if (p.X.IsZero() && p.Y.IsZero()) || p.Z.IsZero() {
		p = secp256k1.JacobianPoint{}
	}
	p.ToAffine()
	return &SecpElement{p}
}

// Add implements Element.
func (e *SecpElement) Add(f *SecpElement) *SecpElement {
	var sum secp256k1.JacobianPoint
	secp256k1.AddNonConst(&e.p, &f.p, &sum)
	return affine(sum)
}

// Negate implements Element.
func (e *SecpElement) Negate() *SecpElement {
	negated := &SecpElement{e.p}
	negated.p.Y.Negate(1).Normalize()
	return negated
}

// Mul implements Element. It runs in variable time.
func (e *SecpElement) Mul(s *SecpScalar) *SecpElement {
	var product secp256k1.JacobianPoint
	secp256k1.ScalarMultNonConst(&s.n, &e.p, &product)
	return affine(product)
}

// Equal implements Element.
func (e *SecpElement) Equal(f *SecpElement) bool { return e.p.X.Equals(&f.p.X) && e.p.Y.Equals(&f.p.Y) }

// IsIdentity implements Element.
func (e *SecpElement) IsIdentity() bool { return e.p.X.IsZero() && e.p.Y.IsZero() }

// Bytes implements Element.
func (e *SecpElement) Bytes() []byte {
	if e.IsIdentity() {
		return make([]byte, secpElementLength)
	}
	return secp256k1.NewPublicKey(&e.p.X, &e.p.Y).SerializeCompressed()
}

// XBytes returns the x coordinate, 32 bytes (BIP340, bytes(P)); zeroes for the identity.
func (e *SecpElement) XBytes() []byte { return e.Bytes()[1:] }

// HasEvenY reports whether the y coordinate is even (BIP340, has_even_y).
func (e *SecpElement) HasEvenY() bool { return !e.p.Y.IsOdd() }
