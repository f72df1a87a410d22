// Package bip445 is what BIP 445 (draft, "FROST Signing Protocol for BIP340 Signatures") asks of a FROST signer beyond
// package schnorr: nonce generation and aggregation, key tweaks (BIP32 and BIP341), binding factor and challenge. Names
// follow the BIP where they can.
//
// Deterministic signing is not built. Participant identifiers count from 0: the identifier of the share at x is x-1.
// Functions are safe for concurrent use.
package bip445

import (
	"crypto/sha256"
	"fmt"

	"github.com/countersign-mpc/countersign/signing/frost/internal/group"
	"github.com/countersign-mpc/countersign/signing/frost/internal/schnorr"
)

// curve is the group of all functions here.
var curve group.Secp256k1

// The types of package schnorr over secp256k1.
type (
	Scalar     = group.SecpScalar
	Element    = group.SecpElement
	Nonce      = schnorr.Nonce[*Scalar]
	Commitment = schnorr.Commitment[*Scalar, *Element]
	Values     = schnorr.Values[*Scalar, *Element]
)

// Fault is a contribution to a signature that is invalid.
type Fault struct {
	Signer       int // who sent it, by its place in the list that was given; -1 for the aggregate of all
	Contribution string
	Err          error
}

// Error says whose contribution is invalid and why.
func (f *Fault) Error() string {
	if f.Signer < 0 {
		return fmt.Sprintf("the %s is invalid: %v", f.Contribution, f.Err)
	}
	return fmt.Sprintf("the %s of signer %d in the list is invalid: %v", f.Contribution, f.Signer, f.Err)
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// ParsePublicNonce decodes a public nonce, 66 bytes (BIP 445, NonceAgg).
func ParsePublicNonce(encoded []byte) (Commitment, error) {
	if len(encoded) != NonceLength {
		return Commitment{}, fmt.Errorf("%d bytes: a public nonce has %d", len(encoded), NonceLength)
	}
	return schnorr.ParseCommitment(curve, encoded)
}

// taggedHash is hash_tag(data) of BIP340.
func taggedHash(tag string, data ...[]byte) (sum [32]byte) {
	prefix := sha256.Sum256([]byte(tag))
	h := sha256.New()
	h.Write(prefix[:])
	h.Write(prefix[:])
	for _, d := range data {
		h.Write(d)
	}
	h.Sum(sum[:0])
	return sum
}
