package callback

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
)

// ShadowView is the answer to GET /admin/v1/policy/shadow: the policy that runs beside the live one, and what it would have decided
// otherwise since it was set.
type ShadowView struct {
	Revision string    `json:"revision"` // "": none is set
	Since    time.Time `json:"since"`
	Operator string    `json:"operator"` // who set it; "server": the configuration
	ledger.ShadowCounts
	Sums     []FlipSum `json:"sums"`     // by rule and asset, largest number first
	Examples []Flip    `json:"examples"` // newest first
}

var errShadowConfigured = &adminError{http.StatusConflict, "the configuration names the shadow (policy.shadow): change it there"}

// showShadow serves GET /admin/v1/policy/shadow?limit=.
func (s *Server) showShadow(r *http.Request) (any, error) {
	limit, err := exampleLimit(r.URL.Query())
	if err != nil {
		return nil, err
	}
	return s.viewShadow(r.Context(), limit)
}

func exampleLimit(q url.Values) (int, error) {
	text := q.Get("limit")
	if text == "" {
		return ledger.DefaultPage, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > ledger.MaxShadowExamples {
		return 0, &adminError{http.StatusBadRequest, "limit is a number from 0 to " + strconv.Itoa(ledger.MaxShadowExamples)}
	}
	return n, nil
}

func (s *Server) viewShadow(ctx context.Context, limit int) (*ShadowView, error) {
	report, err := s.cfg.Ledger.ShadowReport(ctx, limit)
	if err != nil {
		return nil, err
	}
	out := &ShadowView{
		Revision: report.Revision, Since: report.Since, Operator: report.Operator, ShadowCounts: report.ShadowCounts, Sums: []FlipSum{}, Examples: []Flip{},
	}
	for _, sum := range report.Sums {
		f := FlipSum{Rule: ledger.ShadowOther}
		if sum.Key != ledger.ShadowOther {
			if err := json.Unmarshal([]byte(sum.Key), &f); err != nil {
				return nil, err
			}
		}
		f.Count, f.AmountBase = int(sum.Count), json.Number(sum.Amount.String())
		out.Sums = append(out.Sums, f)
	}
	slices.SortStableFunc(out.Sums, func(x, y FlipSum) int { return y.Count - x.Count })
	for _, example := range report.Examples {
		var f Flip
		if err := json.Unmarshal(example, &f); err != nil {
			return nil, err
		}
		out.Examples = append(out.Examples, f)
	}
	return out, nil
}

// setShadow serves POST /admin/v1/policy/shadow.
func (s *Server) setShadow(r *http.Request) (any, error) {
	var asked PolicyRequest
	if err := readJSONUpTo(r, &asked, maxPolicyBody); err != nil {
		return nil, err
	}
	switch {
	case s.cfg.Shadow != nil:
		return nil, errShadowConfigured
	case asked.Proposal != "" || asked.Reason != "":
		return nil, &adminError{http.StatusBadRequest, "a shadow is a policy, or the revision of one, and nothing else: it decides nothing"}
	}
	e, err := s.candidate(r.Context(), &asked)
	if err != nil {
		return nil, err
	}
	if err := s.putShadow(r.Context(), e); err != nil {
		return nil, err
	}
	return s.viewShadow(r.Context(), 0)
}

// clearShadow serves POST /admin/v1/policy/shadow/clear.
func (s *Server) clearShadow(r *http.Request) (any, error) {
	if s.cfg.Shadow != nil {
		return nil, errShadowConfigured
	}
	if err := s.cfg.Ledger.SetShadow(r.Context(), ledger.Shadow{}); err != nil {
		return nil, err
	}
	s.shadow.engine.Store(nil)
	s.log.WarnContext(r.Context(), "the shadow is gone, with what it had found out", "operator", operatorOf(r.Context()))
	return s.viewShadow(r.Context(), 0)
}

// putShadow sets the shadow, for every server that shares the store.
func (s *Server) putShadow(ctx context.Context, e *policy.Engine) error {
	if err := s.cfg.Ledger.SetShadow(ctx, ledger.Shadow{Revision: e.Revision(), Content: contentOf(e), Operator: changer(ctx)}); err != nil {
		return err
	}
	s.shadow.engine.Store(e)
	s.log.WarnContext(ctx, "a shadow runs beside the policy", "revision", e.Revision(), "operator", changer(ctx))
	return nil
}

// followShadow makes the shadow that is set this server's: after a start, and when it was set through another server. Where the
// configuration names one, that is set.
func (s *Server) followShadow(ctx context.Context) {
	err := s.takeShadow(ctx)
	if before := (*failedBuild)(nil); err != nil && !errors.As(err, &before) && ctx.Err() == nil {
		s.log.WarnContext(ctx, "the shadow could not be loaded", "error", err)
	}
}

// takeShadow loads the shadow that is set. One that could not be loaded is not tried each time: until it is time the failure before
// is returned.
func (s *Server) takeShadow(ctx context.Context) error {
	set, err := s.cfg.Ledger.Shadow(ctx)
	if err != nil {
		return err
	}
	wanted, load := set.Revision, func() error { return s.buildShadow(ctx, set) }
	switch {
	case s.cfg.Shadow != nil && s.shadow.engine.Load() == nil:
		wanted, load = "", func() error { return s.readShadow(ctx, set) } // it is not known before it is read
	case set.Revision == s.shadow.revision():
		return nil
	case set.Revision == "":
		s.shadow.engine.Store(nil)
		return nil
	}
	if err := s.shadow.failed.before(wanted, s.clock.Elapsed()); err != nil {
		return err
	}
	if err = load(); err != nil {
		s.shadow.failed.remember(wanted, err, s.clock.Elapsed())
	}
	return err
}

// buildShadow builds the shadow out of what is stored of it.
func (s *Server) buildShadow(ctx context.Context, set ledger.Shadow) error {
	source, err := policy.ParseArchive(set.Content)
	if err != nil {
		return err
	}
	e, err := s.cfg.Policy.Build(ctx, source)
	if err == nil {
		s.shadow.engine.Store(e)
	}
	return err
}

// readShadow reads the configured shadow. One that is set already goes on, with what it has found out.
func (s *Server) readShadow(ctx context.Context, set ledger.Shadow) error {
	source, err := s.cfg.Shadow()
	if err != nil {
		return err
	}
	e, err := s.cfg.Policy.Build(ctx, source)
	if err != nil {
		return err
	}
	if e.Revision() != set.Revision {
		return s.putShadow(ctx, e)
	}
	s.shadow.engine.Store(e)
	return nil
}

// ReloadShadow reads the shadow anew that the configuration names; without one it does nothing.
func (s *Server) ReloadShadow(ctx context.Context) error {
	if s.cfg.Shadow == nil {
		return nil
	}
	set, err := s.cfg.Ledger.Shadow(ctx)
	if err == nil {
		err = s.readShadow(ctx, set)
	}
	if err != nil {
		s.log.ErrorContext(ctx, "the shadow was not read again; the one before goes on", "error", err)
	}
	return err
}
