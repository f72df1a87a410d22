package signing

// scalarLength is the length of a secret scalar of both curves, in bytes.
const scalarLength = 32

// group is what the checks of a share need of its curve. All points are encoded; all but those of public are public, so
// that variable time does no harm.
type group interface {
	// pointLength is the length of an encoded point, in bytes.
	pointLength() int
	// check refuses what is not the one encoding of a point of the group of prime order, and the identity.
	check(point []byte) error
	// public returns the point of a secret scalar; its error shows nothing of the secret.
	public(secret []byte) ([]byte, error)
	// interpolate evaluates at x the polynomial in the exponent through the points of base, which were checked. The
	// identity becomes bytes that equal no checked point.
	interpolate(points map[PartyID][]byte, base []PartyID, x PartyID) []byte
}

// groupOf returns the group of an algorithm, nil if the algorithm is not known.
func groupOf(a Algorithm) group {
	switch a {
	case AlgorithmECDSA:
		return secp256k1Group{}
	case AlgorithmEd25519:
		return ed25519Group{}
	}
	return nil
}
