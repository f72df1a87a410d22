// Package group is the arithmetic that FROST stands on: a group of prime order with its scalars, behind one abstraction
// for secp256k1 and for the prime-order subgroup of edwards25519, and Lagrange interpolation over both.
//
// It knows no protocol and no hash. Elements that are decoded are checked in full, so that no code above meets a point
// off the curve, of small order or in a second encoding. Scalar arithmetic runs in constant time save where a method
// says otherwise; whoever holds a secret scalar wipes it, and the copies that arithmetic makes of it, with Wipe. Go may
// have copied them elsewhere: wiping takes away what can be reached.
//
// Scalars and elements are not changed by the methods that return new ones, and then are safe for concurrent use.
package group

import (
	"errors"
	"fmt"
	"slices"
)

// ErrScalar is wrapped where bytes are not the encoding of a scalar.
var ErrScalar = errors.New("no canonical scalar of the group")

// ErrElement is wrapped where bytes are not the encoding of an element.
var ErrElement = errors.New("no canonical element of the group")

// Scalar is an integer modulo the group's order; S is the type itself.
type Scalar[S any] interface {
	Add(S) S
	Mul(S) S
	Negate() S
	// Invert returns the inverse; that of zero is zero. It may run in variable time: for public scalars only.
	Invert() S
	IsZero() bool
	// Bytes returns the canonical encoding: 32 bytes, big-endian for secp256k1, little-endian for edwards25519.
	Bytes() []byte
	// Wipe overwrites the scalar with zero.
	Wipe()
}

// Element is an element of the group; E is the type itself, S the type of the scalars.
type Element[E, S any] interface {
	Add(E) E
	Negate() E
	// Mul returns the element times a scalar. It may run in variable time: for public scalars only.
	Mul(S) E
	Equal(E) bool
	IsIdentity() bool
	// Bytes returns the canonical encoding: compressed by SEC 1 (33 bytes, the identity 33 zero bytes) for secp256k1,
	// by RFC 8032 (32 bytes) for edwards25519.
	Bytes() []byte
}

// Group is a group of prime order.
type Group[S Scalar[S], E Element[E, S]] interface {
	// Scalar decodes a scalar; only the canonical encoding is one. Errors wrap ErrScalar.
	Scalar(encoded []byte) (S, error)
	// Element decodes an element; only the canonical encoding is one, and the identity is none. Errors wrap ErrElement.
	Element(encoded []byte) (E, error)
	// Integer returns a small number as a scalar.
	Integer(n uint32) S
	// Identity returns the neutral element.
	Identity() E
	// Base returns the generator times a scalar, which may be secret.
	Base(S) E
}

// Lagrange returns the coefficient at 0 of the party at x among those at xs: the product of k/(k - x) over all other k
// in xs (RFC 9591, 4.2, derive_interpolating_value). All of it is public.
func Lagrange[S Scalar[S], E Element[E, S]](g Group[S, E], xs []uint32, x uint32) (S, error) {
	numerator, denominator := g.Integer(1), g.Integer(1)
	sorted := slices.Sorted(slices.Values(xs))
	if !slices.Contains(xs, x) || sorted[0] == 0 || len(slices.Compact(sorted)) != len(xs) {
		return numerator, fmt.Errorf("interpolate at %d of %v: the x coordinates must differ, not be 0 and hold that one", x, xs)
	}
	for _, k := range xs {
		if k != x {
			numerator = numerator.Mul(g.Integer(k))
			denominator = denominator.Mul(g.Integer(k).Add(g.Integer(x).Negate()))
		}
	}
	return numerator.Mul(denominator.Invert()), nil
}
