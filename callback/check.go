package callback

import (
	"context"
	"errors"
	"fmt"
	"net/http"

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
	c, err := NewCase(engine, &a.Parsed, s.cfg.Keys)
	done()
	if err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	c.Input.Node = policy.Node{ID: string(a.node.id), Name: a.node.Name}
	ask := a.ask()
	ask.IntentHash, ask.Digests, ask.Requester, ask.Execution = c.Intent, c.Digests, c.Requester, c.Execution
	j := judgement{engine: engine, Case: c, body: a.Signed}
	var seen []ledger.WindowState
	reply, counted, err := s.decide(r.Context(), a, ask, func(ctx context.Context, state ledger.State) (ledger.Verdict, error) {
		defer s.metrics.stage("evaluate")()
		seen = state.Windows
		v, err := j.evaluate(ctx, state)
		if j.failure != nil {
			s.log.ErrorContext(ctx, "the policy failed, which rejects the request", "node", a.node.Name, "revision", engine.Revision(), "error", j.failure)
		}
		return v, err
	})
	if counted == wire.Approve {
		s.metrics.used(engine, seen)
	}
	return reply, err
}

// decide lets the ledger decide once and for ever, and returns the reply, and the action where this was the first time.
func (s *Server) decide(ctx context.Context, a *asked, ask ledger.Ask, evaluate ledger.EvaluateFunc) ([]byte, wire.Action, error) {
	ctx, cancel := context.WithTimeout(ctx, decideTimeout)
	defer cancel()
	var outcome ledger.Outcome
	var fired []string
	done := s.metrics.stage("decide")
	result, err := s.cfg.Ledger.Decide(ctx, ask, func(ctx context.Context, state ledger.State) (ledger.Verdict, error) {
		v, err := evaluate(ctx, state)
		fired = v.Fired
		return v, err
	}, func(o ledger.Outcome) ([]byte, error) {
		outcome = o
		return s.reply(a, o)
	})
	done()
	if err != nil {
		if errors.Is(err, ledger.ErrUnavailable) || errors.Is(err, ledger.ErrDamaged) {
			s.unrecorded.Store(true)
		}
		return nil, "", wireError(err)
	}
	if result.Replayed {
		s.metrics.replayed()
		s.log.InfoContext(ctx, "answered again", "decision", result.ID, "node", a.node.Name, "path", string(a.Path), "callback_id", ask.CallbackID)
		return result.Reply, "", nil
	}
	s.unrecorded.Store(false)
	s.metrics.decided(a, result.Action)
	s.metrics.hit(fired, outcome.Reasons)
	attrs := []any{
		"decision", result.ID, "node", a.node.Name, "path", string(a.Path), "callback_id", ask.CallbackID, "sino_id", ask.SinoID,
		"request_id", ask.RequestID, "type", requestType(a), "action", string(result.Action), "rule", rule(outcome), "revision", outcome.Revision,
	}
	if outcome.Approval != nil {
		attrs = append(attrs, "approval", outcome.Approval.ID)
	}
	s.log.InfoContext(ctx, "decided", attrs...)
	return result.Reply, result.Action, nil
}

func isContextError(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
