package wire

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
)

// SigningBytes returns the bytes that a key of this project signs, or that are hashed into a name, for one purpose:
// "countersign/" purpose "/v1" NUL, then each field as its length (uint32, big-endian) and its bytes. The purpose fixes
// how many fields there are and in which order, so no two meanings share bytes. A nil field equals an empty one.
//
// A purpose is a constant of the calling package: lower-case letters, digits, '-' and '/'. Anything else, and a field of
// 4 GiB or more, is a bug of the caller and panics.
func SigningBytes(purpose string, fields ...[]byte) []byte {
	if !validPurpose(purpose) {
		panic(fmt.Sprintf("wire: purpose %q: want lower-case letters, digits, '-' and '/'", purpose))
	}
	size := len("countersign/") + len(purpose) + len("/v1\x00")
	for _, f := range fields {
		if uint64(len(f)) > math.MaxUint32 {
			panic("wire: a field of 4 GiB or more cannot be signed")
		}
		size += 4 + len(f)
	}
	out := make([]byte, 0, size)
	out = append(out, "countersign/"...)
	out = append(out, purpose...)
	out = append(out, "/v1\x00"...)
	for _, f := range fields {
		out = binary.BigEndian.AppendUint32(out, uint32(len(f)))
		out = append(out, f...)
	}
	return out
}

func validPurpose(purpose string) bool {
	return purpose != "" && strings.Trim(purpose, "abcdefghijklmnopqrstuvwxyz0123456789-/") == ""
}

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
