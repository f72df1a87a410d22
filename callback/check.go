package callback

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// check answers a request to /check, by the active policy: where that was changed through another server meanwhile, it is loaded
// first.
func (s *Server) check(r *http.Request, a *asked) ([]byte, error) {
	for range 3 {
		engine := s.cfg.Policy.Engine()
		if engine == nil {
			return nil, &wire.Error{Code: wire.CodeUnavailable, Detail: "no policy is loaded"}
		}
		reply, err := s.checkBy(r, a, engine)
		if !errors.Is(err, ledger.ErrRevision) {
			return reply, err
		}
		if err := s.CatchUp(r.Context()); err != nil {
			return nil, wireError(fmt.Errorf("%w: %w", ledger.ErrRevision, err))
		}
	}
	return nil, wireError(ledger.ErrRevision)
}

// checkBy answers a request to /check by a policy; ErrRevision if that is not the active one.
func (s *Server) checkBy(r *http.Request, a *asked, engine *policy.Engine) ([]byte, error) {
	watch := s.metrics.begin(stageEvidence)
	c, err := NewCase(engine, &a.Parsed, s.cfg.Keys)
	watch.stop()
	if err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	c.Input.Node = policy.Node{ID: string(a.node.id), Name: a.node.Name}
	ask := a.ask()
	ask.IntentHash, ask.Digests, ask.Requester, ask.Execution = c.Intent, c.Digests, c.Requester, c.Execution
	j := judgement{engine: engine, Case: c, body: a.Signed}
	var seen []ledger.WindowState
	reply, counted, err := s.decide(r.Context(), a, ask, func(ctx context.Context, state ledger.State) (ledger.Verdict, error) {
		defer s.metrics.begin(stageEvaluate).stop()
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
	limited := within(ctx, decideTimeout)
	defer limited.release()
	var outcome ledger.Outcome
	var verdict ledger.Verdict
	watch := s.metrics.begin(stageDecide)
	a.coming.Arrived()
	result, err := s.cfg.Ledger.Decide(limited, ask, func(ctx context.Context, state ledger.State) (ledger.Verdict, error) {
		v, err := evaluate(ctx, state)
		verdict = v
		return v, err
	}, func(o ledger.Outcome) ([]byte, error) {
		outcome = o
		return s.reply(a, o)
	})
	watch.stop()
	if err != nil {
		s.unwritten(ctx, err)
		return nil, "", wireError(err)
	}
	if result.Replayed {
		s.metrics.replayed()
		s.log.InfoContext(ctx, "answered again", "decision", result.ID, "node", a.node.Name, "path", string(a.Path), "callback_id", ask.CallbackID)
		return result.Reply, "", nil
	}
	s.metrics.decided(a, result.Action)
	s.metrics.hit(verdict.Fired, outcome.Reasons)
	s.recent.add(verdict.Input)
	s.shadow.offer(ask, outcome, verdict.Input)
	attrs := make([]slog.Attr, 0, 11)
	attrs = append(attrs,
		slog.String("decision", result.ID), slog.String("node", a.node.Name), slog.String("path", string(a.Path)), slog.String("callback_id", ask.CallbackID),
		slog.String("sino_id", ask.SinoID), slog.String("request_id", ask.RequestID), slog.String("type", requestType(a)),
		slog.String("action", string(result.Action)), slog.String("rule", rule(outcome)), slog.String("revision", outcome.Revision),
	)
	if outcome.Approval != nil {
		attrs = append(attrs, slog.String("approval", outcome.Approval.ID))
	}
	s.log.LogAttrs(ctx, slog.LevelInfo, "decided", attrs...)
	return result.Reply, result.Action, nil
}

func isContextError(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
