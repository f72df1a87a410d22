package callback_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/auditlog"
	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/wire"
)

// watcher is a witness that can be away.
type watcher struct {
	name string
	mu   sync.Mutex // guards the fields below
	away bool
	kept [][]byte
	// first is closed at the first checkpoint, if it is not nil.
	first chan struct{}
}

func (w *watcher) Name() string { return w.name }

func (w *watcher) Send(_ context.Context, checkpoint []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away {
		return errors.New("away")
	}
	if w.kept = append(w.kept, checkpoint); len(w.kept) == 1 && w.first != nil {
		close(w.first)
	}
	return nil
}

func (w *watcher) set(away bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away = away
}

// sizes are those of the logs of the checkpoints that it has.
func (w *watcher) sizes(t *testing.T, public string) string {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []int64
	for _, c := range w.kept {
		tree, err := auditlog.OpenCheckpoint(c, public)
		ok(t, err)
		out = append(out, tree.N)
	}
	return fmt.Sprint(out)
}

func TestWitnessesGetCheckpoints(t *testing.T) {
	near, far := &watcher{name: "near"}, &watcher{name: "far"}
	w := newWorld(t, options{cfg: func(c *callback.Config) { c.Witnesses = []callback.Witness{near, far} }})
	checkpoint := func() error { return w.server.Checkpoint(t.Context()) }
	decide := func(id string) {
		w.ask(payment{callbackID: id, requestID: id, amount: 5}.check(t))
	}
	ok(t, checkpoint()) // nothing to show yet
	decide("a")
	ok(t, checkpoint())
	ok(t, checkpoint()) // both have it
	far.set(true)
	decide("b")
	for range 3 {
		if checkpoint() == nil {
			t.Error("a witness was away and nobody said so")
		}
	}
	decide("c") // decisions go on
	if text := metricsText(w); !strings.Contains(text, `countersign_callback_witness_up{witness="far"} 0`) || !strings.Contains(text, `countersign_callback_witness_failures_total{witness="far"} 3`) ||
		!strings.Contains(text, `countersign_callback_witness_entries{witness="far"} 1`) || !strings.Contains(text, `countersign_callback_witness_entries{witness="near"} 2`) {
		t.Errorf("metrics do not show it:\n%s", text)
	}
	if ready := open(w, "/readyz"); ready.status != http.StatusOK {
		t.Error("a server without a witness decides and has to be ready")
	}
	if got := strings.Count(w.logged.String(), "a witness did not take"); got != 1 {
		t.Errorf("it was logged %d times, want once", got)
	}
	far.set(false)
	ok(t, checkpoint())
	public := w.ledger.LogPublic()
	if got := near.sizes(t, public); got != "[1 2 3]" {
		t.Errorf("near has %s", got)
	}
	if got := far.sizes(t, public); got != "[1 3]" {
		t.Errorf("far has %s: the newest one only, once it is back", got)
	}
	if text := metricsText(w); !strings.Contains(text, `countersign_callback_witness_up{witness="far"} 1`) || !strings.Contains(text, "countersign_callback_log_checkpoint_timestamp_seconds") {
		t.Error("metrics do not show that it is back")
	}
}

// TestKeepEnds: upkeep works at once, and ends with its context.
func TestKeepEnds(t *testing.T) {
	far := &watcher{name: "far", first: make(chan struct{})}
	w := newWorld(t, options{cfg: func(c *callback.Config) {
		c.Witnesses, c.CheckpointEvery, c.Retention = []callback.Witness{far}, time.Millisecond, callback.MinRetention
	}})
	w.ask(payment{callbackID: "a", requestID: "a", amount: 5}.check(t))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { w.server.Keep(ctx); close(ended) }()
	<-far.first
	cancel()
	<-ended
}

