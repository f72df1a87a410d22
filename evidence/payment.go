package evidence

import (
	"fmt"
)

// PaymentDigests gives the digests of all that a request's transaction needs signed in the same way: for a PSBT those of
// every input that a request of this RequestType and TapScriptRoot could sign, in the order of the inputs, whichever of
// them InputID names; for everything else the one of SigningDigest. So all requests of one payment that differ in their
// input alone have the same list, and the digest of each is in it.
//
// publicKey is the derived key (33 bytes, compressed): inputs that are not that key's are left out. Without it, none is.
// An error means that the request must not be signed: it is SigningDigest's, or the request's own input is not that key's.
func PaymentDigests(r Request, publicKey []byte) ([][]byte, error) {
	if r.Memo == nil {
		r.Memo = &Memo{}
	}
	own, err := SigningDigest(r)
	if err != nil {
		return nil, err
	}
	if own.Kind != KindBitcoin {
		return [][]byte{own.Digest}, nil
	}
	tx, err := r.Memo.bitcoin(r.RawTx)
	if err != nil {
		return nil, fmt.Errorf("payment digests: %w", err)
	}
	root, err := parseRoot(r.TapScriptRoot)
	if err != nil {
		return nil, fmt.Errorf("payment digests: %w", err)
	}
	var digests [][]byte
	found := false
	for i := range tx.tx.TxIn {
		s, err := tx.spend(i, r.RequestType, root)
		if err != nil || (len(publicKey) > 0 && !s.signedBy(publicKey)) {
			continue
		}
		digests = append(digests, s.digest[:])
		found = found || string(s.digest[:]) == string(own.Digest)
	}
	if !found {
		return nil, fmt.Errorf("payment digests: input %q is not one that the derived key spends", excerpt(r.InputID))
	}
	return digests, nil
}
