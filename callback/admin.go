package callback

import (
	"encoding/json"
	"errors"
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
		r.Group(func(r chi.Router) {
			r.Use(s.allowed(RoleResults))
			r.Get("/results", s.admin(s.listResults))
			r.Get("/results/{id}", s.admin(s.showResult))
		})
		r.Group(func(r chi.Router) {
			r.Use(s.allowed(RoleOperator))
			r.Post("/policy/reload", s.admin(s.reloadPolicy))
			r.Post("/clock/confirm", s.admin(s.confirmClock))
			r.Post("/log/prune", s.admin(s.pruneLog))
		})
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
	r.Get("/log/checkpoint", s.admin(s.checkpoint))
	r.Get("/log/proofs/{id}", s.admin(s.prove))
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
func readJSON(r *http.Request, into any) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxAdminBody+1))
	if err != nil {
		return &adminError{http.StatusBadRequest, "the body could not be read to its end"}
	}
	if len(body) > maxAdminBody {
		return &adminError{http.StatusRequestEntityTooLarge, "the body is over the limit of 64 KiB"}
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
	if err == nil && s.unrecorded.Load() {
		if _, err = s.cfg.Ledger.Checkpoint(r.Context()); err == nil {
			s.unrecorded.Store(false)
		}
	}
	if err != nil {
		s.log.ErrorContext(r.Context(), "not ready", "error", err)
		writeText(w, http.StatusServiceUnavailable, "the ledger cannot be read or written: the server's log says why")
		return
	}
	writeText(w, http.StatusOK, "ok")
}
