package signing

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
)

const (
	shareMagic     = "CSSH"
	statementMagic = "CSPS"
	shareVersion   = 1
)

// ErrEncoding is wrapped by ParseShare for bytes that are no share of a version that this program knows.
var ErrEncoding = errors.New("not a share in the format of docs/FORMATS.md")

// MarshalBinary encodes the share, its secret included, as docs/FORMATS.md describes. The caller seals the bytes and
// wipes them.
func (s *Share) MarshalBinary() ([]byte, error) {
	if len(s.secret) == 0 {
		return nil, fmt.Errorf("encode share: %w", ErrWiped)
	}
	size := len(shareMagic) + 5 + len(s.shares)*(1+len(s.publicKey)) + len(s.publicKey) + 2*scalarLength + 9 +
		len(s.material.Public) + len(s.material.Secret)
	out := make([]byte, 0, size) // of its full size, so that no copy of the secret is left behind by growth
	out = append(out, shareMagic...)
	out = append(out, shareVersion, byte(s.algorithm), byte(s.threshold), byte(len(s.shares)), byte(s.index))
	out = s.appendPublic(out)
	out = append(out, s.secret...)
	out = append(out, s.material.Protocol)
	out = appendField(out, s.material.Public)
	return appendField(out, s.material.Secret), nil
}

// PublicStatement returns the canonical bytes of everything public about the key: algorithm, t, all public shares, the
// public key, the chain code and the protocol's public material. They are the same at every party, and what the
// parties of a new key confirm to each other.
func (s *Share) PublicStatement() []byte {
	out := []byte(statementMagic)
	out = append(out, shareVersion, byte(s.algorithm), byte(s.threshold), byte(len(s.shares)))
	out = s.appendPublic(out)
	out = append(out, s.material.Protocol)
	return appendField(out, s.material.Public)
}

// appendPublic writes what shares and statements have in common.
func (s *Share) appendPublic(out []byte) []byte {
	for _, id := range slices.Sorted(maps.Keys(s.shares)) {
		out = append(out, byte(id))
		out = append(out, s.shares[id]...)
	}
	out = append(out, s.publicKey...)
	return append(out, s.chainCode[:]...)
}

func appendField(out, field []byte) []byte {
	out = binary.BigEndian.AppendUint32(out, uint32(len(field)))
	return append(out, field...)
}

// ParseShare reads what MarshalBinary wrote and checks it as NewShare does. The protocol's material is checked by the
// protocol (cmp.CheckShare). Errors wrap ErrEncoding and echo nothing of the input.
func ParseShare(data []byte) (*Share, error) {
	r := reader{rest: data}
	head := r.take(len(shareMagic) + 5)
	if r.failed || string(head[:len(shareMagic)]) != shareMagic {
		return nil, fmt.Errorf("parse share: %w: it does not start with %q", ErrEncoding, shareMagic)
	}
	head = head[len(shareMagic):]
	if head[0] != shareVersion {
		return nil, fmt.Errorf("parse share: %w: version %d, this program reads version %d", ErrEncoding, head[0], shareVersion)
	}
	g := groupOf(Algorithm(head[1]))
	if g == nil {
		return nil, fmt.Errorf("parse share: %w: %s is not known", ErrEncoding, Algorithm(head[1]))
	}
	c := Contents{Algorithm: Algorithm(head[1]), Threshold: int(head[2]), Index: PartyID(head[4])}
	if err := r.contents(&c, int(head[3]), g.pointLength()); err != nil {
		return nil, fmt.Errorf("parse share: %w: %v", ErrEncoding, err)
	}
	share, err := NewShare(c)
	if err != nil {
		return nil, fmt.Errorf("parse share: %w: %v", ErrEncoding, err)
	}
	return share, nil
}

// contents reads all that follows the head, of n parties.
func (r *reader) contents(c *Contents, n, pointLength int) error {
	if n > MaxParties {
		return fmt.Errorf("%d parties, more than %d", n, MaxParties)
	}
	c.PublicShares = make(map[PartyID][]byte, n)
	last := PartyID(0)
	for range n {
		id := PartyID(r.byte())
		if id <= last && !r.failed {
			return errors.New("parties are not in ascending order")
		}
		last = id
		c.PublicShares[id] = r.take(pointLength)
	}
	c.PublicKey = r.take(pointLength)
	copy(c.ChainCode[:], r.take(len(c.ChainCode)))
	c.Secret = r.take(scalarLength)
	c.Material.Protocol = r.byte()
	c.Material.Public = r.field(maxMaterial)
	c.Material.Secret = r.field(maxMaterial)
	if r.failed {
		return errors.New("it ends too early or a field is too long")
	}
	if len(r.rest) != 0 {
		return errors.New("bytes follow its end")
	}
	return nil
}

// reader cuts fields off a byte slice without copying. After a failure it returns zeroes and failed is set.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) take(n int) []byte {
	if r.failed || len(r.rest) < n {
		r.failed = true
		return make([]byte, n)
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

func (r *reader) byte() byte { return r.take(1)[0] }

func (r *reader) field(limit int) []byte {
	n := binary.BigEndian.Uint32(r.take(4))
	if n > uint32(limit) {
		r.failed = true
		return nil
	}
	return r.take(int(n))
}
