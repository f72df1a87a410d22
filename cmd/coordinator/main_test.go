package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/countersign-mpc/countersign/bolt/coordstore/coordtest"
	"github.com/countersign-mpc/countersign/internal/listeners"
)

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// command runs the command to its end.
func command(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, streams{&o, &e})
	return code, o.String(), e.String()
}

// configured writes a configuration that takes free ports, with an API key.
func configured(t *testing.T, extra string) (path string) {
	t.Helper()
	dir := t.TempDir()
	path = filepath.Join(dir, "coordinator.toml")
	text := "listen = \"127.0.0.1:0\"\nmonitoring-listen = \"127.0.0.1:0\"\naddress-file = \"addresses.json\"\n" + extra +
		"\n[[api-key]]\naccount = \"acme\"\nkey-path = \"api.key\"\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := command(t, "new-api-key", filepath.Join(dir, "api.key")); code != exitOK {
		t.Fatal(errs)
	}
	return path
}

// process is a coordinator that runs in this one.
type process struct {
	addresses map[string]string
	stop      func() (code int, log string)
}

// start runs `serve` and waits until it serves.
func start(t *testing.T, config string) process {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	var log bytes.Buffer
	var mu sync.Mutex
	done := make(chan int, 1)
	go func() {
		code := run(ctx, []string{"serve", "--config", config}, streams{in, writerFunc(func(p []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return log.Write(p)
		})})
		_ = in.Close()
		done <- code
	}()
	stop := func() (int, string) {
		cancel()
		code := <-done
		done <- code
		mu.Lock()
		defer mu.Unlock()
		return code, log.String()
	}
	t.Cleanup(func() { stop() })
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		code, log := stop()
		t.Fatalf("it did not start (code %d): %s", code, log)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	p := process{stop: stop}
	p.addresses = must(listeners.Announced(filepath.Join(filepath.Dir(config), "addresses.json")))(t)
	for _, address := range []string{p.addresses["listen"], p.addresses["monitoring"]} {
		if !strings.Contains(lines.Text(), address) {
			t.Errorf("%q does not name %s", lines.Text(), address)
		}
	}
	return p
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func get(t *testing.T, url, key string) (status int, body string) {
	t.Helper()
	r := must(http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil))(t)
	if key != "" {
		r.Header.Set("X-API-Key", key)
	}
	response := must(http.DefaultClient.Do(r))(t)
	defer response.Body.Close()
	return response.StatusCode, string(must(io.ReadAll(response.Body))(t))
}

func TestServe(t *testing.T) {
	config := configured(t, "")
	p := start(t, config)
	key := strings.TrimSpace(string(must(os.ReadFile(filepath.Join(filepath.Dir(config), "api.key")))(t)))
	public, monitoring := "http://"+p.addresses["listen"], "http://"+p.addresses["monitoring"]
	for _, c := range []struct {
		url, key string
		status   int
		contains string
	}{
		{public + "/health", "", 200, `"service":"coordinator"`}, {public + "/api/v1/nodes", "", 401, "unauthorized"},
		{public + "/api/v1/nodes", key, 200, `{"nodes":[]}`}, {public + "/proxy", "", 426, ""}, {public + "/metrics", key, 404, "not_found"},
		{monitoring + "/livez", "", 200, "ok"}, {monitoring + "/readyz", "", 200, "ok"},
		{monitoring + "/metrics", "", 200, "countersign_coordinator_nodes_online 0"}, {monitoring + "/api/v1/nodes", key, 404, ""},
	} {
		if status, body := get(t, c.url, c.key); status != c.status || !strings.Contains(body, c.contains) {
			t.Errorf("%s answers %d %q", c.url, status, body)
		}
	}
	code, out, errs := command(t, "serve", "--config", config)
	if code != exitFailed || out != "" || !strings.Contains(errs, "another process holds it") {
		t.Errorf("a second one on the same file: %d %q %q", code, out, errs)
	}
	if code, log := p.stop(); code != exitOK || strings.Contains(log, "ERROR") || strings.Contains(log, key) {
		t.Errorf("stopped with %d: %s", code, log)
	}
	p = start(t, config) // and again on the same file
	if code, log := p.stop(); code != exitOK {
		t.Errorf("stopped with %d: %s", code, log)
	}
}

// A call that is held for a change does not keep the coordinator from stopping.
func TestStopWithHeldCall(t *testing.T) {
	config := configured(t, "[log]\nlevel = \"debug\"\nformat = \"json\"")
	p := start(t, config)
	key := strings.TrimSpace(string(must(os.ReadFile(filepath.Join(filepath.Dir(config), "api.key")))(t)))
	post := func(path, body string) (int, string) {
		r := must(http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+p.addresses["listen"]+path, strings.NewReader(body)))(t)
		r.Header.Set("X-API-Key", key)
		response := must(http.DefaultClient.Do(r))(t)
		defer response.Body.Close()
		return response.StatusCode, string(must(io.ReadAll(response.Body))(t))
	}
	for _, name := range []string{"a", "b"} {
		body := `{"node_id":"` + string(coordtest.NewParty(t, name).ID) + `","name":"` + name + `"}`
		if status, body := post("/api/v1/nodes", body); status != http.StatusCreated {
			t.Fatal(status, body)
		}
	}
	const keygen = `{"threshold_n":2,"threshold_t":2,"participants":[{"party_id":"a"},{"party_id":"b"}],"request_id":"k"}`
	if status, body := post("/api/v1/mpc/keygen", keygen); status != http.StatusCreated {
		t.Fatal(status, body)
	}
	held := make(chan int)
	go func() {
		status, _ := get(t, "http://"+p.addresses["listen"]+"/api/v1/requests/k?wait=60", key)
		held <- status
	}()
	for _, body := get(t, "http://"+p.addresses["monitoring"]+"/metrics", ""); !strings.Contains(body, "countersign_coordinator_calls_waiting 1"); {
		_, body = get(t, "http://"+p.addresses["monitoring"]+"/metrics", "")
	}
	if code, log := p.stop(); code != exitOK {
		t.Errorf("stopped with %d: %s", code, log)
	}
	if status := <-held; status != http.StatusOK {
		t.Errorf("the held call was answered with %d", status)
	}
}

