package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/countersign-mpc/countersign/wire"
)

// ProposalState is what a proposal has come to.
type ProposalState string

// The states. Only a pending or approved one takes votes, and only an approved one can be activated.
const (
	ProposalPending   ProposalState = "pending"
	ProposalApproved  ProposalState = "approved" // as far as that was needed
	ProposalRejected  ProposalState = "rejected" // by one vote where that is final, or the threshold is out of reach
	ProposalExpired   ProposalState = "expired"
	ProposalVoid      ProposalState = "void" // another policy was activated after it was made
	ProposalActivated ProposalState = "activated"
)

// Proposal is a policy that somebody wants to be active, with its effect. Approvers vote on all of it.
type Proposal struct {
	ID       string        `json:"id"`
	State    ProposalState `json:"state"` // at the time it was read
	Base     uint64        `json:"base"`  // number of the activation that it changes
	From     string        `json:"from"`  // revision that was active
	To       string        `json:"to"`
	Content  Hash          `json:"content_sha256"` // of the new policy's content
	Diff     Hash          `json:"diff_sha256"`    // of the document that tells what differs
	Effect   Hash          `json:"effect_sha256"`  // of the document that tells what would have been decided otherwise
	Judged   uint32        `json:"judged"`         // requests that the effect is about
	Proposer string        `json:"proposer"`
	// ProposerKeys are key ids under which the proposer is known too.
	ProposerKeys []string `json:"proposer_keys"`
	Reason       string   `json:"reason"`
	// Requirement is that of the active policy's guard; nil: it needs no approval.
	Requirement *Requirement `json:"requirement"`
	Opened      time.Time    `json:"opened"`
	Expires     time.Time    `json:"expires"` // whole seconds
	Votes       []Vote       `json:"votes"`   // in the order they came
	Activated   uint64       `json:"activated,omitempty"`
}

// ProposalRecord is that a policy was proposed, as it stands in the log; its id is the proposal's.
type ProposalRecord struct {
	ID      string    `json:"id"`
	Time    time.Time `json:"time"`
	Terms   Hash      `json:"terms"` // Proposal.Terms
	From    string    `json:"from"`
	To      string    `json:"to"`
	Content Hash      `json:"content_sha256"`
	Diff    Hash      `json:"diff_sha256"`
	Effect  Hash      `json:"effect_sha256"`

	Proposer string `json:"proposer"`
	Reason   string `json:"reason"`
}

// PolicyVoteRecord is an approver's vote on a proposal as it stands in the log.
type PolicyVoteRecord struct {
	ID       string    `json:"id"`
	Time     time.Time `json:"time"`
	Proposal string    `json:"proposal"`
	KeyID    string    `json:"key_id"` // of the key that signed
	Vote     Vote      `json:"vote"`
}

// Terms is a hash over everything in a proposal that does not change: docs/FORMATS.md, ledger. It is computed from the fields
// as they stand, so that who signs it signs what it was shown.
func (p *Proposal) Terms() Hash {
	var requirement []byte
	if p.Requirement != nil {
		h := p.Requirement.Hash()
		requirement = h[:]
	}
	u64 := func(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }
	fields := [][]byte{
		[]byte(p.ID), u64(p.Base), []byte(p.From), []byte(p.To), p.Content[:], p.Diff[:], p.Effect[:], u64(uint64(p.Judged)),
		[]byte(p.Proposer), u64(uint64(len(p.ProposerKeys))),
	}
	for _, k := range p.ProposerKeys {
		fields = append(fields, []byte(k))
	}
	fields = append(fields, []byte(p.Reason), requirement, u64(uint64(p.Opened.UnixNano())), u64(uint64(p.Expires.Unix())))
	return sha256.Sum256(wire.SigningBytes("policy-terms", fields...))
}

// PolicyChangeSigningBytes is what an approver signs for its vote on a proposal (docs/FORMATS.md, ledger).
func PolicyChangeSigningBytes(p Proposal, decision VoteKind) []byte {
	terms := p.Terms()
	return wire.SigningBytes("policy-change", terms[:], []byte(decision))
}

// own tells whether an approver is the proposer: by its name, or by a key.
func (p *Proposal) own(a Approver) bool {
	return a.Name == p.Proposer || slices.ContainsFunc(p.ProposerKeys, a.is)
}

// eligible is how many approvers may approve it.
func (p *Proposal) eligible() int {
	n := 0
	for _, a := range p.Requirement.Approvers {
		if !p.Requirement.NotRequester || !p.own(a) {
			n++
		}
	}
	return n
}

