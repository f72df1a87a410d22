package callback

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// check answers a request to /check.
func (s *Server) check(r *http.Request, a *asked) ([]byte, error) {
	engine := s.cfg.Policy.Engine()
	if engine == nil {
		return nil, &wire.Error{Code: wire.CodeUnavailable, Detail: "no policy is loaded"}
	}
	done := s.metrics.stage("evidence")
	c, err := NewCase(engine, &a.Parsed)
	done()
	if err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	c.Input.Node = policy.Node{ID: string(a.node.id), Name: a.node.Name}
	ask := a.ask()
	ask.IntentHash, ask.Digests, ask.Requester = c.Intent, c.Digests, c.Requester
	j := judgement{engine: engine, Case: c, body: a.Signed}
	return s.decide(r.Context(), a, ask, func(ctx context.Context, state ledger.State) (ledger.Verdict, error) {
		defer s.metrics.stage("evaluate")()
		v, err := j.evaluate(ctx, state)
		if j.failure != nil {
			s.log.ErrorContext(ctx, "the policy failed, which rejects the request", "node", a.node.Name, "revision", engine.Revision(), "error", j.failure)
		}
		return v, err
	})
}

// decide lets the ledger decide once and for ever, and returns the reply.
func (s *Server) decide(ctx context.Context, a *asked, ask ledger.Ask, evaluate ledger.EvaluateFunc) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, decideTimeout)
	defer cancel()
	var outcome ledger.Outcome
	done := s.metrics.stage("decide")
	result, err := s.cfg.Ledger.Decide(ctx, ask, evaluate, func(o ledger.Outcome) ([]byte, error) {
		outcome = o
		return s.reply(a, o)
	})
	done()
	if err != nil {
		if errors.Is(err, ledger.ErrUnavailable) || errors.Is(err, ledger.ErrDamaged) {
			s.unrecorded.Store(true)
		}
		return nil, wireError(err)
	}
	if result.Replayed {
		s.metrics.replayed()
		s.log.InfoContext(ctx, "answered again", "decision", result.ID, "node", a.node.Name, "path", string(a.Path), "callback_id", ask.CallbackID)
		return result.Reply, nil
	}
	s.unrecorded.Store(false)
	s.metrics.decided(a, result.Action)
	attrs := []any{
		"decision", result.ID, "node", a.node.Name, "path", string(a.Path), "callback_id", ask.CallbackID, "sino_id", ask.SinoID,
		"request_id", ask.RequestID, "type", requestType(a), "action", string(result.Action), "rule", rule(outcome), "revision", outcome.Revision,
	}
	if outcome.Approval != nil {
		attrs = append(attrs, "approval", outcome.Approval.ID)
	}
	s.log.InfoContext(ctx, "decided", attrs...)
	return result.Reply, nil
}

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
	approvals := j.current(state.Approvals)
	for _, a := range approvals {
		in.Approvals = append(in.Approvals, policyApproval(a))
	}
	decision, input, err := j.ask(ctx, in)
	if ctx.Err() != nil {
		return ledger.Verdict{}, fmt.Errorf("evaluate policy: %w", context.Cause(ctx))
	}
	j.failure = err
	v := ledger.Verdict{
		Action: decision.Action, WaitSeconds: decision.WaitSeconds, Revision: decision.Revision, Fired: decision.Fired, Input: input,
	}
	for _, r := range decision.Reasons {
		v.Reasons = append(v.Reasons, ledger.Reason{Rule: r.RuleID, Severity: r.Severity, Message: r.Message})
	}
	j.guard(&v)
	if v.Action == wire.Reject {
		v.WaitSeconds = 0
		return v, nil
	}
	return v, j.require(&v, decision, approvals)
}

// ask lets the engine judge the very bytes that are recorded.
func (j *judgement) ask(ctx context.Context, in policy.Input) (policy.Decision, json.RawMessage, error) {
	b, err := in.Canonical()
	if err != nil || len(b) > ledger.MaxBytes {
		d, judged := j.engine.Evaluate(ctx, policy.Input{}) // an empty input: the engine's own Reject
		return d, j.unreadable(), errors.Join(err, judged)
	}
	d, err := j.engine.Replay(ctx, b)
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

// The reasons for which this server rejects by itself, whatever the policy says.
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

func isContextError(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
