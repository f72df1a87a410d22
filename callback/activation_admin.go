package callback

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
)

const (
	maxPolicyBody = ledger.MaxPolicy // bytes
	patience      = 10 * time.Minute // for answers that take a policy's tests, and a backtest
	policyData    = "data.json"      // how errors name the data of a policy that was handed in
)

// PolicyText is a policy as it is handed in and shown.
type PolicyText struct {
	Modules map[string]string `json:"modules"` // by slash-separated path, tests among them
	Data    string            `json:"data"`    // data.json
}

// PolicyTextOf is a source in that form.
func PolicyTextOf(s *policy.Source) PolicyText {
	out := PolicyText{Modules: map[string]string{}, Data: string(s.Data)}
	for name, text := range s.Modules {
		out.Modules[name] = string(text)
	}
	return out
}

// Source is the policy to be built; its Archive is what is stored of it.
func (p PolicyText) Source() *policy.Source {
	s := &policy.Source{Modules: map[string][]byte{}, DataName: policyData, Data: []byte(p.Data)}
	for name, text := range p.Modules {
		s.Modules[name] = []byte(text)
	}
	return s
}

// PolicyRequest is the body of POST /admin/v1/policy/activate and /admin/v1/policy/proposals: a policy, or the revision of one that
// was active, or, to activate, the id of an approved proposal.
type PolicyRequest struct {
	PolicyText
	Revision string `json:"revision"`
	Proposal string `json:"proposal"`
	Reason   string `json:"reason"`
}

// RollbackRequest is the body of POST /admin/v1/policy/rollback.
type RollbackRequest struct {
	Revision string `json:"revision"` // "": the one before
	Reason   string `json:"reason"`
}

// HistoryView is the answer to GET /admin/v1/policy/history.
type HistoryView struct {
	Activations []ledger.ActivationRecord `json:"activations"` // newest first
	Next        uint64                    `json:"next"`        // to be given as before for the next page; 0 at the end
}

// RevisionView is the answer to GET /admin/v1/policy/revisions/{revision}.
type RevisionView struct {
	Revision string `json:"revision"`
	PolicyText
}

// patient gives an answer the time that it takes.
func patient(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctl := http.NewResponseController(w)
		_ = ctl.SetWriteDeadline(time.Now().Add(patience)) // where it cannot be set there is none
		_ = ctl.SetReadDeadline(time.Now().Add(patience))
		next.ServeHTTP(w, r)
	})
}

// listActivations serves GET /admin/v1/policy/history?before=.
func (s *Server) listActivations(r *http.Request) (any, error) {
	before := uint64(0)
	if text := r.URL.Query().Get("before"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || n == 0 {
			return nil, &adminError{http.StatusBadRequest, "before is the number of an activation"}
		}
		before = n
	}
	list, err := s.cfg.Ledger.Activations(r.Context(), before)
	if err != nil {
		return nil, err
	}
	out := HistoryView{Activations: []ledger.ActivationRecord{}}
	if out.Activations = append(out.Activations, list...); len(list) == ledger.MaxPage {
		out.Next = list[len(list)-1].Number
	}
	return out, nil
}

// showRevision serves GET /admin/v1/policy/revisions/{revision}, of a policy that was active at some time.
func (s *Server) showRevision(r *http.Request) (any, error) {
	revision := chi.URLParam(r, "revision")
	content, err := s.cfg.Ledger.Revision(r.Context(), revision)
	if err != nil {
		return nil, err
	}
	source, err := policy.ParseArchive(content)
	if err != nil {
		return nil, err
	}
	return RevisionView{revision, PolicyTextOf(source)}, nil
}

// candidate builds the policy that a request is about. What does not pass is refused with 422 and the reason.
func (s *Server) candidate(ctx context.Context, p *PolicyRequest) (*policy.Engine, error) {
	given := len(p.Modules) > 0 || p.Data != ""
	if given == (p.Revision != "") {
		return nil, &adminError{http.StatusBadRequest, "either modules and data are needed, or the revision of a policy that was active before"}
	}
	if !given {
		return stored(ctx, s.cfg.Ledger, p.Revision, s.cfg.Policy.Build)
	}
	if err := s.onlySigned(p.Source()); err != nil {
		return nil, err
	}
	e, err := s.cfg.Policy.Build(ctx, p.Source())
	if err != nil && ctx.Err() == nil {
		return nil, &adminError{http.StatusUnprocessableEntity, "the policy does not pass: " + err.Error()}
	}
	return e, err
}

// activatePolicy serves POST /admin/v1/policy/activate.
func (s *Server) activatePolicy(r *http.Request) (any, error) {
	var asked PolicyRequest
	if err := readJSONUpTo(r, &asked, maxPolicyBody); err != nil {
		return nil, err
	}
	c := change{how: ledger.ActivatedPolicy, reason: asked.Reason, proposal: asked.Proposal}
	var err error
	switch {
	case asked.Proposal == "":
		c.engine, err = s.candidate(r.Context(), &asked)
	case len(asked.Modules) > 0 || asked.Data != "" || asked.Revision != "":
		return nil, &adminError{http.StatusBadRequest, "a proposal names its policy: give nothing beside it but a reason"}
	default:
		c.how = ledger.ActivatedProposal
		c.engine, err = s.proposed(r.Context(), asked.Proposal)
	}
	if err != nil {
		return nil, err
	}
	return s.changeTo(r.Context(), c)
}

// rollbackPolicy serves POST /admin/v1/policy/rollback.
func (s *Server) rollbackPolicy(r *http.Request) (any, error) {
	var asked RollbackRequest
	if err := readJSON(r, &asked); err != nil {
		return nil, err
	}
	if asked.Revision == "" {
		var err error
		if asked.Revision, err = s.cfg.Ledger.Previous(r.Context()); err != nil {
			if errors.Is(err, ledger.ErrNotFound) {
				return nil, &adminError{http.StatusNotFound, "there is no policy before the active one"}
			}
			return nil, err
		}
	}
	e, err := stored(r.Context(), s.cfg.Ledger, asked.Revision, s.cfg.Policy.Build)
	if err != nil {
		return nil, err
	}
	return s.changeTo(r.Context(), change{engine: e, how: ledger.ActivatedRollback, reason: asked.Reason})
}

// changeTo makes a policy the active one, and answers with the record of it.
func (s *Server) changeTo(ctx context.Context, c change) (any, error) {
	if err := s.active.changing.lock(ctx); err != nil {
		return nil, err
	}
	defer s.active.changing.unlock()
	active, err := s.cfg.Ledger.Active(ctx)
	if err != nil {
		return nil, err
	}
	if active.Number == 0 { // nothing to go back to would be left of the one that decides now
		if _, err := s.activate(ctx, 0, change{engine: s.cfg.Policy.Engine(), how: ledger.ActivatedFiles, reason: "it decided before anything was activated"}); err != nil {
			return nil, err
		}
		active.Number = 1
	} else if err := s.standing(ctx, active); err != nil {
		return nil, err
	}
	rec, err := s.activate(ctx, active.Number, c)
	if err != nil {
		s.log.WarnContext(ctx, "the policy was not changed", "to", c.engine.Revision(), "how", string(c.how), "operator", operatorOf(ctx), "error", err)
		return nil, err
	}
	s.log.WarnContext(ctx, "policy changed", "entry", rec.ID, "number", rec.Number, "from", rec.From, "to", rec.To, "how", string(rec.How), "operator", rec.Operator)
	return rec, nil
}
