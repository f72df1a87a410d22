package frame

import (
	"encoding/binary"
	"errors"
	"fmt"

	"filippo.io/edwards25519"
	"github.com/countersign-mpc/countersign/signing/internal/edwards"
)

const (
	magic    = "CSEK"
	version  = 1
	headSize = len(magic) + 1 + 2 + 1 + hashSize

	hashSize = 32

	flagBroadcast = 1
)

// The rounds of the protocol.
const (
	RoundCommit = 1 // each party commits itself, by a broadcast
	RoundOpen   = 2 // each opens its commitments by a broadcast, and sends each other party its share
)

// Commit is the broadcast of RoundCommit.
type Commit struct {
	Polynomial [32]byte // the library's commitment to the sender's polynomial in the exponent; not zero
	ChainCode  [32]byte // commitment to the sender's part of the chain code
}

// Open is the broadcast of RoundOpen.
type Open struct {
	Blind        [32]byte              // the library's random number, big-endian; not zero
	Coefficients []*edwards25519.Point // t points: the sender's polynomial in the exponent, lowest first
	ProofPoint   *edwards25519.Point   // Schnorr proof of knowledge of the lowest coefficient: commitment
	ProofScalar  *edwards25519.Scalar  // and response
	ChainCode    [32]byte              // the sender's part of the chain code
}

// Share is the message of RoundOpen to one party.
type Share struct {
	Value *edwards25519.Scalar // the sender's polynomial at the receiver's index
}

// Frame is one message. Exactly one of Commit, Open and Share is there, the one of its place.
type Frame struct {
	Round     uint16
	Broadcast bool
	Session   [32]byte // hash of what identifies the session
	Echo      [32]byte // RoundOpen: hash of all broadcasts of RoundCommit, as the sender received them; else zero
	Commit    *Commit
	Open      *Open
	Share     *Share
}

// ErrMalformed is wrapped by every error of Decode.
var ErrMalformed = errors.New("malformed frame")

// Encode writes a frame whose message is there and whose values are in range.
func Encode(f Frame) []byte {
	out := append([]byte(magic), version)
	out = binary.BigEndian.AppendUint16(out, f.Round)
	flags := byte(0)
	if f.Broadcast {
		flags = flagBroadcast
	}
	out = append(out, flags)
	out = append(out, f.Session[:]...)
	if f.Round == RoundOpen {
		out = append(out, f.Echo[:]...)
	}
	switch {
	case f.Commit != nil:
		out = append(out, f.Commit.Polynomial[:]...)
		out = append(out, f.Commit.ChainCode[:]...)
	case f.Open != nil:
		out = append(out, f.Open.Blind[:]...)
		for _, p := range f.Open.Coefficients {
			out = append(out, p.Bytes()...)
		}
		out = append(out, f.Open.ProofPoint.Bytes()...)
		out = append(out, f.Open.ProofScalar.Bytes()...)
		out = append(out, f.Open.ChainCode[:]...)
	case f.Share != nil:
		out = append(out, f.Share.Value.Bytes()...)
	}
	return out
}

// Decode reads a frame of a keygen with threshold t, the number of signers needed. The frame shares no memory with data.
func Decode(data []byte, t int) (Frame, error) {
	f, payload, err := head(data)
	if err == nil {
		err = f.fill(payload, t)
	}
	if err != nil {
		return Frame{}, fmt.Errorf("decode frame: %w: %w", ErrMalformed, err)
	}
	return f, nil
}

// head reads what all frames have in common.
func head(data []byte) (f Frame, payload []byte, err error) {
	if len(data) < headSize {
		return f, nil, fmt.Errorf("%d bytes are too few for its head", len(data))
	}
	if string(data[:len(magic)]) != magic {
		return f, nil, fmt.Errorf("it does not start with %q", magic)
	}
	data = data[len(magic):]
	if data[0] != version {
		return f, nil, fmt.Errorf("version %d, this program reads version %d", data[0], version)
	}
	f.Round = binary.BigEndian.Uint16(data[1:])
	if data[3]&^flagBroadcast != 0 {
		return f, nil, fmt.Errorf("unknown flags %#x", data[3])
	}
	f.Broadcast = data[3] == flagBroadcast
	data = data[4:]
	data = data[copy(f.Session[:], data):]
	if f.Round != RoundOpen {
		return f, data, nil
	}
	if len(data) < hashSize {
		return f, nil, errors.New("it ends in its echo")
	}
	return f, data[copy(f.Echo[:], data):], nil
}

// fill reads the message of the frame's place.
func (f *Frame) fill(payload []byte, t int) error {
	want := 0
	switch {
	case f.Round == RoundCommit && f.Broadcast:
		want = 2 * hashSize
	case f.Round == RoundOpen && f.Broadcast:
		want = hashSize + t*edwards.Length + 2*edwards.Length + hashSize
	case f.Round == RoundOpen:
		want = edwards.Length
	default:
		return fmt.Errorf("there is no such message in round %d (broadcast %t)", f.Round, f.Broadcast)
	}
	if len(payload) != want {
		return fmt.Errorf("a message of %d bytes in round %d (broadcast %t): it has %d where %d sign", len(payload), f.Round, f.Broadcast, want, t)
	}
	switch {
	case f.Round == RoundCommit:
		return f.fillCommit(payload)
	case f.Broadcast:
		return f.fillOpen(payload, t)
	}
	value, err := edwards.ParseScalar(payload)
	if err != nil {
		return fmt.Errorf("share: %w", err)
	}
	f.Share = &Share{value}
	return nil
}

func (f *Frame) fillCommit(payload []byte) error {
	c := &Commit{Polynomial: [32]byte(payload), ChainCode: [32]byte(payload[hashSize:])}
	if c.Polynomial == [32]byte{} {
		return errors.New("the commitment is zero")
	}
	f.Commit = c
	return nil
}

func (f *Frame) fillOpen(payload []byte, t int) (err error) {
	o := &Open{Blind: [32]byte(payload)}
	if o.Blind == [32]byte{} {
		return errors.New("the blind is zero")
	}
	next := func() []byte {
		payload = payload[edwards.Length:]
		return payload[:edwards.Length]
	}
	for i := range t {
		p, err := edwards.ParsePoint(next())
		if err != nil {
			return fmt.Errorf("coefficient %d: %w", i, err)
		}
		o.Coefficients = append(o.Coefficients, p)
	}
	if o.ProofPoint, err = edwards.ParsePoint(next()); err != nil {
		return fmt.Errorf("point of the proof: %w", err)
	}
	if o.ProofScalar, err = edwards.ParseScalar(next()); err != nil {
		return fmt.Errorf("scalar of the proof: %w", err)
	}
	o.ChainCode = [32]byte(next())
	f.Open = o
	return nil
}
