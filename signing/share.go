package signing

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/countersign-mpc/countersign/signing/internal/custody"
)

// Algorithm is the kind of key that a share belongs to.
type Algorithm byte

// The algorithms.
const (
	AlgorithmECDSA   Algorithm = 1 // ECDSA over secp256k1, and BIP340 and Taproot with the same shares
	AlgorithmEd25519 Algorithm = 2 // Ed25519 (RFC 8032)
)

// String returns the name that WIRE.md and the APIs use: "ecdsa-secp256k1", "eddsa-ed25519".
func (a Algorithm) String() string {
	switch a {
	case AlgorithmECDSA:
		return "ecdsa-secp256k1"
	case AlgorithmEd25519:
		return "eddsa-ed25519"
	}
	return fmt.Sprintf("algorithm %d", byte(a))
}

// Share is one party's share of a key: its secret and what is public about the key. It cannot be changed, save for
// Wipe; all other methods are safe for concurrent use. It never prints its secret.
type Share struct {
	algorithm Algorithm
	threshold int
	index     PartyID
	publicKey []byte
	chainCode [32]byte
	shares    map[PartyID][]byte
	material  Material
	secret    []byte
}

// Contents are what a Share is made of.
type Contents struct {
	Algorithm Algorithm
	Threshold int     // t, the number of signers needed: 2..len(PublicShares)
	Index     PartyID // whose share it is
	// PublicKey is the root public key: for secp256k1 33 bytes (SEC 1, compressed), for Ed25519 32 bytes (RFC 8032), a
	// point of the subgroup of prime order.
	PublicKey    []byte
	ChainCode    [32]byte           // chain code of the root key (BIP32, or its like for Ed25519)
	PublicShares map[PartyID][]byte // of all parties, encoded as PublicKey
	Secret       []byte             // the secret scalar, not 0: 32 bytes, big-endian for secp256k1, little-endian for Ed25519
	Material     Material
}

// Material is what one protocol needs beside the Shamir share. It is opaque here: the protocol that Protocol names
// checks it.
type Material struct {
	Protocol byte   // docs/FORMATS.md lists the values
	Public   []byte // agreed between all parties; part of the PublicStatement
	Secret   []byte // this party's own
}

// NewShare checks contents and copies them into a Share: own secret against own public share, and all public shares
// against the public key (they must lie on one polynomial of degree t-1 with the public key at 0).
func NewShare(c Contents) (*Share, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("make share: %w", err)
	}
	s := &Share{
		algorithm: c.Algorithm,
		threshold: c.Threshold,
		index:     c.Index,
		publicKey: bytes.Clone(c.PublicKey),
		chainCode: c.ChainCode,
		shares:    cloneShares(c.PublicShares),
		material:  c.Material.clone(),
		secret:    bytes.Clone(c.Secret),
	}
	return s, nil
}

// Algorithm returns the kind of key.
func (s *Share) Algorithm() Algorithm { return s.algorithm }

// Threshold returns t, the number of signers needed.
func (s *Share) Threshold() int { return s.threshold }

// Index returns whose share it is.
func (s *Share) Index() PartyID { return s.index }

// Parties returns all parties of the key, ascending.
func (s *Share) Parties() []PartyID { return slices.Sorted(maps.Keys(s.shares)) }

// PublicKey returns a copy of the root public key: 33 bytes, compressed, for secp256k1; 32 bytes for Ed25519.
func (s *Share) PublicKey() []byte { return bytes.Clone(s.publicKey) }

// ChainCode returns the chain code of the root key, from which package derive derives.
func (s *Share) ChainCode() [32]byte { return s.chainCode }

// PublicShares returns a copy of the public share of every party, encoded as the public key.
func (s *Share) PublicShares() map[PartyID][]byte { return cloneShares(s.shares) }

// Open returns the share's contents, the secret included, as a copy that the caller wipes. Only the protocols below
// this package can make the key that it asks for.
func (s *Share) Open(key custody.Key) (Contents, error) {
	if !key.Valid() {
		return Contents{}, errors.New("open share: the custody key is not valid")
	}
	if len(s.secret) == 0 {
		return Contents{}, fmt.Errorf("open share: %w", ErrWiped)
	}
	return Contents{
		Algorithm: s.algorithm, Threshold: s.threshold, Index: s.index,
		PublicKey: s.PublicKey(), ChainCode: s.chainCode, PublicShares: s.PublicShares(),
		Secret: bytes.Clone(s.secret), Material: s.material.clone(),
	}, nil
}

// ErrWiped is wrapped where the secret of a wiped share is needed.
var ErrWiped = errors.New("share was wiped from memory; read it from the store again")

// Wipe overwrites the secret in memory. Go may have copied it elsewhere; this takes away what can be reached. It must
// not run while another method does.
func (s *Share) Wipe() {
	clear(s.secret)
	clear(s.material.Secret)
	s.secret, s.material.Secret = nil, nil
}

// Wipe overwrites the secrets of contents.
func (c *Contents) Wipe() {
	clear(c.Secret)
	clear(c.Material.Secret)
}

// String tells the share apart from others, without any secret.
func (s *Share) String() string {
	return fmt.Sprintf("share %d of %x (%s, %d of %d)", s.index, s.publicKey, s.algorithm, s.threshold, len(s.shares))
}

// Format prints String for every verb, so that %+v and %#v redact too.
func (s *Share) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalJSON writes String: a share is stored by MarshalBinary only.
func (s *Share) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// Format redacts: contents hold a secret.
func (c Contents) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "share contents (redacted)") }

// MarshalJSON redacts: contents hold a secret.
func (c Contents) MarshalJSON() ([]byte, error) { return json.Marshal("share contents (redacted)") }

// Format redacts: material may hold a secret.
func (m Material) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "material (redacted)") }

// MarshalJSON redacts: material may hold a secret.
func (m Material) MarshalJSON() ([]byte, error) { return json.Marshal("material (redacted)") }

func (m Material) clone() Material {
	return Material{Protocol: m.Protocol, Public: bytes.Clone(m.Public), Secret: bytes.Clone(m.Secret)}
}

func cloneShares(in map[PartyID][]byte) map[PartyID][]byte {
	out := make(map[PartyID][]byte, len(in))
	for id, share := range in {
		out[id] = bytes.Clone(share)
	}
	return out
}
