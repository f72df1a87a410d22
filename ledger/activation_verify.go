package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// policies checks the history of policies: that each activation leads to its entry and follows the one before, that the stored
// policies are those of the log, that the active one is the last, with what is asked of its change, that each change passed what the
// policy before asked of it, and that each proposal is what was proposed, with every vote signed.
func (v *verification) policies(ctx context.Context) error {
	var active Active
	err := v.view(ctx, func(r Reader) (err error) {
		active, err = getActive(r)
		return err
	})
	known := !errors.Is(err, ErrDamaged)
	beyond := active.Number
	if !known {
		v.report.Add("which policy is active: %v", err)
		v.report.Note("whether the activations end with the policy that is active")
		active.Number, beyond, err = v.activations(ctx)
	}
	if err != nil {
		return err
	}
	var last *ActivationRecord
	before := len(v.report.Problems)
	for n := uint64(1); n <= active.Number; n++ {
		if last, err = v.activationAfter(ctx, n, last); err != nil {
			return err
		}
	}
	if known && len(v.report.Problems) == before { // all of them are whole: what is not belongs to none
		v.about[bucketRevision] = aboutStaged
	}
	if known && last != nil {
		if err := active.heldTo(last); err != nil {
			v.report.Add("%v", err)
		}
	}
	if err := v.noMore(ctx, beyond); err != nil {
		return err
	}
	return v.proposals(ctx)
}

// activations counts those that are stored one after the other, for where nothing says how many there are. There is none beyond the
// second number.
func (v *verification) activations(ctx context.Context) (count, beyond uint64, err error) {
	err = v.view(ctx, func(r Reader) error {
		count = 0
		return r.Scan(bucketActivation, binary.BigEndian.AppendUint64(nil, 1), nil, false, func(key, _ []byte) (bool, error) {
			if len(key) != 8 || binary.BigEndian.Uint64(key) != count+1 {
				return false, nil
			}
			count++
			return true, nil
		})
	})
	if errors.Is(err, ErrDamaged) {
		v.unswept(bucketActivation, err)
		return count, math.MaxUint64, nil
	}
	return count, count, err
}

// activationAfter checks one activation and the policy that it made live.
func (v *verification) activationAfter(ctx context.Context, number uint64, before *ActivationRecord) (rec *ActivationRecord, err error) {
	err = v.view(ctx, func(r Reader) error {
		if rec, err = v.activation(r, number); err != nil {
			return err
		}
		if before != nil && rec.From != before.To {
			return fmt.Errorf("%w: activation %d is from %s, and %s was active", ErrDamaged, number, rec.From, before.To)
		}
		content, err := v.revision(r, rec.To)
		if err == nil && rec.Content != Hash(sha256.Sum256(content)) {
			err = fmt.Errorf("%w: the stored policy %s is not that of activation %d", ErrDamaged, rec.To, number)
		}
		if errors.Is(err, ErrNotFound) {
			err = fmt.Errorf("%w: the policy %s of activation %d is missing", ErrDamaged, rec.To, number)
		}
		if err != nil {
			return err
		}
		return v.passed(r, rec, before)
	})
	if errors.Is(err, ErrDamaged) {
		v.report.Add("%v", err)
		return rec, nil
	}
	return rec, err
}

// passed checks that a change was allowed by what the policy before asks of it. Records that were made before they said what that is
// are left out.
func (v *verification) passed(r Reader, rec, before *ActivationRecord) error {
	if before == nil || !before.GuardKnown || before.Guard == nil && rec.How != ActivatedProposal {
		return nil
	}
	why, err := v.refusal(r, rec, before)
	if err == nil && why != nil {
		err = fmt.Errorf("%w: activation %d, of %s, did not pass what the policy before asks of its change: %w", ErrDamaged, rec.Number, rec.To, why)
	}
	return err
}

