package derive

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// TaprootKey is a taproot output key (BIP341, "Constructing and spending Taproot outputs").
type TaprootKey struct {
	// OutputKey is the x coordinate of Q = P + Tweak·G, P being the internal key with an even y.
	OutputKey [32]byte
	// Odd says that Q itself has an odd y, which a control block of the script path states.
	Odd bool
	// Tweak is the scalar t, big-endian. It belongs to P: where the internal key's y is odd, its private key is negated
	// before t is added.
	Tweak [32]byte
}

// TaprootOutputKey computes the output key for an internal key, 33 bytes compressed or 32 bytes x-only, and the Merkle
// root of a script tree: 32 bytes, or empty for a key that has the key path only.
func TaprootOutputKey(publicKey, tapScriptRoot []byte) (TaprootKey, error) {
	x := publicKey
	if len(publicKey) == secp256k1.PubKeyBytesLenCompressed {
		x = publicKey[1:]
		if _, err := parsePublicKey(publicKey); err != nil {
			return TaprootKey{}, fmt.Errorf("taproot output key: %w", err)
		}
	}
	internal, err := liftX(x)
	if err != nil {
		return TaprootKey{}, fmt.Errorf("taproot output key: %w", err)
	}
	if len(tapScriptRoot) != 0 && len(tapScriptRoot) != 32 {
		return TaprootKey{}, fmt.Errorf("taproot output key: tapScriptRoot of %d bytes: it has 32, or none where there are no scripts",
			len(tapScriptRoot))
	}
	tweak := taggedHash("TapTweak", x, tapScriptRoot)
	var scalar secp256k1.ModNScalar
	if overflow := scalar.SetBytes(&tweak); overflow != 0 {
		return TaprootKey{}, errors.New("taproot output key: the tweak is over the group order: take another key or script tree")
	}
	var point, offset, output secp256k1.JacobianPoint
	internal.AsJacobian(&point)
	secp256k1.ScalarBaseMultNonConst(&scalar, &offset)
	secp256k1.AddNonConst(&point, &offset, &output)
	if isInfinity(&output) {
		return TaprootKey{}, errors.New("taproot output key: it would be the point at infinity: take another key or script tree")
	}
	output.ToAffine()
	return TaprootKey{OutputKey: *output.X.Bytes(), Odd: output.Y.IsOdd(), Tweak: tweak}, nil
}

// VerifyBIP340 reports whether signature (R.x ‖ s, 64 bytes) is a BIP340 signature of a message of any length under an
// x-only public key (32 bytes), by BIP340's "Verification". Input of any other length or form is not valid.
func VerifyBIP340(publicKey, message, signature []byte) bool {
	key, err := liftX(publicKey)
	if err != nil || len(signature) != 64 {
		return false
	}
	var r secp256k1.FieldVal
	var s, e secp256k1.ModNScalar
	if r.SetByteSlice(signature[:32]) || s.SetByteSlice(signature[32:]) {
		return false
	}
	challenge := taggedHash("BIP0340/challenge", signature[:32], publicKey, message)
	e.SetBytes(&challenge)
	e.Negate()
	var point, sg, ep, nonce secp256k1.JacobianPoint
	key.AsJacobian(&point)
	secp256k1.ScalarBaseMultNonConst(&s, &sg)
	secp256k1.ScalarMultNonConst(&e, &point, &ep)
	secp256k1.AddNonConst(&sg, &ep, &nonce)
	if isInfinity(&nonce) {
		return false
	}
	nonce.ToAffine()
	return !nonce.Y.IsOdd() && nonce.X.Equals(&r)
}

// liftX is lift_x of BIP340: the point with that x coordinate and an even y.
func liftX(x []byte) (*secp256k1.PublicKey, error) {
	if len(x) != 32 {
		return nil, fmt.Errorf("public key of %d bytes: it must be 33 (compressed) or 32 (x-only)", len(x))
	}
	pub, err := secp256k1.ParsePubKey(append([]byte{secp256k1.PubKeyFormatCompressedEven}, x...))
	if err != nil {
		return nil, fmt.Errorf("public key is no x coordinate on secp256k1: %v", err)
	}
	return pub, nil
}

func isInfinity(p *secp256k1.JacobianPoint) bool {
	return p.Z.Normalize().IsZero() || (p.X.Normalize().IsZero() && p.Y.Normalize().IsZero())
}

// taggedHash is hash_tag of BIP340.
func taggedHash(tag string, parts ...[]byte) [32]byte {
	prefix := sha256.Sum256([]byte(tag))
	h := sha256.New()
	h.Write(prefix[:])
	h.Write(prefix[:])
	for _, part := range parts {
		h.Write(part)
	}
	return [32]byte(h.Sum(nil))
}
