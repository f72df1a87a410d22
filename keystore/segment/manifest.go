package segment

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	stdjson "encoding/json"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"

	"github.com/countersign-mpc/countersign/wire"
)

const (
	manifestFormat = "countersign/segments/v1"
	maxManifest    = 8 << 10

	// MaxSegments is the largest n.
	MaxSegments = 16
	// IDSize is the length of a set's id in bytes.
	IDSize = 8
)

// Manifest describes a set of segments. It is not secret: a segment has 256 random bits, which its hash does not give away.
type Manifest struct {
	ID     [IDSize]byte // random, of this set
	T, N   int          // 2 <= T <= N <= MaxSegments
	Hashes [][32]byte   // of segment 1 to N
}

// document is a manifest as a file has it.
type document struct {
	Format   string   `json:"format"`
	Set      string   `json:"set"`
	T        int      `json:"t"`
	N        int      `json:"n"`
	Segments []string `json:"segments"`
}

// Encode returns the manifest as a file, JSON with a line end (docs/FORMATS.md).
func (m *Manifest) Encode() []byte {
	d := document{Format: manifestFormat, Set: hex.EncodeToString(m.ID[:]), T: m.T, N: m.N}
	for _, h := range m.Hashes {
		d.Segments = append(d.Segments, hex.EncodeToString(h[:]))
	}
	out, err := stdjson.MarshalIndent(d, "", "  ")
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return append(out, '\n')
}

// ParseManifest reads what Encode wrote, strictly: unknown members, another format and numbers out of range are errors.
func ParseManifest(data []byte) (*Manifest, error) {
	var d document
	if len(data) > maxManifest {
		return nil, fmt.Errorf("manifest of segments: more than %d bytes", maxManifest)
	}
	if err := json.Unmarshal(data, &d, json.RejectUnknownMembers(true)); err != nil {
		return nil, errors.New("manifest of segments: not the JSON that `mpc-node password generate` writes")
	}
	if d.Format != manifestFormat {
		return nil, fmt.Errorf("manifest of segments: format %.40q, this version reads %q", d.Format, manifestFormat)
	}
	m := &Manifest{T: d.T, N: d.N}
	if err := decodeHex(m.ID[:], d.Set); err != nil {
		return nil, errors.New("manifest of segments: the set's id is not 16 hex digits")
	}
	for i, text := range d.Segments {
		var h [32]byte
		if err := decodeHex(h[:], text); err != nil {
			return nil, fmt.Errorf("manifest of segments: the hash of segment %d is not 64 hex digits", i+1)
		}
		m.Hashes = append(m.Hashes, h)
	}
	return m, m.validate()
}

// decodeHex fills out from lower-case hex of exactly its length.
func decodeHex(out []byte, text string) error {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(out) || hex.EncodeToString(b) != text {
		return errors.New("not hex of the right length")
	}
	copy(out, b)
	return nil
}

func (m *Manifest) validate() error {
	if err := CheckNumbers(m.T, m.N); err != nil {
		return fmt.Errorf("manifest of segments: %w", err)
	}
	if len(m.Hashes) != m.N {
		return fmt.Errorf("manifest of segments: it has hashes of %d segments, and n is %d", len(m.Hashes), m.N)
	}
	return nil
}

// CheckNumbers checks t and n of a set: 2 <= t <= n <= MaxSegments.
func CheckNumbers(t, n int) error {
	if t < 2 || n < t || n > MaxSegments {
		return fmt.Errorf("t = %d, n = %d: 2 <= t <= n <= %d is needed", t, n, MaxSegments)
	}
	return nil
}

// Append adds the manifest to b as bytes: id ‖ t (1) ‖ n (1) ‖ n hashes (32 each). DecodeManifest reads that.
func (m *Manifest) Append(b []byte) []byte {
	b = append(append(b, m.ID[:]...), byte(m.T), byte(m.N))
	for _, h := range m.Hashes {
		b = append(b, h[:]...)
	}
	return b
}

// DecodeManifest reads what Append wrote, and nothing behind it.
func DecodeManifest(b []byte) (*Manifest, error) {
	if len(b) < IDSize+2 || len(b) != IDSize+2+32*int(b[IDSize+1]) {
		return nil, errors.New("manifest of segments: its length is wrong")
	}
	m := &Manifest{ID: [IDSize]byte(b), T: int(b[IDSize]), N: int(b[IDSize+1])}
	for rest := b[IDSize+2:]; len(rest) > 0; rest = rest[32:] {
		m.Hashes = append(m.Hashes, [32]byte(rest))
	}
	return m, m.validate()
}

// Equal tells whether two manifests are of the same set.
func (m *Manifest) Equal(other *Manifest) bool { return bytes.Equal(m.Append(nil), other.Append(nil)) }

// holds tells whether a share is the one that the manifest has the hash of.
func (m *Manifest) holds(number int, share []byte) bool {
	h := hashOf(m, number, share)
	return subtle.ConstantTimeCompare(h[:], m.Hashes[number-1][:]) == 1
}

func hashOf(m *Manifest, number int, share []byte) [32]byte {
	return sha256.Sum256(wire.SigningBytes("segment-hash", m.ID[:], []byte{byte(m.T), byte(m.N), byte(number)}, share))
}
