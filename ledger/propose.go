package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Draft is what a proposal is made of.
type Draft struct {
	Base         uint64 // number of the activation that the caller has seen as the active one
	Revision     string
	Content      []byte   // of the policy
	Diff         []byte   // tells what differs from the active policy
	Effect       []byte   // tells what would have been decided otherwise
	Judged       int      // requests that the effect is about
	Proposer     string   // who proposes it
	ProposerKeys []string // key ids under which that one is known too
	// Anonymous says that Proposer names no one in particular: not enough where the proposer's own approval must not count.
	Anonymous bool
	Reason    string
}

// maxProposals bounds the proposals that are kept beside those that were activated, maxOpen those that are not decided yet.
const (
	maxProposals = 200
	maxOpen      = 20
	// openLifetime is how long a proposal lives that needs no approval.
	openLifetime = 7 * 24 * time.Hour
)

func (d *Draft) validate() error {
	switch {
	case d.Revision == "" || len(d.Revision) > MaxRevision || d.Proposer == "" || len(d.Proposer) > maxOperator || len(d.Reason) > MaxReason:
		return fmt.Errorf("%w proposal: it needs a revision, who proposes it, and a reason of at most %d bytes", ErrInvalid, MaxReason)
	case max(len(d.Content), len(d.Diff), len(d.Effect)) > MaxPolicy || len(d.Content) == 0 || d.Judged < 0:
		return fmt.Errorf("%w proposal: it needs a policy, and that and each of its documents has at most %d bytes", ErrInvalid, MaxPolicy)
	case len(d.ProposerKeys) > maxKeyIDs:
		return fmt.Errorf("%w proposal: the proposer has more than %d keys", ErrInvalid, maxKeyIDs)
	}
	return nil
}

// Propose records that somebody wants a policy to be active. What the active policy asks of it is fixed with it.
//
// ErrRevision: another policy is active meanwhile. ErrUnchanged. ErrInvalid, also where the active policy asks for more than
// the proposal brings: requests judged, a proposer who is known, enough approvers beside it.
func (l *Ledger) Propose(ctx context.Context, d Draft) (Proposal, error) {
	if err := d.validate(); err != nil {
		return Proposal{}, fmt.Errorf("propose a policy: %w", err)
	}
	var out Proposal
	err := l.update(ctx, func(tx Tx) error {
		active, err := l.standing(tx)
		switch {
		case err != nil:
			return err
		case active.Number != d.Base || active.Number == 0:
			return fmt.Errorf("%w: propose it anew", ErrRevision)
		case active.Revision == d.Revision:
			return ErrUnchanged
		}
		now, err := l.now(tx)
		if err != nil {
			return err
		}
		p, err := newProposal(&d, active, now)
		if err != nil {
			return err
		}
		if err := forgetProposals(tx, now, active); err != nil {
			return err
		}
		out = *p
		out.State = p.stateAt(now, active)
		return l.recordProposal(tx, p, &d)
	})
	if err != nil {
		return Proposal{}, fmt.Errorf("propose the policy %.16s: %w", d.Revision, err)
	}
	return out, nil
}

func newProposal(d *Draft, active Active, now time.Time) (*Proposal, error) {
	p := &Proposal{
		ID: newID(now).String(), Base: active.Number, From: active.Revision, To: d.Revision, Content: sha256.Sum256(d.Content), Diff: sha256.Sum256(d.Diff),
		Effect: sha256.Sum256(d.Effect), Judged: uint32(d.Judged), Proposer: d.Proposer, ProposerKeys: slices.Clone(d.ProposerKeys), Reason: d.Reason, Opened: now,
		Expires: now.Add(openLifetime).Truncate(time.Second),
	}
	g := active.Guard
	if g == nil {
		return p, nil
	}
	r := g.Requirement
	p.Requirement, p.Expires = &r, now.Add(time.Duration(r.LifetimeSeconds)*time.Second).Truncate(time.Second)
	switch {
	case p.Judged < g.MinJudged:
		return nil, fmt.Errorf("%w proposal: %d recorded requests were judged again, and the active policy asks for %d", ErrInvalid, p.Judged, g.MinJudged)
	case r.NotRequester && d.Anonymous:
		return nil, fmt.Errorf("%w proposal: the active policy asks for approvals of others than the proposer, so it has to be known who that is: propose as an operator with a name", ErrInvalid)
	case p.eligible() < r.Threshold:
		return nil, fmt.Errorf("%w proposal: %d of group %s may approve it, and %d have to", ErrInvalid, p.eligible(), r.Group, r.Threshold)
	}
	return p, nil
}

