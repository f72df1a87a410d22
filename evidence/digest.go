package evidence

import (
	"errors"
)

// Bounds on what is decoded; everything beyond is refused before it is looked at.
const (
	// MaxRawTx is the length of a signing payload in bytes; go-ethereum's pool takes no larger transaction.
	MaxRawTx = 128 << 10
	// MaxMessage is the length of a message in bytes, be it text, typed data or what Ed25519 signs.
	MaxMessage = 256 << 10
)

// The values of Request that mean something here; see WIRE.md's request.
const (
	RequestSign        = "sign"
	RequestBIP340      = "bip340-schnorr-sign"
	RequestTaproot     = "taproot-sign"
	Secp256k1          = "ecdsa-secp256k1"
	Ed25519            = "eddsa-ed25519"
	SignTypeOrdinary   = "1"
	SignTypeEthMessage = "2"
	SignTypeRaw        = "3"
)

// ErrDigestMismatch is wrapped where a request brings both a digest and what it should be the digest of, and the two
// do not belong together.
var ErrDigestMismatch = errors.New("digest does not belong to the transaction")

// Request is what a signing request asks for, as it came.
type Request struct {
	RequestType  string // RequestSign, RequestBIP340 or RequestTaproot
	Cryptography string // Secp256k1 or Ed25519
	SignType     string // SignTypeOrdinary, SignTypeEthMessage or SignTypeRaw
	// Message is hex for types 1 and 3, the text or typed-data JSON itself for type 2. For type 1 with RawTx it may be
	// empty; if it is not, it must be the digest.
	Message string
	// RawTx is tx_info.rawTx.
	RawTx string
	// HasTxInfo says whether the request came with a tx_info.
	HasTxInfo bool
}

// Payload is what the protocol is to sign.
type Payload struct {
	// Kind says how Digest came about. KindRaw is raw signing, which a request of type 1 becomes when it brings only a
	// digest: the caller must then ask its callback with sign_type 3.
	Kind Kind
	// Digest is the 32 bytes to sign for secp256k1, the whole message for Ed25519.
	Digest []byte
	// Computed is true if Digest was hashed here from the request's content. Only then may a presignature be used.
	Computed bool
}
