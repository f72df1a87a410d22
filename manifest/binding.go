package manifest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/countersign-mpc/countersign/wire"
)

// Contribution is what one party adds to the binding of a session, signed by its identity key.
type Contribution struct {
	SessionID    string
	Index        byte
	ManifestHash [32]byte
	Random       [32]byte
	Ephemeral    [32]byte // X25519 public key of this session
	Signature    []byte
}

// ErrManifestsDiffer is returned where parties of one session computed different manifests.
var ErrManifestsDiffer = errors.New("the parties' manifests differ: they were not asked for the same thing")

func (c Contribution) signingBytes(node wire.NodeID) []byte {
	return wire.SigningBytes("contribution", []byte(c.SessionID), []byte(node), []byte{c.Index}, c.ManifestHash[:],
		c.Random[:], c.Ephemeral[:])
}

// Sign signs the contribution with the identity key of its party.
func (c *Contribution) Sign(key *ecdsa.PrivateKey) error {
	sig, err := wire.SignP256(key, c.signingBytes(wire.NodeIDOf(&key.PublicKey)))
	if err != nil {
		return fmt.Errorf("sign contribution: %w", err)
	}
	c.Signature = sig
	return nil
}

// Verify checks that node made this contribution.
func (c Contribution) Verify(node wire.NodeID) error {
	pub, err := node.PublicKey()
	if err != nil {
		return fmt.Errorf("contribution of party %d: %w", c.Index, err)
	}
	if !wire.VerifyP256(pub, c.signingBytes(node), c.Signature) {
		return fmt.Errorf("contribution of party %d is not signed by %s", c.Index, node.Short())
	}
	return nil
}

// Binding names one run of one protocol: SHA-256 over the manifest and every party's contribution. It enters every proof,
// key derivation and associated data of the session; the session id, which the coordinator chooses, enters none.
type Binding [32]byte

// Bind computes the binding of a session. contributions are those of all parties of m, in any order; each is verified,
// and all must carry m's hash (ErrManifestsDiffer otherwise).
func Bind(m Manifest, sessionID string, contributions []Contribution) (Binding, error) {
	if err := m.Validate(); err != nil {
		return Binding{}, err
	}
	if len(contributions) != len(m.Parties) {
		return Binding{}, fmt.Errorf("bind session: %d contributions of %d parties", len(contributions), len(m.Parties))
	}
	byIndex := make(map[byte]Contribution, len(contributions))
	for _, c := range contributions {
		byIndex[c.Index] = c
	}
	hash := m.Hash()
	fields := [][]byte{m.Bytes()}
	ephemerals := make(map[[32]byte]bool, len(contributions))
	for _, p := range m.Parties {
		c, ok := byIndex[p.Index]
		if !ok {
			return Binding{}, fmt.Errorf("bind session: party %d has not contributed", p.Index)
		}
		if c.SessionID != sessionID {
			return Binding{}, fmt.Errorf("bind session: contribution of party %d is of another session", p.Index)
		}
		if err := c.Verify(p.NodeID); err != nil {
			return Binding{}, fmt.Errorf("bind session: %w", err)
		}
		if !bytes.Equal(c.ManifestHash[:], hash[:]) {
			return Binding{}, fmt.Errorf("%w (party %d)", ErrManifestsDiffer, p.Index)
		}
		if ephemerals[c.Ephemeral] {
			return Binding{}, fmt.Errorf("bind session: party %d repeats the ephemeral key of another", p.Index)
		}
		ephemerals[c.Ephemeral] = true
		fields = append(fields, []byte{p.Index}, []byte(p.NodeID), c.Random[:], c.Ephemeral[:])
	}
	return sha256.Sum256(wire.SigningBytes("binding", fields...)), nil
}
