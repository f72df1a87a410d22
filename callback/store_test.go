package callback_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// troubled is a store whose disk fails when it is told to.
type troubled struct {
	ledger.Store
	readOnly, gone, damaged atomic.Bool
}

var errDisk = errors.New("no space left on device")

func (s *troubled) View(ctx context.Context, fn func(ledger.Reader) error) error {
	if s.gone.Load() {
		return fmt.Errorf("%w: %w", ledger.ErrUnavailable, errDisk)
	}
	if s.damaged.Load() {
		return fmt.Errorf("%w: a page is not what was written", ledger.ErrDamaged)
	}
	return s.Store.View(ctx, fn)
}

// Update runs fn, so that a decision is made and a reply signed, and then cannot write.
func (s *troubled) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	if s.damaged.Load() {
		return fmt.Errorf("%w: a page is not what was written", ledger.ErrDamaged)
	}
	if !s.readOnly.Load() && !s.gone.Load() {
		return s.Store.Update(ctx, fn)
	}
	failed := fmt.Errorf("%w: %w", ledger.ErrUnavailable, errDisk)
	err := s.Store.Update(ctx, func(tx ledger.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return failed
	})
	if err == nil {
		err = failed
	}
	return err
}

// TestFailingStore: what cannot be recorded is not decided, the server says so, and recovers with the store.
func TestFailingStore(t *testing.T) {
	store := &troubled{}
	w := newWorld(t, options{wrap: func(s ledger.Store) ledger.Store { store.Store = s; return store }})
	w.ask(payment{callbackID: "cb-before", requestID: "r", amount: 5}.check(t))
	before := open(w, "/readyz")
	if before.status != http.StatusOK {
		t.Fatalf("before: not ready: %s", before.body)
	}
	p := payment{callbackID: "cb-1", requestID: "r", amount: 500}
	body, signature, err := wire.SealCheck(w.nodeKey, p.check(t))
	ok(t, err)
	header := http.Header{"Signature": {signature}}
	for name, fail := range map[string]*atomic.Bool{"cannot be written": &store.readOnly, "cannot be read": &store.gone, "is damaged": &store.damaged} {
		fail.Store(true)
		a := w.send("/check", string(body), header)
		if a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, `"status":"503"`) || strings.Contains(a.body, "Approve") || strings.Contains(a.body, "device") || strings.Contains(a.body, "page") {
			t.Errorf("the store %s: HTTP %d %s", name, a.status, a.body)
		}
		if ready := open(w, "/readyz"); ready.status != http.StatusServiceUnavailable {
			t.Errorf("the store %s: the server says it is ready", name)
		}
		if alive := open(w, "/livez"); alive.status != http.StatusOK {
			t.Errorf("the store %s: the server says it is dead", name)
		}
		fail.Store(false)
		if ready := open(w, "/readyz"); ready.status != http.StatusOK {
			t.Errorf("the store is back: HTTP %d %s", ready.status, ready.body)
		}
	}
	if got := w.decisions("callback_id=cb-1"); len(got) != 0 {
		t.Fatalf("decided although it could not be recorded: %+v", got)
	}
	if !strings.Contains(w.logged.String(), "a page is not what was written") {
		t.Error("the log does not say what was damaged")
	}
	if !strings.Contains(w.logged.String(), errDisk.Error()) {
		t.Error("the log does not say what was wrong with the store")
	}
	d, _ := w.ask(p.check(t))
	want(t, d, wire.Approve)
	if got := w.decisions("callback_id=cb-1"); len(got) != 1 {
		t.Errorf("%d decisions, want 1", len(got))
	}
}

// crowded is a store on a disk with little room: while it is full, it takes no update that writes more than 64 KiB, and when it is
// over full, none.
type crowded struct {
	ledger.Store
	full, over atomic.Bool
	probed     chan struct{} // closed when a probe was written and removed
}

func (s *crowded) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	probed := false
	err := s.Store.Update(ctx, func(tx ledger.Tx) error {
		counted := &countingTx{Tx: tx, probed: &probed}
		if err := fn(counted); err != nil {
			return err
		}
		if s.over.Load() || s.full.Load() && counted.bytes > 64<<10 {
			return fmt.Errorf("%w: %w", ledger.ErrUnavailable, errDisk)
		}
		return nil
	})
	if err == nil && probed {
		close(s.probed)
	}
	return err
}

