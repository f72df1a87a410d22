package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/countersign-mpc/countersign/internal/conffile"
	"github.com/countersign-mpc/countersign/internal/servertls"
	"github.com/countersign-mpc/countersign/node/asking"
)

// adminTLS is [admin-tls]: the node's side of it, and that of the commands that talk to the node.
type adminTLS struct {
	Cert     string `toml:"cert-path"`
	Key      string `toml:"key-path"`
	ClientCA string `toml:"client-ca-path"`

	CA         string `toml:"ca-path"`
	ClientCert string `toml:"client-cert-path"`
	ClientKey  string `toml:"client-key-path"`
}

// on tells whether the node's side has TLS.
func (t adminTLS) on() bool { return t.Cert != "" || t.Key != "" }

// called tells whether a node is called over TLS: any key says so, as an operator's file has only those for the commands.
func (t adminTLS) called() bool { return t != adminTLS{} }

// sides checks where the node listens: in the clear on loopback only, on the network only over TLS with client certificates.
// behindDocker is the word of the operator that the addresses are a container's own.
func (c *config) sides(problem func(string, ...any), behindDocker bool) {
	t := c.AdminTLS
	if (t.Cert == "") != (t.Key == "") {
		problem("admin-tls needs both cert-path and key-path")
	}
	if t.ClientCA != "" && !t.on() {
		problem("admin-tls.client-ca-path says whose certificates clients show: that needs cert-path and key-path too")
	}
	if (t.ClientCert == "") != (t.ClientKey == "") {
		problem("admin-tls needs both client-cert-path and client-key-path, or neither")
	}
	admin, metrics := c.Storage.UnsealServerAddress, c.Monitoring.Address
	if err := conffile.Loopback(admin); err != nil {
		switch _, _, form := net.SplitHostPort(admin); {
		case form != nil:
			problem("storage.unseal-server-address: %v", err)
		case t.on() && t.ClientCA == "":
			problem("storage.unseal-server-address: %q is not a loopback address: [admin-tls] needs a client-ca-path too, so that only operators reach it", admin)
		case !t.on() && !behindDocker:
			problem("storage.unseal-server-address: %v; or give it [admin-tls] with a client-ca-path, or the flag --behind-docker inside a container whose port is published on 127.0.0.1", err)
		}
	}
	if err := conffile.Loopback(metrics); err != nil {
		if _, _, form := net.SplitHostPort(metrics); form != nil || !behindDocker {
			problem("monitoring.address: %v", err)
		}
	}
}

// exposed warns of what only the flag --behind-docker allows.
func (c *config) exposed() []string {
	var out []string
	if err := conffile.Loopback(c.Storage.UnsealServerAddress); err != nil && !c.AdminTLS.on() {
		out = append(out, fmt.Sprintf("THE ADMIN INTERFACE IS OPEN AND IN THE CLEAR AT %s (--behind-docker): whoever reaches it can seal and stop the node, and hear its password; "+
			"publish the container's port on 127.0.0.1 only (docker run -p 127.0.0.1:10080:8080)", c.Storage.UnsealServerAddress))
	}
	if err := conffile.Loopback(c.Monitoring.Address); err != nil {
		out = append(out, fmt.Sprintf("the metrics are open at %s (--behind-docker): publish the container's port on 127.0.0.1 only", c.Monitoring.Address))
	}
	return out
}

// halfTLS warns of TLS that only the commands have.
func (c *config) halfTLS() []string {
	if c.AdminTLS.called() && !c.AdminTLS.on() {
		return []string{"[admin-tls] has only what the commands use: they call the node over TLS, and no node starts with this file"}
	}
	return nil
}

// adminSource is the TLS of the admin interface; nil: it has none.
func (c *config) adminSource() (*servertls.Source, error) {
	switch t := c.AdminTLS; {
	case !t.called():
		return nil, nil
	case !t.on():
		return nil, errors.New("admin-tls has only what the commands use: a node needs cert-path and key-path too, or no [admin-tls]")
	}
	s, err := servertls.Load(servertls.Files{Certificate: c.AdminTLS.Cert, Key: c.AdminTLS.Key, ClientCA: c.AdminTLS.ClientCA})
	if err != nil {
		return nil, fmt.Errorf("admin-tls: %w", err)
	}
	return s, nil
}

// adminHosts are the names beside loopback under which the admin interface is called: those that are configured, and the
// host of its address.
func (c *config) adminHosts() []string {
	hosts := slices.Clone(c.Storage.UnsealServerNames)
	host, _, err := net.SplitHostPort(c.Storage.UnsealServerAddress)
	if ip := net.ParseIP(host); err == nil && host != "" && (ip == nil || !ip.IsUnspecified()) {
		hosts = append(hosts, host)
	}
	return hosts
}

// clientTLS is the TLS of a command that talks to the node at an address: by the flags where there are any, else by the
// configuration; nil: none. Beyond loopback there always is TLS: a password goes into no network in the clear.
func (o *options) clientTLS(c *config, address string) (*tls.Config, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, fmt.Errorf("the node's admin address %q is not host:port", address)
	}
	files, on := o.tls, o.tls != asking.TLSFiles{}
	if !on && c != nil && c.AdminTLS.called() {
		files, on = asking.TLSFiles{CA: c.AdminTLS.CA, Certificate: c.AdminTLS.ClientCert, Key: c.AdminTLS.ClientKey}, true
	}
	if !on && conffile.Loopback(address) == nil {
		return nil, nil
	}
	config, err := asking.LoadTLS(files)
	if err != nil {
		return nil, fmt.Errorf("admin-tls, or the flags --ca, --cert and --key: %w", err)
	}
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return config, nil
}

// reachable is the address under which this machine reaches what listens at an address: one that stands for all is loopback.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return address
}
