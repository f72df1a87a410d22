package node

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/manifest"
)

// A share that came from a backup may be of an epoch that the parties have left since: with t such shares the key could be
// used as if it had never been refreshed. So the share waits, unconfirmed, for what the other parties sign about theirs, and is
// then active again, or stale for ever. docs/DECISIONS.md says how many words are needed, and why.

// epochRound is for how long the words that answer one challenge are counted together.
const epochRound = 10 * time.Minute

// restored says what is known of a share that came from a backup.
type restored struct {
	At     time.Time   `json:"at"`
	Before KeyState    `json:"before"`          // the state in the backup, and again once the share is confirmed
	Newer  *newerEpoch `json:"newer,omitempty"` // why it is stale
}

// newerEpoch says that another share has taken the place of a stale one.
type newerEpoch struct {
	Epoch  uint32 `json:"epoch"`
	Party  byte   `json:"party"`            // that said so last
	Proven bool   `json:"proven,omitempty"` // by this node's own signature; else so many parties said it that one is honest
}

// AfterRestore makes an unsealed store that was restored from a backup safe to use. The node may have gone on after the
// backup: it may have released its share for what the backup has as merely approved, of which it never says not-signed; and
// the parties may have made another share, so that each is unconfirmed until they have said. It is called once, before the
// node is unsealed over the store.
func AfterRestore(store *keystore.Store, now time.Time) error {
	return store.Update(func(tx *keystore.Tx) error {
		if err := markRequests(tx); err != nil {
			return err
		}
		return eachKey(tx, func(key *keyRecord) (bool, error) {
			if key.State != KeyPending && key.State != KeyActive {
				return false, nil
			}
			key.Restored, key.State = &restored{At: now.UTC(), Before: key.State}, KeyUnconfirmed
			return true, nil
		})
	})
}

// AcceptEpochs takes the unconfirmed shares of a restored store as they are, on the word of an operator who has asked the
// parties by other means. A share that is known to be stale stays so.
func AcceptEpochs(store *keystore.Store) error {
	return store.Update(func(tx *keystore.Tx) error {
		return eachKey(tx, func(key *keyRecord) (bool, error) {
			if key.State != KeyUnconfirmed {
				return false, nil
			}
			key.State, key.Restored = key.Restored.Before, nil
			return true, nil
		})
	})
}

// eachKey changes every key's record in one transaction.
func eachKey(tx *keystore.Tx, change func(*keyRecord) (write bool, err error)) error {
	var ids []string
	err := tx.ForEach(bucketKey, "", func(id string, _ []byte) error { ids = append(ids, id); return nil })
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := changeKey(tx, id, change); err != nil {
			return fmt.Errorf("key %s: %w", id, err)
		}
	}
	return nil
}

// unusable says why a share does not sign; nil for one that does.
func (k *keyRecord) unusable() error {
	switch k.State {
	case KeyActive:
		return nil
	case KeyUnconfirmed:
		return fmt.Errorf("the share of key %s was restored from a backup and is unconfirmed: it signs once enough of the other parties are online and say that it is the newest", k.KeyID)
	case KeyStale:
		return fmt.Errorf("the share of key %s was restored from a backup that is too old, and never signs: the parties have made another one since; restore a newer backup", k.KeyID)
	}
	return fmt.Errorf("the share of key %s is %s: it signs once all parties have confirmed theirs", k.KeyID, k.State)
}

// epochs is what this node has asked about its restored shares since it was unsealed.
type epochs struct {
	mu     sync.Mutex        // guards the fields below and what is in them
	rounds map[string]*round // by key id: of unconfirmed shares
	stale  int               // shares
}

// count tells how many shares are unconfirmed and how many are stale.
func (e *epochs) count() (unconfirmed, stale int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.rounds), e.stale
}

// round is one challenge about one key.
type round struct {
	challenge [32]byte
	began     time.Time
	asked     bool // the question is on its way to the coordinator
	words     map[byte]word
}

// word is what one party has said in a round.
type word struct {
	says   says
	epoch  uint32
	active bool // it uses its share
}

type says int

const (
	saysSame    says = iota // the same share, known to be the newest
	saysSameToo             // the same share, which is unconfirmed there too
	saysOlder
	saysNewer // a newer one, and it has not proven that
	saysOther // another share of the same epoch, or of another key
)

// openRounds finds the shares about which there is something to ask.
func (p *party) openRounds() error {
	p.epochs.mu.Lock()
	defer p.epochs.mu.Unlock()
	p.epochs.rounds = make(map[string]*round)
	return each(p.records, bucketKey, func(key *keyRecord) error {
		defer key.wipe()
		switch key.State {
		case KeyUnconfirmed:
			p.epochs.rounds[key.KeyID] = new(round)
			p.log.Warn("this share came from a backup: it does not sign until the other parties have said that it is the newest", "key_id", key.KeyID, "epoch", key.Epoch)
		case KeyStale:
			p.epochs.stale++
			p.warnStale(key)
		}
		return nil
	})
}

