package callback

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/countersign-mpc/countersign/internal/secret"
)

// Role is what somebody may do with the admin API.
type Role string

// The roles. Whoever has any of the others but RoleMetrics is a viewer too; a viewer may read metrics.
const (
	RoleMetrics  Role = "metrics"  // reads /metrics, where that is not open
	RoleViewer   Role = "viewer"   // sees approvals, decisions, the policy and the log; no signature
	RoleApprover Role = "approver" // hands in votes, which the approvers' own keys have signed
	RoleOperator Role = "operator" // reloads the policy, confirms the clock, removes old entries from the log
	RoleResults  Role = "results"  // reads signature results
	RoleBackup   Role = "backup"   // copies the ledger's file, with everything that is recorded
)

// Roles lists all of them.
func Roles() []Role {
	return []Role{RoleMetrics, RoleViewer, RoleApprover, RoleOperator, RoleResults, RoleBackup}
}

// Operator is somebody, or some machine, that may use the admin API.
type Operator struct {
	Name  string // unique; what logs and the record of a confirmed clock call it
	Roles []Role // at least one
	// Token is its bearer token, at least MinTokenLength characters; empty: none.
	Token secret.Bytes
	// Certificate is its client certificate; nil: none. It needs one of the two.
	Certificate *x509.Certificate
}

// tokenHolder is who has the admin token of the configuration: it may do everything and has no name of its own.
const tokenHolder = "admin-token"

// maxOperators bounds how many operators are compared with for each request.
const maxOperators = 256

// principal is an operator as requests are compared with it.
type principal struct {
	name  string
	roles []Role
	token [sha256.Size]byte // its hash; all zero: none
	cert  *x509.Certificate
}

func (p *principal) may(role Role) bool {
	if p.name == tokenHolder || slices.Contains(p.roles, role) {
		return true
	}
	switch role {
	case RoleViewer:
		return slices.ContainsFunc(p.roles, func(r Role) bool { return r != RoleMetrics })
	case RoleMetrics:
		return p.may(RoleViewer)
	}
	return false
}

// CheckOperators reports everything that is wrong with a set of operators.
func CheckOperators(operators []Operator) error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if len(operators) > maxOperators {
		problem("%d operators: at most %d are possible", len(operators), maxOperators)
	}
	for i, o := range operators {
		if o.Name == "" || len(o.Name) > 64 || o.Name == tokenHolder {
			problem("operator number %d needs a name of at most 64 bytes that is not %s", i+1, tokenHolder)
		}
		if len(o.Roles) == 0 {
			problem("operator %s has no role: give it some of %s", o.Name, roleNames())
		}
		for _, r := range o.Roles {
			if !slices.Contains(Roles(), r) {
				problem("operator %s: there is no role %q: roles are %s", o.Name, r, roleNames())
			}
		}
		if o.Token.Len() == 0 && o.Certificate == nil {
			problem("operator %s has neither a token nor a client certificate", o.Name)
		}
		if n := o.Token.Len(); n > 0 && n < MinTokenLength {
			problem("the token of operator %s has %d characters: at least %d are needed", o.Name, n, MinTokenLength)
		}
		for _, b := range operators[:i] {
			problems = append(problems, confusable(b, o)...)
		}
	}
	return errors.Join(problems...)
}

// confusable says why two operators could not be told apart.
func confusable(a, b Operator) []error {
	var problems []error
	if a.Name == b.Name {
		problems = append(problems, fmt.Errorf("two operators are called %s", a.Name))
	}
	if a.Token.Len() > 0 && subtle.ConstantTimeCompare(a.Token.Expose(), b.Token.Expose()) == 1 {
		problems = append(problems, fmt.Errorf("operators %s and %s have the same token", a.Name, b.Name))
	}
	if a.Certificate != nil && a.Certificate.Equal(b.Certificate) {
		problems = append(problems, fmt.Errorf("operators %s and %s have the same client certificate", a.Name, b.Name))
	}
	return problems
}

