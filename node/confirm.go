package node

import (
	"bytes"
	"errors"
	"fmt"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/manifest"
)

// confirmOwn signs this node's own word about a share and notes it in the record; the caller stores the record.
func (p *party) confirmOwn(key *keyRecord) (*linkv1.Confirmation, error) {
	c := manifest.Confirmation{KeyID: key.KeyID, Epoch: key.Epoch, Index: key.Index, StatementHash: key.Statement, Active: key.State == KeyActive}
	if err := c.Sign(p.identity); err != nil {
		return nil, err
	}
	key.Confirmed[key.Index] = &confirmation{Signature: c.Signature, Active: c.Active}
	return &linkv1.Confirmation{KeyId: c.KeyID, Epoch: c.Epoch, Index: uint32(c.Index), StatementHash: c.StatementHash[:],
		Active: c.Active, Signature: c.Signature}, nil
}

// confirmAll sends this node's word about every key of which some party has not reported active yet.
func (p *party) confirmAll() error {
	var frames []*linkv1.Confirmation
	err := each(p.records, bucketKey, func(key *keyRecord) error {
		if key.allActive() {
			return nil
		}
		own, err := p.confirmOwn(key)
		frames = append(frames, own)
		return err
	})
	if err != nil {
		return err
	}
	for _, f := range frames {
		p.send(&linkv1.Frame{Body: &linkv1.Frame_Confirmation{Confirmation: f}})
	}
	return nil
}

var errStatementsDiffer = errors.New("the party confirms another key than this node stored: the keygen was tampered with; the share stays pending")

// confirmed takes another party's word about a share. With the last one the share becomes active here, and this node says
// so; a word about anything else than what this node stored changes nothing.
func (p *party) confirmed(f *linkv1.Confirmation) error {
	if len(f.KeyId) > 64 || f.Index == 0 || f.Index > manifest.MaxParties || len(f.StatementHash) != 32 || len(f.Signature) > 80 {
		return errors.New("the confirmation is not well formed")
	}
	held, err := p.records.key(f.KeyId)
	if err != nil || held == nil {
		return err // a key that this node has not stored (yet): it will be sent again when we confirm ours
	}
	var activated *linkv1.Confirmation
	err = p.records.updateKey(f.KeyId, func(key *keyRecord) (bool, error) {
		activated = nil
		from, ok := partyOf(key.Parties, byte(f.Index))
		if !ok || byte(f.Index) == key.Index {
			return false, fmt.Errorf("party %d has nothing to confirm here", f.Index)
		}
		c := manifest.Confirmation{KeyID: f.KeyId, Epoch: f.Epoch, Index: byte(f.Index), StatementHash: [32]byte(f.StatementHash), Active: f.Active, Signature: f.Signature}
		if err := c.Verify(from.NodeID); err != nil {
			return false, err
		}
		if f.Epoch != key.Epoch || !bytes.Equal(f.StatementHash, key.Statement[:]) {
			return false, errStatementsDiffer
		}
		if old := key.Confirmed[c.Index]; old != nil && (old.Active || !c.Active) {
			return false, nil // nothing new
		}
		key.Confirmed[c.Index] = &confirmation{Signature: c.Signature, Active: c.Active}
		if key.State == KeyPending && key.allConfirmed() {
			key.State = KeyActive
			own, err := p.confirmOwn(key)
			activated = own
			return true, err
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	if activated != nil {
		p.log.Info("share is active: all parties have confirmed theirs", "key_id", f.KeyId, "epoch", f.Epoch)
		p.send(&linkv1.Frame{Body: &linkv1.Frame_Confirmation{Confirmation: activated}})
	}
	return nil
}
