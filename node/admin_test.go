package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/node"
	"github.com/countersign-mpc/countersign/wire"
)

// office is a node's admin interface.
type office struct {
	t       testing.TB
	node    *node.Node
	store   *keystore.Store
	handler http.Handler
	stopped int
}

func newOffice(t testing.TB, change ...func(*node.Config)) *office {
	t.Helper()
	store, err := keystore.Open(keystore.Config{Path: filepath.Join(t.TempDir(), "asset.db"), Argon2: cheap})
	must(t, err)
	cfg := node.Config{Store: store, Settings: &settings{}, Protocols: &toys{}, LinkURL: "ws://127.0.0.1:1/proxy", Log: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&cfg)
	}
	n, err := node.New(cfg)
	must(t, err)
	t.Cleanup(func() { _ = n.Close() })
	o := &office{t: t, node: n, store: store}
	o.handler = n.Admin(node.AdminConfig{Hosts: []string{"node.example"}, Stop: func() { o.stopped++ }})
	return o
}

// call does one call and gives the status and the exact body.
func (o *office) call(method, path, body string, change ...func(*http.Request)) (int, string) {
	o.t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1:10080"+path, strings.NewReader(body))
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	o.handler.ServeHTTP(w, r)
	if w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
		o.t.Errorf("%s %s: headers %v", method, path, w.Header())
	}
	return w.Code, strings.TrimSuffix(w.Body.String(), "\n")
}

// mustAnswer wants HTTP 200 and these bytes.
func (o *office) mustAnswer(method, path, body, want string) {
	o.t.Helper()
	if code, got := o.call(method, path, body); code != 200 || got != want {
		o.t.Fatalf("%s %s: HTTP %d %s\nwant %s", method, path, code, got, want)
	}
}

// mustRefuse wants HTTP 400 and an error with these words.
func (o *office) mustRefuse(method, path, body, words string, change ...func(*http.Request)) {
	o.t.Helper()
	code, got := o.call(method, path, body, change...)
	var reply struct{ Error, Status string }
	if err := json.Unmarshal([]byte(got), &reply); err != nil || code != 400 || reply.Status != "error" || !contains(reply.Error, words) {
		o.t.Fatalf("%s %s: HTTP %d %s, want %q", method, path, code, got, words)
	}
	if !strings.HasPrefix(got, `{"error":"`) || !strings.HasSuffix(got, `","status":"error"}`) {
		o.t.Fatalf("%s %s: %s has not the guide's form", method, path, got)
	}
}

