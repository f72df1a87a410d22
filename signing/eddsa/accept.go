package eddsa

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"filippo.io/edwards25519"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/eddsa/internal/frame"
	"github.com/countersign-mpc/countersign/signing/eddsa/internal/library"
)

// place is where a message belongs: every party has one message for us in it.
type place struct {
	from      signing.PartyID
	round     uint16
	broadcast bool
}

type received struct {
	place
	frame frame.Frame
}

// Accept implements signing.Session.
func (k *Keygen) Accept(m signing.Message) error {
	if k.abort != nil {
		return k.abort
	}
	if err := k.checkDelivery(m); err != nil {
		return err
	}
	if k.Done() { // every message that the result needed was there; what comes now cannot change it
		return nil
	}
	err := guard(func() {
		if in, isNew := k.take(m); isNew {
			k.held = append(k.held, in)
			k.advance()
		}
	})
	if err != nil {
		k.share = nil
		k.fail(0, m.Round, "the session failed", err)
	}
	if k.abort != nil {
		return k.abort
	}
	return nil
}

// checkDelivery finds messages that the transport should have kept away.
func (k *Keygen) checkDelivery(m signing.Message) error {
	switch {
	case m.From == k.cfg.Self || !slices.Contains(k.cfg.Parties, m.From):
		return fmt.Errorf("%w: it is from %s", signing.ErrMisdelivered, m.From)
	case m.Broadcast && m.To != 0, !m.Broadcast && m.To != k.cfg.Self:
		return fmt.Errorf("%w: it is for %s (broadcast %t)", signing.ErrMisdelivered, m.To, m.Broadcast)
	}
	return nil
}

// take decodes a message and says whether it is new. What is wrong with it aborts the session: with a culprit where the
// sender's bytes alone prove it.
func (k *Keygen) take(m signing.Message) (received, bool) {
	sum := sha256.Sum256(m.Data)
	in := received{place: place{m.From, m.Round, m.Broadcast}}
	if earlier, ok := k.seen[in.place]; ok {
		if earlier != sum {
			k.fail(m.From, m.Round, "the party sent two different messages for one place", nil)
		}
		return in, false
	}
	f, err := frame.Decode(m.Data, k.cfg.Threshold)
	if err == nil && (f.Round != m.Round || f.Broadcast != m.Broadcast) {
		err = fmt.Errorf("the frame is of round %d (broadcast %t), the message of round %d (broadcast %t)", f.Round, f.Broadcast, m.Round, m.Broadcast)
	}
	if err != nil {
		k.fail(m.From, m.Round, "a message is malformed", err)
		return in, false
	}
	if f.Session != k.session { // another binding, threshold or set of parties, here or there: it cannot be told whose is right
		k.fail(0, m.Round, fmt.Sprintf("a message of %s belongs to another session, threshold or set of parties", m.From), nil)
		return in, false
	}
	k.seen[in.place] = sum
	in.frame = f
	return in, true
}

// advance uses what is there for the round, and goes on while that completes rounds.
func (k *Keygen) advance() {
	for k.abort == nil && !k.Done() {
		i := slices.IndexFunc(k.held, func(in received) bool { return in.round == k.round })
		if i < 0 {
			return
		}
		in := k.held[i]
		k.held = slices.Delete(k.held, i, i+1)
		if in.round == frame.RoundCommit {
			k.state.commits[in.from] = in.frame.Commit
			if len(k.state.commits) == len(k.cfg.Parties) {
				k.commitsDone()
			}
			continue
		}
		k.open(in)
		if k.abort == nil && len(k.state.opens) == len(k.cfg.Parties) && len(k.state.shares) == len(k.cfg.Parties)-1 {
			k.opensDone()
		}
	}
}

// open takes a message of the second round: an opening, or a share of a party's polynomial. Whoever has seen the same
// broadcasts of the first round as we have, and contradicts its own there, is to blame.
func (k *Keygen) open(in received) {
	if in.frame.Echo != k.echo {
		k.fail(0, in.round, fmt.Sprintf("%s was told other broadcasts in the round before than we were", in.from), nil)
		return
	}
	if in.broadcast {
		committed, opened := k.state.commits[in.from], in.frame.Open
		err := k.library.Proof(in.from, committed.Polynomial, opened)
		if err == nil && k.commitment(in.from, opened.ChainCode) != committed.ChainCode {
			err = errors.New("it opens its part of the chain code to another than it committed itself to")
		}
		if err != nil {
			k.fail(in.from, in.round, "a check of the protocol failed", err)
			return
		}
		k.state.opens[in.from] = opened
	} else {
		k.state.shares[in.from] = in.frame.Share.Value
	}
	opened, share := k.state.opens[in.from], k.state.shares[in.from]
	if opened != nil && share != nil && !matches(opened, k.cfg.Self, share) {
		k.fail(in.from, in.round, "a check of the protocol failed", errors.New("its share for us is not on the polynomial that it opened"))
	}
}

// matches compares a share with the polynomial in the exponent at the index of the party that it is for.
func matches(o *frame.Open, of signing.PartyID, share *edwards25519.Scalar) bool {
	want := library.Evaluate(o.Coefficients, of)
	return new(edwards25519.Point).ScalarBaseMult(share).Equal(want) == 1
}

// guard runs f and makes an error of a panic. The panic's value is not shown: it could hold a number of a computation.
func guard(f func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a computation panicked (%T)", p)
		}
	}()
	f()
	return nil
}