// stateAt is what the proposal has come to at a time, while a policy is active.
func (p *Proposal) stateAt(now time.Time, active Active) ProposalState {
	approved, rejected := tally(p.Votes)
	switch r := p.Requirement; {
	case p.Activated != 0:
		return ProposalActivated
	case p.Base != active.Number || !sameGuard(r, active.Guard):
		return ProposalVoid
	case !now.Before(p.Expires):
		return ProposalExpired
	case r == nil:
		return ProposalApproved
	case r.RejectionFinal && rejected > 0 || p.eligible()-rejected < r.Threshold:
		return ProposalRejected
	case approved >= r.Threshold:
		return ProposalApproved
	}
	return ProposalPending
}

// sameGuard tells whether a requirement is the one that a guard asks for.
func sameGuard(r *Requirement, g *Guard) bool {
	if r == nil || g == nil {
		return r == nil && g == nil
	}
	return r.Hash() == g.Requirement.Hash()
}

// admit checks that a vote may be counted beside earlier ones.
func (p *Proposal) admit(s Signed, earlier []Vote) error {
	r := p.Requirement
	if r == nil {
		return fmt.Errorf("%w: the proposal needs no approval", ErrNotApprover)
	}
	return r.admit(s, PolicyChangeSigningBytes(*p, s.Decision), func(by Approver) bool { return r.NotRequester && p.own(by) }, earlier)
}

const proposalMagic = "CSLO\x01"

func (p *Proposal) marshal() ([]byte, error) {
	e := encoder{b: []byte(proposalMagic)}
	e.id(p.ID)
	e.u64(p.Base)
	e.change(p.From, p.To, p.Content, p.Diff, p.Effect)
	e.u32(p.Judged)
	e.str(p.Proposer)
	e.strs(p.ProposerKeys)
	e.str(p.Reason)
	e.bool(p.Requirement != nil)
	if p.Requirement != nil {
		e.requirement(*p.Requirement)
	}
	e.time(p.Opened)
	e.u64(uint64(p.Expires.Unix()))
	e.u64(p.Activated)
	e.votes(p.Votes)
	return e.b, e.err
}

// parseProposal reads a proposal and checks everything that it counts by: the requirement, and each vote's signature.
func parseProposal(b []byte) (*Proposal, error) {
	d := decoder{b: b}
	d.magic(proposalMagic)
	p := &Proposal{ID: d.id(), Base: d.u64(), From: d.str(), To: d.str(), Content: d.hash(), Diff: d.hash(), Effect: d.hash(), Judged: d.u32()}
	p.Proposer, p.ProposerKeys, p.Reason = d.str(), d.strs(), d.str()
	if d.bool() {
		r := d.requirement()
		p.Requirement = &r
	}
	p.Opened, p.Expires, p.Activated = d.time(), time.Unix(int64(d.u64()), 0).UTC(), d.u64()
	p.Votes = d.votes()
	if err := d.done("a proposal"); err != nil {
		return nil, err
	}
	if p.Requirement != nil {
		r, err := p.Requirement.normal()
		if err != nil {
			return nil, fmt.Errorf("%w: proposal %s: %w", ErrDamaged, p.ID, err)
		}
		p.Requirement = &r
	}
	if again, err := p.marshal(); err != nil || !bytes.Equal(again, b) {
		return nil, fmt.Errorf("%w: proposal %s is not as it is written", ErrDamaged, p.ID)
	}
	for i, v := range p.Votes {
		if err := p.admit(v.signed(), p.Votes[:i]); err != nil {
			return nil, fmt.Errorf("%w: proposal %s: the vote of %s: %w", ErrDamaged, p.ID, v.Approver, err)
		}
	}
	return p, nil
}

// change writes what a proposal is about.
func (e *encoder) change(from, to string, content, diff, effect Hash) {
	e.str(from)
	e.str(to)
	e.hash(content)
	e.hash(diff)
	e.hash(effect)
}

func (e *encoder) proposal(r *ProposalRecord) {
	e.id(r.ID)
	e.time(r.Time)
	e.hash(r.Terms)
	e.change(r.From, r.To, r.Content, r.Diff, r.Effect)
	e.str(r.Proposer)
	e.str(r.Reason)
}

func (d *decoder) proposal() *ProposalRecord {
	return &ProposalRecord{ID: d.id(), Time: d.time(), Terms: d.hash(), From: d.str(), To: d.str(), Content: d.hash(), Diff: d.hash(),
		Effect: d.hash(), Proposer: d.str(), Reason: d.str()}
}

func (e *encoder) policyVote(r *PolicyVoteRecord) {
	e.id(r.ID)
	e.time(r.Time)
	e.id(r.Proposal)
	e.str(r.KeyID)
	e.vote(r.Vote)
}

func (d *decoder) policyVote() *PolicyVoteRecord {
	return &PolicyVoteRecord{ID: d.id(), Time: d.time(), Proposal: d.id(), KeyID: d.str(), Vote: d.vote()}
}
