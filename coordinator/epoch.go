package coordinator

import (
	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

const maxEpochBytes = 80 // of a signature or a public key in an epoch frame

// epochQuestion passes on the question of a party that has restored its share of a key to the other parties of the key, as
// far as they are connected. Nothing is kept: the party asks again.
func (p *Peer) epochQuestion(s *step, f *linkv1.EpochQuestion) error {
	if len(f.Challenge) != 32 || len(f.Signature) > maxEpochBytes {
		return refuse(CodeViolation, "a question about a share has a challenge of 32 bytes and a signature of at most %d", maxEpochBytes)
	}
	key, err := p.keySeat(s, f.KeyId, f.Index)
	if err != nil || key == nil {
		return err
	}
	q := manifest.EpochQuestion{KeyID: f.KeyId, Index: byte(f.Index), Challenge: [32]byte(f.Challenge), Signature: f.Signature}
	if err := q.Verify(p.node); err != nil {
		return refuse(CodeViolation, "%v", err)
	}
	for _, seat := range key.Seats {
		if seat.NodeID != p.node {
			s.passOn(seat.NodeID, &linkv1.Frame{Body: &linkv1.Frame_EpochQuestion{EpochQuestion: f}})
		}
	}
	return nil
}

// epochStatement passes on an answer to the party that asked.
func (p *Peer) epochStatement(s *step, f *linkv1.EpochStatement) error {
	if len(f.Challenge) != 32 || len(f.StatementHash) != 32 || len(f.PublicKey) > maxEpochBytes || len(f.State) > maxEpochBytes ||
		len(f.Proof.GetSignature()) > maxEpochBytes || len(f.Signature) > maxEpochBytes {
		return refuse(CodeViolation, "a statement about a share has a challenge and a hash of 32 bytes, and nothing longer than %d", maxEpochBytes)
	}
	key, err := p.keySeat(s, f.KeyId, f.Index)
	if err != nil || key == nil {
		return err
	}
	if f.To == f.Index || f.To > manifest.MaxParties || key.seatAt(byte(f.To)).NodeID == "" {
		return refuse(CodeViolation, "a statement for party %d, which is not another party of key %s", f.To, key.ID)
	}
	to := key.seatAt(byte(f.To)).NodeID
	st := manifest.EpochStatement{KeyID: f.KeyId, Index: byte(f.Index), To: byte(f.To), Challenge: [32]byte(f.Challenge), Epoch: f.Epoch,
		StatementHash: [32]byte(f.StatementHash), PublicKey: f.PublicKey, State: f.State, Proof: f.Proof.GetSignature(),
		ProofActive: f.Proof.GetActive(), Signature: f.Signature}
	if err := st.Verify(p.node, to); err != nil {
		return refuse(CodeViolation, "%v", err)
	}
	s.passOn(to, &linkv1.Frame{Body: &linkv1.Frame_EpochStatement{EpochStatement: f}})
	return nil
}

// keySeat finds a key in which the node has the seat that it claims; nil for a key of another coordinator.
func (p *Peer) keySeat(s *step, keyID string, index uint32) (*Key, error) {
	if len(keyID) == 0 || len(keyID) > maxSessionID {
		return nil, refuse(CodeViolation, "a key id of %d bytes", len(keyID))
	}
	key, err := get[Key](s, TableKeys, keyID)
	if err != nil || key == nil {
		return nil, err
	}
	seat := key.seat(p.node)
	if seat == nil || uint32(seat.Index) != index {
		return nil, refuse(CodeViolation, "a word of party %d about key %s was sent by another", index, key.ID)
	}
	return key, nil
}

// passOn has a frame written to a node if it is connected.
func (s *step) passOn(to wire.NodeID, f *linkv1.Frame) { s.pass = append(s.pass, passing{to, f}) }
