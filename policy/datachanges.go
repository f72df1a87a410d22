package policy

// filePolicyChanges is what data.json says of how the policy may be changed.
type filePolicyChanges struct {
	Group              string `json:"group"`
	Threshold          int    `json:"threshold"`
	ExpirySeconds      int64  `json:"expiry_seconds"`
	NotProposer        *bool  `json:"not_proposer"` // nil is true: who proposes should have to say so to count
	RejectionFinal     bool   `json:"rejection_final"`
	BacktestMinEntries int64  `json:"backtest_min_entries"`
	RollbackSeconds    int64  `json:"rollback_seconds"`
}

// PolicyChanges is what this policy asks of whoever wants another one in its place.
type PolicyChanges struct {
	Requirement        Requirement // its NotRequester is about the proposer
	BacktestMinEntries uint32      // recorded requests that a proposal's backtest must have judged
	RollbackSeconds    uint32      // for how long after its activation it may be rolled back without approvals; 0: never
}

// RulePolicyChange is the rule under which the change of a policy is approved.
const RulePolicyChange = "policy.change"

const (
	maxBacktestEntries = 1_000_000
	maxRollbackSeconds = 31 * 24 * 60 * 60
)

// policyChanges validates the part and writes what Rego sees of it; nil where there is none.
func (c *compiler) policyChanges() map[string]any {
	f := c.file.PolicyChanges
	if f == nil {
		return nil
	}
	at := []string{"policy_changes"}
	group := c.quorum(at, f.Group, f.Threshold)
	for _, n := range []struct {
		key             string
		value, from, to int64
	}{
		{"expiry_seconds", f.ExpirySeconds, 1, maxExpirySeconds}, {"backtest_min_entries", f.BacktestMinEntries, 0, maxBacktestEntries},
		{"rollback_seconds", f.RollbackSeconds, 0, maxRollbackSeconds},
	} {
		if n.value < n.from || n.value > n.to {
			c.add(under(at, n.key), "is %d, not from %d to %d", n.value, n.from, n.to)
		}
	}
	notProposer := f.NotProposer == nil || *f.NotProposer
	c.data.changes = &PolicyChanges{
		Requirement: Requirement{
			RuleID: RulePolicyChange, Group: f.Group, GroupRevision: group.Revision, Keys: group.keys(), Threshold: f.Threshold, ExpirySeconds: f.ExpirySeconds,
			NotRequester: notProposer, RejectionFinal: f.RejectionFinal,
		},
		BacktestMinEntries: uint32(f.BacktestMinEntries), RollbackSeconds: uint32(f.RollbackSeconds),
	}
	return map[string]any{
		"group": f.Group, "threshold": f.Threshold, "expiry_seconds": f.ExpirySeconds, "not_proposer": notProposer, "rejection_final": f.RejectionFinal,
		"backtest_min_entries": f.BacktestMinEntries, "rollback_seconds": f.RollbackSeconds,
	}
}

// PolicyChanges is what this policy asks of its change; nil: nothing.
func (e *Engine) PolicyChanges() *PolicyChanges {
	if e.data.changes == nil {
		return nil
	}
	c := *e.data.changes
	return &c
}
