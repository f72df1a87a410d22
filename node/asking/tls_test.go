package asking_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/node/asking"
	"github.com/countersign-mpc/countersign/wire"
)

// authority is a CA of a test.
type authority struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t)}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA of a test"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	must(t, err)
	a.cert, err = x509.ParseCertificate(der)
	must(t, err)
	return a
}

// issue writes a certificate for 127.0.0.1, or for a client, and its key.
func (a *authority) issue(name string) (cert, key string) {
	a.t.Helper()
	own := newKey(a.t)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &own.PublicKey, a.key)
	must(a.t, err)
	private, err := x509.MarshalECPrivateKey(own)
	must(a.t, err)
	return writePEM(a.t, name+".crt", "CERTIFICATE", der), writePEM(a.t, name+".key", "EC PRIVATE KEY", private)
}

func writePEM(t testing.TB, name, label string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	must(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}), 0o600))
	return path
}

func TestTLS(t *testing.T) {
	t.Parallel()
	node, ca, stranger := newKey(t), newAuthority(t), newAuthority(t)
	var s *server
	s = newServer(t, node, say(&s, wire.Approve, nil))
	certPath, keyPath := ca.issue("server")
	pair, err := tls.LoadX509KeyPair(certPath, keyPath)
	must(t, err)
	clients := x509.NewCertPool()
	clients.AddCert(ca.cert)
	h := httptest.NewUnstartedServer(s)
	h.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}
	h.StartTLS()
	t.Cleanup(h.Close)

	caPath := writePEM(t, "ca.crt", "CERTIFICATE", ca.cert.Raw)
	otherCA := writePEM(t, "other.crt", "CERTIFICATE", stranger.cert.Raw)
	client, clientKey := ca.issue("client")
	foreign, foreignKey := stranger.issue("client")
	for name, c := range map[string]struct {
		files asking.TLSFiles
		taken bool
	}{
		"own CA and client certificate": {asking.TLSFiles{CA: caPath, Certificate: client, Key: clientKey}, true},
		"the system's roots":            {asking.TLSFiles{Certificate: client, Key: clientKey}, false},
		"another CA":                    {asking.TLSFiles{CA: otherCA, Certificate: client, Key: clientKey}, false},
		"no client certificate":         {asking.TLSFiles{CA: caPath}, false},
		"a stranger's certificate":      {asking.TLSFiles{CA: caPath, Certificate: foreign, Key: foreignKey}, false},
		"nothing":                       {asking.TLSFiles{}, false},
	} {
		config, err := asking.LoadTLS(c.files)
		must(t, err)
		a, err := asking.New(asking.Config{Servers: []asking.Server{{Address: h.URL, Key: &s.key.PublicKey, TLS: config, Outcome: true}}})
		must(t, err)
		got, err := a.Check(context.Background(), question(t, node, wire.TypeSign), nil)
		if (err == nil) != c.taken || (got.Action == wire.Approve) != c.taken {
			t.Errorf("%s: %v (%v)", name, got, err)
		}
		if err := a.Report(context.Background(), question(t, node, "")); (err == nil) != c.taken {
			t.Errorf("%s: report: %v", name, err)
		}
		if err := a.Outcome(context.Background(), question(t, node, wire.TypeOutcome)); (err == nil) != c.taken {
			t.Errorf("%s: outcome: %v", name, err)
		}
	}
}

func TestLoadTLSRefuses(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	cert, key := ca.issue("client")
	_, otherKey := ca.issue("other")
	none := filepath.Join(t.TempDir(), "none.pem")
	for want, files := range map[string]asking.TLSFiles{
		"none.pem":                   {CA: none},
		"no PEM block CERTIFICATE":   {CA: key},
		"are needed together":        {Certificate: cert},
		"needed together":            {Key: key},
		"client-key-path " + none:    {Certificate: cert, Key: none},
		"private key does not match": {Certificate: cert, Key: otherKey},
	} {
		if config, err := asking.LoadTLS(files); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v (%v)", files, config, err)
		}
	}
	if config, err := asking.LoadTLS(asking.TLSFiles{}); config != nil || err != nil {
		t.Errorf("no file: %v (%v)", config, err)
	}
}
