package main

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/internal/conffile"
	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/internal/servertls"
)

// tlsConfig is [tls], and without a client CA [admin-tls].
type tlsConfig struct {
	CertificatePath string `toml:"certificate-path"`
	KeyPath         string `toml:"key-path"`
	ClientCAPath    string `toml:"client-ca-path"`
}

func (t tlsConfig) on() bool { return t.CertificatePath != "" || t.KeyPath != "" }

// operatorConfig is an [[operator]].
type operatorConfig struct {
	Name            string   `toml:"name"`
	Roles           []string `toml:"roles"`
	TokenPath       string   `toml:"token-path"`
	CertificatePath string   `toml:"certificate-path"`
}

// outsidePaths are the settings about connections that name files.
func (c *config) outsidePaths() []*string {
	out := []*string{&c.TLS.CertificatePath, &c.TLS.KeyPath, &c.TLS.ClientCAPath, &c.AdminTLS.CertificatePath, &c.AdminTLS.KeyPath}
	for i := range c.Node {
		out = append(out, &c.Node[i].ClientCertificatePath)
	}
	for i := range c.Operator {
		out = append(out, &c.Operator[i].TokenPath, &c.Operator[i].CertificatePath)
	}
	return out
}

// checkOutside checks how the server is reached and by whom; keys and certificates are read by load.
func (c *config) checkOutside() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf("  "+format, args...)) }
	for name, t := range map[string]tlsConfig{"tls": c.TLS, "admin-tls": c.AdminTLS} {
		if (t.CertificatePath == "") != (t.KeyPath == "") {
			problem("%s needs both certificate-path and key-path", name)
		}
	}
	if !c.AdminTLS.on() {
		if err := conffile.Loopback(c.AdminListen); err != nil {
			problem("admin-listen: %v; or give it [admin-tls]", err)
		}
	} else if _, _, err := net.SplitHostPort(c.AdminListen); err != nil {
		problem("admin-listen is %q: host:port is needed", c.AdminListen)
	}
	if c.AdminTLS.ClientCAPath != "" {
		problem("admin-tls has no client-ca-path: operators are known by a certificate of their own (certificate-path of [[operator]]) or a token")
	}
	if !c.TLS.on() && c.TLS.ClientCAPath != "" {
		problem("tls.client-ca-path says whose certificates clients show: that needs certificate-path and key-path too")
	}
	pinned := 0
	for _, n := range c.Node {
		if n.ClientCertificatePath == "" {
			continue
		}
		if pinned++; !c.TLS.on() {
			problem("node %s has a client-certificate-path: that needs [tls]", n.Name)
		}
	}
	if pinned > 0 && pinned < len(c.Node) && c.TLS.ClientCAPath == "" {
		problem("some nodes have a client-certificate-path and others have none, which could not connect: give each one, or set tls.client-ca-path")
	}
	if c.MaxConcurrent < 0 {
		problem("max-concurrent is %d: a number of requests is needed, or 0 for no limit", c.MaxConcurrent)
	}
	for i, o := range c.Operator {
		if o.CertificatePath != "" && !c.AdminTLS.on() {
			problem("operator number %d (%s) has a certificate-path: that needs [admin-tls]", i+1, o.Name)
		}
	}
	return errors.Join(problems...)
}

// nodesSource is the TLS under which nodes ask; nil: none.
func (c *config) nodesSource() (*servertls.Source, error) {
	if !c.TLS.on() {
		return nil, nil
	}
	f := servertls.Files{Certificate: c.TLS.CertificatePath, Key: c.TLS.KeyPath, ClientCA: c.TLS.ClientCAPath}
	for _, n := range c.Node {
		if n.ClientCertificatePath != "" {
			f.Pinned = append(f.Pinned, n.ClientCertificatePath)
		}
	}
	return named("tls", f)
}

// adminSource is the TLS of the admin API; nil: none.
func (c *config) adminSource() (*servertls.Source, error) {
	if !c.AdminTLS.on() {
		return nil, nil
	}
	f := servertls.Files{Certificate: c.AdminTLS.CertificatePath, Key: c.AdminTLS.KeyPath, ClientOptional: true}
	for _, o := range c.Operator {
		if o.CertificatePath != "" {
			f.Pinned = append(f.Pinned, o.CertificatePath)
		}
	}
	return named("admin-tls", f)
}

