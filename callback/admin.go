package callback

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	jsonv2 "github.com/go-json-experiment/json"

	"github.com/countersign-mpc/countersign/ledger"
)

const (
	maxAdminBody = 64 << 10         // bytes
	readTimeout  = 10 * time.Second // of one look into the ledger
)

// adminError is a refusal of the admin API: {"error": …} under its HTTP status.
type adminError struct {
	status int
	text   string
}

func (e *adminError) Error() string { return e.text }

// adminHandler serves one endpoint of the admin API: it returns what is written as JSON, or an error.
type adminHandler func(r *http.Request) (any, error)

func (s *Server) adminRoutes() http.Handler {
	r := chi.NewRouter()
	r.Use(s.fromOutside)
	r.NotFound(noEndpoint)
	r.MethodNotAllowed(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusMethodNotAllowed, errorBody{"this endpoint does not take this method: docs/FORMATS.md lists them under callback"})
	})
	r.Get("/livez", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok") })
	r.Get("/readyz", s.ready)
	if s.cfg.AdminTLS { // other hosts can reach it
		r.With(s.authenticated, s.allowed(RoleMetrics)).Method(http.MethodGet, "/metrics", s.metrics.handler())
	} else {
		r.Method(http.MethodGet, "/metrics", s.metrics.handler())
	}
	r.Route("/admin/v1", func(r chi.Router) {
		r.Use(s.authenticated)
		r.Group(s.viewerRoutes)
		r.With(s.allowed(RoleApprover)).Post("/approvals/{id}/signatures", s.admin(s.takeVote))
		r.With(s.allowed(RoleApprover)).Post("/policy/proposals/{id}/signatures", s.admin(s.takePolicyVote))
		r.Group(func(r chi.Router) {
			r.Use(s.allowed(RoleResults))
			r.Get("/results", s.admin(s.listResults))
			r.Get("/results/{id}", s.admin(s.showResult))
		})
		r.Group(func(r chi.Router) {
			r.Use(s.allowed(RoleOperator))
			r.With(patient).Post("/policy/reload", s.admin(s.reloadPolicy))
			r.With(patient).Post("/policy/rollback", s.admin(s.rollbackPolicy))
			r.With(patient).Post("/policy/shadow", s.admin(s.setShadow))
			r.Post("/policy/shadow/clear", s.admin(s.clearShadow))
			r.With(patient).Post("/policy/activate", s.admin(s.activatePolicy))
			r.With(patient).Post("/policy/proposals", s.admin(s.proposePolicy))
			r.Post("/clock/confirm", s.admin(s.confirmClock))
			r.Post("/log/prune", s.admin(s.pruneLog))
		})
		r.With(s.allowed(RoleBackup)).Get("/log/copy", s.copyLog)
		r.NotFound(noEndpoint)
	})
	return r
}

// viewerRoutes change nothing.
func (s *Server) viewerRoutes(r chi.Router) {
	r.Use(s.allowed(RoleViewer))
	r.Get("/approvals", s.admin(s.listApprovals))
	r.Get("/approvals/{id}", s.admin(s.showApproval))
	r.Get("/decisions", s.admin(s.listDecisions))
	r.Get("/decisions/{id}", s.admin(s.showDecision))
	r.Get("/decisions/{id}/replay", s.admin(s.replayDecision))
	r.Get("/policy", s.admin(s.showPolicy))
	r.Get("/policy/history", s.admin(s.listActivations))
	r.Get("/policy/revisions/{revision}", s.admin(s.showRevision))
	r.Get("/policy/shadow", s.admin(s.showShadow))
	r.Get("/policy/proposals", s.admin(s.listProposals))
	r.Get("/policy/proposals/{id}", s.admin(s.showProposal))
	r.Get("/log/checkpoint", s.admin(s.checkpoint))
	r.Get("/log/proofs/{id}", s.admin(s.prove))
	r.Post("/log/growth", s.admin(s.proveGrowth))
}

func noEndpoint(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusNotFound, errorBody{"no such endpoint: docs/FORMATS.md lists them under callback"})
}

func isLoopback(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	ip := net.ParseIP(name)
	return name == "localhost" || ip != nil && ip.IsLoopback()
}

