package mpcapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/countersign-mpc/countersign/bolt/coordstore/coordtest"
	"github.com/countersign-mpc/countersign/coordinator"
	"github.com/countersign-mpc/countersign/mpcapi"
)

const apiKey, otherKey = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"

// surface is a world behind its REST surface.
type surface struct {
	*coordtest.World
	handler http.Handler
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newSurface(t testing.TB, n int, limits coordinator.Limits) *surface {
	t.Helper()
	w := coordtest.NewWorld(t, n, limits)
	keys := []mpcapi.APIKey{must(mpcapi.NewAPIKey("other", []byte(otherKey)))(t), must(mpcapi.NewAPIKey(coordtest.Account, []byte(apiKey+"\n")))(t)}
	h := must(mpcapi.New(mpcapi.Config{Coordinator: w.C, Keys: keys, Log: slog.New(slog.DiscardHandler), Version: "v1.2.3", Now: w.Clock.Now,
		Metrics: prometheus.NewRegistry()}))(t)
	return &surface{w, h}
}

// answer is what a call gave.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   map[string]any
}

// at walks into the answer: at("parties", 0, "status").
func (a answer) at(path ...any) any {
	a.t.Helper()
	var v any = a.body
	for _, p := range path {
		switch p := p.(type) {
		case string:
			v = v.(map[string]any)[p]
		case int:
			v = v.([]any)[p]
		}
	}
	return v
}

