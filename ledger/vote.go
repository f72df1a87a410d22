package ledger

import (
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
	err = a.admit(s.Approver, s.Decision, s.Signature, a.Votes)
	if errors.Is(err, ErrAlreadyVoted) {
		for _, v := range a.Votes {
			if v.Approver == s.Approver && v.Decision == s.Decision {
				return true, nil
			}
		}
	}
	if err != nil {
		return false, err
	}
	switch a.stateAt(now) {
	case ApprovalVoid:
		return false, ErrApprovalVoid
	case ApprovalExpired:
		return false, ErrApprovalExpired
	case ApprovalRejected:
		return false, ErrApprovalRejected
	}
	a.Votes = append(a.Votes, Vote{Approver: s.Approver, Decision: s.Decision, Signature: slices.Clone(s.Signature), Time: now})
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
	if _, err := l.append(tx, Entry{Vote: rec}); err != nil {
		return err
	}
	return putApproval(tx, a)
}

// now is the ledger's time within a transaction.
func (l *Ledger) now(r Reader) (time.Time, error) {
	recorded, err := recordedTime(r)
	if err != nil {
		return time.Time{}, err
	}
	now, _, err := l.keeper.read(r, recorded)
	return now, err
}

// maxOperator and maxClockReason bound what ConfirmClock records, in bytes.
const (
	maxOperator    = 256
	maxClockReason = 1024
)

// ConfirmClock is an operator's word that the clock is right now: approvals go on, and the ledger's time is the clock's
// even if that is behind what was recorded. It stands in the log, with who said it and why, as the record that is returned.
func (l *Ledger) ConfirmClock(ctx context.Context, operator, reason string) (ClockRecord, error) {
	if operator == "" || len(operator) > maxOperator || len(reason) > maxClockReason {
		return ClockRecord{}, fmt.Errorf("confirm the clock: %w: it needs the name of who says so (at most %d bytes) and a reason of at most %d bytes", ErrInvalid, maxOperator, maxClockReason)
	}
	var rec *ClockRecord
	var mono time.Duration
	err := l.update(ctx, func(tx Tx) error {
		before, err := recordedTime(tx)
		if err != nil {
			return err
		}
		if before.IsZero() {
			before = time.Unix(0, 0).UTC()
		}
		var wall time.Time
		if wall, err = wallOf(tx, l.keeper.clock, l.keeper.own); err != nil {
			return err
		}
		mono = l.keeper.clock.Elapsed()
		rec = &ClockRecord{ID: newID(wall).String(), Time: wall, Before: before, Operator: operator, Reason: reason}
		_, err = l.append(tx, Entry{Clock: rec})
		return err
	})
	if err != nil {
		return ClockRecord{}, fmt.Errorf("confirm the clock: %w", err)
	}
	l.keeper.confirm(rec.Time, mono)
	return *rec, nil
}