func (l *Ledger) recordProposal(tx Tx, p *Proposal, d *Draft) error {
	rec := &ProposalRecord{ID: p.ID, Time: p.Opened, Terms: p.Terms(), From: p.From, To: p.To, Content: p.Content, Diff: p.Diff, Effect: p.Effect, Proposer: p.Proposer, Reason: p.Reason}
	if _, _, err := l.append(tx, Entry{Proposal: rec}); err != nil {
		return err
	}
	for part, document := range map[byte][]byte{partContent: d.Content, partDiff: d.Diff, partEffect: d.Effect} {
		if err := tx.Put(bucketProposal, proposalKey(p.ID, part), bytes.Clone(document)); err != nil { // the store keeps it
			return err
		}
	}
	return putProposal(tx, p)
}

// The parts of a proposal, before its id in the keys of bucketProposal, so that a list reads the first ones only.
const (
	partTerms   = 0
	partContent = 1
	partDiff    = 2
	partEffect  = 3
)

func proposalKey(text string, part byte) []byte {
	name, _ := parseID(text) // checked before
	return append([]byte{part}, name[:]...)
}

// proposalsEnd is behind the keys of all partTerms.
var proposalsEnd = []byte{partTerms + 1}

func putProposal(tx Tx, p *Proposal) error {
	b, err := p.marshal()
	if err != nil {
		return err
	}
	return tx.Put(bucketProposal, proposalKey(p.ID, partTerms), b)
}

// getProposal reads a proposal and holds it against its entry in the log, unless retention has removed that.
func (l *Ledger) getProposal(r Reader, name id) (*Proposal, error) {
	b, err := r.Get(bucketProposal, proposalKey(name.String(), partTerms))
	if err != nil {
		return nil, err
	}
	if b == nil {
		return nil, fmt.Errorf("proposal %s: %w", name, ErrNotFound)
	}
	p, err := parseProposal(b)
	if err != nil {
		return nil, err
	}
	if p.ID != name.String() {
		return nil, fmt.Errorf("%w: under the id %s stands proposal %s", ErrDamaged, name, p.ID)
	}
	_, e, err := getEntry(r, name)
	switch {
	case errors.Is(err, ErrExpired):
		return p, nil
	case errors.Is(err, ErrNotFound), err == nil && (e.Proposal == nil || e.Proposal.Terms != p.Terms()):
		return nil, fmt.Errorf("%w: proposal %s is not what the log has of it", ErrDamaged, name)
	}
	return p, err
}

// document reads a part of a proposal and holds it against its hash.
func document(r Reader, p *Proposal, part byte, want Hash) ([]byte, error) {
	b, err := r.Get(bucketProposal, proposalKey(p.ID, part))
	if err != nil {
		return nil, err
	}
	if b == nil || Hash(sha256.Sum256(b)) != want {
		return nil, fmt.Errorf("%w: a document of proposal %s is not what was proposed", ErrDamaged, p.ID)
	}
	return b, nil
}

// forgetProposals makes room for one more: it removes the oldest of those that were never activated.
func forgetProposals(tx Tx, now time.Time, active Active) error {
	var all []*Proposal
	open := 0
	err := tx.Scan(bucketProposal, nil, proposalsEnd, false, func(_, value []byte) (bool, error) {
		p, err := parseProposal(value)
		if err != nil {
			return false, err
		}
		switch p.stateAt(now, active) {
		case ProposalActivated:
			return true, nil
		case ProposalPending, ProposalApproved:
			open++
		}
		all = append(all, p)
		return true, nil
	})
	if err != nil {
		return err
	}
	if open >= maxOpen {
		return fmt.Errorf("%w proposal: %d others wait; reject some, or wait until they expire", ErrInvalid, open)
	}
	for _, p := range all[:max(0, len(all)-maxProposals+1)] {
		for part := byte(partTerms); part <= partEffect; part++ {
			if err := tx.Delete(bucketProposal, proposalKey(p.ID, part)); err != nil {
				return err
			}
		}
	}
	return nil
}

// useProposal takes an approved proposal as the change.
func (l *Ledger) useProposal(tx Tx, c *Change, active Active, rec *ActivationRecord) error {
	name, err := parseID(c.Proposal)
	if err != nil {
		return err
	}
	p, err := l.getProposal(tx, name)
	if err != nil {
		return err
	}
	if state := p.stateAt(rec.Time, active); state != ProposalApproved {
		return fmt.Errorf("%w: the proposal is %s", ErrNeedsApproval, state)
	}
	if active.Guard != nil && p.Judged < active.Guard.MinJudged || p.To != c.Revision {
		return fmt.Errorf("%w: it is not what was approved", ErrNeedsApproval)
	}
	for part, want := range map[byte]Hash{partDiff: p.Diff, partEffect: p.Effect} { // approved by its effect, which has to be there
		if _, err := document(tx, p, part, want); err != nil {
			return err
		}
	}
	content, err := document(tx, p, partContent, p.Content)
	if err != nil {
		return err
	}
	c.Content = bytes.Clone(content)
	rec.Proposal, rec.Diff, rec.Effect, rec.Votes = p.ID, p.Diff, p.Effect, p.Votes
	if rec.Reason == "" {
		rec.Reason = p.Reason
	}
	p.Activated = rec.Number
	return putProposal(tx, p)
}