// refusal is why a change must not have been made; nil if it was to be.
func (v *verification) refusal(r Reader, rec, before *ActivationRecord) (why, err error) {
	switch rec.How {
	case ActivatedProposal:
	case ActivatedRollback:
		return before.Guard.freeRollback(before, rec.To, rec.Time), nil
	default:
		return ErrNeedsApproval, nil
	}
	name, err := parseID(rec.Proposal)
	if err != nil {
		return err, nil
	}
	p, err := v.getProposal(r, name)
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrDamaged) {
		return err, nil
	}
	if err != nil {
		return nil, err
	}
	return p.allowed(rec, before), nil
}

// allowed says why a proposal was not one that a change may have been made by, with the votes that stand in the change's entry.
func (p *Proposal) allowed(rec, before *ActivationRecord) error {
	was := *p
	was.Activated, was.Votes = 0, nil
	for _, vote := range rec.Votes {
		if err := was.admit(vote.signed(), was.Votes); err != nil {
			return fmt.Errorf("the vote of %s: %w", vote.Approver, err)
		}
		was.Votes = append(was.Votes, vote)
	}
	state := was.stateAt(rec.Time, Active{Number: before.Number, Guard: before.Guard})
	switch {
	case state != ProposalApproved:
		return fmt.Errorf("its proposal was %s", state)
	case was.To != rec.To || was.Diff != rec.Diff || was.Effect != rec.Effect:
		return errors.New("its proposal is of another change")
	case before.Guard != nil && was.Judged < before.Guard.MinJudged:
		return fmt.Errorf("%d requests were judged for it, and %d have to be", was.Judged, before.Guard.MinJudged)
	}
	return nil
}

// noMore looks for activations beyond the last, and for policies that none leads to.
func (v *verification) noMore(ctx context.Context, last uint64) error {
	err := v.view(ctx, func(r Reader) error {
		_, err := staged(r)
		return err
	})
	if errors.Is(err, ErrDamaged) {
		v.report.Add("which policy is being stored: %v: %s", err, aboutStaged)
	} else if err != nil {
		return err
	}
	err = v.sweep(ctx, bucketActivation, func(_ Reader, key, _ []byte) error {
		if len(key) != 8 || binary.BigEndian.Uint64(key) == 0 || binary.BigEndian.Uint64(key) > last {
			v.report.Add("an activation %x is stored beyond the last", key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return v.sweep(ctx, bucketRevision, func(r Reader, key, _ []byte) error {
		if isPiece(key) {
			return nil // it counts as a part of its policy, or is left over from one that did not become active
		}
		_, number, err := storedRevision(r, string(key))
		if err == nil && (number == 0 || number > last) {
			err = fmt.Errorf("%w: no activation stored it", ErrDamaged)
		}
		if errors.Is(err, ErrDamaged) {
			v.report.Add("the policy %s: %v", key, err)
			return nil
		}
		return err
	})
}

// proposals checks each proposal with its documents.
func (v *verification) proposals(ctx context.Context) error {
	return v.sweep(ctx, bucketProposal, func(r Reader, key, value []byte) error {
		if len(key) != 1+len(id{}) || key[0] > partEffect {
			v.report.Add("something is stored under %x that is no part of a proposal", key)
			return nil
		}
		p, err := v.getProposal(r, id(key[1:]))
		if err == nil && key[0] == partTerms {
			err = v.documents(r, p)
		}
		if err == nil && key[0] != partTerms && !slices.Contains([]Hash{p.Content, p.Diff, p.Effect}, sha256.Sum256(value)) {
			err = fmt.Errorf("%w: a document is not what was proposed", ErrDamaged)
		}
		if errors.Is(err, ErrDamaged) || errors.Is(err, ErrNotFound) {
			v.report.Add("proposal %x: %v", key[1:], err)
			return nil
		}
		return err
	})
}

// documents checks that everything that a proposal is about is there.
func (v *verification) documents(r Reader, p *Proposal) error {
	for part, want := range map[byte]Hash{partContent: p.Content, partDiff: p.Diff, partEffect: p.Effect} {
		if _, err := document(r, p, part, want); err != nil {
			return err
		}
	}
	return nil
}
