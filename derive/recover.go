package derive

import (
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// RecoverECDSA gives the compressed public key (33 bytes) under which rs (r ‖ s, 64 bytes, big-endian, s low) is the
// signature of a 32-byte digest with a recovery id of 0 to 3 (SEC 1, section 4.1.6; see RecoveryID). A signature that
// gives no key is an error that wraps ErrSignature.
//
// Every valid r gives some key: what is recovered says who signed only where it is compared with a key or an address
// that is known from elsewhere.
func RecoverECDSA(digest, rs []byte, id byte) ([]byte, error) {
	if _, _, ok := parseSignature(rs); !ok || len(digest) != 32 || id > 3 {
		return nil, fmt.Errorf("recover public key: %w: it is not of its form", ErrSignature)
	}
	compact := append([]byte{27 + 4 + id}, rs...)
	pub, _, err := ecdsa.RecoverCompact(compact, digest)
	if err != nil {
		return nil, fmt.Errorf("recover public key: %w: %v", ErrSignature, err)
	}
	return pub.SerializeCompressed(), nil
}
