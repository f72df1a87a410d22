package callback_test

import (
	"crypto/x509"
	"net/http"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/internal/certtest"
	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/internal/servertls"
)

// tokenOf is the token of an operator of the tests.
func tokenOf(name string) string { return name + strings.Repeat("-0123456789abcdef", 2) }

func operator(name string, roles ...callback.Role) callback.Operator {
	return callback.Operator{Name: name, Roles: roles, Token: secret.Copy([]byte(tokenOf(name)))}
}

// adminAs calls the admin API with a bearer token, "" for none.
func (w *world) adminAs(c *http.Client, method, url, token, body string) answer {
	w.t.Helper()
	r := must[*http.Request](w.t)(http.NewRequest(method, url, strings.NewReader(body)))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response := must[*http.Response](w.t)(c.Do(r))
	defer response.Body.Close()
	return answer{status: response.StatusCode, header: response.Header}
}

// adminEndpoints are all that need a role, and who may use each.
var adminEndpoints = []struct {
	method, path string
	role         callback.Role
}{
	{"GET", "/approvals", callback.RoleViewer},
	{"GET", "/approvals/x", callback.RoleViewer},
	{"POST", "/approvals/x/signatures", callback.RoleApprover},
	{"GET", "/decisions", callback.RoleViewer},
	{"GET", "/decisions/x", callback.RoleViewer},
	{"GET", "/decisions/x/replay", callback.RoleViewer},
	{"GET", "/results", callback.RoleResults},
	{"GET", "/results/x", callback.RoleResults},
	{"GET", "/policy", callback.RoleViewer},
	{"POST", "/policy/reload", callback.RoleOperator},
	{"POST", "/clock/confirm", callback.RoleOperator},
	{"POST", "/log/prune", callback.RoleOperator},
	{"GET", "/log/checkpoint", callback.RoleViewer},
	{"GET", "/log/proofs/x", callback.RoleViewer},
	{"POST", "/log/growth", callback.RoleViewer},
	{"GET", "/log/copy", callback.RoleBackup},
}

// TestRoles: each operator reaches what its role is for, viewers' things beside that, and nothing else.
func TestRoles(t *testing.T) {
	w := newWorld(t, options{cfg: func(c *callback.Config) {
		for _, r := range callback.Roles() {
			c.Operators = append(c.Operators, operator(string(r), r))
		}
	}})
	for _, e := range adminEndpoints {
		for _, r := range callback.Roles() {
			may := r == e.role || e.role == callback.RoleViewer && r != callback.RoleMetrics
			a := w.adminAs(http.DefaultClient, e.method, w.admin+"/admin/v1"+e.path, tokenOf(string(r)), "")
			if may == (a.status == http.StatusForbidden) || a.status == http.StatusUnauthorized {
				t.Errorf("%s %s as %s: HTTP %d", e.method, e.path, r, a.status)
			}
		}
		if a := w.adminAs(http.DefaultClient, e.method, w.admin+"/admin/v1"+e.path, "", ""); a.status != http.StatusUnauthorized {
			t.Errorf("%s %s as nobody: HTTP %d", e.method, e.path, a.status)
		}
		if a := w.adminAs(http.DefaultClient, e.method, w.admin+"/admin/v1"+e.path, adminToken, ""); a.status == http.StatusForbidden || a.status == http.StatusUnauthorized {
			t.Errorf("%s %s with the admin token: HTTP %d", e.method, e.path, a.status)
		}
	}
}

// TestClockIsConfirmedUnderOnesOwnName: an operator that is known cannot put another's name into the log.
func TestClockIsConfirmedUnderOnesOwnName(t *testing.T) {
	w := newWorld(t, options{cfg: func(c *callback.Config) { c.Operators = []callback.Operator{operator("olga", callback.RoleOperator)} }})
	url := w.admin + "/admin/v1/clock/confirm"
	if a := w.adminAs(http.DefaultClient, "POST", url, tokenOf("olga"), `{"operator":"peter","reason":"x"}`); a.status != http.StatusForbidden {
		t.Errorf("under another's name: HTTP %d", a.status)
	}
	for _, body := range []string{`{"operator":"olga","reason":"x"}`, `{"operator":"","reason":"x"}`} {
		if a := w.adminAs(http.DefaultClient, "POST", url, tokenOf("olga"), body); a.status != http.StatusOK {
			t.Errorf("%s: HTTP %d", body, a.status)
		}
	}
	if got := strings.Count(w.logged.String(), "operator=olga"); got < 2 {
		t.Errorf("the log has the name %d times", got)
	}
}