// VoteOnProposal records an approver's vote and returns the proposal with it. The same vote again changes nothing and is no
// error. Errors are as those of SubmitApproval.
func (l *Ledger) VoteOnProposal(ctx context.Context, proposal string, s Signed) (Proposal, error) {
	name, err := parseID(proposal)
	if err != nil {
		return Proposal{}, fmt.Errorf("vote on a proposal: %w", err)
	}
	var out Proposal
	err = l.update(ctx, func(tx Tx) error {
		p, err := l.getProposal(tx, name)
		if err != nil {
			return err
		}
		active, now, err := l.present(tx)
		if err != nil {
			return err
		}
		counted, err := p.take(s, now, active)
		if err == nil && !counted {
			err = l.recordPolicyVote(tx, p, now)
		}
		p.State = p.stateAt(now, active)
		out = *p
		return err
	})
	if err != nil {
		return Proposal{}, fmt.Errorf("vote on proposal %s: %w", proposal, err)
	}
	return out, nil
}

// take adds the vote to the proposal unless it is there already.
func (p *Proposal) take(s Signed, now time.Time, active Active) (counted bool, err error) {
	if counted, err := s.again(p.admit(s, p.Votes), p.Votes); counted || err != nil {
		return counted, err
	}
	switch p.stateAt(now, active) {
	case ProposalVoid, ProposalActivated:
		return false, ErrProposalVoid
	case ProposalExpired:
		return false, ErrApprovalExpired
	case ProposalRejected:
		return false, ErrApprovalRejected
	}
	p.Votes = append(p.Votes, s.at(now))
	return false, nil
}

// recordPolicyVote writes the proposal's newest vote.
func (l *Ledger) recordPolicyVote(tx Tx, p *Proposal, now time.Time) error {
	vote := p.Votes[len(p.Votes)-1]
	approver, ok := p.Requirement.find(vote.Approver)
	if !ok {
		return ErrNotApprover
	}
	rec := &PolicyVoteRecord{ID: newID(now).String(), Time: now, Proposal: p.ID, KeyID: approver.KeyID(), Vote: vote}
	if _, _, err := l.append(tx, Entry{PolicyVote: rec}); err != nil {
		return err
	}
	return putProposal(tx, p)
}

// Proposed is a proposal with its documents.
type Proposed struct {
	Proposal
	Policy, DiffDocument, EffectDocument []byte
}

// Proposed returns a proposal with everything that approvers have to see, each part held against its hash; ErrNotFound.
func (l *Ledger) Proposed(ctx context.Context, proposal string) (Proposed, error) {
	name, err := parseID(proposal)
	if err != nil {
		return Proposed{}, fmt.Errorf("read a proposal: %w", err)
	}
	var out Proposed
	err = l.view(ctx, func(r Reader) error {
		p, err := l.getProposal(r, name)
		if err != nil {
			return err
		}
		active, now, err := l.present(r)
		if err != nil {
			return err
		}
		p.State = p.stateAt(now, active)
		out = Proposed{Proposal: *p}
		for _, d := range []struct {
			to   *[]byte
			part byte
			want Hash
		}{{&out.Policy, partContent, p.Content}, {&out.DiffDocument, partDiff, p.Diff}, {&out.EffectDocument, partEffect, p.Effect}} {
			b, err := document(r, p, d.part, d.want)
			if err != nil {
				return err
			}
			*d.to = bytes.Clone(b)
		}
		return nil
	})
	if err != nil {
		return Proposed{}, fmt.Errorf("read proposal %s: %w", proposal, err)
	}
	return out, nil
}

// present is what the state of a proposal depends on beside itself: which policy is active, and the time.
func (l *Ledger) present(r Reader) (active Active, now time.Time, err error) {
	if active, err = getActive(r); err == nil {
		now, err = l.now(r)
	}
	return active, now, err
}

// Proposals lists all proposals that are kept, newest first.
func (l *Ledger) Proposals(ctx context.Context) ([]Proposal, error) {
	var out []Proposal
	err := l.view(ctx, func(r Reader) error {
		out = nil
		active, now, err := l.present(r)
		if err != nil {
			return err
		}
		return r.Scan(bucketProposal, nil, proposalsEnd, true, func(_, value []byte) (bool, error) {
			p, err := parseProposal(value)
			if err != nil {
				return false, err
			}
			p.State = p.stateAt(now, active)
			out = append(out, *p)
			return len(out) < MaxPage, nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list proposals: %w", err)
	}
	return out, nil
}
