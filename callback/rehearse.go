package callback

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/memstore"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// used is the state of an execution's windows where other executions have used so much of each: it is all signed.
func used(x *ledger.Execution, of map[string]*big.Int) []ledger.WindowState {
	out := unused(x)
	for i := range out {
		if n := of[out[i].ID]; n != nil {
			out[i].Used, out[i].After = new(big.Int).Set(n), new(big.Int).Add(n, out[i].After)
		}
	}
	return out
}

// approved judges once more with every approver of what the verdict requires having approved; the requester's own votes are
// left to the policy.
func (j *judgement) approved(ctx context.Context, state ledger.State, v ledger.Verdict) (ledger.Verdict, error) {
	given := map[string]bool{}
	for v.Requirement != nil && v.Action == wire.Wait && !given[v.Requirement.Group] { // one group after the other
		given[v.Requirement.Group] = true
		a := ledger.Approval{
			State: ledger.ApprovalApproved, Requirement: *v.Requirement, RequirementHash: v.Requirement.Hash(),
			Opened: state.Now, Expires: state.Now.Add(time.Duration(v.Requirement.LifetimeSeconds) * time.Second),
		}
		for _, approver := range v.Requirement.Approvers {
			a.Votes = append(a.Votes, ledger.Vote{Approver: approver.Name, Decision: ledger.VoteApprove})
		}
		state.Approvals = append(slices.Clone(state.Approvals), a)
		var err error
		if v, err = j.evaluate(ctx, state); err != nil {
			return v, err
		}
	}
	return v, nil
}

// Rehearsal judges requests one after the other as a server would that starts with an empty ledger: what it approves counts
// in windows and against what comes later. Nothing of it is durable. It is not safe for concurrent use.
type Rehearsal struct {
	engine *policy.Engine
	ledger *ledger.Ledger
	clock  *pastClock
	asked  int
}

// NewRehearsal starts at a time.
func NewRehearsal(ctx context.Context, e *policy.Engine, at time.Time) (*Rehearsal, error) {
	r := &Rehearsal{engine: e, clock: &pastClock{start: at, now: at}}
	l, err := ledger.New(ctx, ledger.Config{Store: memstore.New(), Clock: r.clock, Origin: "rehearsal"})
	if err != nil {
		return nil, fmt.Errorf("rehearse: %w", err)
	}
	r.ledger = l
	return r, nil
}

// Try judges the next request. What of the setting is before the time of the one before it is taken to be at that time.
func (r *Rehearsal) Try(ctx context.Context, p *wire.Parsed, set Setting) (*Trial, error) {
	c, err := NewCase(r.engine, p, set.Keys)
	if err != nil {
		return nil, err
	}
	if set.Now.After(r.clock.now) {
		r.clock.now = set.Now
	}
	c.Input.Node = set.Node
	body, err := p.Canonical()
	if err != nil {
		return nil, err
	}
	r.asked++
	id := fmt.Sprintf("%s-%d", p.Check.CallbackID, r.asked)
	j := judgement{engine: r.engine, Case: c, body: body}
	ask := ledger.Ask{
		Node: set.Node.ID, Path: wire.PathCheck, CallbackID: id, BodyHash: sha256.Sum256([]byte(id)),
		IntentHash: c.Intent, Digests: c.Digests, Requester: c.Requester, Execution: c.Execution,
	}
	var last ledger.Verdict
	var outcome ledger.Outcome
	_, err = r.ledger.Decide(ctx, ask, func(ctx context.Context, state ledger.State) (ledger.Verdict, error) {
		state.Approvals = nil
		v, err := j.evaluate(ctx, state)
		if err == nil && set.Approved {
			v, err = j.approved(ctx, state, v)
		}
		if v.Action == wire.Approve {
			v.Requirement = nil // the ledger has no such approval
		}
		last = v
		return v, err
	}, func(o ledger.Outcome) ([]byte, error) { outcome = o; return anyReply(o) })
	if err != nil {
		return nil, err
	}
	last.Action, last.Reasons, last.WaitSeconds = outcome.Action, outcome.Reasons, outcome.WaitSeconds
	return trialOf(last, j.failure), nil
}

// trialOf is what is told of a verdict.
func trialOf(v ledger.Verdict, failure error) *Trial {
	t := &Trial{Input: v.Input, Failure: failure}
	t.Decision = policy.Decision{Action: v.Action, WaitSeconds: v.WaitSeconds, Revision: v.Revision, Fired: v.Fired}
	for _, r := range v.Reasons {
		t.Decision.Reasons = append(t.Decision.Reasons, policy.Reason{RuleID: r.Rule, Severity: r.Severity, Message: r.Message})
	}
	if v.Requirement != nil {
		r := policyRequirement(*v.Requirement)
		t.Decision.Requirement = &r
	}
	return t
}

// ContractsOnly knows the same contracts and no key, so that made-up requests may name any.
func (k *Keys) ContractsOnly() *Keys { return (*Keys)(nil).WithABIs(k.contracts()) }