// TestAdminOverTLS: operators are known by certificate or token, a stranger's certificate does not connect, and a token
// does not lend itself to another's certificate.
func TestAdminOverTLS(t *testing.T) {
	root := certtest.NewRoot(t, t.TempDir(), "root")
	server, vera, olga, stranger := root.Server("server"), root.Client("vera"), root.Client("olga"), root.Client("stranger")
	cert := func(p certtest.Pair) *x509.Certificate {
		return must[*x509.Certificate](t)(servertls.ReadCertificate(p.Certificate))
	}
	w := newWorld(t, options{cfg: func(c *callback.Config) {
		c.AdminTLS = true
		c.Operators = []callback.Operator{
			{Name: "vera", Roles: []callback.Role{callback.RoleViewer}, Certificate: cert(vera)},
			operator("olga", callback.RoleOperator), operator("prometheus", callback.RoleMetrics),
		}
		c.Operators[1].Certificate = cert(olga)
	}})
	url := overTLS(t, w.server.Admin(), servertls.Files{
		Certificate: server.Certificate, Key: server.Key, Pinned: []string{vera.Certificate, olga.Certificate}, ClientOptional: true,
	})
	none, asVera, asOlga := clientOf(t, root), clientOf(t, root, vera), clientOf(t, root, olga)
	for _, tc := range []struct {
		name         string
		client       *http.Client
		token        string
		method, path string
		status       int
	}{
		{"viewer by certificate", asVera, "", "GET", "/admin/v1/policy", 200},
		{"viewer's certificate is no operator's", asVera, "", "POST", "/admin/v1/policy/reload", 403},
		{"certificate and another's token", asVera, tokenOf("olga"), "POST", "/admin/v1/policy/reload", 401},
		{"certificate and a wrong token", asVera, "wrong", "GET", "/admin/v1/policy", 401},
		{"operator by certificate", asOlga, "", "POST", "/admin/v1/clock/confirm", 400}, // the body is none
		{"operator by both", asOlga, tokenOf("olga"), "GET", "/admin/v1/policy", 200},
		{"operator by token", none, tokenOf("olga"), "GET", "/admin/v1/policy", 200},
		{"nobody", none, "", "GET", "/admin/v1/policy", 401},
		{"nobody's metrics", none, "", "GET", "/metrics", 401},
		{"metrics", none, tokenOf("prometheus"), "GET", "/metrics", 200},
		{"metrics for a viewer", asVera, "", "GET", "/metrics", 200},
		{"metrics only", none, tokenOf("prometheus"), "GET", "/admin/v1/policy", 403},
		{"health", none, "", "GET", "/livez", 200},
		{"readiness", none, "", "GET", "/readyz", 200},
	} {
		if a := w.adminAs(tc.client, tc.method, url+tc.path, tc.token, ""); a.status != tc.status {
			t.Errorf("%s: HTTP %d, want %d", tc.name, a.status, tc.status)
		}
	}
	if _, err := clientOf(t, root, stranger).Get(url + "/livez"); err == nil {
		t.Error("a stranger's certificate of the same root was taken")
	}
	if a := w.adminAs(http.DefaultClient, "GET", w.admin+"/admin/v1/policy", adminToken, ""); a.status != http.StatusForbidden {
		t.Errorf("the same side without TLS: HTTP %d", a.status)
	}
	limited := false
	for range 200 { // far over the burst
		limited = limited || w.adminAs(none, "GET", url+"/admin/v1/policy", "guess", "").status == http.StatusTooManyRequests
	}
	if !limited {
		t.Error("tokens can be guessed at any rate")
	}
}

func TestOperatorsAreChecked(t *testing.T) {
	for _, tc := range []struct {
		says string
		list []callback.Operator
	}{
		{"needs a name", []callback.Operator{operator("", callback.RoleViewer)}},
		{"needs a name", []callback.Operator{operator("admin-token", callback.RoleViewer)}},
		{"no role", []callback.Operator{operator("x")}},
		{`no role "root"`, []callback.Operator{operator("x", "root")}},
		{"neither a token", []callback.Operator{{Name: "x", Roles: []callback.Role{callback.RoleViewer}}}},
		{"at least 32", []callback.Operator{{Name: "x", Roles: []callback.Role{callback.RoleViewer}, Token: secret.Copy([]byte("short"))}}},
		{"two operators", []callback.Operator{operator("x", callback.RoleViewer), operator("x", callback.RoleViewer)}},
		{"same token", []callback.Operator{operator("x", callback.RoleViewer), {Name: "y", Roles: []callback.Role{callback.RoleViewer}, Token: secret.Copy([]byte(tokenOf("x")))}}},
	} {
		if err := callback.CheckOperators(tc.list); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%v, want %q", err, tc.says)
		}
	}
}
