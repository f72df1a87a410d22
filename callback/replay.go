package callback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// ReplayView is the answer to GET /admin/v1/decisions/{id}/replay: whether what is recorded gives what was decided again.
type ReplayView struct {
	ID       string `json:"id"`
	Revision string `json:"revision"` // under which it was decided
	// Judged says that the input was judged again, by the policy that decided: it is a request to /check, and that policy is live or
	// is kept since it was.
	Judged bool `json:"judged"`
	// Reply says that the recorded outcome gives the recorded reply again, byte for byte.
	Reply bool `json:"reply"`
	// Differences names everything that did not come out the same.
	Differences []string `json:"differences"`
}

// replayDecision serves GET /admin/v1/decisions/{id}/replay.
func (s *Server) replayDecision(r *http.Request) (any, error) {
	rec, err := s.cfg.Ledger.Decision(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		return nil, err
	}
	out := ReplayView{ID: rec.ID, Revision: rec.Revision, Differences: []string{}}
	differ := func(format string, args ...any) {
		out.Differences = append(out.Differences, fmt.Sprintf(format, args...))
	}
	engine, err := s.decidedBy(r.Context(), rec)
	if err != nil {
		return nil, err
	}
	if engine != nil {
		out.Judged = true
		v, err := rejudge(r.Context(), engine, rec)
		switch {
		case err != nil:
			differ("it cannot be judged again: %v", err)
		case v.Action != rec.Verdict:
			differ("the policy says %s, and %s is recorded", v.Action, rec.Verdict)
		case !endsWith(rec.Reasons, v.Reasons):
			differ("the policy gives other reasons than are recorded")
		case !slices.Equal(v.Fired, rec.Fired):
			differ("other rules fire than are recorded")
		}
	}
	reply, err := s.replyAgain(rec)
	switch {
	case err != nil:
		differ("the reply cannot be made again: %v", err)
	case string(reply) != string(rec.Reply):
		differ("the reply is another than is recorded")
	default:
		out.Reply = true
	}
	return out, nil
}

// decidedBy is the policy that made a decision about a check: the live one, or built from what is kept of it; nil if neither is.
func (s *Server) decidedBy(ctx context.Context, rec ledger.Record) (*policy.Engine, error) {
	if rec.Ask.Path != wire.PathCheck {
		return nil, nil
	}
	for _, e := range []*policy.Engine{s.cfg.Policy.Engine(), s.active.old.Load()} {
		if e != nil && e.Revision() == rec.Revision {
			return e, nil
		}
	}
	e, err := stored(ctx, s.cfg.Ledger, rec.Revision, s.cfg.Policy.Build)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil
	}
	if err == nil {
		s.active.old.Store(e)
	}
	return e, err
}

// endsWith tells whether a list ends with another: the ledger's own reasons stand in front of the policy's.
func endsWith(list, end []ledger.Reason) bool {
	return len(list) >= len(end) && slices.Equal(list[len(list)-len(end):], end)
}

// rejudge gives the verdict over a recorded input, as the server made it.
func rejudge(ctx context.Context, e *policy.Engine, rec ledger.Record) (ledger.Verdict, error) {
	var in policy.Input
	if err := json.Unmarshal(rec.Input, &in); err != nil {
		return ledger.Verdict{}, err
	}
	d, _ := e.Replay(ctx, rec.Input) // a policy that failed then fails again, and its Reject is compared
	if ctx.Err() != nil {
		return ledger.Verdict{}, ctx.Err()
	}
	j := judgement{engine: e, Case: &Case{Input: in}}
	v := verdictOf(d)
	j.guard(&v)
	return v, nil
}

// replyAgain makes the reply of a recorded outcome.
func (s *Server) replyAgain(rec ledger.Record) ([]byte, error) {
	i := slices.IndexFunc(s.nodes, func(n node) bool { return string(n.id) == rec.Ask.Node })
	if i < 0 {
		return nil, fmt.Errorf("the node is not configured any more")
	}
	var names struct { // as the request had them: the record may hold their hashes
		Data wire.ResponseData `json:"data"`
	}
	if err := json.Unmarshal(rec.Reply, &names); err != nil {
		return nil, err
	}
	data := wire.ResponseData{
		CallbackID: names.Data.CallbackID, SinoID: names.Data.SinoID, RequestID: names.Data.RequestID, Action: rec.Action,
	}
	if rec.Action == wire.Wait {
		data.WaitTime = wire.WaitSeconds(time.Duration(rec.WaitSeconds) * time.Second)
	}
	o := ledger.Outcome{ID: rec.ID, Time: rec.Time, Action: rec.Action, Reasons: rec.Reasons, WaitSeconds: rec.WaitSeconds, Revision: rec.Revision}
	if rec.Approval != "" {
		o.Approval = &ledger.Approval{ID: rec.Approval}
	}
	return s.seal(&s.nodes[i], data, o)
}
