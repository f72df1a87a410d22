package derive

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// ErrInvalidChild is wrapped by Secp256k1Child and Ed25519Child where an index has no key (probability below 2^-127 a
// level): the caller takes the next index.
var ErrInvalidChild = errors.New("no key exists at this index")

// Derived is a child of a root public key.
type Derived struct {
	// PublicKey is the child's key: a compressed point (SEC 1, 33 bytes) for secp256k1, an encoded point (RFC 8032, 32
	// bytes) for Ed25519.
	PublicKey []byte
	// ChainCode is the child's chain code.
	ChainCode [32]byte
	// Tweak is the sum, modulo the group order, of the scalars of all levels: big-endian for secp256k1, little-endian
	// for Ed25519. The child's private scalar is the root's plus Tweak, so a threshold signer adds it to the key that
	// its shares stand for. It is zero for the root. It is not secret to anyone who has the root public key and its
	// chain code.
	Tweak [32]byte
}

// The kinds of keys, by their names in requests (wire has the same; signing, which imports this package, must not reach
// what wire imports).
const (
	CryptographySecp256k1 = "ecdsa-secp256k1"
	CryptographyEd25519   = "eddsa-ed25519"
)

// Child derives the child of a root public key along a path: Secp256k1Child or Ed25519Child, by the key's cryptography
// (CryptographySecp256k1 or CryptographyEd25519; any other is an error).
func Child(cryptography string, root, chainCode []byte, p Path) (Derived, error) {
	switch cryptography {
	case CryptographySecp256k1:
		return Secp256k1Child(root, chainCode, p)
	case CryptographyEd25519:
		return Ed25519Child(root, chainCode, p)
	default:
		return Derived{}, fmt.Errorf("derive %s: %w", p, unknownCryptography(cryptography))
	}
}

func unknownCryptography(name string) error {
	return fmt.Errorf("cryptography %s is unknown: it is %s or %s", quote(name), CryptographySecp256k1, CryptographyEd25519)
}

// Secp256k1Child derives the child of a root public key (33 bytes, compressed) and its chain code (32 bytes) along a
// path, by CKDpub of BIP32 at every level. The root path gives the root itself, with a zero tweak.
func Secp256k1Child(root, chainCode []byte, p Path) (Derived, error) {
	var d Derived
	pub, err := parsePublicKey(root)
	if err != nil {
		return d, fmt.Errorf("derive %s: root: %w", p, err)
	}
	if err := checkPlace(chainCode, p); err != nil {
		return d, err
	}
	var point secp256k1.JacobianPoint
	pub.AsJacobian(&point)
	n := node{point: point}
	copy(n.key[:], root)
	copy(n.chainCode[:], chainCode)
	for i, index := range p {
		if err := n.step(index); err != nil {
			return Derived{}, fmt.Errorf("derive %s: level %d: %w", p, i+1, err)
		}
	}
	return Derived{PublicKey: n.key[:], ChainCode: n.chainCode, Tweak: n.tweak.Bytes()}, nil
}

// checkPlace checks what both curves need beside a key.
func checkPlace(chainCode []byte, p Path) error {
	if len(p) > MaxDepth {
		return fmt.Errorf("derive: path of %d levels: at most %d are allowed", len(p), MaxDepth)
	}
	if len(chainCode) != 32 {
		return fmt.Errorf("derive %s: chain code of %d bytes: it has 32", p, len(chainCode))
	}
	return nil
}

// node is a place in the tree: an affine point, its encoding, the chain code, and the sum of the scalars on the way.
type node struct {
	point     secp256k1.JacobianPoint
	key       [33]byte
	chainCode [32]byte
	tweak     secp256k1.ModNScalar
}

// step is CKDpub((K, c), index) of BIP32.
func (n *node) step(index uint32) error {
	if index >= HardenedStart {
		return hardened(fmt.Sprint(index))
	}
	mac := hmac.New(sha512.New, n.chainCode[:])
	mac.Write(n.key[:])
	mac.Write(binary.BigEndian.AppendUint32(nil, index))
	sum := mac.Sum(nil)

	var scalar secp256k1.ModNScalar
	if overflow := scalar.SetByteSlice(sum[:32]); overflow {
		return fmt.Errorf("%w: take the next one", ErrInvalidChild)
	}
	var offset, child secp256k1.JacobianPoint
	secp256k1.ScalarBaseMultNonConst(&scalar, &offset)
	secp256k1.AddNonConst(&offset, &n.point, &child)
	if child.Z.Normalize().IsZero() || (child.X.IsZero() && child.Y.IsZero()) {
		return fmt.Errorf("%w: take the next one", ErrInvalidChild)
	}
	child.ToAffine()
	n.point = child
	copy(n.key[:], secp256k1.NewPublicKey(&child.X, &child.Y).SerializeCompressed())
	copy(n.chainCode[:], sum[32:])
	n.tweak.Add(&scalar)
	return nil
}

// parsePublicKey reads a compressed point (SEC 1); it takes no other encoding.
func parsePublicKey(compressed []byte) (*secp256k1.PublicKey, error) {
	if len(compressed) != secp256k1.PubKeyBytesLenCompressed {
		return nil, fmt.Errorf("public key of %d bytes: it must be the 33 bytes of a compressed secp256k1 point", len(compressed))
	}
	pub, err := secp256k1.ParsePubKey(compressed)
	if err != nil {
		return nil, fmt.Errorf("public key is no compressed secp256k1 point: %v", err)
	}
	return pub, nil
}
