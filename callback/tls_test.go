package callback_test

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/internal/certtest"
	"github.com/countersign-mpc/countersign/internal/servertls"
	"github.com/countersign-mpc/countersign/wire"
)

// overTLS serves a handler and returns its URL.
func overTLS(t *testing.T, h http.Handler, f servertls.Files) string {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.TLS = must[*servertls.Source](t)(servertls.Load(f)).Config()
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

// clientOf trusts a root and shows a certificate, if one is given.
func clientOf(t *testing.T, root *certtest.Root, pairs ...certtest.Pair) *http.Client {
	t.Helper()
	c := &tls.Config{RootCAs: must[*x509.CertPool](t)(servertls.ReadPool(root.Path)), MinVersion: tls.VersionTLS13}
	for _, p := range pairs {
		c.Certificates = append(c.Certificates, p.TLS(t))
	}
	transport := &http.Transport{TLSClientConfig: c}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// TestNodesAreHeldToTheirCertificates: a node's key alone is not enough where its certificate is pinned, and neither is
// another node's certificate.
func TestNodesAreHeldToTheirCertificates(t *testing.T) {
	root := certtest.NewRoot(t, t.TempDir(), "root")
	server, pairA, pairB := root.Server("server"), root.Client("a"), root.Client("b")
	w := newWorld(t, options{cfg: func(c *callback.Config) {
		c.Nodes[0].ClientCertificate = must[*x509.Certificate](t)(servertls.ReadCertificate(pairA.Certificate))
	}})
	url := overTLS(t, w.server.Handler(), servertls.Files{Certificate: server.Certificate, Key: server.Key, ClientCA: root.Path})
	for i, tc := range []struct {
		name   string
		key    *ecdsa.PrivateKey
		client *http.Client
		plain  bool
		status int
	}{
		{"a with its own", w.nodeKey, clientOf(t, root, pairA), false, 200},
		{"a with b's", w.nodeKey, clientOf(t, root, pairB), false, 400},
		{"a without TLS", w.nodeKey, http.DefaultClient, true, 400},
		{"b, not pinned, with its own", w.nodeB, clientOf(t, root, pairB), false, 200},
		{"b, not pinned, with a's", w.nodeB, clientOf(t, root, pairA), false, 200},
	} {
		t.Run(tc.name, func(t *testing.T) {
			body, signature, err := wire.SealCheck(tc.key, payment{callbackID: string(rune('a' + i)), requestID: "r" + string(rune('a'+i)), amount: 5}.check(t))
			ok(t, err)
			to := url
			if tc.plain {
				to = w.api
			}
			r := must[*http.Request](t)(http.NewRequest(http.MethodPost, to+"/v1/check", strings.NewReader(string(body))))
			r.Header.Set(wire.HeaderSignature, signature)
			response := must[*http.Response](t)(tc.client.Do(r))
			ok(t, response.Body.Close())
			if response.StatusCode != tc.status {
				t.Errorf("HTTP %d, want %d", response.StatusCode, tc.status)
			}
		})
	}
	if text := metricsText(w); !strings.Contains(text, `countersign_callback_signature_failures_total{reason="certificate"} 2`) {
		t.Error("the refusals are not counted")
	}
	if got := w.decisions(""); len(got) != 3 {
		t.Errorf("%d decisions, want 3", len(got))
	}
}
