package ledger

import (
	"fmt"
	"slices"
	"time"

	"github.com/countersign-mpc/countersign/wire"
)

// settle makes the outcome of a verdict: it ties it to the approvals and, for a check, to the clock. It never makes it milder. What a
// node reports has happened by whatever clock, is answered once, and counts.
func (d *decision) settle(v Verdict) {
	if v.Action != wire.Reject && v.Requirement != nil {
		d.require(*v.Requirement)
	}
	if d.record.Action == wire.Approve && !d.trusted && d.ask.Path == wire.PathCheck {
		d.stepIn(wire.Wait, RuleClock, "the server's clock does not agree with the time it has recorded or measured: approvals wait until it has agreed for a minute, or an operator confirms it (callback clock confirm)", clockWait)
	}
	switch {
	case d.record.Action != wire.Wait:
		d.record.WaitSeconds = 0
	case d.record.WaitSeconds <= 0:
		d.record.WaitSeconds = approvalWait
	default:
		d.record.WaitSeconds = min(d.record.WaitSeconds, maxWait)
	}
}

func (d *decision) stepIn(action wire.Action, rule, message string, wait int) {
	d.record.Action, d.record.WaitSeconds = action, wait
	d.record.Reasons = slices.Concat([]Reason{{Rule: rule, Severity: action, Message: message}}, d.record.Reasons)
}

func (d *decision) reject(rule, message string) { d.stepIn(wire.Reject, rule, message, 0) }

// require holds the outcome to a requirement: it finds or opens the approval for it, and makes those void that were for
// the same requirement before it changed.
func (d *decision) require(want Requirement) {
	r, err := want.normal()
	if err != nil {
		d.record.Requirement = nil // it may not be of a form that can be written
		d.reject(RuleRequirement, err.Error())
		return
	}
	d.record.Requirement = &r
	switch {
	case len(d.ask.Digests) == 0:
		d.reject(RuleRequirement, "approvals count for digests, and it is not known what is to be signed")
		return
	case r.NotRequester && d.ask.Requester == "":
		d.reject(RuleRequester, "group "+r.Group+" must not approve its own requests, and nobody's signature says who asked")
		return
	case r.eligible(d.ask.Requester) < r.Threshold:
		d.reject(RuleRequester, fmt.Sprintf("group %s without the requester has %d approvers, fewer than the %d that are needed", r.Group, r.eligible(d.ask.Requester), r.Threshold))
		return
	}
	a := d.current(r.Hash())
	if a != nil && a.stateAt(d.now) == ApprovalRejected {
		d.reject(RuleRejected, "group "+r.Group+" has rejected it (approval "+a.ID+")")
		return
	}
	d.voidChanged(r)
	if a == nil {
		a = d.open(r)
	}
	d.approval, d.record.Approval = a, a.ID
	if d.record.Action == wire.Approve && a.stateAt(d.now) != ApprovalApproved {
		d.stepIn(wire.Wait, RuleApproval, "approvals of group "+r.Group+" are needed (approval "+a.ID+")", approvalWait)
	}
}

// current returns the newest approval for this requirement unless its time is over.
func (d *decision) current(hash Hash) *Approval {
	for _, a := range d.approvals { // newest first
		if a.RequirementHash != hash {
			continue
		}
		switch a.stateAt(d.now) {
		case ApprovalVoid, ApprovalExpired:
		default:
			return a
		}
	}
	return nil
}

// voidChanged ends the approvals under an earlier form of a requirement: of the same rule and group. One execution may need
// the approvals of several groups, one after the other, so those of another rule or group stay; each counts only under the
// very requirement that its approvers signed.
func (d *decision) voidChanged(now Requirement) {
	hash := now.Hash()
	for _, a := range d.approvals {
		state := a.stateAt(d.now)
		if a.RequirementHash == hash || state == ApprovalVoid || state == ApprovalExpired {
			continue
		}
		if a.Requirement.Rule != now.Rule || a.Requirement.Group != now.Group {
			continue
		}
		a.void = true
		d.changed = append(d.changed, a)
		d.record.Voided = append(d.record.Voided, a.ID)
	}
}

func (d *decision) open(r Requirement) *Approval {
	a := &Approval{
		ID: newID(d.now).String(), IntentHash: d.ask.IntentHash, Requester: d.ask.Requester,
		Requirement: r, RequirementHash: r.Hash(), OpenedBy: d.record.ID,
		Opened:  d.now,
		Expires: d.now.Add(time.Duration(r.LifetimeSeconds) * time.Second).Truncate(time.Second),
	}
	for _, digest := range d.ask.Digests {
		a.Digests = append(a.Digests, digest)
	}
	d.changed = append(d.changed, a)
	d.record.Opened = true
	return a
}

// approvalsOf returns the approvals of the ask's execution, newest first.
func (d *decision) approvalsOf() ([]*Approval, error) {
	if none, err := d.sums.withoutApprovals(d.tx); none || err != nil {
		return nil, err
	}
	execution := execution(d.ask.IntentHash, d.ask.Digests, d.ask.Requester)
	var ids []id
	from, to := append(d.key[:0], execution[:]...), after(d.key[32:32], execution[:])
	err := d.tx.Scan(bucketExecution, from, to, true, func(key, _ []byte) (bool, error) {
		if len(key) != len(execution)+len(id{}) {
			return false, fmt.Errorf("%w: an approval is indexed under a key that is none", ErrDamaged)
		}
		ids = append(ids, id(key[len(execution):]))
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for approvals: %w", err)
	}
	out := make([]*Approval, 0, len(ids))
	for _, name := range ids {
		a, err := getApproval(d.tx, name)
		if err != nil {
			return nil, err
		}
		if a.execution() != execution {
			return nil, fmt.Errorf("%w: approval %s is indexed under another execution", ErrDamaged, name)
		}
		out = append(out, a)
	}
	return out, nil
}

// after appends the first key that does not start with prefix; nil if there is none.
func after(b, prefix []byte) []byte {
	end := append(b, prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

func getApproval(r Reader, name id) (*Approval, error) {
	v, err := r.Get(bucketApproval, name[:])
	if err != nil {
		return nil, fmt.Errorf("read approval %s: %w", name, err)
	}
	if v == nil {
		return nil, fmt.Errorf("approval %s: %w", name, ErrNotFound)
	}
	a, err := parseApproval(v)
	if err != nil {
		return nil, err
	}
	if a.ID != name.String() {
		return nil, fmt.Errorf("%w: under the id %s stands approval %s", ErrDamaged, name, a.ID)
	}
	return a, nil
}

func putApproval(tx Tx, a *Approval) error {
	v, err := a.marshal()
	if err != nil {
		return err
	}
	name, err := parseID(a.ID)
	if err != nil {
		return err
	}
	if err := tx.Put(bucketApproval, name[:], v); err != nil {
		return err
	}
	execution := a.execution()
	return tx.Put(bucketExecution, append(execution[:], name[:]...), nil)
}
