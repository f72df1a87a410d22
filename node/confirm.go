package node

import (
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

// confirmAll sends this node's word about every key of which some party, or the coordinator, may not have heard it.
func (p *party) confirmAll() error {
	var frames []*linkv1.Confirmation
	err := each(p.records, bucketKey, func(key *keyRecord) error {
		defer key.wipe()
		if key.State == KeyUnconfirmed || key.State == KeyStale || (key.allActive() && key.Told) {
			return nil // of a restored share nothing is said before the others have spoken
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

// Acknowledged notes that the coordinator has taken over this node's word that a share is active: it keeps it for the other
// parties, and it need not be said again.
func (p *party) Acknowledged(f *linkv1.Frame) {
	if q := f.GetEpochQuestion(); q != nil {
		p.epochAsked(q)
		return
	}
	c := f.GetConfirmation()
	if c == nil || !c.Active {
		return
	}
	err := p.records.updateKey(c.KeyId, func(key *keyRecord) (bool, error) {
		changed := key.Epoch == c.Epoch && !key.Told
		key.Told = key.Told || changed
		return changed, nil
	})
	if err != nil {
		p.log.Warn("it could not be noted that a confirmation has arrived: it will be sent again", "key_id", c.KeyId, "error", err)
	}
}

var errStatementsDiffer = errors.New("the party confirms another key than this node stored: the keygen was tampered with; the share stays pending")

// readConfirmation turns a frame into a confirmation and checks its form.
func readConfirmation(f *linkv1.Confirmation) (manifest.Confirmation, error) {
	c := manifest.Confirmation{KeyID: f.KeyId, Epoch: f.Epoch, Index: byte(f.Index), Active: f.Active, Signature: f.Signature}
	if len(f.KeyId) == 0 || len(f.KeyId) > 64 || f.Index == 0 || f.Index > manifest.MaxParties || len(f.StatementHash) != 32 || len(f.Signature) > 80 {
		return c, errors.New("the confirmation is not well formed")
	}
	c.StatementHash = [32]byte(f.StatementHash)
	return c, nil
}

// confirmed takes another party's word about a share, or keeps it until this node has finished the share's keygen.
func (p *party) confirmed(f *linkv1.Confirmation) error {
	c, err := readConfirmation(f)
	if err != nil {
		return err
	}
	kept, err := p.keepEarly(f, c)
	if err != nil || kept {
		return err
	}
	return p.confirm(c)
}

// keepEarly keeps a word about a key that this node is making: the others may finish before it does, and the word comes
// once only on a connection.
func (p *party) keepEarly(f *linkv1.Confirmation, c manifest.Confirmation) (kept bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.requests {
		s := r.running
		if s == nil || !r.record.Terms.IsKeygen() || r.record.KeyID != c.KeyID {
			continue
		}
		from, ok := s.manifest.Party(c.Index)
		if !ok || c.Index == s.self {
			return false, fmt.Errorf("party %d has nothing to confirm here", c.Index)
		}
		if err := c.Verify(from.NodeID); err != nil {
			return false, err
		}
		if old := s.words[c.Index]; old == nil || !old.Active {
			s.words[c.Index] = f
		}
		return true, nil
	}
	return false, nil
}

// confirmEarly takes the words that came while the session of s still ran.
func (p *party) confirmEarly(s *session) {
	p.mu.Lock()
	words := s.words
	s.words = nil // complete has taken the request away: none is added any more
	p.mu.Unlock()
	for _, f := range words {
		if err := p.confirmed(f); err != nil {
			s.log.Warn("confirmation refused", "key_id", f.KeyId, "party", f.Index, "error", err)
		}
	}
}

// confirm takes another party's word about a share that is held here. With the last one the share becomes active, and this
// node says so; a word about anything else than what this node stored changes nothing.
func (p *party) confirm(c manifest.Confirmation) error {
	var activated *linkv1.Confirmation
	err := p.records.updateKey(c.KeyID, func(key *keyRecord) (bool, error) {
		from, ok := partyOf(key.Parties, c.Index)
		if !ok || c.Index == key.Index {
			return false, fmt.Errorf("party %d has nothing to confirm here", c.Index)
		}
		if err := c.Verify(from.NodeID); err != nil {
			return false, err
		}
		if key.State == KeyUnconfirmed || key.State == KeyStale {
			return false, nil // it is asked for what counts today
		}
		if c.Epoch != key.Epoch || c.StatementHash != key.Statement {
			return false, errStatementsDiffer
		}
		if old := key.Confirmed[c.Index]; old != nil && (old.Active || !c.Active) {
			return false, nil // nothing new
		}
		key.Confirmed[c.Index] = &confirmation{Signature: c.Signature, Active: c.Active}
		if key.State != KeyPending || !key.allConfirmed() {
			return true, nil
		}
		key.State = KeyActive
		own, err := p.confirmOwn(key)
		activated = own
		return true, err
	})
	if err != nil {
		return err
	}
	if activated != nil {
		p.log.Info("share is active: all parties have confirmed theirs", "key_id", c.KeyID, "epoch", c.Epoch)
		p.send(&linkv1.Frame{Body: &linkv1.Frame_Confirmation{Confirmation: activated}})
	}
	return nil
}
