package callback

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// judgement evaluates one case. It may be asked more than once for the same case; it changes nothing but failure.
type judgement struct {
	*Case
	engine  *policy.Engine
	body    []byte
	failure error // what went wrong in the policy's evaluation
}

func (j *judgement) evaluate(ctx context.Context, state ledger.State) (ledger.Verdict, error) {
	in := j.Input
	in.Now = policy.NowAt(state.Now)
	in.Windows = windows(state.Windows)
	approvals := j.current(state.Approvals)
	for _, a := range approvals {
		in.Approvals = append(in.Approvals, policyApproval(a))
	}
	decision, input, err := j.ask(ctx, in)
	if ctx.Err() != nil {
		return ledger.Verdict{}, fmt.Errorf("evaluate policy: %w", context.Cause(ctx))
	}
	j.failure = err
	v := verdictOf(decision)
	v.Input = input
	j.guard(&v)
	if v.Action == wire.Reject {
		v.WaitSeconds = 0
		return v, nil
	}
	return v, j.require(&v, decision, approvals)
}

// verdictOf is a decision in the ledger's terms.
func verdictOf(d policy.Decision) ledger.Verdict {
	v := ledger.Verdict{Action: d.Action, WaitSeconds: d.WaitSeconds, Revision: d.Revision, Fired: d.Fired}
	v.Reasons = slices.Grow(v.Reasons, len(d.Reasons))
	for _, r := range d.Reasons {
		v.Reasons = append(v.Reasons, ledger.Reason{Rule: r.RuleID, Severity: r.Severity, Message: r.Message})
	}
	return v
}

// ask lets the engine judge the very bytes that are recorded.
func (j *judgement) ask(ctx context.Context, in policy.Input) (policy.Decision, json.RawMessage, error) {
	d, b, err := j.engine.Judge(ctx, in)
	if b == nil || len(b) > ledger.MaxBytes {
		d, judged := j.engine.Evaluate(ctx, policy.Input{}) // an empty input: the engine's own Reject
		return d, j.unreadable(), errors.Join(err, judged)
	}
	return d, b, err
}

// require says what has been approved or has to be.
func (j *judgement) require(v *ledger.Verdict, d policy.Decision, approvals []ledger.Approval) error {
	if d.Requirement != nil {
		r, err := ledgerRequirement(j.engine, *d.Requirement)
		if err != nil {
			return err
		}
		v.Requirement = &r
		return nil
	}
	// Approved under an approval: the ledger holds the decision to it and names it.
	i := slices.IndexFunc(approvals, func(a ledger.Approval) bool { return a.State == ledger.ApprovalApproved })
	if v.Action == wire.Approve && i >= 0 && slices.Contains(d.Fired, approvals[i].Requirement.Rule) {
		v.Requirement = &approvals[i].Requirement
	}
	return nil
}

// ruleMismatch is under what this server rejects a request whose claim is not what is signed, whatever the policy says.
const ruleMismatch = "evidence.mismatch"

// guard rejects what no policy may approve: a request that cannot be judged, and one whose claim is not what is signed.
func (j *judgement) guard(v *ledger.Verdict) {
	if v.Action == wire.Reject {
		return
	}
	var own []ledger.Reason
	for _, p := range j.Input.Problems {
		own = append(own, ledger.Reason{Rule: p.Rule, Severity: wire.Reject, Message: clip(p.Field+": "+p.Message, policy.MaxMessage)})
	}
	if j.Input.Evidence.Status == policy.EvidenceMismatch {
		own = append(own, ledger.Reason{Rule: ruleMismatch, Severity: wire.Reject, Message: clip(j.Input.Evidence.Reason, policy.MaxMessage)})
	}
	if len(own) == 0 {
		return
	}
	v.Action, v.Reasons = wire.Reject, slices.Concat(own, v.Reasons)
	for _, r := range own {
		if !slices.Contains(v.Fired, r.Rule) {
			v.Fired = append(v.Fired, r.Rule)
		}
	}
}

// unreadableFormat is the record of a request of which no policy input could be made.
const unreadableFormat = "countersign/callback-unreadable/v1"

// unreadable is recorded in place of the input: the request's hash, under which the node has the body.
func (j *judgement) unreadable() json.RawMessage {
	sum := ledger.Hash(sha256.Sum256(j.body))
	return json.RawMessage(fmt.Sprintf(`{"format":%q,"body_sha256":%q}`, unreadableFormat, sum))
}

// Trial is what comes of trying a policy.
type Trial struct {
	// Decision includes what the server rejects by itself, whatever the policy says.
	Decision policy.Decision `json:"decision"`
	Input    json.RawMessage `json:"input"` // that was judged
	// Failure is why the policy failed, if it did; the decision is then a Reject. Not in the JSON form.
	Failure error `json:"-"`
}

// Setting is under what a request is tried.
type Setting struct {
	Node policy.Node
	Now  time.Time
	Keys *Keys // nil: none
	// Used is what windows have used before, in base units or as counts; those that are not named are empty.
	Used map[string]*big.Int
	// Approved says that everybody who may approve the request has.
	Approved bool
}

// Try judges a request as the server would in a setting, and records nothing.
func Try(ctx context.Context, e *policy.Engine, p *wire.Parsed, set Setting) (*Trial, error) {
	c, err := NewCase(e, p, set.Keys)
	if err != nil {
		return nil, err
	}
	c.Input.Node = set.Node
	body, err := p.Canonical()
	if err != nil {
		return nil, err
	}
	j := judgement{engine: e, Case: c, body: body}
	state := ledger.State{Now: set.Now, Windows: used(c.Execution, set.Used)}
	v, err := j.evaluate(ctx, state)
	if err == nil && set.Approved {
		v, err = j.approved(ctx, state, v)
	}
	if err != nil {
		return nil, err
	}
	return trialOf(v, j.failure), nil
}
