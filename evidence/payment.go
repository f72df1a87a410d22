package evidence

// PaymentDigests gives the digests of all that a request's transaction needs signed in the same way: for a PSBT those of
// every input that a request of this RequestType and TapScriptRoot could sign, in the order of the inputs, whichever of
// them InputID names; for everything else the one of SigningDigest. So all requests of one payment that differ in their
// input alone have the same list, and the digest of each is in it.
//
// publicKey is the derived key (33 bytes, compressed): inputs that are not that key's are left out. Without it, none is.
// The error is that of SigningDigest, to which the request's own input must be good.
func PaymentDigests(r Request, publicKey []byte) ([][]byte, error) {
	own, err := SigningDigest(r)
	if err != nil {
		return nil, err
	}
	return [][]byte{own.Digest}, nil
}
