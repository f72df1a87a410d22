// Package manifest holds what a session is about: the terms that a requester asks for and signs, the manifest that every
// party of a session computes for itself, the binding that ties one run of a protocol to that manifest and to fresh
// randomness of every party, and the statements that parties sign about their shares and results.
//
// It turns meaning into bytes and checks signatures over them. It opens no connection, keeps no state and holds no key.
package manifest

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/countersign-mpc/countersign/wire"
)

// Limits of what a request may carry. They bound memory and the work of every later step.
const (
	MaxParties  = 9         // parties of a key; share indices are single bytes 1..9
	MaxMessage  = 1<<19 + 2 // bytes of Terms.Message: "0x" and the hex of the longest message, 256 KiB
	MaxTxInfo   = 1 << 19   // bytes of Terms.TxInfo
	MaxTextSize = 256       // bytes of every other text field
)

// Terms is what a requester asks for, exactly as it was submitted. No one on the way may change it: the requester's
// signature covers all of it.
type Terms struct {
	Type          string        // request type of WIRE.md: keygen, sign, bip340-schnorr-sign, taproot-sign, …
	RequestID     string        // the requester's own id of the request
	KeyID         string        // the key that signs; empty for keygen
	Parties       []wire.NodeID // keygen: all parties, in the order of their share indices from 1; otherwise empty
	T, N          int           // keygen: signers needed, and parties; otherwise 0
	Cryptography  string        // keygen: curve of the key; otherwise empty
	Path          string        // derivation path, empty for the root key
	SignType      string        // 1 transaction, 2 message, 3 raw data
	Message       string        // what is to be signed, as WIRE.md writes it; may be empty where TxInfo has rawTx
	TxInfo        []byte        // JSON as submitted, or nothing
	TapScriptRoot string        // taproot-sign: hex, or empty
}

// IsKeygen tells whether the terms ask for a new key.
func (t Terms) IsKeygen() bool { return t.Type == wire.TypeKeygen }

// Validate checks the form of the terms: lengths, counts and which fields belong to which type. Whether a party agrees to
// them is for the party.
func (t Terms) Validate() error {
	for _, f := range []struct {
		name, value string
		max         int
	}{
		{"type", t.Type, MaxTextSize}, {"request_id", t.RequestID, MaxTextSize}, {"key_id", t.KeyID, MaxTextSize},
		{"cryptography", t.Cryptography, MaxTextSize}, {"path", t.Path, MaxTextSize}, {"sign_type", t.SignType, MaxTextSize},
		{"message", t.Message, MaxMessage}, {"tx_info", string(t.TxInfo), MaxTxInfo}, {"tapScriptRoot", t.TapScriptRoot, MaxTextSize},
	} {
		if len(f.value) > f.max {
			return fmt.Errorf("%s has %d bytes, at most %d are taken", f.name, len(f.value), f.max)
		}
	}
	if t.RequestID == "" {
		return errors.New("request_id is missing")
	}
	if t.IsKeygen() {
		return t.validateKeygen()
	}
	return t.validateSign()
}

func (t Terms) validateKeygen() error {
	if t.KeyID != "" || t.Path != "" || t.SignType != "" || t.Message != "" || len(t.TxInfo) != 0 || t.TapScriptRoot != "" {
		return errors.New("a keygen takes no key_id, path, sign_type, message, tx_info or tapScriptRoot")
	}
	switch {
	case t.N < 2 || t.N > MaxParties:
		return fmt.Errorf("threshold_n is %d: a key has 2 to %d parties", t.N, MaxParties)
	case t.T < 2 || t.T > t.N:
		return fmt.Errorf("threshold_t is %d of %d: at least 2 and at most n signers are needed", t.T, t.N)
	case len(t.Parties) != t.N:
		return fmt.Errorf("%d parties are named for a key of %d", len(t.Parties), t.N)
	}
	seen := make(map[wire.NodeID]bool, len(t.Parties))
	for i, id := range t.Parties {
		if seen[id] {
			return fmt.Errorf("party %d is named twice: %s", i+1, id.Short())
		}
		seen[id] = true
	}
	return nil
}

func (t Terms) validateSign() error {
	if len(t.Parties) != 0 || t.T != 0 || t.N != 0 || t.Cryptography != "" {
		return errors.New("only a keygen names parties, thresholds and cryptography in its terms")
	}
	if t.KeyID == "" {
		return errors.New("key_id is missing")
	}
	return nil
}

// signingBytes is what a requester signs: every field of the terms, the expiry and the nonce (docs/FORMATS.md, manifest).
func (t Terms) signingBytes(expiry int64, nonce string) []byte {
	txInfo := sha256.Sum256(t.TxInfo)
	fields := [][]byte{
		[]byte(t.Type), []byte(t.RequestID), []byte(t.KeyID), number(len(t.Parties)),
	}
	for _, id := range t.Parties {
		fields = append(fields, []byte(id))
	}
	fields = append(fields, number(t.T), number(t.N), []byte(t.Cryptography), []byte(t.Path), []byte(t.SignType),
		[]byte(t.Message), txInfo[:], []byte(t.TapScriptRoot), number64(expiry), []byte(nonce))
	return wire.SigningBytes("request", fields...)
}

// ContentHash is SHA-256 over the terms: it fixes what a request id stands for, so that the same id with other terms can
// be refused.
func (t Terms) ContentHash() [32]byte {
	return sha256.Sum256(t.signingBytes(0, ""))
}
