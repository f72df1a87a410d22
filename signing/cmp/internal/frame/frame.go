package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/countersign-mpc/countersign/signing"
)

const (
	version   = 1
	hashSize  = 64 // the library's BLAKE3 sums
	headSize  = 5 + hashSize
	firstRead = 2 // the first round that has messages

	flagBroadcast = 1
	flagEcho      = 2
)

// Protocol is the protocol that a frame belongs to.
type Protocol byte

// The protocols.
const (
	Keygen Protocol = 1
	Sign   Protocol = 2
)

// String names the protocol for people.
func (p Protocol) String() string {
	switch p {
	case Keygen:
		return "CMP keygen"
	case Sign:
		return "CMP sign"
	}
	return fmt.Sprintf("protocol %d", byte(p))
}

// Frame is one message of the library, with what identifies its session.
type Frame struct {
	Protocol  Protocol
	Round     uint16
	Broadcast bool
	SSID      [hashSize]byte // the library's session id: binding, protocol, parties, t, key, digest
	// Echo is the library's BroadcastVerification: the hash of all broadcasts of the round before. nil in round 2,
	// else 64 bytes.
	Echo    []byte
	Payload []byte // the library's CBOR
}

// ErrMalformed is wrapped by every error of Encode and Decode.
var ErrMalformed = errors.New("malformed frame")

// Encode writes a frame. It demands of the payload what Decode demands, for a key with threshold t (signers needed).
func Encode(f Frame, t int) ([]byte, error) {
	if err := f.check(t); err != nil {
		return nil, fmt.Errorf("encode frame: %w", err)
	}
	flags := byte(0)
	if f.Broadcast {
		flags |= flagBroadcast
	}
	if f.Echo != nil {
		flags |= flagEcho
	}
	out := make([]byte, 0, headSize+hashSize+4+len(f.Payload))
	out = append(out, version, byte(f.Protocol))
	out = binary.BigEndian.AppendUint16(out, f.Round)
	out = append(out, flags)
	out = append(out, f.SSID[:]...)
	out = append(out, f.Echo...)
	out = binary.BigEndian.AppendUint32(out, uint32(len(f.Payload)))
	return append(out, f.Payload...), nil
}

// Decode reads a frame of a key with threshold t (signers needed). The frame shares no memory with data.
func Decode(data []byte, t int) (Frame, error) {
	f, err := split(data)
	if err == nil {
		err = f.check(t)
	}
	if err != nil {
		return Frame{}, fmt.Errorf("decode frame: %w", err)
	}
	return f, nil
}

// split takes the frame apart without looking into the payload.
func split(data []byte) (Frame, error) {
	if len(data) > signing.MaxFrame {
		return Frame{}, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrMalformed, len(data), signing.MaxFrame)
	}
	if len(data) < headSize {
		return Frame{}, fmt.Errorf("%w: %d bytes are too few for its head", ErrMalformed, len(data))
	}
	if data[0] != version {
		return Frame{}, fmt.Errorf("%w: version %d, this program reads version %d", ErrMalformed, data[0], version)
	}
	f := Frame{Protocol: Protocol(data[1]), Round: binary.BigEndian.Uint16(data[2:])}
	flags := data[4]
	if flags&^(flagBroadcast|flagEcho) != 0 {
		return Frame{}, fmt.Errorf("%w: unknown flags %#x", ErrMalformed, flags)
	}
	f.Broadcast = flags&flagBroadcast != 0
	rest := data[5:]
	rest = rest[copy(f.SSID[:], rest):]
	if flags&flagEcho != 0 {
		if len(rest) < hashSize {
			return Frame{}, fmt.Errorf("%w: it ends in its echo", ErrMalformed)
		}
		f.Echo, rest = bytes.Clone(rest[:hashSize]), rest[hashSize:]
	}
	if len(rest) < 4 || uint64(binary.BigEndian.Uint32(rest)) != uint64(len(rest)-4) {
		return Frame{}, fmt.Errorf("%w: the payload's length is not what follows", ErrMalformed)
	}
	f.Payload = bytes.Clone(rest[4:])
	return f, nil
}

// check compares the frame with the protocol's rounds and the payload with its template.
func (f Frame) check(t int) error {
	if (f.Echo != nil) != (f.Round > firstRead) || (f.Echo != nil && len(f.Echo) != hashSize) {
		return fmt.Errorf("%w: round %d with an echo of %d bytes; rounds after %d have %d, round %d has none",
			ErrMalformed, f.Round, len(f.Echo), firstRead, hashSize, firstRead)
	}
	tmpl, ok := templateOf(f.Protocol, Slot{f.Round, f.Broadcast}, t)
	if !ok {
		return fmt.Errorf("%w: %s has no such message in round %d (broadcast %t)", ErrMalformed, f.Protocol, f.Round, f.Broadcast)
	}
	if err := matches(tmpl, f.Payload); err != nil {
		return fmt.Errorf("%w: %s round %d: %w", ErrMalformed, f.Protocol, f.Round, err)
	}
	return nil
}