// TestRetention: what is older than is kept goes; checkpoints, proofs, hashes of ids and what is counted stay.
func TestRetention(t *testing.T) {
	w := newWorld(t, options{cfg: func(c *callback.Config) { c.Retention = 40 * 24 * time.Hour }})
	retain := func() int { return must[int](t)(w.server.Retain(t.Context())) }
	old := payment{callbackID: "old", requestID: "old", amount: 5}
	oldBody, oldSignature, err := wire.SealCheck(w.nodeKey, old.check(t))
	ok(t, err)
	header := http.Header{"Signature": {oldSignature}}
	if a := w.send("/check", string(oldBody), header); a.status != http.StatusOK {
		t.Fatal(a.body)
	}
	checkpoint := must[[]byte](t)(w.ledger.Checkpoint(t.Context()))
	w.clock.step(41 * 24 * time.Hour)
	if n := retain(); n != 0 {
		t.Errorf("%d entries went although nothing came since: the clock alone says nothing", n)
	}
	w.ask(payment{callbackID: "new", requestID: "new", amount: 5}.check(t))
	w.clock.jump(24 * time.Hour)
	if n := retain(); n != 0 {
		t.Errorf("%d entries went while the clock was in doubt", n)
	}
	w.clock.jump(-24 * time.Hour)
	w.clock.step(2 * time.Minute)
	w.ask(payment{callbackID: "newer", requestID: "newer", amount: 5}.check(t))
	w.clock.step(2 * time.Minute)
	w.ask(payment{callbackID: "newest", requestID: "newest", amount: 5}.check(t))
	if n := retain(); n != 1 {
		t.Errorf("%d entries went, want the old one", n)
	}
	if a := w.send("/check", string(oldBody), header); a.status != http.StatusBadRequest || !strings.Contains(a.body, "expired") {
		t.Errorf("the old request again: HTTP %d %s", a.status, a.body)
	}
	other, otherSignature, err := wire.SealCheck(w.nodeKey, payment{callbackID: "old", requestID: "old", amount: 6}.check(t))
	ok(t, err)
	if a := w.send("/check", string(other), http.Header{"Signature": {otherSignature}}); a.status != http.StatusBadRequest || !strings.Contains(a.body, "conflict") && !strings.Contains(a.body, "expired") {
		t.Errorf("another body under the old id: HTTP %d %s", a.status, a.body)
	}
	report, err := w.ledger.Verify(t.Context(), checkpoint)
	ok(t, err)
	if !report.OK() {
		t.Errorf("the log does not verify any more: %v", report.Problems)
	}
	if got := w.decision1("callback_id=new"); got.Action != "Approve" {
		t.Error("what is new went")
	}
	if text := metricsText(w); !strings.Contains(text, "countersign_callback_log_pruned_entries_total 1") || !strings.Contains(text, "countersign_callback_log_retention_timestamp_seconds") {
		t.Error("metrics do not show it")
	}
}

// TestPruneByOperator: by hand too, and never what an approval may still need.
func TestPruneByOperator(t *testing.T) {
	w := newWorld(t, options{})
	w.ask(payment{callbackID: "old", requestID: "old", amount: 5}.check(t))
	prune := func(before time.Time) answer {
		body := must[[]byte](t)(json.Marshal(callback.PruneRequest{Before: before}))
		return w.adminCall(http.MethodPost, "/admin/v1/log/prune", string(body))
	}
	for name, before := range map[string]time.Time{"now": w.clock.Now(), "30 days": w.clock.Now().Add(-30 * 24 * time.Hour), "never": {}} {
		if a := prune(before); a.status != http.StatusBadRequest {
			t.Errorf("%s: HTTP %d %s", name, a.status, a.body)
		}
	}
	w.clock.step(40 * 24 * time.Hour)
	if a := prune(w.clock.Now().Add(-callback.MinRetention)); a.status != http.StatusOK || !strings.Contains(a.body, `"removed":1`) {
		t.Errorf("HTTP %d %s", a.status, a.body)
	}
	if got := w.decisions(""); len(got) != 0 {
		t.Errorf("%d decisions are left", len(got))
	}
	w.clock.jump(24 * time.Hour)
	if a := prune(w.clock.Now().Add(-callback.MinRetention)); a.status != http.StatusConflict {
		t.Errorf("with a clock in doubt: HTTP %d %s", a.status, a.body)
	}
}
