package group

import (
	"bytes"
	"fmt"

	"filippo.io/edwards25519"
)

const edwardsLength = 32 // of scalars and of elements

// Edwards25519 is the prime-order subgroup of edwards25519 (RFC 8032, 5.1). All its arithmetic runs in constant time
// save Invert and Mul, of which nothing more is promised than of any group's.
type Edwards25519 struct{}

// EdwardsScalar is a scalar of Edwards25519.
type EdwardsScalar struct{ n edwards25519.Scalar }

// EdwardsElement is an element of Edwards25519.
type EdwardsElement struct{ p edwards25519.Point }

var _ Group[*EdwardsScalar, *EdwardsElement] = Edwards25519{}

// Scalar implements Group.
func (Edwards25519) Scalar(encoded []byte) (*EdwardsScalar, error) {
	s := &EdwardsScalar{}
	if _, err := s.n.SetCanonicalBytes(encoded); err != nil {
		return nil, fmt.Errorf("%w edwards25519: it has %d bytes and is below the order", ErrScalar, edwardsLength)
	}
	return s, nil
}

// Reduce returns a hash, read as a little-endian number, modulo the order.
func (Edwards25519) Reduce(hash [64]byte) *EdwardsScalar {
	s := &EdwardsScalar{}
	if _, err := s.n.SetUniformBytes(hash[:]); err != nil {
		panic("64 bytes are no uniform scalar: " + err.Error()) // not reached: the length is right
	}
	return s
}

// Element implements Group. The library decodes points of any order and more than one encoding of some; both are
// refused here (RFC 9591, 6.1, DeserializeElement). No point of prime order has a second encoding: that check is there
// for a clear error.
func (g Edwards25519) Element(encoded []byte) (*EdwardsElement, error) {
	e := &EdwardsElement{}
	if _, err := e.p.SetBytes(encoded); err != nil {
		return nil, fmt.Errorf("%w edwards25519: not a point of %d bytes", ErrElement, edwardsLength)
	}
	switch {
	case !bytes.Equal(e.Bytes(), encoded):
		return nil, fmt.Errorf("%w edwards25519: a second encoding of a point", ErrElement)
	case e.IsIdentity():
		return nil, fmt.Errorf("%w edwards25519: the identity", ErrElement)
	}
	// The order times e must be the identity; the scalar order-1 is the largest there is.
	if !e.Mul(g.Integer(1).Negate()).Add(e).IsIdentity() {
		return nil, fmt.Errorf("%w edwards25519: a point outside the prime-order subgroup", ErrElement)
	}
	return e, nil
}

// Integer implements Group.
func (Edwards25519) Integer(n uint32) *EdwardsScalar {
	encoded := [edwardsLength]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}
	s := &EdwardsScalar{}
	if _, err := s.n.SetCanonicalBytes(encoded[:]); err != nil {
		panic("a number below 2^32 is no scalar: " + err.Error()) // not reached: the order is above 2^252
	}
	return s
}

// Identity implements Group.
func (Edwards25519) Identity() *EdwardsElement {
	return &EdwardsElement{*edwards25519.NewIdentityPoint()}
}

// Base implements Group. It runs in constant time.
func (Edwards25519) Base(s *EdwardsScalar) *EdwardsElement {
	e := &EdwardsElement{}
	e.p.ScalarBaseMult(&s.n)
	return e
}

// Add implements Scalar.
func (s *EdwardsScalar) Add(t *EdwardsScalar) *EdwardsScalar {
	sum := &EdwardsScalar{}
	sum.n.Add(&s.n, &t.n)
	return sum
}

// Mul implements Scalar.
func (s *EdwardsScalar) Mul(t *EdwardsScalar) *EdwardsScalar {
	product := &EdwardsScalar{}
	product.n.Multiply(&s.n, &t.n)
	return product
}

// Negate implements Scalar.
func (s *EdwardsScalar) Negate() *EdwardsScalar {
	negated := &EdwardsScalar{}
	negated.n.Negate(&s.n)
	return negated
}

// Invert implements Scalar.
func (s *EdwardsScalar) Invert() *EdwardsScalar {
	inverse := &EdwardsScalar{}
	inverse.n.Invert(&s.n)
	return inverse
}

// IsZero implements Scalar.
func (s *EdwardsScalar) IsZero() bool { return s.n.Equal(edwards25519.NewScalar()) == 1 }

// Bytes implements Scalar.
func (s *EdwardsScalar) Bytes() []byte { return s.n.Bytes() }

// Wipe implements Scalar.
func (s *EdwardsScalar) Wipe() { s.n.Set(edwards25519.NewScalar()) }

// Add implements Element.
func (e *EdwardsElement) Add(f *EdwardsElement) *EdwardsElement {
	sum := &EdwardsElement{}
	sum.p.Add(&e.p, &f.p)
	return sum
}

// Negate implements Element.
func (e *EdwardsElement) Negate() *EdwardsElement {
	negated := &EdwardsElement{}
	negated.p.Negate(&e.p)
	return negated
}

// Mul implements Element.
func (e *EdwardsElement) Mul(s *EdwardsScalar) *EdwardsElement {
	product := &EdwardsElement{}
	product.p.ScalarMult(&s.n, &e.p)
	return product
}

// Equal implements Element.
func (e *EdwardsElement) Equal(f *EdwardsElement) bool { return e.p.Equal(&f.p) == 1 }

// IsIdentity implements Element.
func (e *EdwardsElement) IsIdentity() bool { return e.p.Equal(edwards25519.NewIdentityPoint()) == 1 }

// Bytes implements Element.
func (e *EdwardsElement) Bytes() []byte { return e.p.Bytes() }
