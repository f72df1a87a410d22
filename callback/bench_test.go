package callback_test

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/wire"
)

// BenchmarkDecision is one full decision: verify, parse, decode rawTx, evaluate the shipped policy, record durably, sign.
func BenchmarkDecision(b *testing.B) {
	w := newWorld(b, options{})
	handler := w.server.Handler()
	type request struct{ body, signature string }
	requests := make([]request, b.N)
	for i := range requests {
		c := payment{callbackID: fmt.Sprintf("cb-%d", i), requestID: "r-1", amount: 500}.check(b)
		body := must[[]byte](b)(c.Marshal())
		requests[i] = request{string(body), hex.EncodeToString(must[[]byte](b)(wire.SignP256(w.nodeKey, body)))}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, q := range requests {
		r := httptest.NewRequest(http.MethodPost, "/v1/check", strings.NewReader(q.body))
		r.Header.Set("Signature", q.signature)
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		if rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), "Approve") {
			b.Fatalf("HTTP %d %s", rec.Code, rec.Body)
		}
	}
}
