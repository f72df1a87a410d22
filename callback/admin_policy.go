package callback

import (
	"encoding/base64"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/countersign-mpc/countersign/policy"
)

// PolicyView is the answer to GET /admin/v1/policy: what decides now.
type PolicyView struct {
	Revision   string       `json:"revision"`
	Loaded     time.Time    `json:"loaded"`
	LastReload ReloadView   `json:"last_reload"`
	Rules      []RuleView   `json:"rules"`
	Groups     []policyTeam `json:"groups"`
}

// ReloadView is how the last reload, or the first load, ended.
type ReloadView struct {
	Time  time.Time `json:"time"`
	OK    bool      `json:"ok"`
	Error string    `json:"error"` // why the policy before was kept
}

// RuleView is a rule that may have a say.
type RuleView struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	File  string `json:"file"`
}

type policyTeam struct {
	Name      string         `json:"name"`
	Revision  string         `json:"revision"`
	Approvers []approverView `json:"approvers"`
}

type approverView struct {
	Name  string `json:"name"`
	KeyID string `json:"key_id"`
}

// showPolicy serves GET /admin/v1/policy.
func (s *Server) showPolicy(*http.Request) (any, error) {
	e := s.cfg.Policy.Engine()
	if e == nil {
		return nil, &adminError{http.StatusServiceUnavailable, "no policy is loaded"}
	}
	return s.viewPolicy(e), nil
}

func (s *Server) viewPolicy(e *policy.Engine) PolicyView {
	state := s.reload.read()
	out := PolicyView{
		Revision: e.Revision(), Loaded: state.loaded, LastReload: ReloadView{state.tried, state.failure == "", state.failure},
		Rules: []RuleView{}, Groups: []policyTeam{},
	}
	for _, r := range e.Rules() {
		out.Rules = append(out.Rules, RuleView{r.ID, r.Title, r.File})
	}
	for _, g := range e.Groups() {
		team := policyTeam{Name: g.Name, Revision: g.Revision, Approvers: []approverView{}}
		for _, a := range g.Approvers {
			team.Approvers = append(team.Approvers, approverView{a.Name, a.KeyID})
		}
		out.Groups = append(out.Groups, team)
	}
	return out
}

// reloadPolicy serves POST /admin/v1/policy/reload. A policy that does not pass is refused with 422 and the reason; the
// one before stays.
func (s *Server) reloadPolicy(r *http.Request) (any, error) {
	if _, err := s.ReloadPolicy(r.Context()); err != nil {
		return nil, &adminError{http.StatusUnprocessableEntity, "the policy before stays: " + err.Error()}
	}
	return s.showPolicy(r)
}

// CheckpointView is the answer to GET /admin/v1/log/checkpoint.
type CheckpointView struct {
	Checkpoint string `json:"checkpoint"` // auditlog.OpenCheckpoint reads it
	PublicKey  string `json:"public_key"`
}

// checkpoint serves GET /admin/v1/log/checkpoint: it signs the log as it is.
func (s *Server) checkpoint(r *http.Request) (any, error) {
	signed, err := s.cfg.Ledger.Checkpoint(r.Context())
	if err != nil {
		return nil, err
	}
	return CheckpointView{string(signed), s.cfg.Ledger.LogPublic()}, nil
}

// ProofView is the answer to GET /admin/v1/log/proofs/{id}: what auditlog.CheckInclusion takes.
type ProofView struct {
	Entry     string `json:"entry"` // base64
	Proof     string `json:"proof"`
	PublicKey string `json:"public_key"`
}

// prove serves GET /admin/v1/log/proofs/{id}.
func (s *Server) prove(r *http.Request) (any, error) {
	entry, proof, err := s.cfg.Ledger.Prove(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		return nil, err
	}
	return ProofView{base64.StdEncoding.EncodeToString(entry), string(proof), s.cfg.Ledger.LogPublic()}, nil
}
