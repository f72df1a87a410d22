package evidence

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/countersign-mpc/countersign/wire"
)

// Bounds on what is decoded; everything beyond is refused before it is looked at.
const (
	// MaxRawTx is the length of a signing payload in bytes; go-ethereum's pool takes no larger transaction.
	MaxRawTx = 128 << 10
	// MaxMessage is the length of a message in bytes, be it text, typed data or what Ed25519 signs.
	MaxMessage = 256 << 10
)

// ErrDigestMismatch is wrapped where a request brings both a digest and what it should be the digest of, and the two
// do not belong together.
var ErrDigestMismatch = errors.New("digest does not belong to the transaction")

// Request is what a signing request asks for, as it came. RequestType, Cryptography and SignType take wire's values.
type Request struct {
	RequestType  string
	Cryptography string
	SignType     string
	// Message is hex for types 1 and 3, the text or typed-data JSON itself for type 2. For type 1 with RawTx it may be
	// empty; if it is not, it must be the digest.
	Message string
	// RawTx is tx_info.rawTx: the hex signing payload of an EVM transaction, or a PSBT (version 0) in base64.
	RawTx string
	// InputID is tx_info.curInputId: the PSBT's input that is signed. It is matched against InputIDs, else taken as an
	// index in decimal; where both could be meant it is an error. Empty is the only input of a PSBT that has one.
	InputID string
	// InputIDs are the ids of tx_info.extraData.vinList in order, an empty string where an element has none.
	InputIDs []string
	// TapScriptRoot is tx_info.tapScriptRoot: the Merkle root of the script tree in hex, or empty.
	TapScriptRoot string
	// HasTxInfo says whether the request came with a tx_info.
	HasTxInfo bool
	// Memo is shared with the Claim of the same request, and with what else is asked about it; nil for none.
	Memo *Memo
}

// Payload is what the protocol is to sign.
type Payload struct {
	// Kind says how Digest came about. KindRaw is raw signing, which a request of type 1 becomes when it brings only a
	// digest: the caller must then ask its callback with sign_type 3.
	Kind Kind
	// Digest is the 32 bytes to sign for secp256k1, the whole message for Ed25519. It may be shared with Request.Memo, and must
	// not be changed.
	Digest []byte
	// Computed is true if Digest was hashed here from the request's content. Only then may a presignature be used.
	Computed bool
}

// SigningDigest computes what a node is to sign for a request, by the rules of DESIGN.md ("What is signed is computed
// by the node"). An error means that the request must not be signed; it wraps ErrDigestMismatch where a digest and a
// transaction contradict each other.
//
//   - Type 1 with RawTx: the digest of the EVM transaction, or of one input of the PSBT. Without: the digest as asked,
//     KindRaw if there is no tx_info.
//   - Type 2: EIP-712 or EIP-191, for wire.TypeSign with secp256k1 only.
//   - Type 3: the data itself, 32 bytes for secp256k1, up to MaxMessage for Ed25519.
//
// Of a PSBT, wire.TypeSign signs P2PKH, P2SH-P2WPKH, P2WPKH and P2WSH inputs (BIP143), wire.TypeTaprootSign the key path of
// a taproot output whose key is the PSBT's internal key tweaked with TapScriptRoot (BIP341), wire.TypeBIP340SchnorrSign the
// script path with the one leaf that the PSBT shows and proves (BIP342). Only sighash types DEFAULT and ALL are taken.
func SigningDigest(r Request) (Payload, error) {
	if err := r.validate(); err != nil {
		return Payload{}, fmt.Errorf("signing digest: %w", err)
	}
	var p Payload
	var err error
	switch r.SignType {
	case wire.SignTypeMessage:
		p, err = r.ethMessage()
	case wire.SignTypeRaw:
		p, err = r.data(KindRaw)
	default:
		p, err = r.ordinary()
	}
	if err != nil {
		return Payload{}, fmt.Errorf("signing digest: %w", err)
	}
	return p, nil
}

func (r *Request) validate() error {
	switch r.RequestType {
	case wire.TypeSign, wire.TypeBIP340SchnorrSign, wire.TypeTaprootSign:
	default:
		return fmt.Errorf("request_type %q signs nothing: use %s, %s or %s",
			excerpt(r.RequestType), wire.TypeSign, wire.TypeBIP340SchnorrSign, wire.TypeTaprootSign)
	}
	switch r.Cryptography {
	case wire.ECDSASecp256k1:
	case wire.EdDSAEd25519:
		if r.RequestType != wire.TypeSign {
			return fmt.Errorf("%s needs a %s key, this one is %s", r.RequestType, wire.ECDSASecp256k1, wire.EdDSAEd25519)
		}
	default:
		return fmt.Errorf("cryptography %q is unknown: it is %s or %s", excerpt(r.Cryptography), wire.ECDSASecp256k1, wire.EdDSAEd25519)
	}
	switch r.SignType {
	case wire.SignTypeTransaction, wire.SignTypeMessage, wire.SignTypeRaw:
	default:
		return fmt.Errorf("sign_type %q is unknown: it is 1 (transaction), 2 (EIP-191 or EIP-712) or 3 (raw data)",
			excerpt(r.SignType))
	}
	if r.RawTx != "" && r.SignType != wire.SignTypeTransaction {
		return fmt.Errorf("sign_type %s with a rawTx: a transaction is sign_type 1", r.SignType)
	}
	if r.TapScriptRoot != "" && r.RequestType == wire.TypeSign {
		return fmt.Errorf("tapScriptRoot with %s: it belongs to %s", wire.TypeSign, wire.TypeTaprootSign)
	}
	_, err := parseRoot(r.TapScriptRoot)
	return err
}

