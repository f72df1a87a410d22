package callback_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// expecting is a store that notes which updates come unannounced, and what stays announced.
type expecting struct {
	ledger.Store
	coming, announced, most atomic.Int64
}

// Expect implements ledger.Expecter.
func (s *expecting) Expect(more int) {
	s.most.Store(max(s.most.Load(), s.coming.Add(int64(more))))
	s.announced.Add(int64(max(0, more)))
}

// Update implements ledger.Store.
func (s *expecting) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	if n := s.coming.Load(); n != 0 {
		return context.DeadlineExceeded // it would wait for itself
	}
	return s.Store.Update(ctx, fn)
}

// TestExpected: the store hears of each request before it is decided, no more of it once it is, and nothing stays behind of one
// that is refused or answered again.
func TestExpected(t *testing.T) {
	store := &expecting{}
	w := newWorld(t, options{wrap: func(s ledger.Store) ledger.Store { store.Store = s; return store }})
	body, signature, err := wire.SealCheck(w.nodeKey, payment{callbackID: "cb-1", requestID: "r-1", amount: 5}.check(t))
	ok(t, err)
	for i, request := range []struct {
		path, signature string
		taken           bool
	}{
		{"/v1/check", signature, true},
		{"/v1/check", signature, true}, // again
		{"/v1/check", "00" + signature, false},
		{"/v1/outcome", signature, false},
	} {
		a := w.send(request.path, string(body), http.Header{"Signature": {request.signature}})
		if request.taken != (a.status == http.StatusOK) {
			t.Errorf("request %d: HTTP %d, taken is to be %v: %s", i, a.status, request.taken, a.body)
		}
		if got, left := store.announced.Load(), store.coming.Load(); got != int64(i+1) || left != 0 {
			t.Errorf("after request %d, %d were announced and %d are on their way", i, got, left)
		}
	}
	if got := store.most.Load(); got != 1 {
		t.Errorf("up to %d were on their way at once, want 1", got)
	}
}
