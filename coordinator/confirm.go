package coordinator

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/wire"
)

// confirmation takes a party's signed word that it stored its share of a key, or that its share is active, and has it
// relayed to the other parties.
func (p *Peer) confirmation(s *step, f *linkv1.Confirmation) error {
	c, err := confirmationOf(f)
	if err != nil {
		return err
	}
	if len(c.KeyID) == 0 || len(c.KeyID) > maxSessionID {
		return refuse(CodeViolation, "a confirmation of a key id of %d bytes", len(c.KeyID))
	}
	key, err := get[Key](s, TableKeys, c.KeyID)
	if err != nil {
		return err
	}
	if key == nil {
		s.warn("confirmation of a key that is not known here", "node", p.node.Short())
		return nil // a key of another coordinator: no harm
	}
	seat := key.seat(p.node)
	if seat == nil || seat.Index != c.Index {
		return refuse(CodeViolation, "a confirmation of party %d of key %s was sent by another", c.Index, key.ID)
	}
	if err := c.Verify(p.node); err != nil {
		return refuse(CodeViolation, "%v", err)
	}
	for _, known := range key.Confirmations {
		if known.Index == c.Index && known.Active == c.Active && known.Epoch == c.Epoch && bytes.Equal(known.Hash, c.StatementHash[:]) {
			return nil // sent again
		}
	}
	if key.State == KeyConflicted {
		return nil
	}
	if key.State == KeyActive && (key.Epoch != c.Epoch || !bytes.Equal(key.Confirmations[0].Hash, c.StatementHash[:])) {
		// All parties have made the same share active. What one says against that now must not freeze the key.
		s.warn("a party confirms another share of an active key", "key_id", key.ID, "node", p.node.Short())
		return nil
	}
	return s.confirmed(key, Confirmation{Epoch: c.Epoch, Index: c.Index, Active: c.Active, Hash: c.StatementHash[:]}, f)
}

// confirmed keeps a new confirmation. Parties that confirm different shares make the key unusable for ever.
func (s *step) confirmed(key *Key, c Confirmation, f *linkv1.Confirmation) (err error) {
	for _, known := range key.Confirmations {
		if known.Epoch != c.Epoch || !bytes.Equal(known.Hash, c.Hash) {
			return s.conflict(key, known, c)
		}
	}
	if c.Frame, err = stored(f); err != nil {
		return err
	}
	key.Confirmations = append(key.Confirmations, c)
	key.Epoch = c.Epoch
	for _, seat := range key.Seats {
		if seat.Index == c.Index {
			continue
		}
		sub := Subject{Key: key.ID}
		if err := s.Put(TableTodo, todoKey(seat.NodeID, sub), []byte{entryVersion}); err != nil {
			return fmt.Errorf("store confirmation: %w", err)
		}
		s.tell = append(s.tell, telling{seat.NodeID, sub})
	}
	return s.settle(key)
}

func (s *step) conflict(key *Key, known, c Confirmation) error {
	key.State = KeyConflicted
	key.Problem = fmt.Sprintf("parties %s and %s confirmed different shares of this key: it must not be used; make a new one", key.seatAt(known.Index).Name, key.seatAt(c.Index).Name)
	if err := put(s, TableKeys, key.ID, key); err != nil {
		return err
	}
	s.warn("key conflicted", "key_id", key.ID)
	req, err := must[Request](s, TableRequests, key.SinoID)
	if err != nil || req.State.Final() {
		return err
	}
	f := Failure{Cause: CauseKeyConflicted, Message: key.Problem}
	r, err := s.current(req.SinoID)
	if err != nil {
		return err
	}
	if !r.sess.State.Final() {
		return s.fail(r, f)
	}
	return s.failRequest(r.req, f)
}

// keyReported takes over the public key that all parties of a keygen have reported.
func (s *step) keyReported(r *run) error {
	key, err := must[Key](s, TableKeys, r.req.KeyID)
	if err != nil {
		return err
	}
	report, err := r.sess.Members[0].storedReport()
	if err != nil {
		return err
	}
	if key.PublicKey == nil {
		key.PublicKey, key.ChainCode, key.Recipient = report.PublicKey, report.ChainCode, r.sess.recipient()
	}
	if err := s.saveRequest(r.req); err != nil {
		return err
	}
	return s.settle(key)
}

