package callback_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// gated is a store that writes only while its gate is open.
type gated struct {
	ledger.Store
	waits chan struct{} // gets one for each write that waits
	gate  chan struct{} // closed: open
}

func (s *gated) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	select {
	case <-s.gate:
	default:
		s.waits <- struct{}{}
		<-s.gate
	}
	return s.Store.Update(ctx, fn)
}

// TestOverload: what is beyond the limit is turned away whole, and everything else is decided once.
func TestOverload(t *testing.T) {
	const places = 3
	store := &gated{waits: make(chan struct{}, 100), gate: make(chan struct{})}
	close(store.gate)
	w := newWorld(t, options{
		wrap: func(s ledger.Store) ledger.Store { store.Store = s; return store },
		cfg:  func(c *callback.Config) { c.MaxConcurrent = places },
	})
	store.gate = make(chan struct{})
	request := func(i int) (string, http.Header) {
		body, signature, err := wire.SealCheck(w.nodeKey, payment{callbackID: fmt.Sprintf("cb-%d", i), requestID: fmt.Sprintf("r-%d", i), amount: 5}.check(t))
		ok(t, err)
		return string(body), http.Header{"Signature": {signature}}
	}
	var wg sync.WaitGroup
	answers := make([]answer, places)
	for i := range places {
		body, header := request(i)
		wg.Go(func() { answers[i] = w.send("/check", body, header) })
	}
	for range places {
		<-store.waits
	}
	body, header := request(places)
	a := w.send("/v1/check", body, header)
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || strings.Contains(a.body, "action") || strings.Contains(a.body, "signature") {
		t.Errorf("over the limit: HTTP %d, Retry-After %q, %s", a.status, a.header.Get("Retry-After"), a.body)
	}
	if text := metricsText(w); !strings.Contains(text, "countersign_callback_shed_total 1") || !strings.Contains(text, "countersign_callback_requests_in_progress 3") {
		t.Errorf("metrics do not show it:\n%s", text)
	}
	if ready := open(w, "/livez"); ready.status != http.StatusOK {
		t.Errorf("a busy server is taken for dead: HTTP %d", ready.status)
	}
	close(store.gate)
	wg.Wait()
	for i, a := range answers {
		if a.status != http.StatusOK || !strings.Contains(a.body, "Approve") {
			t.Errorf("request %d: HTTP %d %s", i, a.status, a.body)
		}
	}
	if got := w.decisions(fmt.Sprintf("callback_id=cb-%d", places)); len(got) != 0 {
		t.Errorf("a request was turned away and decided: %+v", got)
	}
	if a := w.send("/v1/check", body, header); a.status != http.StatusOK || !strings.Contains(a.body, "Approve") {
		t.Errorf("asked again: HTTP %d %s", a.status, a.body)
	}
	if got := w.decisions(""); len(got) != places+1 {
		t.Errorf("%d decisions, want %d", len(got), places+1)
	}
}

// metricsText is what Prometheus would read.
func metricsText(w *world) string {
	w.t.Helper()
	return open(w, "/metrics").body
}
