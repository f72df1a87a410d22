package derive

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"

	"filippo.io/edwards25519"
)

// ed25519ChildLabel labels the hash of Ed25519Child; with the fields after it it has the form of wire.SigningBytes.
const ed25519ChildLabel = "countersign/ed25519-child/v1\x00"

// Ed25519Child derives the child of a root public key (32 bytes, RFC 8032) and its chain code (32 bytes) along a path. It
// is BIP32's public derivation carried over to Ed25519, this project's own (docs/FORMATS.md "derive"): at each level
//
//	I = HMAC-SHA512(chain code, label ‖ parent key ‖ index), child key = parent key + (IL mod L)·B, child chain code = IR
//
// The root path gives the root itself, with a zero tweak. The root must be a canonical point of the prime-order group.
func Ed25519Child(root, chainCode []byte, p Path) (Derived, error) {
	point, err := parseEd25519(root)
	if err != nil {
		return Derived{}, fmt.Errorf("derive %s: root: %w", p, err)
	}
	if err := checkPlace(chainCode, p); err != nil {
		return Derived{}, err
	}
	d := Derived{PublicKey: bytes.Clone(root), ChainCode: [32]byte(chainCode)}
	tweak := edwards25519.NewScalar()
	for i, index := range p {
		if index >= HardenedStart {
			return Derived{}, fmt.Errorf("derive %s: level %d: %w", p, i+1, hardened(fmt.Sprint(index)))
		}
		scalar, chain := ed25519Step(d, index)
		tweak.Add(tweak, scalar)
		point.Add(point, new(edwards25519.Point).ScalarBaseMult(scalar))
		if point.Equal(edwards25519.NewIdentityPoint()) == 1 {
			return Derived{}, fmt.Errorf("derive %s: level %d: %w: take the next one", p, i+1, ErrInvalidChild)
		}
		d.PublicKey, d.ChainCode = point.Bytes(), chain
	}
	copy(d.Tweak[:], tweak.Bytes())
	return d, nil
}

// ed25519Step gives the scalar and the chain code of one level.
func ed25519Step(parent Derived, index uint32) (*edwards25519.Scalar, [32]byte) {
	mac := hmac.New(sha512.New, parent.ChainCode[:])
	mac.Write([]byte(ed25519ChildLabel))
	mac.Write(append([]byte{0, 0, 0, ed25519.PublicKeySize}, parent.PublicKey...))
	mac.Write(binary.BigEndian.AppendUint32([]byte{0, 0, 0, 4}, index))
	sum := mac.Sum(nil)
	var wide [64]byte // IL as a little-endian number
	copy(wide[:], sum[:32])
	scalar, err := edwards25519.NewScalar().SetUniformBytes(wide[:])
	if err != nil {
		panic(err) // only a length other than 64 is an error
	}
	return scalar, [32]byte(sum[32:])
}

// parseEd25519 reads a public key: a canonical encoding (RFC 8032, 5.1.3) of a point of the prime-order group other than
// the identity. So keys of small order, for which a signature says nothing, are refused, and so is a key that has a
// second encoding or that differs from another by a point of small order only.
func parseEd25519(key []byte) (*edwards25519.Point, error) {
	if len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("public key of %d bytes: it must be the 32 bytes of an Ed25519 point", len(key))
	}
	point, err := new(edwards25519.Point).SetBytes(key)
	if err != nil {
		return nil, fmt.Errorf("public key is no Ed25519 point: %v", err)
	}
	if !bytes.Equal(point.Bytes(), key) {
		return nil, errors.New("public key is no canonical encoding of an Ed25519 point")
	}
	identity := edwards25519.NewIdentityPoint()
	if point.Equal(identity) == 1 {
		return nil, errors.New("public key is the identity, for which anybody can sign")
	}
	if multipleOfOrder(point).Equal(identity) != 1 {
		return nil, errors.New("public key is outside Ed25519's prime-order group")
	}
	return point, nil
}

// multipleOfOrder is L·p, computed as (L-1)·p + p because scalars are reduced modulo L.
func multipleOfOrder(p *edwards25519.Point) *edwards25519.Point {
	var one [32]byte
	one[0] = 1
	last, err := edwards25519.NewScalar().SetCanonicalBytes(one[:])
	if err != nil {
		panic(err) // one is canonical
	}
	last.Negate(last)
	product := new(edwards25519.Point).ScalarMult(last, p)
	return product.Add(product, p)
}

// VerifyEd25519 reports whether signature (R ‖ s, 64 bytes) is an Ed25519 signature of message under a public key (32
// bytes), by RFC 8032 5.1.7 as crypto/ed25519 has it: s is canonical and R exactly what the equation gives. The key must
// be canonical and of the prime-order group.
func VerifyEd25519(publicKey, message, signature []byte) bool {
	if _, err := parseEd25519(publicKey); err != nil || len(signature) != ed25519.SignatureSize {
		return false
	}
	return ed25519.Verify(publicKey, message, signature)
}
