package callback

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/countersign-mpc/countersign/auditlog"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
)

// PolicyView is the answer to GET /admin/v1/policy: what decides now.
type PolicyView struct {
	Revision   string       `json:"revision"`
	Source     PolicySource `json:"source"`
	Active     ActiveView   `json:"active"`
	Loaded     time.Time    `json:"loaded"`
	LastReload ReloadView   `json:"last_reload"`
	Rules      []RuleView   `json:"rules"`
	Groups     []policyTeam `json:"groups"`
}

// ActiveView is the activation by which the active policy became that; its Number is 0 where there was none.
type ActiveView struct {
	Number   uint64        `json:"number"`
	Revision string        `json:"revision"` // another one than the server's while it does not have it yet
	Since    time.Time     `json:"since"`
	Files    string        `json:"files"` // the revision that the files held when they were last made live
	Guard    *ledger.Guard `json:"guard"` // what its change has to pass; null: nothing
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
func (s *Server) showPolicy(r *http.Request) (any, error) {
	e := s.cfg.Policy.Engine()
	if e == nil {
		return nil, &adminError{http.StatusServiceUnavailable, "no policy is loaded"}
	}
	active, err := s.cfg.Ledger.Active(r.Context())
	if err != nil {
		return nil, err
	}
	return s.viewPolicy(e, active), nil
}

func (s *Server) viewPolicy(e *policy.Engine, active ledger.Active) PolicyView {
	state := s.reload.read()
	out := PolicyView{
		Revision: e.Revision(), Source: cmp.Or(s.cfg.PolicySource, PolicyFiles),
		Active: ActiveView{active.Number, active.Revision, active.Since, active.Files, active.Guard}, Loaded: state.loaded, LastReload: ReloadView{state.tried, state.failure == "", state.failure},
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
	switch _, err := s.ReloadPolicy(r.Context()); {
	case errors.Is(err, errFilesNotRead), errors.Is(err, ledger.ErrNeedsApproval), errors.Is(err, ledger.ErrUnavailable), errors.Is(err, ledger.ErrRevision),
		errors.Is(err, ledger.ErrDamaged):
		return nil, err
	case err != nil:
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

// GrowthView is the answer to POST /admin/v1/log/growth: what auditlog.CheckConsistency takes beside the older checkpoint.
type GrowthView struct {
	Proof     string `json:"proof"`
	PublicKey string `json:"public_key"`
}

// proveGrowth serves POST /admin/v1/log/growth: it proves that the log only grew since the checkpoint that is sent.
func (s *Server) proveGrowth(r *http.Request) (any, error) {
	var older struct {
		Checkpoint string `json:"checkpoint"`
	}
	if err := readJSON(r, &older); err != nil {
		return nil, err
	}
	public := s.cfg.Ledger.LogPublic()
	if _, err := auditlog.OpenCheckpoint([]byte(older.Checkpoint), public); err != nil {
		return nil, fmt.Errorf("%w: checkpoint: %w", ledger.ErrInvalid, err)
	}
	proof, err := s.cfg.Ledger.ProveGrowth(r.Context(), []byte(older.Checkpoint))
	if err != nil {
		return nil, err
	}
	if _, _, err := auditlog.CheckConsistency(public, []byte(older.Checkpoint), proof); err != nil { // found out here, not at an auditor's
		return nil, fmt.Errorf("%w: the log did not grow out of this checkpoint: %w", ledger.ErrDamaged, err)
	}
	return GrowthView{string(proof), public}, nil
}
