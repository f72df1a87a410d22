package node

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/signing"
)

// readEpochStatement turns a frame into a statement and checks its form.
func readEpochStatement(f *linkv1.EpochStatement) (manifest.EpochStatement, error) {
	s := manifest.EpochStatement{KeyID: f.KeyId, Index: byte(f.Index), To: byte(f.To), Epoch: f.Epoch, PublicKey: f.PublicKey, State: f.State,
		Proof: f.Proof.GetSignature(), ProofActive: f.Proof.GetActive(), Signature: f.Signature}
	if len(f.KeyId) == 0 || len(f.KeyId) > 64 || f.Index == 0 || f.Index > manifest.MaxParties || f.To == 0 || f.To > manifest.MaxParties ||
		len(f.Challenge) != 32 || len(f.StatementHash) != 32 || len(f.PublicKey) > 33 || len(s.Proof) > 80 || len(f.Signature) > 80 {
		return s, errors.New("the statement is not well formed")
	}
	switch KeyState(f.State) {
	case KeyPending, KeyActive, KeyUnconfirmed, KeyStale:
	default:
		return s, errors.New("the statement names a state of a share that is none")
	}
	s.Challenge, s.StatementHash = [32]byte(f.Challenge), [32]byte(f.StatementHash)
	return s, nil
}

// epochStatement takes what another party says of its share, if this node has asked for it just now.
func (p *party) epochStatement(f *linkv1.EpochStatement) error {
	s, err := readEpochStatement(f)
	if err != nil {
		return err
	}
	p.epochs.mu.Lock()
	defer p.epochs.mu.Unlock()
	r := p.epochs.rounds[s.KeyID]
	if r == nil || r.challenge != s.Challenge || !r.counts(p.clock()) {
		return errors.New("it answers no question that is open here")
	}
	var key *keyRecord
	err = p.records.updateKey(s.KeyID, func(k *keyRecord) (bool, error) {
		key = k
		return p.judge(k, r, s)
	})
	if err != nil {
		return err
	}
	switch key.State {
	case KeyUnconfirmed:
		p.log.Info("a party has told its epoch of a restored share", "key_id", s.KeyID, "party", s.Index, "state", s.State, "so_far", told(key, r.words))
	case KeyStale:
		delete(p.epochs.rounds, s.KeyID)
		p.epochs.stale++
		p.warnStale(key)
	default:
		delete(p.epochs.rounds, s.KeyID)
		p.log.Info("restored share is confirmed by the other parties", "key_id", s.KeyID, "epoch", key.Epoch, "state", key.State)
		return p.confirmAll()
	}
	return nil
}

// judge adds a statement to a round and decides about the share, as far as that is possible now. It tells whether the record
// is to be stored.
func (p *party) judge(key *keyRecord, r *round, s manifest.EpochStatement) (bool, error) {
	if key.State != KeyUnconfirmed {
		return false, errors.New("the share is not unconfirmed here")
	}
	from, ok := partyOf(key.Parties, s.Index)
	if !ok || s.Index == key.Index || s.To != key.Index {
		return false, fmt.Errorf("party %d has nothing to state here", s.Index)
	}
	if err := s.Verify(from.NodeID, p.id); err != nil {
		return false, err
	}
	share, err := signing.ParseShare(key.Share)
	if err != nil {
		return false, fmt.Errorf("share of key %s: %w", key.KeyID, err)
	}
	defer share.Wipe()
	w := word{says: key.compare(s, share), epoch: s.Epoch, active: KeyState(s.State) == KeyActive}
	r.words[s.Index] = w
	need := min(share.Threshold(), len(key.Parties)-1)
	switch newer, same, all := r.tally(); {
	case w.says == saysNewer && s.Epoch > key.Epoch && s.ProofActive && s.Proven(p.id):
		// This node has itself said that it uses the newer share: no party can make that up. Its word on the epoch that it holds
		// proves nothing: every party has that.
		key.State, key.Restored.Newer = KeyStale, &newerEpoch{Epoch: s.Epoch, Party: s.Index, Proven: true}
	case newer >= need:
		key.State, key.Restored.Newer = KeyStale, &newerEpoch{Epoch: s.Epoch, Party: s.Index}
	case newer > 0 || (same < need && all < len(key.Parties)-1):
		return false, nil
	default:
		key.State, key.Restored = key.Restored.Before, nil
		key.alsoConfirmed(r)
		if key.State == KeyPending && key.allConfirmed() {
			key.State = KeyActive
		}
	}
	return true, nil
}

// compare holds a statement against the share that is held here.
func (k *keyRecord) compare(s manifest.EpochStatement, share *signing.Share) says {
	state := KeyState(s.State)
	switch {
	case !bytes.Equal(s.PublicKey, share.PublicKey()):
		return saysOther
	case s.Epoch < k.Epoch:
		return saysOlder
	case s.Epoch > k.Epoch && state == KeyPending:
		return saysOther // what is not in force yet takes nothing's place
	case s.Epoch > k.Epoch:
		return saysNewer
	case s.StatementHash != k.Statement:
		return saysOther
	case state == KeyStale:
		return saysNewer // it knows of one
	case state == KeyUnconfirmed:
		return saysSameToo
	}
	return saysSame
}

// alsoConfirmed takes the words of the parties that hold the same share as their confirmations, in case the backup is from
// before these came.
func (k *keyRecord) alsoConfirmed(r *round) {
	for index, w := range r.words {
		same := w.says == saysSame || w.says == saysSameToo
		if old := k.Confirmed[index]; same && (old == nil || (w.active && !old.Active)) {
			k.Confirmed[index] = &confirmation{Active: w.active}
		}
	}
}

// tally counts who says what: a newer epoch; the same and knows that it is the newest; the same, whether or not it knows.
func (r *round) tally() (newer, same, all int) {
	for _, w := range r.words {
		switch w.says {
		case saysNewer:
			newer++
		case saysSame:
			same, all = same+1, all+1
		case saysSameToo:
			all++
		case saysOlder, saysOther:
		}
	}
	return newer, same, all
}

// told says for operators what the other parties have said of a restored share.
func told(key *keyRecord, words map[byte]word) string {
	var parts []string
	for _, party := range key.Parties {
		if party.Index == key.Index {
			continue
		}
		text := "has not answered"
		if w, ok := words[party.Index]; ok {
			text = w.text()
		}
		parts = append(parts, fmt.Sprintf("party %d %s", party.Index, text))
	}
	return strings.Join(parts, ", ")
}

func (w word) text() string {
	switch w.says {
	case saysSame:
		return "has the same share"
	case saysSameToo:
		return "has the same share, restored from a backup too"
	case saysOlder:
		return fmt.Sprintf("has an older share, of epoch %d", w.epoch)
	case saysNewer:
		return fmt.Sprintf("says that there is a newer share (it is at epoch %d) and has not proven it", w.epoch)
	case saysOther:
	}
	return "has another share that does not belong to this one"
}

// note says what an operator should know of a restored share, of which the parties have said words.
func (k *keyRecord) note(words map[byte]word) string {
	switch k.State {
	case KeyUnconfirmed:
		return "restored from a backup; it signs once the other parties say that it is the newest: " + told(k, words)
	case KeyStale:
		return fmt.Sprintf("restored from a backup that is too old: party %d has a share of epoch %d; this one never signs; restore a newer backup",
			k.Restored.Newer.Party, k.Restored.Newer.Epoch)
	case KeyPending, KeyActive:
	}
	return ""
}
