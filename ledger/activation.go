package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// ActivationKind is how a policy came to be active.
type ActivationKind string

// The kinds.
const (
	ActivatedFiles    ActivationKind = "files"    // the files of a server were read, at its start or by a reload
	ActivatedPolicy   ActivationKind = "policy"   // an operator handed it in
	ActivatedRollback ActivationKind = "rollback" // it had been active before
	ActivatedProposal ActivationKind = "proposal" // it was proposed, and approved as far as that was needed
)

var activationKinds = []ActivationKind{"", ActivatedFiles, ActivatedPolicy, ActivatedRollback, ActivatedProposal} // by code

func (k ActivationKind) code() byte {
	for i, kind := range activationKinds {
		if kind == k {
			return byte(i)
		}
	}
	return 0
}

// ActivationRecord is how a policy became the active one, as it stands in the log. Retention leaves it there.
type ActivationRecord struct {
	ID       string         `json:"id"`
	Time     time.Time      `json:"time"`
	Number   uint64         `json:"number"`
	From     string         `json:"from"` // revision; "" for the first
	To       string         `json:"to"`
	Content  Hash           `json:"content_sha256"` // of what is stored of the policy
	How      ActivationKind `json:"how"`
	Operator string         `json:"operator"`
	Reason   string         `json:"reason"`
	// Proposal is the id of the one that was approved, with the digests of its effect and difference, and the votes; "" for none.
	Proposal string `json:"proposal,omitempty"`
	Diff     Hash   `json:"diff_sha256,omitzero"`
	Effect   Hash   `json:"effect_sha256,omitzero"`
	Votes    []Vote `json:"votes,omitempty"`
	// Guard is what the new policy asks of a change that follows; nil: nothing. GuardKnown is false in records that were made before
	// they said so.
	Guard      *Guard `json:"guard,omitempty"`
	GuardKnown bool   `json:"-"`
}

// Change is a policy that is to become the active one.
type Change struct {
	// Base is the number of the activation that the caller has seen as the active one: the change is refused with ErrRevision
	// if it is another meanwhile.
	Base     uint64
	Revision string // a hash over what the policy means: what is stored under it stands for all that has the same one
	Content  []byte // of a rollback or a proposal: nil, since it is stored
	How      ActivationKind
	Operator string // who does it; needed
	Reason   string
	// Guard is what the new policy asks of a change that follows; it says nothing about this one.
	Guard *Guard
	// Proposal is the id of an approved proposal; needed where the active policy has a guard.
	Proposal string
}

// MaxReason bounds what is said of why a policy changes, in bytes.
const MaxReason = 1024

func (c *Change) validate() error {
	switch {
	case c.Revision == "" || len(c.Revision) > MaxRevision || c.Revision[0] == pieceMark || c.How.code() == 0:
		return fmt.Errorf("%w change: it needs a revision of at most %d bytes and a known kind", ErrInvalid, MaxRevision)
	case c.Operator == "" || len(c.Operator) > maxOperator || len(c.Reason) > MaxReason:
		return fmt.Errorf("%w change: it needs who does it, of at most %d bytes, and a reason of at most %d", ErrInvalid, maxOperator, MaxReason)
	case (c.How == ActivatedRollback || c.How == ActivatedProposal) != (c.Content == nil) || len(c.Content) > MaxPolicy:
		return fmt.Errorf("%w change: the policy's content is needed, but of a rollback and a proposal, and at most %d bytes of it", ErrInvalid, MaxPolicy)
	case (c.How == ActivatedProposal) != (c.Proposal != ""):
		return fmt.Errorf("%w change: a proposal is needed where one is activated, and only there", ErrInvalid)
	}
	return c.Guard.normalise()
}

// normalise brings the requirement into the form in which it is stored.
func (g *Guard) normalise() error {
	if g == nil {
		return nil
	}
	r, err := g.Requirement.normal()
	g.Requirement = r
	return err
}

// Activate makes a policy the active one, durably and for every server that shares the store, and records it in the log. Where
// the active policy has a guard, only a proposal that was approved under it is taken, or a rollback that the guard lets pass.
//
// ErrRevision: the active policy is not the one of Change.Base. ErrNeedsApproval: the guard. ErrUnchanged: it is active already; of
// files it is noted then that they hold it. A proposal's errors are those of its state.
func (l *Ledger) Activate(ctx context.Context, c Change) (ActivationRecord, error) {
	if err := c.validate(); err != nil {
		return ActivationRecord{}, fmt.Errorf("activate a policy: %w", err)
	}
	var rec *ActivationRecord
	unchanged := false
	in, err := l.stage(ctx, &c)
	if err == nil {
		err = l.update(ctx, func(tx Tx) (err error) {
			rec, unchanged, err = l.activate(tx, c, in)
			return err
		})
	}
	if err == nil && unchanged {
		err = ErrUnchanged
	}
	if err != nil && in != nil {
		l.forget(ctx, in)
	}
	if err != nil {
		return ActivationRecord{}, fmt.Errorf("activate the policy %.16s: %w", c.Revision, err)
	}
	return *rec, nil
}

