package coordtest

import (
	"crypto/sha512"
	"math/big"
	"slices"
)

// The curve edwards25519 (RFC 8032, section 5.1): -x² + y² = 1 + d·x²·y² over the field of 2²⁵⁵ - 19 elements.
var (
	edwardsPrime = number("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed")
	edwardsOrder = number("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed")
	edwardsD     = number("52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3")
	edwardsBase  = edwardsPoint{
		number("216936d3cd6e53fec0a4e231fdd6dc5c692cc7609525a7b2c9562d608f25d51a"),
		number("6666666666666666666666666666666666666666666666666666666666666658"),
	}
)

// edwardsPoint is an affine point.
type edwardsPoint struct{ x, y *big.Int }

func (p edwardsPoint) plus(q edwardsPoint) edwardsPoint {
	xy, yx := new(big.Int).Mul(p.x, q.y), new(big.Int).Mul(p.y, q.x)
	xx, yy := new(big.Int).Mul(p.x, q.x), new(big.Int).Mul(p.y, q.y)
	product := new(big.Int).Mul(xx, yy)
	product.Mul(product, edwardsD).Mod(product, edwardsPrime)
	return edwardsPoint{
		fraction(xy.Add(xy, yx), new(big.Int).Add(big.NewInt(1), product)),
		fraction(yy.Add(yy, xx), new(big.Int).Sub(big.NewInt(1), product)),
	}
}

func fraction(numerator, denominator *big.Int) *big.Int {
	inverse := new(big.Int).ModInverse(denominator.Mod(denominator, edwardsPrime), edwardsPrime)
	return inverse.Mul(inverse, numerator).Mod(inverse, edwardsPrime)
}

func (p edwardsPoint) times(k *big.Int) edwardsPoint {
	sum := edwardsPoint{big.NewInt(0), big.NewInt(1)}
	for i := k.BitLen() - 1; i >= 0; i-- {
		sum = sum.plus(sum)
		if k.Bit(i) == 1 {
			sum = sum.plus(p)
		}
	}
	return sum
}

// bytes is the point's encoding: y, little-endian, with the lowest bit of x on top.
func (p edwardsPoint) bytes() []byte {
	out := littleBytes(p.y)
	out[31] |= byte(p.x.Bit(0)) << 7
	return out
}

// eddsa signs by RFC 8032, section 5.1.6, from the scalar on, with a nonce that is derived in another way.
func eddsa(key *big.Int, message []byte) []byte {
	public := edwardsBase.times(key).bytes()
	nonce := edwardsScalar(key.Bytes(), message)
	out := edwardsBase.times(nonce).bytes()
	s := edwardsScalar(out, public, message)
	s.Mul(s, key).Add(s, nonce).Mod(s, edwardsOrder)
	return append(out, littleBytes(s)...)
}

// edwardsScalar is SHA-512 of the parts, modulo the group order.
func edwardsScalar(parts ...[]byte) *big.Int {
	h := sha512.New()
	for _, p := range parts {
		h.Write(p)
	}
	n := littleEndian(h.Sum(nil))
	return n.Mod(n, edwardsOrder)
}

func littleEndian(b []byte) *big.Int {
	b = slices.Clone(b)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

func littleBytes(n *big.Int) []byte {
	out := n.FillBytes(make([]byte, 32))
	slices.Reverse(out)
	return out
}
