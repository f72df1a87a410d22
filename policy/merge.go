package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// check refuses what a rule must not say: an id that no METADATA declares, a wait without its time, and the like.
func (e *Engine) check(v verdict) error {
	for _, said := range []struct {
		severity Action
		list     []say
	}{{Approve, v.Allow}, {Reject, v.Reject}, {Wait, v.Wait}} {
		for i := range said.list {
			if err := e.checkSay(said.severity, &said.list[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *Engine) checkSay(severity Action, s *say) error {
	if _, declared := e.rules[s.ID]; !declared {
		return fmt.Errorf("rule id %q is in no METADATA label", clip(s.ID))
	}
	if severity != Approve && s.Message == "" {
		return fmt.Errorf("%s of rule %s has no message", severity, s.ID)
	}
	if severity != Wait && (s.Seconds != 0 || s.Requirement != nil) {
		return fmt.Errorf("%s of rule %s has seconds or a requirement, which belong to wait", severity, s.ID)
	}
	if severity == Wait {
		if err := e.checkWait(*s); err != nil {
			return fmt.Errorf("wait of rule %s: %w", s.ID, err)
		}
	}
	return nil
}

func (e *Engine) checkWait(s say) error {
	if s.Seconds < 1 || s.Seconds > maxWaitSeconds {
		return fmt.Errorf("seconds is %d, not from 1 to %d", s.Seconds, maxWaitSeconds)
	}
	r := s.Requirement
	if r == nil {
		return nil
	}
	group, known := e.data.groups[r.Group]
	switch {
	case r.Rule != s.ID:
		return fmt.Errorf("its requirement is of rule %q", clip(r.Rule))
	case !known || r.GroupRevision != group.Revision:
		return fmt.Errorf("group %q with this revision is not in data.json", clip(r.Group))
	case r.Threshold < 1 || r.Threshold > len(group.Approvers):
		return fmt.Errorf("threshold %d cannot be met by the %d members of group %s", r.Threshold, len(group.Approvers), r.Group)
	case r.ExpirySeconds < 1 || r.ExpirySeconds > maxExpirySeconds:
		return fmt.Errorf("expiry_seconds is %d, not from 1 to %d", r.ExpirySeconds, maxExpirySeconds)
	}
	return nil
}

// decide merges a checked verdict: any reject rejects. Something has to be required, and all of it proven but for what
// is waited for, else it is a reject too. Then any wait waits, and what is left is approved.
func (e *Engine) decide(v verdict) Decision {
	d := Decision{Revision: e.revision, Reasons: make([]Reason, 0, len(v.Allow)+len(v.Reject)+len(v.Wait)+1)}
	for _, s := range v.Allow {
		d.Reasons = append(d.Reasons, Reason{s.ID, Approve, e.message(s)})
	}
	for _, s := range v.Reject {
		d.Reasons = append(d.Reasons, Reason{s.ID, Reject, e.message(s)})
	}
	for _, s := range v.Wait { // what is waited for cannot be proven yet
		d.Reasons = append(d.Reasons, Reason{s.ID, Wait, e.message(s)})
	}
	missing := slices.DeleteFunc(slices.Clone(v.Require), func(id string) bool { return says(v.Allow, id) || says(v.Wait, id) })
	slices.Sort(missing)
	missing = slices.Compact(missing)
	switch {
	case len(v.Reject) > 0:
		d.Action = Reject
	case len(v.Require) == 0:
		d.Action = Reject
		d.Reasons = append(d.Reasons, Reason{RuleEngineUnproven, Reject, "the policy does not say what has to hold for a request of this kind"})
	case len(missing) > 0:
		d.Action = Reject
		d.Reasons = append(d.Reasons, Reason{RuleEngineUnproven, Reject, oneLine("not proven: "+strings.Join(missing, ", "), MaxMessage)})
	case len(v.Wait) > 0:
		d.Action = Wait
		d.WaitSeconds, d.Requirement = e.waits(v.Wait)
	default:
		d.Action = Approve
	}
	d.Reasons = slices.Clip(sortReasons(d.Reasons))
	d.Fired = make([]string, len(d.Reasons))
	for i, r := range d.Reasons {
		d.Fired[i] = r.RuleID
	}
	slices.Sort(d.Fired)
	d.Fired = slices.Clip(slices.Compact(d.Fired))
	return d
}

// says reports whether a rule of this id has its say.
func says(list []say, id string) bool {
	return slices.ContainsFunc(list, func(s say) bool { return s.ID == id })
}

// message is what a rule said, or else its title.
func (e *Engine) message(s say) string {
	if s.Message != "" {
		return oneLine(s.Message, MaxMessage)
	}
	return oneLine(e.rules[s.ID].explained(), MaxMessage)
}

// waits returns the longest of the waits, and the first of their requirements in a fixed order: requirements are met
// one after the other, the next one showing when this one is satisfied.
func (e *Engine) waits(list []say) (seconds int, first *Requirement) {
	var all []Requirement
	for _, s := range list {
		seconds = max(seconds, s.Seconds)
		if r := s.Requirement; r != nil {
			all = append(all, Requirement{
				RuleID: r.Rule, Group: r.Group, GroupRevision: r.GroupRevision, Keys: e.data.groups[r.Group].keys(),
				Threshold: r.Threshold, ExpirySeconds: r.ExpirySeconds,
				NotRequester: r.NotRequester, RejectionFinal: r.RejectionFinal,
			})
		}
	}
	if len(all) == 0 {
		return seconds, nil
	}
	slices.SortFunc(all, func(a, b Requirement) int {
		ha, hb := a.Hash(), b.Hash()
		return cmp.Or(strings.Compare(a.RuleID, b.RuleID), strings.Compare(a.Group, b.Group), slices.Compare(ha[:], hb[:]))
	})
	return seconds, &all[0]
}