func (l *Ledger) activate(tx Tx, c Change, in *pieces) (rec *ActivationRecord, unchanged bool, err error) {
	active, err := l.standing(tx)
	if err != nil {
		return nil, false, err
	}
	if active.Number != c.Base {
		return nil, false, fmt.Errorf("%w: %s was made active meanwhile", ErrRevision, active.Revision)
	}
	if active.Revision == c.Revision {
		if c.How != ActivatedFiles || active.Files == c.Revision {
			return nil, true, nil
		}
		active.Files = c.Revision
		return nil, true, putActive(tx, active)
	}
	now, trusted, err := l.clock(tx)
	if err != nil {
		return nil, false, err
	}
	if active.Guard != nil && !trusted {
		return nil, false, fmt.Errorf("%w: approvals expire by a clock that is in doubt: confirm it first", ErrNeedsApproval)
	}
	rec = &ActivationRecord{
		ID: newID(now).String(), Time: now, Number: active.Number + 1, From: active.Revision, To: c.Revision, How: c.How, Operator: c.Operator, Reason: c.Reason,
		Guard: c.Guard, GuardKnown: true,
	}
	if err := l.admitChange(tx, &c, active, rec); err != nil {
		return nil, false, err
	}
	if rec.Content, err = l.keepRevision(tx, &c, rec.Number, in); err != nil {
		return nil, false, err
	}
	if in != nil {
		if err := in.ended(tx); err != nil {
			return nil, false, err
		}
	}
	if err := l.recordActivation(tx, rec, &c, active.Files); err != nil {
		return nil, false, err
	}
	return rec, false, nil
}

// admitChange checks what the active policy asks of a change, and completes the change and its record.
func (l *Ledger) admitChange(tx Tx, c *Change, active Active, rec *ActivationRecord) error {
	switch {
	case c.How == ActivatedProposal:
		return l.useProposal(tx, c, active, rec)
	case c.How == ActivatedRollback:
		content, err := l.revision(tx, c.Revision)
		if err != nil {
			return err
		}
		c.Content = content
		if active.Guard == nil {
			return nil
		}
		return l.freeRollback(tx, c, active, rec.Time)
	case active.Guard != nil:
		return fmt.Errorf("%w: propose it", ErrNeedsApproval)
	}
	return nil
}

// freeRollback lets a rollback pass without approvals, as Guard.freeRollback says.
func (l *Ledger) freeRollback(r Reader, c *Change, active Active, now time.Time) error {
	last, err := l.activation(r, active.Number)
	if err != nil {
		return err
	}
	return active.Guard.freeRollback(last, c.Revision, now)
}

// freeRollback lets a rollback pass without approvals: to the policy just before, soon after that was replaced by last, and not to
// undo a rollback.
func (g *Guard) freeRollback(last *ActivationRecord, to string, now time.Time) error {
	within := time.Duration(g.RollbackSeconds) * time.Second
	switch {
	case within == 0:
		return fmt.Errorf("%w: the active policy lets nobody roll it back without: propose it", ErrNeedsApproval)
	case last.From != to:
		return fmt.Errorf("%w: only the policy just before, %s, may be taken again without: propose it", ErrNeedsApproval, last.From)
	case last.How == ActivatedRollback:
		return fmt.Errorf("%w: a rollback is not undone without: propose it", ErrNeedsApproval)
	case now.Sub(last.Time) > within:
		return fmt.Errorf("%w: the active policy could be rolled back without for %v, which are over: propose it", ErrNeedsApproval, within)
	}
	return nil
}

// recordActivation writes what was admitted.
func (l *Ledger) recordActivation(tx Tx, rec *ActivationRecord, c *Change, files string) error {
	_, name, err := l.append(tx, Entry{Activation: rec})
	if err != nil {
		return err
	}
	if err := tx.Put(bucketActivation, binary.BigEndian.AppendUint64(nil, rec.Number), name[:]); err != nil {
		return err
	}
	if c.How == ActivatedFiles {
		files = rec.To
	}
	return putActive(tx, Active{Number: rec.Number, Revision: rec.To, Entry: rec.ID, Since: rec.Time, Files: files, Guard: c.Guard})
}

