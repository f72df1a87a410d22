// Package servertls is TLS 1.3 as a server's side of it: the certificate that it shows, and which client certificates it takes.
// Files are read once and again with Reload, so that a certificate is renewed without a restart. It knows no routes and no
// roles: who a client is, its caller reads from the connection's first peer certificate.
package servertls

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// maxFile bounds a file of certificates, in bytes.
const maxFile = 1 << 20

// Files are what a side's TLS is made of; all are PEM.
type Files struct {
	Certificate string // the server's certificate, then those between it and its root
	Key         string // its private key; nobody but the owner may read the file
	ClientCA    string // roots of client certificates; "": none
	// Pinned are client certificates that are taken as they are, one a file.
	Pinned []string
	// ClientOptional lets a client without a certificate connect; one that shows a certificate has to show one that is
	// taken. Without ClientCA and Pinned no client certificate is asked for.
	ClientOptional bool
}

// Source is the TLS of one side. Safe for concurrent use.
type Source struct {
	files  Files
	loaded atomic.Pointer[state]
}

type state struct {
	config  *tls.Config
	expires time.Time
}

// Load reads the files.
func Load(f Files) (*Source, error) {
	s := &Source{files: f}
	return s, s.Reload()
}

// Reload reads the files anew, for connections that are made from then on. With an error everything stays as it was.
func (s *Source) Reload() error {
	next, err := s.files.read()
	if err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	s.loaded.Store(next)
	return nil
}

// Expires is when the server's certificate, or one that it shows beside it, runs out first.
func (s *Source) Expires() time.Time { return s.loaded.Load().expires }

// Config serves connections by the files as they were read last. There are no session tickets: every connection is checked
// in full.
func (s *Source) Config() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.loaded.Load().config, nil },
	}
}

func (f Files) read() (*state, error) {
	info, err := os.Stat(f.Key)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("private key %s can be read by others (mode %04o): chmod 600 it", f.Key, info.Mode().Perm())
	}
	cert, err := tls.LoadX509KeyPair(f.Certificate, f.Key)
	if err != nil { // it does not repeat what is in the files
		return nil, fmt.Errorf("certificate %s with key %s: %w", f.Certificate, f.Key, err)
	}
	out := &state{config: &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}, SessionTicketsDisabled: true, NextProtos: []string{"h2", "http/1.1"}}}
	for i, der := range cert.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("certificate %s: %w", f.Certificate, err)
		}
		if i == 0 || c.NotAfter.Before(out.expires) {
			out.expires = c.NotAfter
		}
	}
	if f.ClientCA == "" && len(f.Pinned) == 0 {
		return out, nil
	}
	clients, err := f.clients()
	if err != nil {
		return nil, err
	}
	out.config.ClientAuth = tls.RequireAnyClientCert
	if f.ClientOptional {
		out.config.ClientAuth = tls.RequestClientCert
	}
	if len(clients.pinned) == 0 { // else a client would keep back a pinned certificate of another root
		out.config.ClientCAs = clients.roots
	}
	out.config.VerifyConnection = clients.verify
	return out, nil
}

// clients are the client certificates that are taken.
type clients struct {
	roots  *x509.CertPool // nil: none
	pinned []*x509.Certificate
}

func (f Files) clients() (*clients, error) {
	c := &clients{}
	if f.ClientCA != "" {
		pool, err := ReadPool(f.ClientCA)
		if err != nil {
			return nil, fmt.Errorf("client CA: %w", err)
		}
		c.roots = pool
	}
	for _, path := range f.Pinned {
		cert, err := ReadCertificate(path)
		if err != nil {
			return nil, fmt.Errorf("client certificate: %w", err)
		}
		c.pinned = append(c.pinned, cert)
	}
	return c, nil
}

// verify holds every connection against the certificates that are taken (RFC 8446, section 4.4.2.4).
func (c *clients) verify(conn tls.ConnectionState) error {
	if len(conn.PeerCertificates) == 0 {
		return nil // where one is required, the handshake has failed already
	}
	leaf, now := conn.PeerCertificates[0], time.Now()
	for _, p := range c.pinned {
		if !leaf.Equal(p) {
			continue
		}
		if now.Before(p.NotBefore) || now.After(p.NotAfter) {
			return errors.New("the client's certificate is not valid at this time")
		}
		return nil
	}
	if c.roots == nil {
		return errors.New("the client's certificate is none of those that are configured")
	}
	between := x509.NewCertPool()
	for _, cert := range conn.PeerCertificates[1:] {
		between.AddCert(cert)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: c.roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return err
}

// ReadCertificate reads a PEM file that holds exactly one certificate.
func ReadCertificate(path string) (*x509.Certificate, error) {
	all, err := readAll(path)
	if err != nil {
		return nil, err
	}
	if len(all) != 1 {
		return nil, fmt.Errorf("%s holds %d certificates: exactly one is needed", path, len(all))
	}
	return all[0], nil
}

// ReadPool reads a PEM file of at least one root certificate.
func ReadPool(path string) (*x509.CertPool, error) {
	all, err := readAll(path)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s holds no certificate in PEM", path)
	}
	pool := x509.NewCertPool()
	for _, c := range all {
		pool.AddCert(c)
	}
	return pool, nil
}

func readAll(path string) ([]*x509.Certificate, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s has %d bytes: at most %d are read", path, info.Size(), maxFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	out, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return out, nil
}

// parse reads PEM blocks of certificates and nothing else, so that a private key does not lie about in a public file.
func parse(data []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return out, nil
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("it holds a %s: only certificates belong here", block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		out, data = append(out, c), rest
	}
}
