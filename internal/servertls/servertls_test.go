package servertls_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/internal/certtest"
	"github.com/countersign-mpc/countersign/internal/servertls"
)

func load(t *testing.T, f servertls.Files) *servertls.Source {
	t.Helper()
	s, err := servertls.Load(f)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func serve(t *testing.T, s *servertls.Source) string {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") }))
	server.TLS = s.Config()
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

// reach tries a connection of its own, with a client certificate if there is one.
func reach(t *testing.T, url, root string, version uint16, client ...tls.Certificate) error {
	t.Helper()
	pool, err := servertls.ReadPool(root)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: client, MinVersion: tls.VersionTLS12, MaxVersion: version}}}
	r, err := c.Get(url)
	if err != nil {
		return err
	}
	return r.Body.Close()
}

func TestWhoMayConnect(t *testing.T) {
	dir := t.TempDir()
	root, other := certtest.NewRoot(t, dir, "root"), certtest.NewRoot(t, dir, "other")
	server := root.Server("server")
	known, stranger, old, pin := root.Client("known"), other.Client("stranger"), root.Expired("old"), other.Client("pin")
	files := func(ca string, optional bool, pinned ...string) servertls.Files {
		return servertls.Files{Certificate: server.Certificate, Key: server.Key, ClientCA: ca, Pinned: pinned, ClientOptional: optional}
	}
	plain, byCA := files("", false), files(root.Path, false)
	pinned, both, optional := files("", false, pin.Certificate, old.Certificate), files(root.Path, false, pin.Certificate), files("", true, pin.Certificate)
	for _, tc := range []struct {
		name   string
		files  servertls.Files
		client *certtest.Pair
		taken  bool
	}{
		{"nobody is asked", plain, nil, true},
		{"CA: its own", byCA, &known, true},
		{"CA: none", byCA, nil, false},
		{"CA: another's", byCA, &stranger, false},
		{"CA: expired", byCA, &old, false},
		{"CA: a server's certificate", byCA, &server, false},
		{"pinned: it", pinned, &pin, true},
		{"pinned: expired", pinned, &old, false},
		{"pinned: another of the same CA", pinned, &stranger, false},
		{"pinned: none", pinned, nil, false},
		{"both: pinned", both, &pin, true},
		{"both: of the CA", both, &known, true},
		{"both: neither", both, &stranger, false},
		{"optional: none", optional, nil, true},
		{"optional: pinned", optional, &pin, true},
		{"optional: another", optional, &stranger, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var certs []tls.Certificate
			if tc.client != nil {
				certs = append(certs, tc.client.TLS(t))
			}
			if err := reach(t, serve(t, load(t, tc.files)), root.Path, 0, certs...); (err == nil) != tc.taken {
				t.Errorf("taken: %t, %v", err == nil, err)
			}
		})
	}
	if err := reach(t, serve(t, load(t, plain)), root.Path, tls.VersionTLS12); err == nil {
		t.Error("TLS 1.2 was spoken")
	}
}

func TestReloadTakesEffectOrChangesNothing(t *testing.T) {
	dir := t.TempDir()
	root, next := certtest.NewRoot(t, dir, "root"), certtest.NewRoot(t, dir, "next")
	first := root.Server("server")
	s := load(t, servertls.Files{Certificate: first.Certificate, Key: first.Key})
	url := serve(t, s)
	if err := reach(t, url, root.Path, 0); err != nil {
		t.Fatal(err)
	}
	before := s.Expires()
	if err := os.WriteFile(first.Certificate, []byte("half a"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err == nil || !strings.Contains(err.Error(), "server.crt") {
		t.Errorf("half a certificate: %v", err)
	}
	if err := reach(t, url, root.Path, 0); err != nil || !s.Expires().Equal(before) {
		t.Errorf("after a reload that failed: %v", err)
	}
	next.Server("server") // over the same files
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if err := reach(t, url, next.Path, 0); err != nil {
		t.Errorf("the new certificate is not shown: %v", err)
	}
	if err := reach(t, url, root.Path, 0); err == nil {
		t.Error("the old certificate is still shown")
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	root := certtest.NewRoot(t, dir, "root")
	server, other := root.Server("server"), root.Server("other")
	open := root.Server("open")
	if err := os.Chmod(open.Key, 0o644); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name  string
		files servertls.Files
		says  string
	}{
		{"no key", servertls.Files{Certificate: server.Certificate, Key: filepath.Join(dir, "none")}, "private key"},
		{"open key", servertls.Files{Certificate: open.Certificate, Key: open.Key}, "chmod 600"},
		{"another's key", servertls.Files{Certificate: server.Certificate, Key: other.Key}, "server.crt"},
		{"a key among roots", servertls.Files{Certificate: server.Certificate, Key: server.Key, ClientCA: server.Key}, "PRIVATE KEY"},
		{"no roots", servertls.Files{Certificate: server.Certificate, Key: server.Key, ClientCA: empty}, "no certificate"},
		{"no pin", servertls.Files{Certificate: server.Certificate, Key: server.Key, Pinned: []string{empty}}, "exactly one"},
	} {
		if _, err := servertls.Load(tc.files); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.says)
		}
	}
}
