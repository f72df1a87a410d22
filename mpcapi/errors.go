package mpcapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/countersign-mpc/countersign/coordinator"
)

// errorView is the published error format.
type errorView struct {
	Error   string            `json:"error"`
	Message string            `json:"message"`
	Details map[string]string `json:"details,omitempty"`
}

// httpError is a refusal by this package itself.
type httpError struct {
	status        int
	code, message string
}

func (e *httpError) Error() string { return e.code + ": " + e.message }

// statusOf is the one table from codes to HTTP.
func statusOf(code coordinator.Code) int {
	switch code {
	case coordinator.CodeInvalid, coordinator.CodeThreshold, coordinator.CodeUnsupported:
		return http.StatusBadRequest
	case coordinator.CodeTokenInvalid:
		return http.StatusUnauthorized
	case coordinator.CodeNotFound:
		return http.StatusNotFound
	case coordinator.CodeRequestConflict, coordinator.CodeNameTaken, coordinator.CodeAlreadyBound, coordinator.CodeKeyNotActive, coordinator.CodeNotApproved:
		return http.StatusConflict
	case coordinator.CodeTooMany:
		return http.StatusTooManyRequests
	default:
		return http.StatusInternalServerError
	}
}

// write answers a call. What is not a refusal is told in the log only.
func (a *api) write(w http.ResponseWriter, r *http.Request, out reply, err error) {
	if err != nil {
		out = a.failure(r, err)
	}
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(out.body); err != nil {
		a.cfg.Log.ErrorContext(r.Context(), "answer cannot be encoded", "path", r.URL.Path, "error", err)
		http.Error(w, `{"error":"internal_error","message":"the answer cannot be encoded"}`, http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if out.status == http.StatusTooManyRequests {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(out.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body.Bytes()) // a client that is gone needs no answer
	}
}

func (a *api) failure(r *http.Request, err error) reply {
	var own *httpError
	var refused *coordinator.Error
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return reply{http.StatusRequestEntityTooLarge, errorView{Error: "request_too_large", Message: "the body has more than 2 MiB"}}
	case errors.As(err, &own):
		return reply{own.status, errorView{Error: own.code, Message: own.message}}
	case errors.As(err, &refused):
		status := statusOf(refused.Code)
		if status != http.StatusInternalServerError {
			return reply{status, errorView{Error: string(refused.Code), Message: refused.Message, Details: refused.Details}}
		}
	}
	a.cfg.Log.ErrorContext(r.Context(), "call failed", "path", r.URL.Path, "error", err)
	return reply{http.StatusInternalServerError, errorView{Error: "internal_error", Message: "the coordinator could not do it; its log says why"}}
}

// invalid is a body or query that does not say what it must.
func invalid(field, problem string) error {
	return &coordinator.Error{Code: coordinator.CodeInvalid, Message: field + ": " + problem, Details: map[string]string{field: problem}}
}
