package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/countersign-mpc/countersign/wire/label"
)

// What is hashed begins with its label, which is made once.
var (
	beginAsk       = string(label.Begin(nil, "callback-id"))
	beginIndex     = string(label.Begin(nil, "ledger-index"))
	beginExecution = string(label.Begin(nil, "approval-execution"))
	beginSeries    = string(label.Begin(nil, "window-series"))
)

// Hash is 32 bytes of SHA-256, lower-case hex in text.
type Hash [sha256.Size]byte

// String is lower-case hex.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText writes lower-case hex.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads hex of 32 bytes.
func (h *Hash) UnmarshalText(text []byte) error {
	var b Hex
	if err := b.UnmarshalText(text); err != nil || len(b) != len(h) {
		return fmt.Errorf("%w: a hash is %d hex digits", ErrInvalid, 2*len(h))
	}
	copy(h[:], b)
	return nil
}

// Hex is bytes that are lower-case hex in text and JSON.
type Hex []byte

// String is lower-case hex.
func (b Hex) String() string { return hex.EncodeToString(b) }

// MarshalText writes lower-case hex.
func (b Hex) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads hex in either case.
func (b *Hex) UnmarshalText(text []byte) error {
	out := make([]byte, hex.DecodedLen(len(text)))
	if _, err := hex.Decode(out, text); err != nil {
		return fmt.Errorf("%w: not hex", ErrInvalid)
	}
	*b = out
	return nil
}
