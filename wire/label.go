package wire

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/countersign-mpc/countersign/wire/label"
)

// SigningBytes returns the bytes that a key of this project signs, or that are hashed into a name, for one purpose: it
// is label.Bytes.
func SigningBytes(purpose string, fields ...[]byte) []byte { return label.Bytes(purpose, fields...) }

// SignP256 signs SHA-256 of msg and returns the ASN.1 DER signature (at most 72 bytes). It is deterministic (RFC 6979):
// the same key and message give the same bytes, so a reply can be given again and a recorded one replayed.
func SignP256(key *ecdsa.PrivateKey, msg []byte) ([]byte, error) {
	if key == nil || key.Curve != elliptic.P256() {
		return nil, errors.New("sign: the key is not a P-256 private key")
	}
	digest := sha256.Sum256(msg)
	der, err := key.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return der, nil
}

// VerifyP256 reports whether der is an ASN.1 DER signature of SHA-256 of msg under pub. A nil key, a key on another curve
// and a malformed signature are false. Both s and n-s verify, so a signature does not name a message: its hash does.
func VerifyP256(pub *ecdsa.PublicKey, msg, der []byte) bool {
	if pub == nil || pub.Curve != elliptic.P256() {
		return false
	}
	digest := sha256.Sum256(msg)
	return ecdsa.VerifyASN1(pub, digest[:], der)
}
