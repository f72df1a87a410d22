package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// A password goes into no network in the clear, whatever flags and configuration leave out.
func TestNoPasswordInTheClear(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "0.0.0.0:0")
	must(t, err)
	var calls atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		_, _ = w.Write([]byte(`{"data":"in-bkey success","status":"ok"}`))
	}))
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	must(t, err)
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "config.toml")
		must(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	anywhere, here := "0.0.0.0:"+port, "127.0.0.1:"+port // Linux and macOS connect the first to this machine, and it is not loopback
	ca := file("[admin-tls]\nca-path = \"none.pem\"\n")
	for name, tc := range map[string]struct {
		address, config string
		says            string
		calls           int32
	}{
		"beyond loopback":            {anywhere, "none.toml", "has no TLS, and this command asks for TLS", 0},
		"a config without TLS":       {anywhere, file(""), "has no TLS, and this command asks for TLS", 0},
		"a config with a CA alone":   {here, ca, "none.pem", 0},
		"with a client's pair alone": {here, file("[admin-tls]\nclient-cert-path = \"c.pem\"\nclient-key-path = \"k.pem\"\n"), "c.pem", 0},
		"no port":                    {"192.0.2.1", "none.toml", "is not host:port", 0},
		"loopback":                   {here, "none.toml", "in-bkey success", 1},
	} {
		calls.Store(0)
		var out bytes.Buffer
		run(context.Background(), []string{"unseal", "--address", tc.address, "--config", tc.config},
			streams{in: strings.NewReader("Correct-Horse-7-Battery\n"), out: &out, err: &out})
		if got := calls.Load(); got != tc.calls || !strings.Contains(out.String(), tc.says) {
			t.Errorf("%s: %d calls arrived, and it says %s", name, got, out.String())
		}
	}
	var out bytes.Buffer
	if code := run(context.Background(), []string{"start", "--config", ca}, streams{out: &out, err: &out}); code != exitFailed || !strings.Contains(out.String(), "a node needs cert-path and key-path too") {
		t.Errorf("start ends with %d and says %s", code, out.String())
	}
}
