// Package frame is the codec of FROST's messages (docs/FORMATS.md, signing, "FROST frame"): every message has exactly
// one encoding, of a length that its protocol and round fix.
//
// It does no cryptography: whether bytes are a point or a scalar is decided behind it. Its functions are safe for
// concurrent use.
package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Protocol is the variant of FROST that a frame belongs to. The numbers are apart from those of other protocols' frames.
type Protocol byte

// The protocols.
const (
	BIP445  Protocol = 16 // over secp256k1, for BIP340 signatures
	RFC9591 Protocol = 17 // FROST(Ed25519, SHA-512)
)

// String names the protocol for people.
func (p Protocol) String() string {
	switch p {
	case BIP445:
		return "FROST by BIP 445"
	case RFC9591:
		return "FROST by RFC 9591"
	}
	return fmt.Sprintf("protocol %d", byte(p))
}

// The rounds.
const (
	Commitments = 1
	Shares      = 2
)

const (
	version     = 1
	headLength  = 4 + hashLength
	hashLength  = 32
	shareLength = 32
)

// Frame is one message.
type Frame struct {
	Protocol Protocol
	Round    uint16
	Session  [hashLength]byte // hash of all that the signers must agree on before they start
	// Commitment is what round 1 carries: hiding and binding commitment, 66 bytes (BIP 445) or 64 (RFC 9591).
	Commitment []byte
	// Echo and Share are what round 2 carries: a hash of the commitments that the sender has of all signers, and its
	// signature share.
	Echo  [hashLength]byte
	Share [shareLength]byte
}

// ErrMalformed is wrapped by every error of Encode and Decode.
var ErrMalformed = errors.New("malformed FROST frame")

// bodyLength returns the length of what follows the head, and whether there is such a message.
func bodyLength(p Protocol, round uint16) (int, bool) {
	switch {
	case round == Commitments && p == BIP445:
		return 66, true
	case round == Commitments && p == RFC9591:
		return 64, true
	case round == Shares && (p == BIP445 || p == RFC9591):
		return hashLength + shareLength, true
	}
	return 0, false
}

// Encode writes a frame.
func Encode(f Frame) ([]byte, error) {
	out := make([]byte, 0, headLength+66)
	out = append(out, version, byte(f.Protocol))
	out = binary.BigEndian.AppendUint16(out, f.Round)
	out = append(out, f.Session[:]...)
	if f.Round == Shares {
		out = append(out, f.Echo[:]...)
		out = append(out, f.Share[:]...)
	} else {
		out = append(out, f.Commitment...)
	}
	if _, err := Decode(out); err != nil {
		return nil, fmt.Errorf("encode frame: %w", err)
	}
	return out, nil
}

// Decode reads a frame. It shares no memory with data.
func Decode(data []byte) (Frame, error) {
	if len(data) < headLength {
		return Frame{}, fmt.Errorf("%w: %d bytes are too few for its head", ErrMalformed, len(data))
	}
	if data[0] != version {
		return Frame{}, fmt.Errorf("%w: version %d, this program reads version %d", ErrMalformed, data[0], version)
	}
	f := Frame{Protocol: Protocol(data[1]), Round: binary.BigEndian.Uint16(data[2:])}
	want, ok := bodyLength(f.Protocol, f.Round)
	if !ok {
		return Frame{}, fmt.Errorf("%w: %s has no message in round %d", ErrMalformed, f.Protocol, f.Round)
	}
	body := data[4+copy(f.Session[:], data[4:]):]
	if len(body) != want {
		return Frame{}, fmt.Errorf("%w: %d bytes in round %d of %s, not %d", ErrMalformed, len(body), f.Round, f.Protocol, want)
	}
	if f.Round == Shares {
		copy(f.Share[:], body[copy(f.Echo[:], body):])
	} else {
		f.Commitment = append([]byte(nil), body...)
	}
	return f, nil
}