func (p *party) warnStale(key *keyRecord) {
	p.log.Error("this share came from a backup that is too old, and never signs: restore a newer backup", "key_id", key.KeyID,
		"epoch", key.Epoch, "newer_epoch", key.Restored.Newer.Epoch, "says_party", key.Restored.Newer.Party)
}

// askEpochs asks about every unconfirmed share, unless the question before is still on its way.
func (p *party) askEpochs() {
	p.epochs.mu.Lock()
	defer p.epochs.mu.Unlock()
	for id, r := range p.epochs.rounds {
		if r.asked {
			continue
		}
		if err := p.askEpoch(id, r); err != nil {
			p.log.Error("the parties could not be asked about a restored share", "key_id", id, "error", err)
		}
	}
}

// askEpoch asks about one share, with a new challenge when the old one has had its time. The caller holds epochs.mu.
func (p *party) askEpoch(keyID string, r *round) error {
	key, err := p.records.key(keyID)
	if err != nil || key == nil {
		return err
	}
	defer key.wipe()
	now := p.clock()
	if !r.counts(now) {
		*r = round{began: now, words: make(map[byte]word)}
		if _, err := rand.Read(r.challenge[:]); err != nil {
			return fmt.Errorf("make challenge: %w", err)
		}
	}
	q := manifest.EpochQuestion{KeyID: keyID, Index: key.Index, Challenge: r.challenge}
	if err := q.Sign(p.identity); err != nil {
		return err
	}
	err = p.link.Send(&linkv1.Frame{Body: &linkv1.Frame_EpochQuestion{EpochQuestion: &linkv1.EpochQuestion{
		KeyId: q.KeyID, Index: uint32(q.Index), Challenge: q.Challenge[:], Signature: q.Signature}}})
	r.asked = err == nil
	return err
}

// counts tells whether answers to a round's challenge are taken.
func (r *round) counts(now time.Time) bool {
	age := now.Sub(r.began)
	return r.words != nil && age >= 0 && age < epochRound
}

// said gives what the parties have said of each key in its round.
func (e *epochs) said() map[string]map[byte]word {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make(map[string]map[byte]word, len(e.rounds))
	for id, r := range e.rounds {
		out[id] = maps.Clone(r.words)
	}
	return out
}

// epochAsked notes that the coordinator has a question: it may be asked again.
func (p *party) epochAsked(q *linkv1.EpochQuestion) {
	p.epochs.mu.Lock()
	defer p.epochs.mu.Unlock()
	if r := p.epochs.rounds[q.KeyId]; r != nil && bytes.Equal(r.challenge[:], q.Challenge) {
		r.asked = false
	}
}

// epochQuestion answers a party that has restored its share. It tells what this node holds, whatever that is.
func (p *party) epochQuestion(f *linkv1.EpochQuestion) error {
	if len(f.KeyId) == 0 || len(f.KeyId) > 64 || f.Index == 0 || f.Index > manifest.MaxParties || len(f.Challenge) != 32 || len(f.Signature) > 80 {
		return errors.New("the question is not well formed")
	}
	q := manifest.EpochQuestion{KeyID: f.KeyId, Index: byte(f.Index), Challenge: [32]byte(f.Challenge), Signature: f.Signature}
	key, share, err := p.held(q.KeyID)
	if err != nil {
		return err
	}
	defer share.Wipe()
	from, ok := partyOf(key.Parties, q.Index)
	if !ok || q.Index == key.Index {
		return fmt.Errorf("party %d has nothing to ask here", q.Index)
	}
	if err := q.Verify(from.NodeID); err != nil {
		return err
	}
	s := manifest.EpochStatement{KeyID: q.KeyID, Index: key.Index, To: q.Index, Challenge: q.Challenge, Epoch: key.Epoch,
		StatementHash: key.Statement, PublicKey: share.PublicKey(), State: string(key.State)}
	if said := key.Confirmed[q.Index]; said != nil {
		s.Proof, s.ProofActive = said.Signature, said.Active
	}
	if err := s.Sign(p.identity, from.NodeID); err != nil {
		return err
	}
	p.send(&linkv1.Frame{Body: &linkv1.Frame_EpochStatement{EpochStatement: &linkv1.EpochStatement{
		KeyId: s.KeyID, Index: uint32(s.Index), To: uint32(s.To), Challenge: s.Challenge[:], Epoch: s.Epoch, StatementHash: s.StatementHash[:],
		PublicKey: s.PublicKey, State: s.State, Proof: &linkv1.EpochStatement_Proof{Active: s.ProofActive, Signature: s.Proof},
		Signature: s.Signature}}})
	return nil
}
