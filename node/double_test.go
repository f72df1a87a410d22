package node_test

import (
	"bytes"
	"crypto/ecdsa"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/node/asking"
	"github.com/countersign-mpc/countersign/wire"
)

// word is the final word that a callback server was told about a callback_id.
type word struct{ message, signature string }

// double is a callback server over HTTP that decides as a test says. It fails the test where a callback_id comes with two
// bodies on one path.
type double struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	node *ecdsa.PublicKey
	url  string

	mu     sync.Mutex // guards the fields below
	cond   *sync.Cond
	decide func(n int) wire.Action // about the nth check, from 0; nil: Approve. "": no answer
	down   map[wire.Path]bool
	bodies map[string][]byte // by path and callback_id
	checks []string          // callback_ids, in the order of their first check
	action map[string]wire.Action
	words  map[string]word
	posts  map[wire.Path]int
	seen   func(path wire.Path, id string)
}

// double puts a callback server in front of a node, which wants outcomes.
func (m *member) double() *double {
	m.h.t.Helper()
	d := m.h.standIn(m)
	m.askAll(asking.ModeAll, d)
	return d
}

// standIn makes a callback server for a node.
func (h *hall) standIn(m *member) *double {
	h.t.Helper()
	node, err := m.id.PublicKey()
	must(h.t, err)
	d := &double{t: h.t, key: newP256(h.t), node: node, down: make(map[wire.Path]bool)}
	d.cond = sync.NewCond(&d.mu)
	d.forget()
	server := httptest.NewServer(d)
	h.t.Cleanup(server.Close)
	d.url = server.URL
	return d
}

// askAll has a node ask servers, and tell them of outcomes.
func (m *member) askAll(mode asking.Mode, servers ...*double) {
	m.h.t.Helper()
	cfg := asking.Config{Mode: mode, RetryTimes: 1, Sleep: time.Millisecond}
	for _, d := range servers {
		cfg.Servers = append(cfg.Servers, asking.Server{Address: d.url, Key: &d.key.PublicKey, Outcome: true})
	}
	asker, err := asking.New(cfg)
	must(m.h.t, err)
	m.settings.change(func(s *settings) { s.guard = asker })
}

// forget empties the server's memory, as if the node had a history of its own from here.
func (d *double) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bodies, d.action, d.words = make(map[string][]byte), make(map[string]wire.Action), make(map[string]word)
	d.posts, d.checks = make(map[wire.Path]int), nil
}

func (d *double) change(f func(*double)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(d)
}

func (d *double) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := wire.Path(strings.TrimPrefix(r.URL.Path, "/v1"))
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the node went away
	}
	got, err := wire.OpenRequest(path, body, r.Header.Get("Signature"), []*ecdsa.PublicKey{d.node})
	if err != nil {
		d.t.Errorf("%s: %v", r.URL.Path, err)
		return
	}
	id := got.Check.CallbackID
	d.mu.Lock()
	defer d.mu.Unlock()
	defer d.cond.Broadcast()
	d.posts[path]++
	if d.seen != nil {
		d.seen(path, id)
	}
	if d.down[path] {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if old := d.bodies[string(path)+id]; old != nil && !bytes.Equal(old, body) {
		d.t.Errorf("%s: two bodies under one callback_id:\n%s\n%s", path, old, body)
	}
	d.bodies[string(path)+id] = body
	data := wire.ResponseData{CallbackID: id, SinoID: got.Check.ExtraInfo.SinoID, RequestID: got.Check.ExtraInfo.RequestID}
	if data.Action = d.answer(path, id, got.Check.RequestDetail); data.Action == "" {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if data.Action == wire.Wait {
		data.WaitTime = "1"
	}
	reply, err := wire.Reply(d.key, data, wire.StyleTitle, "for the test")
	if err != nil {
		d.t.Error(err)
	}
	_, _ = w.Write(reply)
}

func (d *double) answer(path wire.Path, id string, detail wire.RequestDetail) wire.Action {
	switch path {
	case wire.PathCheck:
		if _, asked := d.action[id]; !asked {
			d.action[id] = wire.Approve
			if d.decide != nil {
				d.action[id] = d.decide(len(d.checks))
			}
			d.checks = append(d.checks, id)
		}
		return d.action[id]
	case wire.PathOutcome:
		d.words[id] = word{detail.Message, detail.Signature}
	}
	if d.action[id] != wire.Approve {
		return wire.Reject
	}
	return wire.Approve
}

// await waits until something holds; ok is called with mu held, after every post.
func (d *double) await(what string, ok func() bool) {
	d.t.Helper()
	late := false
	timer := time.AfterFunc(patience, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		late = true
		d.cond.Broadcast()
	})
	defer timer.Stop()
	d.mu.Lock()
	defer d.mu.Unlock()
	for !ok() {
		if late {
			d.t.Fatalf("this did not happen: %s; asked were %v, the words are %v", what, d.checks, d.words)
		}
		d.cond.Wait()
	}
}

// mustHear waits for the final word about the nth check.
func (d *double) mustHear(n int, message string) word {
	d.t.Helper()
	var got word
	d.await("a word about a check", func() bool {
		if n >= len(d.checks) {
			return false
		}
		var ok bool
		got, ok = d.words[d.checks[n]]
		return ok
	})
	if got.message != message || (got.signature != "") != (message == wire.OutcomeSigned) {
		d.t.Fatalf("the word about check %d is %q", n, got)
	}
	return got
}

// mustBeQuiet fails if there are more words than so many, once the node has said everything that it has to say.
func (d *double) mustBeQuiet(m *member, words int) {
	d.t.Helper()
	m.awaitNone("outcome")
	m.node.Seal() // waits for what runs
	m.unseal()
	m.awaitNone("outcome")
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.words) != words {
		d.t.Fatalf("asked were %v, the words are %v", d.checks, d.words)
	}
}

// awaitNone waits until every report or outcome that the node has stored is acknowledged. That shows nowhere but in the
// store.
func (m *member) awaitNone(bucket string) {
	m.h.t.Helper()
	spin(m.h.t, "each "+bucket+" is acknowledged", func() bool {
		stat, err := m.store.Stat()
		must(m.h.t, err)
		return stat.Records[bucket] == 0
	})
}