func TestConfigurations(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want string // part of what is said; empty: it is in order
	}{
		"defaults":          {"", ""},
		"misspelt key":      {"[requests]\nsesion-time = \"1m\"", `did you mean "requests.session-time"`},
		"no address":        {"name = \"\"", "db-path and name"},
		"number for text":   {"db-path = 7", "db-path"},
		"not a duration":    {"[requests]\nlife = \"a day\"", "no duration"},
		"too long a life":   {"[requests]\nlife = \"48h\"", "request life of 48h"},
		"no grace":          {"[requests]\ndisconnect-grace = \"0s\"", "disconnect-grace"},
		"small mailbox":     {"[limits]\nmailbox-frames = 1", "64 frames"},
		"unknown log level": {"[log]\nlevel = \"loud\"", "loud"},
		"unknown format":    {"[log]\nformat = \"xml\"", "xml"},
		"public name":       {"public-names = [\"coord.example\"]", ""},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := command(t, "check-config", "--config", configured(t, c.text))
			if c.want == "" && (code != exitOK || !strings.Contains(out, "in order")) {
				t.Errorf("%d %q %q", code, out, errs)
			}
			if c.want != "" && (code != exitRefused || !strings.Contains(errs, c.want)) {
				t.Errorf("%d %q, want %q", code, errs, c.want)
			}
		})
	}
}

func TestListenBeyondLoopback(t *testing.T) {
	for address, ok := range map[string]bool{"127.0.0.1:1": true, "[::1]:1": true, "localhost:1": true, "0.0.0.0:1": false, ":1": false, "10.0.0.1:1": false, "x": false} {
		path := filepath.Join(t.TempDir(), "c.toml")
		if err := os.WriteFile(path, []byte("listen = \""+address+"\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadConfig(path); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// The shipped configuration starts as it is; its account is refused until the key is there.
func TestShippedConfiguration(t *testing.T) {
	text := string(must(os.ReadFile("../../deploy/coordinator.toml"))(t))
	for _, change := range []string{"127.0.0.1:8080", "127.0.0.1:9101"} {
		text = strings.Replace(text, change, "127.0.0.1:0", 1)
	}
	text = strings.Replace(text, `address-file = ""`, `address-file = "addresses.json"`, 1)
	path := filepath.Join(t.TempDir(), "coordinator.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, plain := must(loadConfig(path))(t), defaults()
	if loaded.limits() != plain.limits() || loaded.Log != plain.Log || loaded.Name != plain.Name {
		t.Errorf("the shipped values %+v are not the defaults %+v", loaded, plain)
	}
	if code, _, errs := command(t, "check-config", "--config", path); code != exitRefused || !strings.Contains(errs, "api.key") {
		t.Errorf("without the key: %d %q", code, errs)
	}
	p := start(t, path)
	if status, _ := get(t, "http://"+p.addresses["listen"]+"/api/v1/nodes", strings.Repeat("x", 43)); status != http.StatusUnauthorized {
		t.Errorf("without the key: %d", status)
	}
	if code, log := p.stop(); code != exitOK || !strings.Contains(log, "api.key") {
		t.Errorf("%d %s", code, log)
	}
}

func TestAPIKeyFiles(t *testing.T) {
	config := configured(t, "")
	path := filepath.Join(filepath.Dir(config), "api.key")
	if mode := must(os.Stat(path))(t).Mode().Perm(); mode != 0o600 {
		t.Errorf("mode %04o", mode)
	}
	if code, _, _ := command(t, "new-api-key", path); code != exitFailed {
		t.Error("an API key was overwritten")
	}
	for name, change := range map[string]func() error{
		"readable by others": func() error { return os.Chmod(path, 0o640) },
		"too short":          func() error { return os.WriteFile(path, []byte("short"), 0o600) },
		"too large":          func() error { return os.WriteFile(path, make([]byte, 5000), 0o600) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		for _, sub := range []string{"check-config", "serve"} {
			if code, _, errs := command(t, sub, "--config", config); code != exitRefused || !strings.Contains(errs, path) {
				t.Errorf("%s, %s: %d %q", name, sub, code, errs)
			}
		}
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCommands(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"serve", "--help"}, {"check-config", "--help"}, {"new-api-key", "--help"}} {
		if code, out, _ := command(t, args...); code != exitOK || !strings.Contains(out, "Examples:\n  coordinator ") {
			t.Errorf("%v: %d %q", args, code, out)
		}
	}
	if code, out, _ := command(t, "version", "--json"); code != exitOK || out != "{\"version\":\"dev\"}\n" {
		t.Errorf("%d %q", code, out)
	}
	if code, out, _ := command(t, "version"); code != exitOK || out != "coordinator dev\n" {
		t.Errorf("%d %q", code, out)
	}
	for _, args := range [][]string{{"sevre"}, {"serve", "extra"}, {"new-api-key"}} {
		if code, _, errs := command(t, args...); code != exitFailed || errs == "" {
			t.Errorf("%v: %d %q", args, code, errs)
		}
	}
	if code, _, errs := command(t, "serve", "--config", "nowhere.toml"); code != exitRefused || !strings.Contains(errs, "nowhere.toml") {
		t.Errorf("%d %q", code, errs)
	}
}
