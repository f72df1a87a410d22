package callback

import (
	"crypto/x509"
	"fmt"
	"slices"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
)

// ledgerRequirement gives a policy's requirement the approvers that its group has in the engine that made it.
func ledgerRequirement(e *policy.Engine, r policy.Requirement) (ledger.Requirement, error) {
	out := ledger.Requirement{
		Rule: r.RuleID, Group: r.Group, GroupRevision: r.GroupRevision, Threshold: r.Threshold, LifetimeSeconds: r.ExpirySeconds,
		NotRequester: r.NotRequester, RejectionFinal: r.RejectionFinal,
	}
	group, known := e.Group(r.Group)
	if !known || group.Revision != r.GroupRevision {
		return out, fmt.Errorf("requirement of rule %s: group %q is not in the policy's data", r.RuleID, r.Group)
	}
	for _, a := range group.Approvers {
		der, err := x509.MarshalPKIXPublicKey(a.PublicKey)
		if err != nil {
			return out, fmt.Errorf("requirement of rule %s: key of approver %s: %w", r.RuleID, a.Name, err)
		}
		out.Approvers = append(out.Approvers, ledger.Approver{Name: a.Name, PublicKey: der, RequesterKeyIDs: a.RequesterKeyIDs})
	}
	return out, nil
}

// current leaves the approvals whose requirement would be the same today. The policy compares most of it, but does not see
// under which keys an approver may ask.
func (j *judgement) current(approvals []ledger.Approval) []ledger.Approval {
	return slices.DeleteFunc(slices.Clone(approvals), func(a ledger.Approval) bool {
		today, err := ledgerRequirement(j.engine, policyRequirement(a.Requirement))
		return err != nil || today.Hash() != a.Requirement.Hash()
	})
}

func policyRequirement(r ledger.Requirement) policy.Requirement {
	out := policy.Requirement{
		RuleID: r.Rule, Group: r.Group, GroupRevision: r.GroupRevision, Threshold: r.Threshold, ExpirySeconds: r.LifetimeSeconds,
		NotRequester: r.NotRequester, RejectionFinal: r.RejectionFinal,
	}
	for _, a := range r.Approvers {
		out.Keys = append(out.Keys, a.Name)
	}
	slices.Sort(out.Keys)
	return out
}

// policyApproval is an approval as a policy sees it: whose verified votes it has. Of one that was rejected it sees the
// rejections alone: what was said for it counts for nothing, also to a rule that forgets to look at them.
func policyApproval(a ledger.Approval) policy.Approval {
	out := policy.Approval{Requirement: policyRequirement(a.Requirement), ExpiresUnix: a.Expires.Unix()}
	for _, v := range a.Votes {
		switch {
		case v.Decision != ledger.VoteApprove:
			out.RejectedBy = append(out.RejectedBy, v.Approver)
		case a.State != ledger.ApprovalRejected:
			out.ApprovedBy = append(out.ApprovedBy, v.Approver)
		}
	}
	return out
}
