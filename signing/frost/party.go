package frost

import (
	"fmt"

	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/frost/internal/group"
	"github.com/countersign-mpc/countersign/signing/frost/internal/schnorr"
)

// signer is one party's cryptography of one signature, whatever the group. The session calls it in this order: accept
// for the commitment of every other signer, share once, add for the share of every other signer, sum.
type signer interface {
	// commitment returns the own commitment.
	commitment() []byte
	// accept takes another signer's commitment. Its error is that signer's fault.
	accept(id signing.PartyID, commitment []byte) error
	// share makes and keeps the own signature share.
	share() ([32]byte, error)
	// add takes another signer's share. Its error is that signer's fault.
	add(id signing.PartyID, share [32]byte) error
	// sum returns the signature, which is yet to be verified.
	sum() ([64]byte, error)
	// wipe overwrites the secrets.
	wipe()
}

// party implements signer for a group. What the specifications do not share is in its two functions.
type party[S group.Scalar[S], E group.Element[E, S]] struct {
	self        signing.PartyID
	group       group.Group[S, E]
	secret      S
	nonce       *schnorr.Nonce[S] // nil once it is used
	commitments map[signing.PartyID]schnorr.Commitment[S, E]
	shares      map[signing.PartyID]S
	values      *schnorr.Values[S, E] // from share on

	parse   func(encoded []byte) (schnorr.Commitment[S, E], error)
	prepare func(commitments map[signing.PartyID]schnorr.Commitment[S, E]) (*schnorr.Values[S, E], error)
}

// start commits to the nonce.
func (p *party[S, E]) start() error {
	own, err := schnorr.Commit(p.group, p.nonce)
	if err != nil {
		return err
	}
	p.commitments = map[signing.PartyID]schnorr.Commitment[S, E]{p.self: own}
	p.shares = map[signing.PartyID]S{}
	return nil
}

func (p *party[S, E]) commitment() []byte { return p.commitments[p.self].Bytes() }

func (p *party[S, E]) accept(id signing.PartyID, commitment []byte) error {
	c, err := p.parse(commitment)
	if err != nil {
		return err
	}
	p.commitments[id] = c
	return nil
}

func (p *party[S, E]) share() ([32]byte, error) {
	nonce := p.nonce
	p.nonce = nil
	if nonce == nil {
		return [32]byte{}, schnorr.ErrNonceUsed
	}
	defer nonce.Wipe()
	defer p.secret.Wipe()
	var err error
	if p.values, err = p.prepare(p.commitments); err != nil {
		return [32]byte{}, err
	}
	own, err := p.values.Share(uint32(p.self), nonce, p.secret)
	if err != nil {
		return [32]byte{}, err
	}
	p.shares[p.self] = own
	return [32]byte(own.Bytes()), nil
}

func (p *party[S, E]) add(id signing.PartyID, share [32]byte) error {
	s, err := p.group.Scalar(share[:])
	if err != nil {
		return fmt.Errorf("signature share: %w", err)
	}
	if err := p.values.Verify(uint32(id), p.commitments[id], s); err != nil {
		return err
	}
	p.shares[id] = s
	return nil
}

func (p *party[S, E]) sum() ([64]byte, error) {
	var shares []S
	for _, s := range p.shares {
		shares = append(shares, s)
	}
	return p.values.Sum(shares)
}

func (p *party[S, E]) wipe() {
	if p.nonce != nil {
		p.nonce.Wipe()
		p.nonce = nil
	}
	p.secret.Wipe()
}