// activation returns the record of an activation by its number.
func (l *Ledger) activation(r Reader, number uint64) (*ActivationRecord, error) {
	v, err := r.Get(bucketActivation, binary.BigEndian.AppendUint64(nil, number))
	if err != nil {
		return nil, err
	}
	if len(v) != len(id{}) {
		return nil, fmt.Errorf("%w: activation %d of a policy is missing", ErrDamaged, number)
	}
	_, e, err := getEntry(r, id(v))
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("%w: the entry of activation %d is missing", ErrDamaged, number)
	}
	if err != nil {
		return nil, err
	}
	if e.Activation == nil || e.Activation.Number != number {
		return nil, fmt.Errorf("%w: entry %s is not activation %d", ErrDamaged, id(v), number)
	}
	return e.Activation, nil
}

// Activations lists how policies became active, newest first, at most MaxPage, from before the number of the last of the page
// before, or from 0.
func (l *Ledger) Activations(ctx context.Context, before uint64) ([]ActivationRecord, error) {
	var out []ActivationRecord
	err := l.view(ctx, func(r Reader) error {
		out = nil
		active, err := getActive(r)
		if err != nil {
			return err
		}
		if before == 0 || before > active.Number {
			before = active.Number + 1
		}
		for n := before - 1; n > 0 && len(out) < MaxPage; n-- {
			rec, err := l.activation(r, n)
			if err != nil {
				return err
			}
			out = append(out, *rec)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the history of policies: %w", err)
	}
	return out, nil
}

// Previous is the policy that a rollback takes where none is named: the one before the active one, rolled back policies left out.
// ErrNotFound if there is none.
func (l *Ledger) Previous(ctx context.Context) (revision string, err error) {
	err = l.view(ctx, func(r Reader) error {
		active, err := getActive(r)
		if err != nil {
			return err
		}
		var live []string // the policies below the active one, as if what was rolled back had never been
		for n := uint64(1); n <= active.Number; n++ {
			rec, err := l.activation(r, n)
			if err != nil {
				return err
			}
			live = liveAfter(live, rec)
		}
		if len(live) < 2 {
			return fmt.Errorf("a policy before the active one: %w", ErrNotFound)
		}
		revision = live[len(live)-2]
		return nil
	})
	return revision, err
}

// liveAfter puts a policy on those below it, or goes back to it.
func liveAfter(live []string, rec *ActivationRecord) []string {
	if rec.How == ActivatedRollback {
		for i := len(live) - 1; i >= 0; i-- {
			if live[i] == rec.To {
				return live[:i+1]
			}
		}
	}
	return append(live, rec.To)
}

// The flags of an activation.
const (
	activationProposed = 1 << iota // a proposal follows
	activationGuard                // what is asked of the next change follows
)

func (e *encoder) activation(r *ActivationRecord) {
	e.id(r.ID)
	e.time(r.Time)
	e.u64(r.Number)
	e.str(r.From)
	e.str(r.To)
	e.hash(r.Content)
	e.u8(r.How.code())
	e.str(r.Operator)
	e.str(r.Reason)
	flags := byte(0)
	if r.Proposal != "" {
		flags |= activationProposed
	}
	if r.GuardKnown {
		flags |= activationGuard
	}
	e.u8(flags)
	if r.Proposal != "" {
		e.id(r.Proposal)
		e.hash(r.Diff)
		e.hash(r.Effect)
		e.votes(r.Votes)
	}
	if r.GuardKnown {
		e.guard(r.Guard)
	}
}

func (d *decoder) activation() *ActivationRecord {
	r := &ActivationRecord{ID: d.id(), Time: d.time(), Number: d.u64(), From: d.str(), To: d.str(), Content: d.hash()}
	if code := d.u8(); code > 0 && int(code) < len(activationKinds) {
		r.How = activationKinds[code]
	} else {
		d.fail("the kind of an activation is not known")
	}
	r.Operator, r.Reason = d.str(), d.str()
	flags := d.u8()
	if flags&^(activationProposed|activationGuard) != 0 {
		d.fail("a flag of an activation is not known")
	}
	if flags&activationProposed != 0 {
		r.Proposal, r.Diff, r.Effect, r.Votes = d.id(), d.hash(), d.hash(), d.votes()
	}
	if flags&activationGuard != 0 {
		r.Guard, r.GuardKnown = d.guard(), true
	}
	return r
}