type errorBody struct {
	Error string `json:"error"`
}

// admin writes what a handler returns. The text of an error is written where it is one that the caller can act on.
func (s *Server) admin(h adminHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		result, err := h(r)
		if err == nil {
			writeJSON(w, http.StatusOK, result)
			return
		}
		s.unwritten(r.Context(), err)
		status, text := adminStatus(err)
		if status >= http.StatusInternalServerError {
			s.log.ErrorContext(r.Context(), "admin request failed", "path", r.URL.Path, "error", err)
		}
		writeJSON(w, status, errorBody{text})
	}
}

// adminStatus is the one table of errors to HTTP statuses.
func adminStatus(err error) (int, string) {
	var own *adminError
	if errors.As(err, &own) {
		return own.status, own.text
	}
	for _, e := range []struct {
		err    error
		status int
	}{
		{ledger.ErrNotFound, http.StatusNotFound},
		{ledger.ErrInvalid, http.StatusBadRequest},
		{ledger.ErrNotApprover, http.StatusForbidden},
		{ledger.ErrBadSignature, http.StatusForbidden},
		{ledger.ErrOwnRequest, http.StatusForbidden},
		{ledger.ErrAlreadyVoted, http.StatusConflict},
		{ledger.ErrApprovalExpired, http.StatusConflict},
		{ledger.ErrApprovalVoid, http.StatusConflict},
		{ledger.ErrApprovalRejected, http.StatusConflict},
		{ledger.ErrRevision, http.StatusConflict},
		{ledger.ErrUnchanged, http.StatusConflict},
		{ledger.ErrNeedsApproval, http.StatusForbidden},
		{ledger.ErrProposalVoid, http.StatusConflict},
		{errFilesNotRead, http.StatusConflict},
		{errOtherResultKey, http.StatusConflict},
		{ledger.ErrExpired, http.StatusGone},
		{ledger.ErrUnavailable, http.StatusServiceUnavailable},
		{ledger.ErrDamaged, http.StatusServiceUnavailable},
	} {
		if errors.Is(err, e.err) {
			return e.status, err.Error()
		}
	}
	if isContextError(err) {
		return http.StatusServiceUnavailable, "the server did not come to it in time: try again"
	}
	return http.StatusInternalServerError, "the server could not answer; its log says why"
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be written as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n")
}

// readJSON reads a body strictly: one object of known keys, none twice, and nothing after it.
func readJSON(r *http.Request, into any) error { return readJSONUpTo(r, into, maxAdminBody) }

func readJSONUpTo(r *http.Request, into any, most int64) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, most+1))
	if err != nil {
		return &adminError{http.StatusBadRequest, "the body could not be read to its end"}
	}
	if int64(len(body)) > most {
		return &adminError{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is over the limit of %d KiB", most>>10)}
	}
	if err := jsonv2.Unmarshal(body, into, jsonv2.RejectUnknownMembers(true)); err != nil {
		return &adminError{http.StatusBadRequest, "the body is not the JSON object that is expected here: see docs/FORMATS.md, callback"}
	}
	return nil
}

// ready says whether the server can decide: a policy is loaded, and the ledger can be read and, since it last failed to
// be, written. What stands in the way is named; it tells nothing of any request.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Policy.Engine() == nil {
		writeText(w, http.StatusServiceUnavailable, "no policy is loaded")
		return
	}
	_, err := s.cfg.Ledger.Summary(r.Context())
	var active ledger.Active
	if err == nil {
		active, err = s.cfg.Ledger.Active(r.Context())
	}
	if err == nil {
		err = s.probe(r.Context())
	}
	if err != nil {
		s.log.ErrorContext(r.Context(), "not ready", "error", err)
		writeText(w, http.StatusServiceUnavailable, "the ledger cannot be read or written: the server's log says why")
		return
	}
	if why := s.behind(active); why != "" {
		s.log.ErrorContext(r.Context(), "not ready", "active", active.Revision, "policy", s.revision(), "error", why)
		writeText(w, http.StatusServiceUnavailable, "the active policy is "+active.Revision+", and this server does not have it yet: its log says why")
		return
	}
	writeText(w, http.StatusOK, "ok, policy "+s.revision())
}
