package callback_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/memstore"
	"github.com/countersign-mpc/countersign/wire"
)

// stuck is a store that, once it is told to, writes only when whoever writes has no more time.
type stuck struct {
	ledger.Store
	waits chan context.Context // nil: it does not wait
	late  error                // what came of writing then
}

func (s *stuck) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	if s.waits == nil {
		return s.Store.Update(ctx, fn)
	}
	s.waits <- ctx
	<-ctx.Done()
	s.late = s.Store.Update(context.WithoutCancel(ctx), fn)
	return s.late
}

// stuckWorld is a world over such a store, and what sends it one and the same request. Within is nil for a store in a file.
func stuckWorld(t *testing.T, within ledger.Store) (*stuck, func(context.Context) *httptest.ResponseRecorder) {
	t.Helper()
	store := &stuck{}
	w := newWorld(t, options{store: within, wrap: func(s ledger.Store) ledger.Store { store.Store = s; return store }})
	body, signature, err := wire.SealCheck(w.nodeKey, payment{callbackID: "cb", requestID: "r", amount: 5}.check(t))
	ok(t, err)
	return store, func(ctx context.Context) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/check", strings.NewReader(string(body)))
		r.Header.Set("Signature", signature)
		rec := httptest.NewRecorder()
		w.server.Handler().ServeHTTP(rec, r)
		return rec
	}
}

// TestDecisionEndsInTime: a store knows by when a decision has to end, is told when nobody waits for it any more, and then nothing
// was decided.
func TestDecisionEndsInTime(t *testing.T) {
	store, send := stuckWorld(t, nil)
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

// TestPolicyEndsInTime: a policy does not judge when a decision's time is over, also where the store would still write and the node
// still waits.
func TestPolicyEndsInTime(t *testing.T) {
	store, send := stuckWorld(t, memstore.New())
	synctest.Test(t, func(t *testing.T) {
		store.waits = make(chan context.Context, 1)
		began := time.Now()
		rec := send(context.Background())
		if took := time.Since(began); rec.Code != http.StatusServiceUnavailable || took != 20*time.Second {
			t.Errorf("after %v: HTTP %d %s", took, rec.Code, rec.Body)
		}
		if !errors.Is(store.late, context.DeadlineExceeded) || !strings.Contains(store.late.Error(), "evaluate policy") {
			t.Errorf("the policy itself was not bounded: %v", store.late)
		}
	})
	store.waits = nil
	if rec := send(context.Background()); rec.Code != http.StatusOK {
		t.Errorf("asked again: HTTP %d %s", rec.Code, rec.Body)
	}
}