type countingTx struct {
	ledger.Tx
	bytes  int
	probed *bool
}

func (t *countingTx) Delete(bucket string, key []byte) error {
	*t.probed = bucket == "meta" && string(key) == "probe"
	return t.Tx.Delete(bucket, key)
}

func (t *countingTx) Put(bucket string, key, value []byte) error {
	t.bytes += len(key) + len(value)
	return t.Tx.Put(bucket, key, value)
}

// TestFullDisk: from the first decision that could not be recorded the server is not ready, and its metric is what the shipped
// alert waits for; small writes that fit in the last room do not end that, and with room it ends without anybody asking.
func TestFullDisk(t *testing.T) {
	store := &crowded{probed: make(chan struct{})}
	w := newWorld(t, options{wrap: func(s ledger.Store) ledger.Store { store.Store = s; return store }})
	state := func(when string, up bool) {
		t.Helper()
		line, status := "countersign_callback_ledger_up 0\n", http.StatusServiceUnavailable
		if up {
			line, status = "countersign_callback_ledger_up 1\n", http.StatusOK
		}
		if !strings.Contains(metricsText(w), line) {
			t.Errorf("%s: the metrics do not have %s", when, line)
		}
		if ready := open(w, "/readyz"); ready.status != status {
			t.Errorf("%s: /readyz says HTTP %d %s", when, ready.status, ready.body)
		}
		if !strings.Contains(metricsText(w), line) {
			t.Errorf("%s: after /readyz the metrics do not have %s", when, line)
		}
	}
	state("before", true)
	store.over.Store(true)
	body, signature, err := wire.SealCheck(w.nodeKey, payment{callbackID: "cb", requestID: "r", amount: 5}.check(t))
	ok(t, err)
	if a := w.send("/check", string(body), http.Header{"Signature": {signature}}); a.status != http.StatusServiceUnavailable {
		t.Fatalf("HTTP %d %s", a.status, a.body)
	}
	state("full", false)
	store.full.Store(true)
	store.over.Store(false)
	d, _ := w.ask(payment{callbackID: "small", requestID: "r2", amount: 5}.check(t))
	want(t, d, wire.Approve)
	state("nearly full", false)
	store.full.Store(false)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { w.server.Keep(ctx); close(ended) }()
	<-store.probed
	cancel()
	<-ended
	state("with room", true)
	if n := strings.Count(w.logged.String(), "is not ready until a probe is written"); n != 1 {
		t.Errorf("it was logged %d times, want once", n)
	}
	if !strings.Contains(w.logged.String(), "can be written again") {
		t.Error("the log does not say that it is over")
	}
}

// open reads an endpoint of the admin listener that needs no token, whatever its status.
func open(w *world, path string) answer {
	w.t.Helper()
	return do(w.t, must[*http.Request](w.t)(http.NewRequest(http.MethodGet, w.admin+path, nil)))
}

// TestPolicyFailures: whatever goes wrong in a policy is a Reject under a rule of the engine.
func TestPolicyFailures(t *testing.T) {
	for name, tc := range map[string]struct{ rules, says string }{
		"nothing is proven": {`require contains "own.proof"`, "engine.unproven: "},
		"it says nothing":   {`silent if false`, "engine.unproven: "},
		"a built-in fails":  {"require contains x if x := json.unmarshal(input.request.path)", "engine.error: "},
		"a rule without an id": {`
# METADATA
# labels:
#   id: own.rule
allow contains {"id": concat(".", ["own", "other"])} if true`, "engine.shape: "},
		"it takes too long": {`
require contains "x" if {
	some a in numbers.range(1, 4000)
	some b in numbers.range(1, 4000)
	a * b == -1
}`, "engine.timeout: "},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, options{live: custom(t, tc.rules)})
			d, _ := w.ask(payment{callbackID: "cb-1", requestID: "r", amount: 5}.check(t))
			want(t, d, wire.Reject, tc.says)
			if got := w.decision1("callback_id=cb-1"); got.Action != "Reject" {
				t.Errorf("recorded is %s", got.Action)
			}
		})
	}
}