// settle stores a key, and makes it active once all its parties have reported the same public key and have made the same
// share active.
func (s *step) settle(key *Key) error {
	if key.State == KeyActive || key.State == KeyConflicted || key.PublicKey == nil || !key.allActive() {
		return put(s, TableKeys, key.ID, key)
	}
	key.State, key.Problem = KeyActive, ""
	if err := put(s, TableKeys, key.ID, key); err != nil {
		return err
	}
	s.info("key active", "key_id", key.ID, "account", key.Account)
	req, err := must[Request](s, TableRequests, key.SinoID)
	if err != nil || req.State == StateCompleted {
		return err
	}
	return s.complete(req, &Result{PublicKey: key.PublicKey, ChainCode: key.ChainCode})
}

func (k *Key) allActive() bool {
	for _, seat := range k.Seats {
		active := false
		for _, c := range k.Confirmations {
			active = active || (c.Index == seat.Index && c.Active)
		}
		if !active {
			return false
		}
	}
	return true
}

func (k *Key) seat(node wire.NodeID) *Seat {
	for i := range k.Seats {
		if k.Seats[i].NodeID == node {
			return &k.Seats[i]
		}
	}
	return nil
}

// seatAt is the seat of a share index. For one that the key has not it names the index.
func (k *Key) seatAt(index byte) Seat {
	for _, seat := range k.Seats {
		if seat.Index == index {
			return seat
		}
	}
	return Seat{Index: index, Name: fmt.Sprint(index)}
}

// knowsKey notes that a node has taken confirmations of a key. It needs to hear no more of it once the key is active and
// it has all that the others said.
func (p *Peer) knowsKey(s *step, r Receipt) error {
	key, err := get[Key](s, TableKeys, r.Key)
	if err != nil || key == nil || (key.State != KeyActive && key.State != KeyConflicted) {
		return err
	}
	others := 0
	for _, c := range key.Confirmations {
		if seat := key.seat(p.node); seat != nil && seat.Index != c.Index {
			others++
		}
	}
	if r.Count < others {
		return nil
	}
	if err := s.Delete(TableTodo, todoKey(p.node, Subject{Key: r.Key})); err != nil {
		return fmt.Errorf("forget key: %w", err)
	}
	return nil
}

// newKey stores a key that a keygen is to make.
func (s *step) newKey(key *Key) error {
	if err := s.Put(TableAccountKeys, keyOf(key.Account, key.ID), []byte{entryVersion}); err != nil {
		return fmt.Errorf("list key: %w", err)
	}
	return put(s, TableKeys, key.ID, key)
}

// Key reads one key of an account.
func (c *Coordinator) Key(ctx context.Context, account, id string) (Key, error) {
	var key *Key
	err := c.view(ctx, func(s *step) (err error) {
		if id != "" && len(id) <= maxSessionID {
			key, err = get[Key](s, TableKeys, id)
		}
		return err
	})
	if err != nil {
		return Key{}, err
	}
	if key == nil || key.Account != account {
		return Key{}, refuse(CodeNotFound, "there is no key %s in this account", clip(id, 64))
	}
	return *key, nil
}

// Keys lists the keys of an account, those that are being made included, behind the key id after: at most limit.
func (c *Coordinator) Keys(ctx context.Context, account, after string, limit int) ([]Key, error) {
	var out []Key
	err := c.view(ctx, func(s *step) error {
		out = nil
		return s.eachKey(account, after, func(key *Key) bool {
			out = append(out, *key)
			return len(out) >= limit
		})
	})
	return out, err
}

func (s *step) eachKey(account, after string, f func(*Key) (stop bool)) error {
	prefix := prefixOf(account)
	var ids []string
	err := s.Scan(TableAccountKeys, prefix, prefix+after, func(key string, _ []byte) (bool, error) {
		ids = append(ids, strings.TrimPrefix(key, prefix))
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("list keys: %w", err)
	}
	for _, id := range ids {
		if id == after {
			continue
		}
		key, err := must[Key](s, TableKeys, id)
		if err != nil {
			return err
		}
		if f(key) {
			return nil
		}
	}
	return nil
}

// activeKeys gives the active keys of an account that serve, two at most: whether there is just one is what matters.
func (s *step) activeKeys(account string, serves func(*Key) bool) ([]*Key, error) {
	var out []*Key
	err := s.eachKey(account, "", func(key *Key) bool {
		if key.State == KeyActive && serves(key) {
			out = append(out, key)
		}
		return len(out) == 2
	})
	return out, err
}