func (r *Request) ethMessage() (Payload, error) {
	if r.RequestType != wire.TypeSign || r.Cryptography != wire.ECDSASecp256k1 {
		return Payload{}, fmt.Errorf("sign_type 2 is for %s with %s only", wire.TypeSign, wire.ECDSASecp256k1)
	}
	decoded, digest, err := decodeMessage(r.Message)
	if err != nil {
		return Payload{}, err
	}
	return Payload{Kind: decoded.Kind, Digest: digest[:], Computed: true}, nil
}

func (r *Request) ordinary() (Payload, error) {
	if r.RawTx == "" {
		if !r.HasTxInfo {
			return r.data(KindRaw)
		}
		return r.data(KindDigest)
	}
	switch {
	case r.Cryptography != wire.ECDSASecp256k1:
		return Payload{}, fmt.Errorf("rawTx with %s is not decoded: only EVM transactions and PSBTs are", r.Cryptography)
	case strings.HasPrefix(r.RawTx, psbtStart):
		return r.bitcoin()
	case r.RequestType != wire.TypeSign:
		return Payload{}, fmt.Errorf("rawTx with %s is not decoded: it must be a PSBT in base64, which starts with %s8", r.RequestType, psbtStart)
	}
	tx, err := r.evmDigest()
	if err != nil {
		return Payload{}, err
	}
	return r.computed(KindEVMTransaction, &tx.Digest, "Keccak-256 of rawTx")
}

// bitcoin computes the digest of the input of a PSBT that is asked for.
func (r *Request) bitcoin() (Payload, error) {
	tx, err := r.Memo.bitcoin(r.RawTx)
	if err != nil {
		return Payload{}, fmt.Errorf("rawTx: %w", err)
	}
	root, err := parseRoot(r.TapScriptRoot)
	if err != nil {
		return Payload{}, err
	}
	input, err := selectInput(r.InputID, r.InputIDs, len(tx.tx.TxIn))
	if err != nil {
		return Payload{}, err
	}
	s, err := tx.spend(input, r.RequestType, root)
	if err != nil {
		return Payload{}, fmt.Errorf("rawTx: %w", err)
	}
	return r.computed(KindBitcoin, &s.digest, fmt.Sprintf("the sighash of input %d", input))
}

// computed is a digest that was hashed here; a message beside it must be the same.
func (r *Request) computed(kind Kind, digest *[32]byte, what string) (Payload, error) {
	if r.Message != "" && !isWritten(r.Message, digest) {
		message, err := parseDigest(r.Message)
		if err != nil {
			return Payload{}, err
		}
		if message != *digest {
			return Payload{}, fmt.Errorf("message: %w of rawTx: leave message empty or send %s", ErrDigestMismatch, what)
		}
	}
	return Payload{Kind: kind, Digest: digest[:], Computed: true}, nil
}

// parseRoot reads a tapScriptRoot: nil for none, else 32 bytes in hex.
func parseRoot(s string) ([]byte, error) {
	if s == "" {
		return nil, nil
	}
	root, err := hex.DecodeString(s)
	if err != nil || len(root) != 32 {
		return nil, fmt.Errorf("tapScriptRoot %q is not 32 bytes in hex; leave it empty where there are no scripts", excerpt(s))
	}
	return root, nil
}

// data takes the message as it came.
func (r *Request) data(kind Kind) (Payload, error) {
	if r.Cryptography == wire.ECDSASecp256k1 {
		digest, err := parseDigest(r.Message)
		if err != nil {
			return Payload{}, err
		}
		return Payload{Kind: kind, Digest: digest[:]}, nil
	}
	digits := strings.TrimPrefix(r.Message, "0x")
	if len(digits) == 0 || len(digits) > 2*MaxMessage {
		return Payload{}, fmt.Errorf("message of %d hex digits: it must have 1 to %d bytes", len(digits), MaxMessage)
	}
	message, err := hex.DecodeString(digits)
	if err != nil {
		return Payload{}, fmt.Errorf("message is not hex: %v", err)
	}
	return Payload{Kind: kind, Digest: message}, nil
}
