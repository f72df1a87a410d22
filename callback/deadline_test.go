package callback_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// stuck is a store that waits, once it is told to, until whoever writes has no more time.
type stuck struct {
	ledger.Store
	waits chan context.Context // nil: it does not wait
}

func (s *stuck) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	if s.waits == nil {
		return s.Store.Update(ctx, fn)
	}
	s.waits <- ctx
	<-ctx.Done()
	return ctx.Err()
}

// TestDecisionEndsInTime: a store knows by when a decision has to end, is told when nobody waits for it any more, and then nothing
// was decided.
func TestDecisionEndsInTime(t *testing.T) {
	store := &stuck{}
	w := newWorld(t, options{wrap: func(s ledger.Store) ledger.Store { store.Store = s; return store }})
	body, signature, err := wire.SealCheck(w.nodeKey, payment{callbackID: "cb", requestID: "r", amount: 5}.check(t))
	ok(t, err)
	send := func(ctx context.Context) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/check", strings.NewReader(string(body)))
		r.Header.Set("Signature", signature)
		rec := httptest.NewRecorder()
		w.server.Handler().ServeHTTP(rec, r)
		return rec
	}
	store.waits = make(chan context.Context)
	ctx, gone := context.WithCancel(context.Background())
	answered := make(chan *httptest.ResponseRecorder)
	go func() { answered <- send(ctx) }()
	waiting := <-store.waits
	if at, has := waiting.Deadline(); !has || time.Until(at) > 20*time.Second {
		t.Errorf("a decision has until %v (%v)", at, has)
	}
	gone()
	if rec := <-answered; rec.Code != http.StatusServiceUnavailable {
		t.Errorf("HTTP %d %s", rec.Code, rec.Body)
	}
	store.waits = nil
	if rec := send(context.Background()); rec.Code != http.StatusOK {
		t.Errorf("asked again: HTTP %d %s", rec.Code, rec.Body)
	}
	if waiting.Err() == nil {
		t.Error("what a decision was given goes on after it")
	}
}