func bkey(password string) string {
	b, err := json.Marshal(map[string]string{"shard_bkey": password})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestTheGuidesCalls(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.mustAnswer("GET", "/sys/seal-status", "", `{"data":{"state":"uninitialised"},"status":"ok"}`)
	o.mustRefuse("POST", "/sys/in-bkey", bkey(password), "run init")

	code, first := o.call("POST", "/sys/init", bkey(password))
	var init struct {
		Data struct {
			NodeID    wire.NodeID `json:"node_id"`
			PublicKey string      `json:"public_key"`
		}
		Status string
	}
	must(t, json.Unmarshal([]byte(first), &init))
	if want := fmt.Sprintf(`{"data":{"node_id":%q,"public_key":%q},"status":"ok"}`, init.Data.NodeID, init.Data.PublicKey); code != 200 || first != want {
		t.Fatalf("HTTP %d %s\nwant %s", code, first, want)
	}
	key, err := wire.ParsePublicKey([]byte(init.Data.PublicKey))
	must(t, err)
	if wire.NodeIDOf(key) != init.Data.NodeID || !strings.HasPrefix(init.Data.PublicKey, "-----BEGIN PUBLIC KEY-----\n") {
		t.Fatalf("node id and key do not belong together: %s", first)
	}
	o.mustAnswer("GET", "/sys/seal-status", "", `{"data":{"state":"sealed"},"status":"ok"}`)
	o.mustRefuse("POST", "/sys/init", bkey(password), "already initialised")

	o.mustRefuse("POST", "/sys/in-bkey", bkey(password+"x"), "wrong password")
	o.mustAnswer("GET", "/sys/seal-status", "", `{"data":{"state":"sealed"},"status":"ok"}`)
	o.mustAnswer("POST", "/sys/in-bkey", bkey(password), `{"data":"in-bkey success","status":"ok"}`)
	o.mustAnswer("GET", "/sys/seal-status", "",
		fmt.Sprintf(`{"data":{"node_id":%q,"public_key":%q,"state":"unsealed"},"status":"ok"}`, init.Data.NodeID, init.Data.PublicKey))
	o.mustRefuse("POST", "/sys/in-bkey", bkey(password), "already unsealed")

	o.mustAnswer("POST", "/sys/seal", "", `{"data":"seal success","status":"ok"}`)
	o.mustAnswer("POST", "/sys/seal", "", `{"data":"seal success","status":"ok"}`)
	o.mustAnswer("GET", "/sys/seal-status", "", `{"data":{"state":"sealed"},"status":"ok"}`)
	for _, path := range []string{"/sys/re-bkey-init", "/sys/re-bkey"} {
		o.mustRefuse("POST", path, bkey(password), "sealed: run unseal")
	}
	o.mustAnswer("POST", "/sys/stop", "", `{"data":"stop success","status":"ok"}`)
	if o.stopped != 1 {
		t.Fatal("the process was not told to stop")
	}
	must(t, o.node.Close())
	o.mustRefuse("POST", "/sys/in-bkey", bkey(password), "stopping")
	o.mustRefuse("POST", "/sys/init", bkey(password), "stopping")
}

func TestPasswordsThatDoNotArrive(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for name, body := range map[string]string{
		"nothing":           "",
		"no object":         `"` + password + `"`,
		"another key":       `{"password":"` + password + `"}`,
		"another case":      `{"SHARD_BKEY":"` + password + `"}`,
		"more than the key": `{"shard_bkey":"` + password + `","force":true}`,
		"twice":             `{"shard_bkey":"` + password + `","shard_bkey":"` + password + `"}`,
		"null":              `{"shard_bkey":null}`,
		"a number":          `{"shard_bkey":123456789012}`,
		"a quote in it":     `{"shard_bkey":"Correct-"Horse-7-Battery"}`,
		"a backslash in it": `{"shard_bkey":"Correct-\Horse-7-Battery"}`,
		"a line end in it":  "{\"shard_bkey\":\"Correct-\nHorse-7-Battery\"}",
		"not UTF-8":         "{\"shard_bkey\":\"Correct-\xe4-Horse-7-Battery\"}",
		"half a surrogate":  `{"shard_bkey":"Correct-\ud800-Horse-7-Battery"}`,
		"something behind":  bkey(password) + "x",
		"cut short":         bkey(password)[:20],
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/sys/init", "/sys/in-bkey"} {
				o.mustRefuse("POST", path, body, `must not contain " or \`)
				if _, got := o.call("POST", path, body); contains(got, "Horse") {
					t.Fatalf("the answer repeats the password: %s", got)
				}
			}
		})
	}
	o.mustRefuse("POST", "/sys/init", bkey(strings.Repeat("A", 5000)), "more than 4096 bytes")
	o.mustRefuse("POST", "/sys/init", bkey("weak"), "at least 12 characters")
	o.mustAnswer("GET", "/sys/seal-status", "", `{"data":{"state":"uninitialised"},"status":"ok"}`)

	odd := "Corr\"ect\\-Horse-7-Bättery"
	if code, got := o.call("POST", "/sys/init", bkey(odd)); code != 200 {
		t.Fatalf("HTTP %d %s", code, got)
	}
	o.mustAnswer("POST", "/sys/in-bkey", `{"shard_bkey": "Corr\u0022ect\\-Horse-7-B\u00e4ttery" }`, `{"data":"in-bkey success","status":"ok"}`)
}

func TestOnlyThisMachineMayCall(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	host := func(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
	for _, h := range []string{"127.0.0.1", "127.0.0.1:10080", "127.9.9.9:1", "localhost", "LOCALHOST:10080", "[::1]:10080", "[::1]", "node.example:10080"} {
		if code, got := o.call("GET", "/sys/seal-status", "", host(h)); code != 200 {
			t.Errorf("host %s: HTTP %d %s", h, code, got)
		}
	}
	for _, h := range []string{"", "evil.example", "evil.example:10080", "192.0.2.1:10080", "localhost.evil.example", "0.0.0.0:10080", "[::]:1", "127.0.0.1.evil.example"} {
		for _, call := range [][2]string{{"GET", "/sys/seal-status"}, {"GET", "/sys/info"}, {"POST", "/sys/seal"}, {"POST", "/sys/stop"}, {"POST", "/sys/init"}} {
			o.mustRefuse(call[0], call[1], bkey(password), "is not the loopback address", host(h))
		}
	}
	for _, origin := range []string{"http://evil.example", "null", "http://127.0.0.1:10080"} {
		o.mustRefuse("POST", "/sys/stop", "", "web pages are refused", func(r *http.Request) { r.Header.Set("Origin", origin) })
	}
	if o.stopped != 0 || o.node.State() != "uninitialised" {
		t.Fatal("a refused call did something")
	}
	for _, call := range [][2]string{{"GET", "/"}, {"POST", "/sys/unknown"}, {"GET", "/metrics"}, {"DELETE", "/sys/info/x"}, {"GET", "/sys/init"}, {"POST", "/sys/info"}} {
		o.mustRefuse(call[0], call[1], "", "is not a call of the node's admin interface")
	}
}

func TestInitThatWasInterrupted(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	must(t, o.store.Init(context.Background(), pass(password))) // the process ended before there was an identity
	o.store.Seal()
	must(t, o.node.Unseal(context.Background(), pass(password)))
	first, err := o.node.Identity()
	must(t, err)
	o.node.Seal()
	must(t, o.node.Unseal(context.Background(), pass(password)))
	if second, err := o.node.Identity(); err != nil || second != first {
		t.Fatalf("the identity is %+v, then %+v (%v)", first, second, err)
	}
	o.node.Seal()
	must(t, o.store.Unseal(context.Background(), pass(password)))
	must(t, o.store.Put("key", "k", []byte("{}")))
	must(t, o.store.Delete("identity", "p256"))
	o.store.Seal()
	if err := o.node.Unseal(context.Background(), pass(password)); err == nil || !contains(err.Error(), "identity") {
		t.Fatalf("a store that has lost its identity gives %v", err)
	}
	if o.node.State() != "sealed" {
		t.Fatalf("the node is %s", o.node.State())
	}
}

func TestACallerThatGivesUpLeavesNothingHalfDone(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	for _, path := range []string{"/sys/init", "/sys/in-bkey"} {
		if code, got := o.call("POST", path, bkey(password), func(r *http.Request) { *r = *r.WithContext(gone) }); code != 200 {
			t.Fatalf("%s: HTTP %d %s", path, code, got)
		}
	}
	if o.node.State() != "unsealed" {
		t.Fatalf("the node is %s", o.node.State())
	}
}

func TestARecordOfALaterVersionKeepsTheNodeSealed(t *testing.T) {
	t.Parallel()
	for _, bucket := range []string{"request", "nonce", "report"} {
		o := newOffice(t)
		_, err := o.node.Init(context.Background(), pass(password))
		must(t, err)
		must(t, o.store.Unseal(context.Background(), pass(password)))
		must(t, o.store.Put(bucket, "x", []byte(`{"v":2}`)))
		o.store.Seal()
		if err := o.node.Unseal(context.Background(), pass(password)); err == nil || !contains(err.Error(), "has version 2") {
			t.Fatalf("%s: %v", bucket, err)
		}
		if o.node.State() != "sealed" {
			t.Fatalf("the node is %s", o.node.State())
		}
	}
}

func TestMonitoring(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	r.mustSign(r.signing())
	health := r.a.node.Health()
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		health.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w.Code, w.Body.String()
	}
	if code, body := get("/livez"); code != 200 || body != "ok\n" {
		t.Errorf("livez: %d %s", code, body)
	}
	if code, body := get("/readyz"); code != 200 || body != "ok\n" {
		t.Errorf("readyz: %d %s", code, body)
	}
	code, metrics := get("/metrics")
	for _, want := range []string{
		`countersign_node_unsealed 1`, `countersign_node_link_up 1`, `countersign_node_callback_answers_total{action="Approve"} 2`,
		`countersign_node_requests_total{state="done",type="sign"} 1`, `countersign_node_session_seconds_count{result="completed",type="keygen"} 1`,
		"countersign_node_store_bytes ", "countersign_node_link_connections_total 1",
	} {
		if code != 200 || !contains(metrics, want) {
			t.Errorf("metrics (HTTP %d) have no %s", code, want)
		}
	}
	r.a.node.Seal()
	if code, body := get("/readyz"); code != http.StatusServiceUnavailable || !contains(body, "the node is sealed") {
		t.Errorf("readyz of a sealed node: %d %s", code, body)
	}
	if code, _ := get("/livez"); code != 200 {
		t.Errorf("livez of a sealed node: %d", code)
	}
}

func TestInfoTellsNoSecret(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	r.mustSign(r.signing())
	handler := r.a.node.Admin(node.AdminConfig{Stop: func() {}})
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/sys/info", nil))
	body, err := io.ReadAll(w.Body)
	must(t, err)
	var reply struct {
		Data   node.Info
		Status string
	}
	must(t, json.Unmarshal(body, &reply))
	info := reply.Data
	if info.State != "unsealed" || info.NodeID != string(r.a.id) || !info.Link.Connected || info.Link.Name != "node" || len(info.Keys) != 1 ||
		info.Requests != 0 || info.Sessions != 0 || len(info.Warnings) != 1 || info.Store.Size == 0 || info.Store.Commits == 0 {
		t.Fatalf("info is %s", body)
	}
	share, _ := r.a.record("key", r.keyID)["share"].(string)
	identity, _ := r.a.record("identity", "p256")["private_key"].(string)
	if len(share) < 100 || len(identity) < 100 {
		t.Fatal("the records hold no secrets: this test tests nothing")
	}
	for _, secret := range []string{share, identity, "PRIVATE KEY", password} {
		for i := 0; i+24 <= len(secret); i += 12 {
			if contains(string(body), secret[i:i+24]) {
				t.Fatal("info tells a secret")
			}
		}
	}
}

func TestExcerptsAreText(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "short", strings.Repeat("é", 500), "a" + strings.Repeat("é", 500), "\xff\xfe", strings.Repeat("\xff", 1000)} {
		out := node.Excerpt(s)
		if !utf8.ValidString(out) || len(out) > 4*node.MaxExcerpt || (len(s) <= node.MaxExcerpt && utf8.ValidString(s) && out != s) {
			t.Errorf("%.20q became %q", s, out)
		}
	}
}

func TestNewNodeRefuses(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	good := node.Config{Store: o.store, Settings: &settings{}, Protocols: &toys{}, LinkURL: "ws://127.0.0.1:1/proxy", Log: slog.New(slog.DiscardHandler)}
	for name, change := range map[string]func(*node.Config){
		"store": func(c *node.Config) { c.Store = nil }, "settings": func(c *node.Config) { c.Settings = nil },
		"protocols": func(c *node.Config) { c.Protocols = nil }, "log": func(c *node.Config) { c.Log = nil }, "link": func(c *node.Config) { c.LinkURL = "" },
	} {
		c := good
		change(&c)
		if _, err := node.New(c); err == nil {
			t.Errorf("a node without %s was made", name)
		}
	}
	if _, err := node.New(good); err != nil {
		t.Error(err)
	}
}
