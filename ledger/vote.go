package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// SubmitApproval records an approver's vote and returns the approval with it. The same vote again changes nothing and
// is no error, even when the approval takes no more votes.
//
// Errors: ErrInvalid, ErrNotFound, ErrNotApprover, ErrBadSignature, ErrOwnRequest, ErrAlreadyVoted, ErrApprovalExpired,
// ErrApprovalVoid, ErrApprovalRejected.
func (l *Ledger) SubmitApproval(ctx context.Context, approval string, s Signed) (Approval, error) {
	name, err := parseID(approval)
	if err != nil {
		return Approval{}, fmt.Errorf("vote on an approval: %w", err)
	}
	var out Approval
	err = l.update(ctx, func(tx Tx) error {
		a, err := getApproval(tx, name)
		if err != nil {
			return err
		}
		now, err := l.now(tx)
		if err != nil {
			return err
		}
		counted, err := a.take(s, now)
		if err != nil {
			return err
		}
		if !counted {
			if err := l.recordVote(tx, a, now); err != nil {
				return err
			}
		}
		a.State = a.stateAt(now)
		out = *a
		return nil
	})
	if err != nil {
		return Approval{}, fmt.Errorf("vote on approval %s: %w", approval, err)
	}
	return out, nil
}

// take adds the vote to the approval unless it is there already.
func (a *Approval) take(s Signed, now time.Time) (counted bool, err error) {
	if counted, err := s.again(a.admit(s, a.Votes), a.Votes); counted || err != nil {
		return counted, err
	}
	switch a.stateAt(now) {
	case ApprovalVoid:
		return false, ErrApprovalVoid
	case ApprovalExpired:
		return false, ErrApprovalExpired
	case ApprovalRejected:
		return false, ErrApprovalRejected
	}
	a.Votes = append(a.Votes, s.at(now))
	return false, nil
}

// recordVote writes the approval's newest vote.
func (l *Ledger) recordVote(tx Tx, a *Approval, now time.Time) error {
	vote := a.Votes[len(a.Votes)-1]
	approver, ok := a.Requirement.find(vote.Approver)
	if !ok {
		return ErrNotApprover
	}
	rec := &VoteRecord{ID: newID(now).String(), Time: now, Approval: a.ID, IntentHash: a.IntentHash, KeyID: approver.KeyID(), Vote: vote}
	if _, _, err := l.append(tx, Entry{Vote: rec}); err != nil {
		return err
	}
	return putApproval(tx, a)
}

// admit checks that a vote may be counted beside earlier ones: by a named approver whose own request it is not, who has not voted,
// and whose signature over msg verifies.
func (r Requirement) admit(s Signed, msg []byte, own func(Approver) bool, earlier []Vote) error {
	if s.Decision != VoteApprove && s.Decision != VoteReject {
		return fmt.Errorf("%w vote: it is %q or %q", ErrInvalid, VoteApprove, VoteReject)
	}
	approver, ok := r.find(s.Approver)
	switch {
	case !ok:
		return ErrNotApprover
	case !approver.verify(msg, s.Signature):
		return ErrBadSignature
	case own(approver):
		return ErrOwnRequest
	case slices.ContainsFunc(earlier, func(v Vote) bool { return v.Approver == s.Approver }):
		return ErrAlreadyVoted
	}
	return nil
}

// again is what came of admitting a vote: the same one a second time is no error.
func (s Signed) again(err error, votes []Vote) (counted bool, _ error) {
	same := func(v Vote) bool { return v.Approver == s.Approver && v.Decision == s.Decision }
	if errors.Is(err, ErrAlreadyVoted) && slices.ContainsFunc(votes, same) {
		return true, nil
	}
	return false, err
}

// at is the vote as it is recorded.
func (s Signed) at(now time.Time) Vote {
	return Vote{Approver: s.Approver, Decision: s.Decision, Signature: slices.Clone(s.Signature), Time: now}
}

func (v Vote) equal(w Vote) bool {
	return v.Approver == w.Approver && v.Decision == w.Decision && bytes.Equal(v.Signature, w.Signature) && v.Time.Equal(w.Time)
}

// signed is the vote as it was handed in.
func (v Vote) signed() Signed { return Signed{v.Approver, v.Decision, v.Signature} }

// tally counts votes.
func tally(votes []Vote) (approved, rejected int) {
	for _, v := range votes {
		if v.Decision == VoteApprove {
			approved++
		} else {
			rejected++
		}
	}
	return approved, rejected
}

func (e *encoder) votes(votes []Vote) {
	e.u32(uint32(len(votes)))
	for _, v := range votes {
		e.vote(v)
	}
}

func (d *decoder) votes() (out []Vote) {
	for range d.count(13) {
		out = append(out, d.vote())
	}
	return out
}

func (e *encoder) vote(v Vote) {
	e.str(v.Approver)
	e.bool(v.Decision == VoteApprove)
	e.bytes(v.Signature)
	e.time(v.Time)
}

func (d *decoder) vote() Vote {
	v := Vote{Approver: d.str(), Decision: VoteReject}
	if d.bool() {
		v.Decision = VoteApprove
	}
	v.Signature, v.Time = d.bytes(), d.time()
	return v
}