func roleNames() string {
	var names []string
	for _, r := range Roles() {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

// principals are the operators and who has the admin token; of tokens their hashes are enough.
func principals(cfg *Config) []principal {
	out := []principal{{name: tokenHolder, token: sha256.Sum256(cfg.AdminToken.Expose())}}
	for _, o := range cfg.Operators {
		p := principal{name: o.Name, roles: slices.Clone(o.Roles), cert: o.Certificate}
		if o.Token.Len() > 0 {
			p.token = sha256.Sum256(o.Token.Expose())
		}
		out = append(out, p)
	}
	return out
}

// identify finds who sent a request: by its bearer token, its client certificate, or both, which then have to be of one
// operator; nil: nobody. Hashes are compared, so that neither content nor length of a token shows in the time.
func (s *Server) identify(r *http.Request) *principal {
	var byToken, byCert *principal
	header := r.Header.Values("Authorization")
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	got, cert := sha256.Sum256([]byte(token)), clientCertificate(r)
	for i := range s.principals {
		p := &s.principals[i]
		if p.token != [sha256.Size]byte{} && subtle.ConstantTimeCompare(got[:], p.token[:]) == 1 {
			byToken = p
		}
		if cert != nil && p.cert.Equal(cert) {
			byCert = p
		}
	}
	switch {
	case len(header) == 0:
		return byCert
	case len(header) > 1 || !bearer || byToken == nil || byCert != nil && byCert != byToken:
		return nil
	}
	return byToken
}

type principalKey struct{}

// operatorOf names who sent a request that was let through; "" for one that needed nobody.
func operatorOf(ctx context.Context) string {
	p, _ := ctx.Value(principalKey{}).(*principal)
	if p == nil {
		return ""
	}
	return p.name
}

// authenticated lets nobody through who is not known.
func (s *Server) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := s.identify(r)
		if p == nil {
			s.log.WarnContext(r.Context(), "admin request of nobody who is known", "client", client(r))
			w.Header().Set("WWW-Authenticate", "Bearer")
			writeJSON(w, http.StatusUnauthorized, errorBody{"the header \"Authorization: Bearer …\" with an operator's token, or the token in the server's admin-token-path, or an operator's client certificate is needed"})
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), principalKey{}, p)))
	})
}

// allowed lets those through who have the role.
func (s *Server) allowed(role Role) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p, _ := r.Context().Value(principalKey{}).(*principal)
			if p == nil || !p.may(role) {
				s.log.WarnContext(r.Context(), "admin request without the role", "operator", operatorOf(r.Context()), "role", string(role), "path", r.URL.Path)
				writeJSON(w, http.StatusForbidden, errorBody{fmt.Sprintf("operator %s has not the role %s, which this needs", operatorOf(r.Context()), role)})
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// adminRate is how many requests a second the admin side takes from one address where it is served to other hosts.
const adminRate = 50

// fromOutside keeps off what has no business on the admin side: a page in a browser; over plain HTTP, whatever has a Host
// that is not this host's own name, as after a DNS rebinding; and where TLS is meant, plain HTTP.
func (s *Server) fromOutside(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case len(r.Header.Values("Origin")) > 0:
			writeJSON(w, http.StatusForbidden, errorBody{"a request with an Origin header comes from a page in a browser and is refused"})
		case s.cfg.AdminTLS && r.TLS == nil:
			writeJSON(w, http.StatusForbidden, errorBody{"the admin API is served over TLS only"})
		case !s.cfg.AdminTLS && !isLoopback(r.Host):
			writeJSON(w, http.StatusForbidden, errorBody{"the Host header must be localhost or a loopback address"})
		case s.cfg.AdminTLS && !s.adminLimiter.allow(client(r), s.clock.Elapsed()):
			w.Header().Set("Retry-After", "1")
			writeJSON(w, http.StatusTooManyRequests, errorBody{"more requests from this address than are taken: ask again in a second"})
		default:
			next.ServeHTTP(w, r)
		}
	})
}
