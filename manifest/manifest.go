package manifest

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/countersign-mpc/countersign/wire"
)

// Party is one party of a session as every party of it states and sees it.
type Party struct {
	Index     byte        // share index, 1..9
	NodeID    wire.NodeID // identity
	Guarded   bool        // it asks a callback server before it takes part
	Recipient string      // keygen: hex SPKI of the key that it encrypts results to; empty for none
}

// Manifest is what one session is about. Every party computes it from the request as it arrived there and from its own
// record of the key; parties whose manifests differ get different bindings and cannot finish the protocol.
type Manifest struct {
	Type               string
	Terms              [32]byte // Terms.ContentHash: everything that was asked for, signed by the requester or not
	KeyID              string
	Epoch              uint32 // of the share that is used; keygen: the epoch that is made
	Cryptography       string
	T                  int     // signers needed
	Parties            []Party // of this session, by index
	Path               string
	Digest             []byte // 32 bytes, Digest of what is signed; keygen: nothing
	TapScriptRoot      string
	Recipient          string // hex SPKI of the result's recipient; empty: every party learns the result
	Presignature       string
	RequesterSignature []byte
}

// Digest is what stands for the message that is signed in a Manifest and in a Report. For secp256k1 it is the message: the
// 32 bytes that are signed. Ed25519 signs a message of any length, and SHA-256 of it stands for it.
func Digest(cryptography string, message []byte) []byte {
	if cryptography != wire.EdDSAEd25519 {
		return message
	}
	sum := sha256.Sum256(message)
	return sum[:]
}

// Validate checks the form of a manifest.
func (m Manifest) Validate() error {
	if m.T < 2 || m.T > MaxParties {
		return fmt.Errorf("manifest: t is %d, 2 to %d are possible", m.T, MaxParties)
	}
	if len(m.Parties) < m.T || len(m.Parties) > MaxParties {
		return fmt.Errorf("manifest: %d parties for t = %d", len(m.Parties), m.T)
	}
	last := byte(0)
	seen := make(map[wire.NodeID]bool, len(m.Parties))
	for _, p := range m.Parties {
		if p.Index <= last || p.Index > MaxParties {
			return errors.New("manifest: parties are not in the order of distinct indices 1 to 9")
		}
		if seen[p.NodeID] {
			return fmt.Errorf("manifest: %s stands for two parties", p.NodeID.Short())
		}
		last, seen[p.NodeID] = p.Index, true
	}
	return nil
}

// Party finds a party by its share index.
func (m Manifest) Party(index byte) (Party, bool) {
	for _, p := range m.Parties {
		if p.Index == index {
			return p, true
		}
	}
	return Party{}, false
}

// Bytes is the manifest's one encoding (docs/FORMATS.md, manifest).
func (m Manifest) Bytes() []byte {
	fields := [][]byte{
		[]byte(m.Type), m.Terms[:], []byte(m.KeyID), number(int(m.Epoch)), []byte(m.Cryptography), number(m.T), number(len(m.Parties)),
	}
	for _, p := range m.Parties {
		fields = append(fields, p.fields()...)
	}
	fields = append(fields, []byte(m.Path), m.Digest, []byte(m.TapScriptRoot), []byte(m.Recipient), []byte(m.Presignature),
		m.RequesterSignature)
	return wire.SigningBytes("manifest", fields...)
}

// Hash is SHA-256 of Bytes.
func (m Manifest) Hash() [32]byte { return sha256.Sum256(m.Bytes()) }

func (p Party) fields() [][]byte {
	return [][]byte{{p.Index}, []byte(p.NodeID), boolean(p.Guarded), []byte(p.Recipient)}
}

// UnguardedQuorum tells whether t of the parties could sign with none of them asking a callback.
func UnguardedQuorum(parties []Party, t int) bool {
	unguarded := 0
	for _, p := range parties {
		if !p.Guarded {
			unguarded++
		}
	}
	return unguarded >= t
}

// ResultRecipient finds the one recipient that the parties of a keygen ask for: empty if none does, an error if two do.
func ResultRecipient(parties []Party) (string, error) {
	recipient := ""
	for _, p := range parties {
		if p.Recipient == "" {
			continue
		}
		if recipient != "" {
			return "", errors.New("two parties want results encrypted to a key of theirs: set encrypt-signature at one node only")
		}
		recipient = p.Recipient
	}
	return recipient, nil
}

func number(n int) []byte     { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
func number64(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func boolean(b bool) []byte {
	if b {
		return []byte{1}
	}
	return []byte{0}
}
