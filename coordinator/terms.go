package coordinator

import (
	"encoding/hex"
	"strings"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// requestTypes are those that are done.
const requestTypes = wire.TypeKeygen + ", " + wire.TypeSign + ", " + wire.TypeBIP340SchnorrSign + ", " + wire.TypeTaprootSign

// maxEd25519 is the longest message that Ed25519 signs, in bytes.
const maxEd25519 = 256 << 10

func (o *Order) checkKeygen() error {
	t := o.Terms
	switch t.Cryptography {
	case wire.ECDSASecp256k1, wire.EdDSAEd25519:
	default:
		return refuse(CodeInvalid, "cryptography %q is unknown: it is %s or %s", clip(t.Cryptography, 40), wire.ECDSASecp256k1, wire.EdDSAEd25519).field("cryptography", "unknown")
	}
	if len(o.Participants) != t.N {
		return refuse(CodeThreshold, "%d participants are named for a key of threshold_n = %d", len(o.Participants), t.N).field("participants", "must be threshold_n")
	}
	return nil
}

// checkSign is what can be said of a signing without its key.
func checkSign(t manifest.Terms) error {
	if _, err := derive.ParsePath(t.Path); err != nil {
		return refuse(CodeInvalid, "%v", err).field("path", err.Error())
	}
	if err := checkTapScriptRoot(t); err != nil {
		return err
	}
	switch t.SignType {
	case wire.SignTypeTransaction:
		if t.Message == "" && len(t.TxInfo) == 0 {
			return refuse(CodeInvalid, "sign_type 1 signs message, or what tx_info.rawTx says: both are missing").field("message", "missing")
		}
		return nil
	case wire.SignTypeMessage:
		if t.Type != wire.TypeSign {
			return refuse(CodeInvalid, "sign_type 2 (EIP-191, EIP-712) is for request_type %s: %s signs sign_type 1 and 3", wire.TypeSign, t.Type).field("sign_type", "not for this request_type")
		}
	case wire.SignTypeRaw:
	default:
		return refuse(CodeInvalid, "sign_type %q is unknown: it is 1 (transaction), 2 (EIP-191 or EIP-712 message) or 3 (raw data)", clip(t.SignType, 8)).field("sign_type", "unknown")
	}
	if t.Message == "" {
		return refuse(CodeInvalid, "sign_type %s signs message (or message_hash), which is missing", t.SignType).field("message", "missing")
	}
	return nil
}

func checkTapScriptRoot(t manifest.Terms) error {
	if t.TapScriptRoot == "" {
		return nil
	}
	if t.Type != wire.TypeTaprootSign {
		return refuse(CodeInvalid, "tapScriptRoot is for request_type %s only", wire.TypeTaprootSign).field("tapScriptRoot", "not for this request_type")
	}
	if root, err := hex.DecodeString(t.TapScriptRoot); err != nil || len(root) != 32 {
		return refuse(CodeInvalid, "tapScriptRoot is the hash of a script tree, 32 bytes in hex, or empty where there is none").field("tapScriptRoot", "not 32 bytes of hex")
	}
	return nil
}

// serves tells whether keys of a curve can sign what is asked for.
func serves(cryptography string, t manifest.Terms) bool {
	_, err := derive.SchemeOf(t.Type, cryptography)
	return err == nil && (t.SignType != wire.SignTypeMessage || cryptography == wire.ECDSASecp256k1)
}

// checkMessage holds what is to be signed against the curve of the key.
func checkMessage(t manifest.Terms, cryptography string) error {
	if _, err := derive.SchemeOf(t.Type, cryptography); err != nil {
		return refuse(CodeInvalid, "%v", err).field("request_type", "not for this key")
	}
	ed25519 := cryptography == wire.EdDSAEd25519
	switch {
	case t.SignType == wire.SignTypeMessage && ed25519:
		return refuse(CodeInvalid, "sign_type 2 (EIP-191, EIP-712) is for keys of %s: this one is %s", wire.ECDSASecp256k1, cryptography).field("sign_type", "not for this key")
	case t.SignType == wire.SignTypeMessage || (t.Message == "" && !ed25519):
		return nil // the nodes compute it
	case messageOf(t, cryptography) != nil:
		return nil
	case ed25519:
		return refuse(CodeInvalid, "message for a key of %s is the whole message: hex of 1 to %d bytes", cryptography, maxEd25519).field("message", "not hex, or too long")
	default:
		return refuse(CodeInvalid, "message of sign_type %s is the digest: 32 bytes in hex; a text to be signed is sign_type 2", t.SignType).field("message", "not 32 bytes of hex")
	}
}

// messageOf is what is signed where the terms name it: 32 bytes for secp256k1, the whole message for Ed25519. nil: the nodes
// compute it from something else, or it is malformed.
func messageOf(t manifest.Terms, cryptography string) []byte {
	if t.SignType == wire.SignTypeMessage {
		return nil
	}
	message, err := hex.DecodeString(strings.TrimPrefix(t.Message, "0x"))
	if err != nil || len(message) == 0 {
		return nil
	}
	if cryptography == wire.EdDSAEd25519 {
		if len(message) > maxEd25519 {
			return nil
		}
		return message
	}
	if len(message) != 32 {
		return nil
	}
	return message
}
