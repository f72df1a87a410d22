package manifest

import (
	"crypto/ecdsa"
	"fmt"

	"github.com/countersign-mpc/countersign/wire"
)

// EpochQuestion asks the parties of a key which share of it they hold. Whoever restored a share from a backup asks, before
// using it: the parties may have made another one since.
type EpochQuestion struct {
	KeyID     string
	Index     byte     // share index of the party that asks
	Challenge [32]byte // random, so that no older answer fits
	Signature []byte
}

func (q EpochQuestion) signingBytes(node wire.NodeID) []byte {
	return wire.SigningBytes("epoch-question", []byte(q.KeyID), []byte{q.Index}, []byte(node), q.Challenge[:])
}

// Sign signs the question with the identity key of the party that asks.
func (q *EpochQuestion) Sign(key *ecdsa.PrivateKey) error {
	sig, err := wire.SignP256(key, q.signingBytes(wire.NodeIDOf(&key.PublicKey)))
	if err != nil {
		return fmt.Errorf("sign question about key %s: %w", q.KeyID, err)
	}
	q.Signature = sig
	return nil
}

// Verify checks that node asks this.
func (q EpochQuestion) Verify(node wire.NodeID) error {
	pub, err := node.PublicKey()
	if err != nil {
		return fmt.Errorf("question of party %d: %w", q.Index, err)
	}
	if !wire.VerifyP256(pub, q.signingBytes(node), q.Signature) {
		return fmt.Errorf("question of party %d about key %s is not signed by %s", q.Index, q.KeyID, node.Short())
	}
	return nil
}

// EpochStatement is a party's signed answer to one EpochQuestion: the share that it holds now.
type EpochStatement struct {
	KeyID         string
	Index         byte     // share index of the party that answers
	To            byte     // share index of the party that asked
	Challenge     [32]byte // as in the question
	Epoch         uint32
	StatementHash [32]byte // of the ShareStatement of that share
	PublicKey     []byte   // root public key: 33 bytes compressed secp256k1, or 32 bytes Ed25519
	State         string   // of that share, as a node names it
	// Proof is the signature of the party that asked under its own Confirmation of that share: who has confirmed an epoch
	// cannot be told of it by a lie. Nil if the answerer holds none.
	Proof       []byte
	ProofActive bool // what that Confirmation says
	Signature   []byte
}

func (s EpochStatement) signingBytes(node, asker wire.NodeID) []byte {
	return wire.SigningBytes("epoch", []byte(s.KeyID), []byte{s.Index}, []byte(node), []byte{s.To}, []byte(asker), s.Challenge[:],
		number(int(s.Epoch)), s.StatementHash[:], s.PublicKey, []byte(s.State), s.Proof, boolean(s.ProofActive))
}

// Sign signs the statement, for asker, with the identity key of the party that answers.
func (s *EpochStatement) Sign(key *ecdsa.PrivateKey, asker wire.NodeID) error {
	sig, err := wire.SignP256(key, s.signingBytes(wire.NodeIDOf(&key.PublicKey), asker))
	if err != nil {
		return fmt.Errorf("sign statement about key %s: %w", s.KeyID, err)
	}
	s.Signature = sig
	return nil
}

// Verify checks that node says this to asker.
func (s EpochStatement) Verify(node, asker wire.NodeID) error {
	pub, err := node.PublicKey()
	if err != nil {
		return fmt.Errorf("statement of party %d: %w", s.Index, err)
	}
	if !wire.VerifyP256(pub, s.signingBytes(node, asker), s.Signature) {
		return fmt.Errorf("statement of party %d about key %s is not signed by %s for this node", s.Index, s.KeyID, node.Short())
	}
	return nil
}

// Proven tells whether Proof is asker's own Confirmation of the share that is stated.
func (s EpochStatement) Proven(asker wire.NodeID) bool {
	if len(s.Proof) == 0 {
		return false
	}
	c := Confirmation{KeyID: s.KeyID, Epoch: s.Epoch, Index: s.To, StatementHash: s.StatementHash, Active: s.ProofActive, Signature: s.Proof}
	return c.Verify(asker) == nil
}
