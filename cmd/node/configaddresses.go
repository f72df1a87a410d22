package main

import (
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/countersign-mpc/countersign/wire"
)

// addresses checks where the node finds the coordinator, and that what it serves has a port of its own.
func (c *config) addresses(problem func(string, ...any)) {
	if c.Service.Protocol != "ws" && c.Service.Protocol != "wss" {
		problem("mpc-service.protocol is %q: \"ws\" or \"wss\" is needed", c.Service.Protocol)
	}
	if !isHost(c.Service.Address) {
		problem("mpc-service.address is %q: host or host:port is needed, the path goes into mpc-service.path", c.Service.Address)
	}
	if u, err := url.Parse("ws://host" + c.Service.Path); err != nil || !strings.HasPrefix(c.Service.Path, "/") || u.Path != c.Service.Path || u.ForceQuery || strings.ContainsAny(c.Service.Path, " #") {
		problem("mpc-service.path is %q: a path that starts with \"/\" is needed, such as \"/proxy\"", c.Service.Path)
	}
	_, port, err := net.SplitHostPort(c.Monitoring.Address)
	if err == nil && port != "0" && c.Monitoring.Address == c.Storage.UnsealServerAddress {
		problem("monitoring.address and storage.unseal-server-address are both %q: each needs a port of its own", c.Monitoring.Address)
	}
}

// isHost tells whether an address is a host, or host:port.
func isHost(address string) bool {
	host := address
	if h, port, err := net.SplitHostPort(address); err == nil {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return false
		}
		host = h
	} else if strings.Contains(address, ":") && net.ParseIP(strings.Trim(address, "[]")) == nil {
		return false
	}
	return host != "" && !strings.ContainsAny(host, " /?#@%\\\"")
}

// callbackServers checks each [[callback.server]].
func (c *config) callbackServers(problem func(string, ...any)) {
	seen := map[string]int{}
	for i, s := range c.Callback.Server {
		if s.Address == "" || s.PublicKeyPath == "" {
			problem("callback.server number %d needs address and public-key-path", i+1)
		}
		if s.Address != "" {
			check, _, _, err := wire.CallbackURLs(s.Address)
			if err != nil {
				problem("callback.server number %d: %q: %v", i+1, s.Address, err)
			} else if seen[check] > 0 {
				problem("callback.server number %d is number %d again: %s", i+1, seen[check], check)
			} else {
				seen[check] = i + 1
			}
		}
		if s.RawdataAck != "" && s.RawdataAck != ackSigned && s.RawdataAck != ackUnsigned {
			problem("callback.server number %d has rawdata-ack %q: %q or %q is needed", i+1, s.RawdataAck, ackSigned, ackUnsigned)
		}
		if tls := s.CAPath + s.ClientCert + s.ClientKey; tls != "" && !strings.HasPrefix(strings.ToLower(s.Address), "https://") {
			problem("callback.server number %d has TLS files (ca-path, client-cert-path, client-key-path), and its address does not begin with https://", i+1)
		}
		if (s.ClientCert == "") != (s.ClientKey == "") {
			problem("callback.server number %d needs client-cert-path and client-key-path together", i+1)
		}
	}
}
