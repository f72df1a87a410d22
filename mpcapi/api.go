// Package mpcapi is the REST surface of the coordinator: the calls and shapes that are published for it, with the fields
// that Countersign adds, its error format and its codes, and three calls of the wallet service. docs/FORMATS.md, coordinator,
// lists every call.
//
// It authenticates accounts by API key, reads bodies strictly and bounds them, and translates; what a call means is for
// package coordinator.
package mpcapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/countersign-mpc/countersign/coordinator"
)

const (
	maxBody = 2 << 20 // bytes of a request body
	// MaxWait is the longest that a call with ?wait= is held. A server's write time-out must be longer.
	MaxWait = 60 * time.Second
	// MinAPIKey and MaxAPIKey bound an API key, in bytes.
	MinAPIKey, MaxAPIKey = 32, 256
)

// APIKey lets its holder act as an account. Only a hash of the key is kept.
type APIKey struct {
	account string
	hash    [sha256.Size]byte
}

// NewAPIKey takes an account's API key as a file holds it: white space around it does not count.
func NewAPIKey(account string, key []byte) (APIKey, error) {
	text := strings.TrimSpace(string(key))
	switch {
	case !validAccount(account):
		return APIKey{}, fmt.Errorf("account %q: 1 to 64 letters, digits, '.', '_' and '-' are possible", account)
	case len(text) < MinAPIKey || len(text) > MaxAPIKey:
		return APIKey{}, fmt.Errorf("the API key of account %s has %d characters: %d to %d are possible, made by `coordinator new-api-key`", account, len(text), MinAPIKey, MaxAPIKey)
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		return APIKey{}, fmt.Errorf("the API key of account %s has characters that a header cannot carry: make one by `coordinator new-api-key`", account)
	}
	return APIKey{account: account, hash: sha256.Sum256([]byte(text))}, nil
}

func validAccount(name string) bool {
	return name != "" && len(name) <= 64 && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == ""
}

// Config is what New needs.
type Config struct {
	Coordinator *coordinator.Coordinator
	Keys        []APIKey // none: every call but /health is refused
	Log         *slog.Logger
	Version     string
	Now         func() time.Time      // nil: time.Now
	Metrics     prometheus.Registerer // nil: none are kept
}

type api struct {
	cfg     Config
	started time.Time
	calls   *prometheus.HistogramVec
}

// New makes the handler of the REST surface.
func New(cfg Config) (http.Handler, error) {
	if cfg.Coordinator == nil || cfg.Log == nil {
		return nil, errors.New("REST surface: coordinator and log are needed")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	seen := make(map[[sha256.Size]byte]bool)
	for _, k := range cfg.Keys {
		if seen[k.hash] {
			return nil, fmt.Errorf("REST surface: the API key of account %s is that of another entry too", k.account)
		}
		seen[k.hash] = true
	}
	a := &api{cfg: cfg, started: cfg.Now()}
	a.calls = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "countersign_coordinator_http_seconds",
		Help: "Time of REST calls, by route, method and status. Calls with ?wait= are held on purpose."}, []string{"route", "method", "status"})
	if cfg.Metrics != nil {
		if err := cfg.Metrics.Register(a.calls); err != nil {
			return nil, fmt.Errorf("REST surface: register metrics: %w", err)
		}
	}
	return a.routes(), nil
}

func (a *api) routes() http.Handler {
	r := chi.NewRouter()
	r.Use(a.measure)
	r.NotFound(a.handle(func(*http.Request, caller) (reply, error) {
		return reply{}, &httpError{http.StatusNotFound, "not_found", "there is no such path: docs/FORMATS.md lists the calls"}
	}))
	r.MethodNotAllowed(a.handle(func(*http.Request, caller) (reply, error) {
		return reply{}, &httpError{http.StatusMethodNotAllowed, "method_not_allowed", "this path does not take that method"}
	}))
	r.Get("/health", a.handle(a.health))
	r.Route("/v1/waas/mpc", a.walletService)
	r.Route("/api/v1", func(r chi.Router) {
		r.Post("/nodes", a.authenticated(a.bindNode))
		r.Get("/nodes", a.authenticated(a.listNodes))
		r.Post("/mpc/keygen", a.authenticated(a.keygen))
		r.Post("/mpc/sign", a.authenticated(a.sign))
		r.Post("/sessions", a.authenticated(a.createSession))
		r.Get("/mpc/sessions/{id}", a.authenticated(a.session))
		r.Get("/sessions/{id}", a.authenticated(a.session))
		r.Get("/requests/{id}", a.authenticated(a.request))
		r.Get("/keys", a.authenticated(a.listKeys))
		r.Get("/keys/{id}", a.authenticated(a.key))
	})
	return r
}

// caller is the account that calls.
type caller struct{ account string }

// reply is what a call answers with.
type reply struct {
	status int
	body   any
}

type operation func(*http.Request, caller) (reply, error)

// handle runs an operation and writes what it gives.
func (a *api) handle(op operation) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		out, err := op(r, caller{})
		a.write(w, r, out, err)
	}
}

// authenticated is handle for an account.
func (a *api) authenticated(op operation) http.HandlerFunc {
	return a.handle(func(r *http.Request, _ caller) (reply, error) {
		c, err := a.caller(r)
		if err != nil {
			return reply{}, err
		}
		return op(r, c)
	})
}

// caller tells by its API key who calls.
func (a *api) caller(r *http.Request) (caller, error) {
	account, ok := a.account(r.Header.Values("X-API-Key"))
	if !ok {
		return caller{}, &httpError{http.StatusUnauthorized, "unauthorized", "the header X-API-Key is missing or holds no key of this coordinator"}
	}
	return caller{account}, nil
}

// account finds who holds a key. It compares with every key, in time that does not depend on which.
func (a *api) account(header []string) (string, bool) {
	if len(header) != 1 {
		return "", false
	}
	hash := sha256.Sum256([]byte(header[0]))
	account, found := "", 0
	for _, k := range a.cfg.Keys {
		if same := subtle.ConstantTimeCompare(hash[:], k.hash[:]); same == 1 {
			account, found = k.account, 1
		}
	}
	return account, found == 1
}

// measure notes how long calls take.
func (a *api) measure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := a.cfg.Now()
		noted := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(noted, r)
		route := chi.RouteContext(r.Context()).RoutePattern()
		if route == "" || strings.HasSuffix(route, "/*") {
			route = "none"
		}
		a.calls.WithLabelValues(route, methodLabel(r.Method), strconv.Itoa(noted.status)).Observe(a.cfg.Now().Sub(start).Seconds())
	})
}

// methodLabel bounds the label: a client may send any method.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch:
		return method
	}
	return "other"
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (a *api) health(*http.Request, caller) (reply, error) {
	return reply{http.StatusOK, healthView{
		Status: "healthy", Service: "coordinator", Version: a.cfg.Version,
		Uptime: a.cfg.Now().Sub(a.started).Truncate(time.Second).String(),
	}}, nil
}

type healthView struct {
	Status  string `json:"status"`
	Service string `json:"service"`
	Version string `json:"version"`
	Uptime  string `json:"uptime"`
}
