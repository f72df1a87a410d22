package derive

import (
	"errors"
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// ErrSignature is wrapped by RecoveryID where the signature does not verify.
var ErrSignature = errors.New("signature does not verify")

// VerifyECDSA reports whether rs (r ‖ s, 64 bytes, big-endian) is an ECDSA signature of a 32-byte digest under a
// compressed secp256k1 public key (33 bytes). It demands the low form of s (BIP 146, EIP-2), so that nobody can turn
// one valid signature into another. Input of any other length or form is not valid.
func VerifyECDSA(pub33, digest, rs []byte) bool {
	pub, err := parsePublicKey(pub33)
	if err != nil || len(digest) != 32 {
		return false
	}
	r, s, ok := parseSignature(rs)
	if !ok {
		return false
	}
	return ecdsa.NewSignature(&r, &s).Verify(digest, pub)
}

// RecoveryID finds the recovery id of a signature: 0 or 1 for the parity of the nonce point's y, plus 2 where its x
// was reduced modulo the group order (probability below 2^-127). Arguments are those of VerifyECDSA. A signature that
// does not verify under the key is an error that wraps ErrSignature.
func RecoveryID(pub33, digest, rs []byte) (byte, error) {
	if !VerifyECDSA(pub33, digest, rs) {
		return 0, fmt.Errorf("recovery id: %w under the given key and digest", ErrSignature)
	}
	// decred's compact form is 27 + id + 4 (compressed) ‖ r ‖ s. A signature has up to four candidate keys; the right
	// id is the one that gives the key back.
	var compact [65]byte
	copy(compact[1:], rs)
	for id := byte(0); id < 4; id++ {
		compact[0] = 27 + 4 + id
		pub, _, err := ecdsa.RecoverCompact(compact[:], digest)
		if err == nil && string(pub.SerializeCompressed()) == string(pub33) {
			return id, nil
		}
	}
	return 0, fmt.Errorf("recovery id: %w: no candidate gives the key back", ErrSignature)
}

// parseSignature reads r and s, both in 1..n-1, with s in its low half.
func parseSignature(rs []byte) (r, s secp256k1.ModNScalar, ok bool) {
	if len(rs) != 64 {
		return r, s, false
	}
	overR, overS := r.SetByteSlice(rs[:32]), s.SetByteSlice(rs[32:])
	ok = !overR && !overS && !r.IsZero() && !s.IsZero() && !s.IsOverHalfOrder()
	return r, s, ok
}