func (s *surface) call(t testing.TB, method, path, body string, header ...string) answer {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("X-API-Key", apiKey)
	for i := 0; i < len(header); i += 2 {
		r.Header.Del(header[i])
		if header[i+1] != "" {
			r.Header.Set(header[i], header[i+1])
		}
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	a := answer{t: t, status: w.Code, header: w.Header()}
	if err := json.Unmarshal(w.Body.Bytes(), &a.body); err != nil {
		t.Fatalf("%s %s answers with %q", method, path, w.Body)
	}
	return a
}

func expect(t testing.TB, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func encode(t testing.TB, v any) string {
	t.Helper()
	return string(must(json.Marshal(v))(t))
}

func keygenBody(extra string) string {
	return `{"threshold_n":2,"threshold_t":2,"participants":[{"party_id":"a","device_type":"iOS","device_id":"phone"},{"party_id":"b"}]` + extra + `}`
}

func TestHealth(t *testing.T) {
	s := newSurface(t, 1, coordinator.Limits{})
	s.Clock.Step(90 * 1e9)
	a := s.call(t, "GET", "/health", "", "X-API-Key", "")
	expect(t, "answer", encode(t, a.body), `{"service":"coordinator","status":"healthy","uptime":"1m30s","version":"v1.2.3"}`)
	expect(t, "headers", []string{a.header.Get("Content-Type"), a.header.Get("Cache-Control"), a.header.Get("X-Content-Type-Options")}, "[application/json no-store nosniff]")
}

func TestAuthentication(t *testing.T) {
	s := newSurface(t, 1, coordinator.Limits{})
	for name, key := range map[string]string{"none": "", "wrong": strings.Repeat("x", 32), "a part": apiKey[:31], "more": apiKey + "0"} {
		for _, path := range []string{"/api/v1/nodes", "/api/v1/keys", "/api/v1/requests/x", "/api/v1/sessions/x", "/api/v1/mpc/sessions/x", "/api/v1/keys/x"} {
			a := s.call(t, "GET", path, "", "X-API-Key", key)
			expect(t, name+" "+path, []any{a.status, a.at("error")}, "[401 unauthorized]")
		}
		for _, path := range []string{"/api/v1/nodes", "/api/v1/mpc/keygen", "/api/v1/mpc/sign", "/api/v1/sessions"} {
			a := s.call(t, "POST", path, "{}", "X-API-Key", key)
			expect(t, name+" "+path, []any{a.status, a.at("error")}, "[401 unauthorized]")
		}
	}
	expect(t, "another account sees nothing", encode(t, s.call(t, "GET", "/api/v1/nodes", "", "X-API-Key", otherKey).body), `{"nodes":[]}`)
	r := httptest.NewRequest("GET", "/api/v1/nodes", nil)
	r.Header["X-Api-Key"] = []string{apiKey, otherKey}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	expect(t, "two keys", w.Code, 401)
	expect(t, "no such path", s.call(t, "GET", "/api/v2/nodes", "").status, 404)
	expect(t, "no such method", []any{s.call(t, "PUT", "/api/v1/nodes", "").status, s.call(t, "PUT", "/api/v1/nodes", "").at("error")}, "[405 method_not_allowed]")
}

func TestAPIKeys(t *testing.T) {
	for name, c := range map[string]struct{ account, key string }{
		"short": {"a", strings.Repeat("x", 31)}, "long": {"a", strings.Repeat("x", 257)}, "two lines": {"a", apiKey + "\n" + apiKey},
		"not ASCII": {"a", strings.Repeat("ü", 32)}, "no account": {"", apiKey}, "account with a separator": {"a|b", apiKey},
	} {
		if _, err := mpcapi.NewAPIKey(c.account, []byte(c.key)); err == nil || strings.Contains(err.Error(), c.key) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w := coordtest.NewWorld(t, 1, coordinator.Limits{})
	key := must(mpcapi.NewAPIKey("a", []byte(apiKey)))(t)
	if _, err := mpcapi.New(mpcapi.Config{Coordinator: w.C, Log: slog.New(slog.DiscardHandler), Keys: []mpcapi.APIKey{key, must(mpcapi.NewAPIKey("b", []byte(apiKey)))(t)}}); err == nil {
		t.Error("one key for two accounts is taken")
	}
	if _, err := mpcapi.New(mpcapi.Config{}); err == nil {
		t.Error("a surface over nothing is made")
	}
}

func TestNodes(t *testing.T) {
	s := newSurface(t, 2, coordinator.Limits{})
	other := coordtest.NewParty(t, "x")
	post := func(id, name string) answer {
		return s.call(t, "POST", "/api/v1/nodes", encode(t, map[string]string{"node_id": id, "name": name}))
	}
	a := post(string(other.ID), "x")
	expect(t, "bound", []any{a.status, a.at("name"), a.at("online"), a.at("node_id")}, []any{201, "x", false, other.ID})
	for name, c := range map[string]struct {
		id, name string
		want     string
	}{
		"taken name": {string(other.ID), "a", "[409 name_taken]"}, "another name": {string(other.ID), "y", "[409 already_bound]"}, "no id": {"sino", "z", "[400 invalid_request]"},
	} {
		a := post(c.id, c.name)
		expect(t, name, []any{a.status, a.at("error")}, c.want)
	}
	list := s.call(t, "GET", "/api/v1/nodes", "")
	expect(t, "list", []any{len(list.at("nodes").([]any)), list.at("nodes", 0, "name"), list.at("nodes", 0, "online"), list.at("nodes", 0, "software"), list.at("nodes", 2, "online")},
		"[3 a true test false]")
}

// Bodies that could be read in two ways, or not at all.
func TestBodies(t *testing.T) {
	s := newSurface(t, 2, coordinator.Limits{})
	for name, c := range map[string]struct {
		body string
		want string
	}{
		"empty":          {"", "[400 invalid_request]"},
		"no object":      {"[]", "[400 invalid_request]"},
		"null":           {"null", "[400 invalid_request]"},
		"text":           {"hello", "[400 invalid_request]"},
		"cut off":        {keygenBody("")[:40], "[400 invalid_request]"},
		"trailing":       {keygenBody("") + "{}", "[400 invalid_request]"},
		"unknown field":  {keygenBody(`,"treshold":1`), "[400 invalid_request]"},
		"another case":   {keygenBody(`,"Request_ID":"x"`), "[400 invalid_request]"},
		"twice":          {keygenBody(`,"threshold_n":2`), "[400 invalid_request]"},
		"number as text": {strings.Replace(keygenBody(""), `"threshold_n":2`, `"threshold_n":"2"`, 1), "[400 invalid_request]"},
		"invalid UTF-8":  {keygenBody(",\"request_id\":\"\xff\""), "[400 invalid_request]"},
		"field of sign":  {keygenBody(`,"message_hash":"ab"`), "[400 invalid_request]"},
		"too large":      {keygenBody(`,"request_id":"` + strings.Repeat("x", 2<<20) + `"`), "[413 request_too_large]"},
		"deep":           {keygenBody(`,"authorization":` + strings.Repeat("[", 20000)), "[400 invalid_request]"},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.call(t, "POST", "/api/v1/mpc/keygen", c.body)
			expect(t, "answer", []any{a.status, a.at("error")}, c.want)
			if message, _ := a.at("message").(string); len(message) > 300 {
				t.Errorf("the message has %d bytes", len(message))
			}
		})
	}
	expect(t, "nothing was taken", len(s.Lives[0].Receive()), 0)
}

func TestTooMany(t *testing.T) {
	s := newSurface(t, 2, coordinator.Limits{OpenRequests: 1})
	s.call(t, "POST", "/api/v1/mpc/keygen", keygenBody(""))
	a := s.call(t, "POST", "/api/v1/mpc/keygen", keygenBody(""))
	expect(t, "the second", []any{a.status, a.at("error"), a.header.Get("Retry-After")}, "[429 too_many_requests 1]")
}

// A failure of the store is told to nobody but the log.
func TestInternalErrors(t *testing.T) {
	s := newSurface(t, 1, coordinator.Limits{})
	var log bytes.Buffer
	h := must(mpcapi.New(mpcapi.Config{Coordinator: s.C, Keys: []mpcapi.APIKey{must(mpcapi.NewAPIKey(coordtest.Account, []byte(apiKey)))(t)},
		Log: slog.New(slog.NewTextHandler(&log, nil))}))(t)
	s.Close()
	a := (&surface{s.World, h}).call(t, "GET", "/api/v1/nodes", "")
	expect(t, "answer", []any{a.status, a.at("error")}, "[500 internal_error]")
	if !strings.Contains(log.String(), "it was closed") || strings.Contains(fmt.Sprint(a.body), "closed") {
		t.Errorf("the log says %q, the answer %v", log.String(), a.body)
	}
}

// Whatever a client sends: an answer in the error format, never a failure of the server.
func FuzzBodies(f *testing.F) {
	s := newSurface(f, 2, coordinator.Limits{OpenRequests: 50})
	s.Key(2)
	for _, body := range []string{
		keygenBody(""), keygenBody(`,"request_id":"x","cryptography":"ecdsa-secp256k1"`), `{"session_type":"sign","message_hash":"` + strings.Repeat("ab", 32) + `"}`,
		`{"message":"x","sign_type":"2","tx_info":{"a":[1,{}]},"path":"m/1/2","participants":[{"party_id":"a"},{"party_id":"b"}]}`,
		`{"authorization":{"key_id":"k","expiry":1,"nonce":"00","signature":"00"},"request_id":"r","message_hash":"` + strings.Repeat("ab", 32) + `"}`,
		`{"node_id":"sino","name":"x"}`, `{"a":1,"a":2}`, "", "null", "\xff",
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, path := range []string{"/api/v1/mpc/keygen", "/api/v1/mpc/sign", "/api/v1/sessions", "/api/v1/nodes"} {
			a := s.call(t, "POST", path, body)
			if a.status >= 500 || (a.status >= 300 && (a.at("error") == nil || a.at("message") == nil)) {
				t.Fatalf("%s answers %d %v", path, a.status, a.body)
			}
		}
	})
}
