package callback_test

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/ledger/memstore"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// BenchmarkDecision is one full decision: verify, parse, decode rawTx, evaluate the shipped policy, record durably, sign.
func BenchmarkDecision(b *testing.B) { benchmarkDecision(b, options{}) }

// BenchmarkDecisionInMemory is the same over a store in memory: what the server itself does, with the ledger.
func BenchmarkDecisionInMemory(b *testing.B) { benchmarkDecision(b, options{store: memstore.New()}) }

func benchmarkDecision(b *testing.B, o options) {
	w := newWorld(b, o)
	handler := w.server.Handler()
	type request struct{ body, signature string }
	requests := make([]request, b.N)
	for i := range requests {
		c := payment{callbackID: fmt.Sprintf("cb-%d", i), requestID: "r-1", amount: 500, nonce: int64(i)}.check(b)
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

// BenchmarkNewCase is what comes between an opened request and its judgement: rawTx decoded, compared with the claim and
// described, digests, intent and charges. transfer are tokens as make bench sends them, each to another of 1000 recipients;
// coins are the inputs of a Bitcoin payment, whose key is derived.
func BenchmarkNewCase(b *testing.B) {
	transfers, coins := make([]*wire.Check, 1000), make([]*wire.Check, 3)
	for i := range transfers {
		to := fmt.Sprintf("0x%08x%032x", uint32(i)*2654435761, i)
		transfers[i] = payment{callbackID: fmt.Sprint("cb-", i), requestID: fmt.Sprint("r-", i), amount: 500, nonce: int64(i), to: to}.check(b)
	}
	for i := range coins {
		s := three("")
		s.input = i
		coins[i] = s.check(fmt.Sprint("cb-", i))
	}
	e := caseLive().Engine()
	known := must[*callback.Keys](b)(callback.NewKeys([]callback.Key{{PublicKey: fromHex(rootKey), ChainCode: chainCode}}))
	for name, list := range map[string][]*wire.Check{"transfer": transfers, "coins": coins} {
		parsed := make([]*wire.Parsed, len(list))
		for i, c := range list {
			parsed[i] = must[*wire.Parsed](b)(wire.ParseCheck(wire.PathCheck, must[[]byte](b)(c.Marshal())))
		}
		keys := map[string]*callback.Keys{"coins": known}[name]
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c, err := callback.NewCase(e, parsed[i%len(parsed)], keys)
				if err != nil || c.Input.Evidence.Status != policy.EvidenceVerified {
					b.Fatal(c.Input.Evidence, err)
				}
			}
		})
	}
}