func named(setting string, f servertls.Files) (*servertls.Source, error) {
	s, err := servertls.Load(f)
	if err != nil {
		return nil, refused(fmt.Errorf("%s: %w", setting, err))
	}
	return s, nil
}

// serverTLS is what a listener takes of a source; nil for none.
func serverTLS(s *servertls.Source) *tls.Config {
	if s == nil {
		return nil
	}
	return s.Config()
}

// operators reads the operators' credentials, and makes the tokens that are not there yet.
func (c *config) operators() ([]callback.Operator, error) {
	var problems []error
	var out []callback.Operator
	for i, o := range c.Operator {
		loaded, err := o.load(true)
		if err != nil {
			problems = append(problems, fmt.Errorf("operator number %d (%s): %w", i+1, o.Name, err))
			continue
		}
		out = append(out, loaded)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, refused(err)
	}
	return out, nil
}

func (o operatorConfig) load(make bool) (callback.Operator, error) {
	out := callback.Operator{Name: o.Name}
	for _, r := range o.Roles {
		out.Roles = append(out.Roles, callback.Role(r))
	}
	var err error
	if o.CertificatePath != "" {
		if out.Certificate, err = servertls.ReadCertificate(o.CertificatePath); err != nil {
			return out, err
		}
	}
	if o.TokenPath == "" {
		return out, nil
	}
	if make {
		out.Token, err = openToken(o.TokenPath)
	} else {
		out.Token, err = readToken(o.TokenPath)
	}
	return out, err
}

// checkOperators checks the credentials that are there; a token that is not is made at the first start, and another stands
// for it here.
func (c *config) checkOperators() error {
	var problems []error
	var list []callback.Operator
	for i, o := range c.Operator {
		_, err := os.Lstat(o.TokenPath)
		missing := o.TokenPath != "" && errors.Is(err, fs.ErrNotExist)
		if missing {
			o.TokenPath = ""
		}
		loaded, err := o.load(false)
		if err != nil {
			problems = append(problems, fmt.Errorf("operator number %d (%s): %w", i+1, o.Name, err))
			continue
		}
		if missing {
			loaded.Token = secret.Copy([]byte(rand.Text() + rand.Text()))
		}
		list = append(list, loaded)
	}
	return errors.Join(append(problems, callback.CheckOperators(list))...)
}

// clientCertificate reads the certificate that a node's connections have to show; nil: none is pinned.
func (n *nodeConfig) clientCertificate() (*x509.Certificate, error) {
	if n.ClientCertificatePath == "" {
		return nil, nil
	}
	return servertls.ReadCertificate(n.ClientCertificatePath)
}

// sides are how nodes and operators reach the server.
type sides struct {
	nodes, admin *servertls.Source // nil: no TLS
	operators    []callback.Operator
}

func (c *config) openSides() (*sides, error) {
	s := &sides{}
	var err error
	if s.nodes, err = c.nodesSource(); err != nil {
		return nil, err
	}
	if s.admin, err = c.adminSource(); err != nil {
		return nil, err
	}
	s.operators, err = c.operators()
	return s, err
}

// checkSides is openSides without making or changing anything.
func (c *config) checkSides() error {
	_, nodesErr := c.nodesSource()
	_, adminErr := c.adminSource()
	return errors.Join(nodesErr, adminErr, c.checkOperators())
}

func (s *sides) wipe() {
	for i := range s.operators {
		s.operators[i].Token.Wipe()
	}
}

// each calls fn with the sides that have TLS.
func (s *sides) each(fn func(name string, source *servertls.Source)) {
	if s.nodes != nil {
		fn("callback", s.nodes)
	}
	if s.admin != nil {
		fn("admin", s.admin)
	}
}

// certificates are those of which metrics tell when they run out.
func (s *sides) certificates() map[string]func() time.Time {
	out := map[string]func() time.Time{}
	s.each(func(name string, source *servertls.Source) { out[name] = source.Expires })
	return out
}

// reload reads the files of certificates anew.
func (s *sides) reload(log *slog.Logger) {
	s.each(func(name string, source *servertls.Source) {
		if err := source.Reload(); err != nil {
			log.Error("the certificates were not reloaded; those before stay", "side", name, "error", err)
			return
		}
		log.Info("certificates loaded", "side", name, "expires", source.Expires())
	})
}
