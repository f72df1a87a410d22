// Package certtest makes certificates for tests: a root, and what it signs. It is not for anything else.
package certtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Root is a certificate authority.
type Root struct {
	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	Path string // of its certificate, in PEM
}

// NewRoot makes one, with its files in dir.
func NewRoot(t testing.TB, dir, name string) *Root {
	t.Helper()
	r := &Root{t: t, dir: dir}
	r.key = newKey(t)
	template := &x509.Certificate{
		SerialNumber: serial(t), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &r.key.PublicKey, r.key)
	check(t, err)
	r.cert, err = x509.ParseCertificate(der)
	check(t, err)
	r.Path = write(t, filepath.Join(dir, name+".crt"), "CERTIFICATE", der)
	return r
}

// Pair is a certificate and its key in files.
type Pair struct{ Certificate, Key string }

// TLS reads the pair.
func (p Pair) TLS(t testing.TB) tls.Certificate {
	t.Helper()
	c, err := tls.LoadX509KeyPair(p.Certificate, p.Key)
	check(t, err)
	return c
}

// Server makes a certificate for 127.0.0.1 and localhost.
func (r *Root) Server(name string) Pair {
	return r.sign(name, time.Now().Add(time.Hour), x509.ExtKeyUsageServerAuth)
}

// Client makes a client's certificate.
func (r *Root) Client(name string) Pair {
	return r.sign(name, time.Now().Add(time.Hour), x509.ExtKeyUsageClientAuth)
}

// Expired makes a client's certificate whose time is over.
func (r *Root) Expired(name string) Pair {
	return r.sign(name, time.Now().Add(-time.Minute), x509.ExtKeyUsageClientAuth)
}

func (r *Root) sign(name string, until time.Time, usage x509.ExtKeyUsage) Pair {
	r.t.Helper()
	key := newKey(r.t)
	template := &x509.Certificate{
		SerialNumber: serial(r.t), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, r.cert, &key.PublicKey, r.key)
	check(r.t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	check(r.t, err)
	return Pair{write(r.t, filepath.Join(r.dir, name+".crt"), "CERTIFICATE", der), write(r.t, filepath.Join(r.dir, name+".key"), "PRIVATE KEY", secret)}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	return key
}

func serial(t testing.TB) *big.Int {
	t.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	check(t, err)
	return n
}

func write(t testing.TB, path, kind string, der []byte) string {
	t.Helper()
	check(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return path
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
