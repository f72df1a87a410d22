package node

import (
	"errors"
	"fmt"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/signing"
)

// finish stores the result of a session and reports it.
func (p *party) finish(s *session) error {
	switch protocol := s.protocol.(type) {
	case signing.KeygenSession:
		share, err := protocol.Share()
		if err != nil {
			return err
		}
		defer share.Wipe()
		return p.finishKeygen(s, share)
	case signing.SignSession:
		return p.finishSign(s, protocol)
	default:
		return fmt.Errorf("protocol %T has no result that is known here", s.protocol)
	}
}

// finishKeygen stores the new share as pending, then confirms it to the other parties.
func (p *party) finishKeygen(s *session, share *signing.Share) error {
	if err := p.checkShare(s, share); err != nil {
		return err
	}
	echo, err := s.channel.Echo()
	if err != nil {
		return err
	}
	encoded, err := share.MarshalBinary()
	if err != nil {
		return fmt.Errorf("encode share: %w", err)
	}
	defer clear(encoded)
	chain := share.ChainCode()
	statement := manifest.ShareStatement{
		KeyID: s.manifest.KeyID, Epoch: s.manifest.Epoch, Cryptography: s.manifest.Cryptography, T: s.manifest.T,
		Parties: s.manifest.Parties, Recipient: s.manifest.Recipient, Binding: s.channel.Binding(), Public: share.PublicStatement(), Echo: echo,
	}
	key := &keyRecord{
		Version: recordVersion, KeyID: s.manifest.KeyID, Epoch: s.manifest.Epoch, State: KeyPending, Share: encoded, Index: s.self,
		Statement: statement.Hash(), Parties: s.manifest.Parties, Recipient: s.manifest.Recipient,
		Confirmed: make(map[byte]*confirmation), Created: p.clock(),
	}
	own, err := p.confirmOwn(key)
	if err != nil {
		return err
	}
	report := &manifest.Report{SessionID: s.id, Completed: true, PublicKey: share.PublicKey(), ChainCode: chain[:]}
	if err := p.complete(s, StateDone, report, func(tx *keystore.Tx) error { return storeNew(tx, key) }); err != nil {
		return err
	}
	p.send(&linkv1.Frame{Body: &linkv1.Frame_Confirmation{Confirmation: own}})
	p.confirmEarly(s)
	return nil
}

// storeNew stores a key that must not be there yet: a share is never overwritten.
func storeNew(tx *keystore.Tx, key *keyRecord) error {
	old := new(keyRecord)
	defer old.wipe()
	found, err := get(tx, bucketKey, key.KeyID, old)
	if err != nil {
		return err
	}
	if found {
		return fmt.Errorf("this node holds %s share of key %s already", article(old.State), key.KeyID)
	}
	return put(tx, bucketKey, key.KeyID, key)
}

// checkShare holds what the protocol made against what was asked for.
func (p *party) checkShare(s *session, share *signing.Share) error {
	if byte(share.Index()) != s.self || share.Threshold() != s.manifest.T || share.Algorithm().String() != s.manifest.Cryptography ||
		len(share.Parties()) != len(s.manifest.Parties) {
		return errors.New("the protocol made another share than was asked for")
	}
	for i, id := range share.Parties() {
		if byte(id) != s.manifest.Parties[i].Index {
			return errors.New("the protocol made a share among other parties than were asked for")
		}
	}
	return nil
}

// complete makes the result durable in one transaction with extra, and only then reports it.
func (p *party) complete(s *session, state State, report *manifest.Report, extra func(*keystore.Tx) error) error {
	if err := report.Sign(p.identity); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	r := s.request
	err := p.change(r, func(rec *requestRecord) {
		rec.State, rec.Reason, rec.Report, rec.signature = state, "", report, s.signature
	}, extra)
	if err != nil {
		return err
	}
	delete(p.requests, r.record.SinoID)
	p.metrics.request(r.record.Terms.Type, state)
	p.report(report)
	p.tell(r)
	return nil
}
