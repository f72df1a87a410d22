package node_test

import (
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/node"
	"github.com/countersign-mpc/countersign/node/asking"
)

// linkError waits until the node says why it is not linked.
func (m *member) linkError() string {
	m.h.t.Helper()
	var link *node.LinkInfo
	spin(m.h.t, "the node tries to link", func() bool {
		info, err := m.node.Info()
		must(m.h.t, err)
		link = info.Link
		return link.Connected || link.LastError != ""
	})
	if link.Connected {
		m.h.t.Fatal("the node is linked")
	}
	return link.LastError
}

func TestOnlyListedCoordinators(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	m := h.member()
	server := httptest.NewTLSServer(http.HandlerFunc(h.serve))
	t.Cleanup(server.Close)
	h.do(func() {
		h.host = strings.TrimPrefix(server.URL, "https://")
		h.url = "wss://" + h.host + "/proxy"
	})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	own, other := sumOf(server.Certificate().RawSubjectPublicKeyInfo), strings.Repeat("00", 32)
	for name, c := range map[string]struct {
		keys  []string
		ca    string
		wrong string // empty: it links
	}{
		"the system's roots":           {nil, "", "certificate"},
		"listed, and of no known root": {[]string{own}, "", "certificate"},
		"own CA":                       {nil, ca, ""},
		"listed":                       {[]string{other, strings.ToUpper(own)}, ca, ""},
		"not listed":                   {[]string{other}, ca, own + ", which is not among authorization.coordinators"},
	} {
		must(t, m.node.Close())
		m.all = &node.FileSettings{CoordinatorKeys: c.keys, CoordinatorTLS: asking.TLSFiles{CA: c.ca}}
		m.open()
		if c.wrong == "" {
			m.unseal()
			continue
		}
		must(t, m.node.Unseal(context.Background(), pass(password)))
		if got := m.linkError(); !contains(got, c.wrong) {
			t.Errorf("%s: %s", name, got)
		}
	}
	for want, s := range map[string]*node.FileSettings{
		"entry 2 is not hex of 32 bytes": {CoordinatorKeys: []string{own, own[2:]}},
		"mpc-service: the certificates":  {CoordinatorTLS: asking.TLSFiles{CA: ca + ".none"}},
	} {
		must(t, m.node.Close())
		m.all = s
		m.open()
		if err := m.node.Unseal(context.Background(), pass(password)); err == nil || !contains(err.Error(), want) {
			t.Errorf("unsealed with %v, want %q", err, want)
		}
		if m.node.State() != "sealed" {
			t.Errorf("the node is %s", m.node.State())
		}
		if warnings := strings.Join(s.Warnings(), "\n"); !contains(warnings, want) {
			t.Errorf("the warnings are %s", warnings)
		}
	}
}
