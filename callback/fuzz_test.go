package callback_test

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// FuzzCheck sends signed bodies of any content through the whole server: every one gets an error of the protocol or a
// signed decision that counts at a node, nothing that is not understood is approved, and the same again gets the same.
func FuzzCheck(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.Body)
	}
	f.Add(string(must[[]byte](f)(payment{callbackID: "cb-1", requestID: "r-1", amount: 500}.check(f).Marshal())))
	f.Add(string(must[[]byte](f)(large("cb-2", strings.Repeat("ab", 32)).check(f).Marshal())))
	f.Add(string(must[[]byte](f)(three("").check("cb-3").Marshal())))
	f.Add(string(must[[]byte](f)(inscription("1000").check("cb-4").Marshal())))
	f.Add(string(must[[]byte](f)(report("cb-1", "hello", hex.EncodeToString(signMessage("hello"))).Marshal())))
	f.Add(`{"callback_id":"x","request_type":"sign","request_detail":"{\"sign_type\":\"2\",\"message\":\"0x00\"}","extra_info":"{}"}`)
	f.Add(`{"callback_id":"","request_type":"outcome","request_detail":{"message":"signed","signature":"00"},"extra_info":{}}`)
	w := newWorld(f, options{})
	handler := w.server.Handler()
	f.Fuzz(func(t *testing.T, body string) {
		signature := hex.EncodeToString(must[[]byte](t)(wire.SignP256(w.nodeKey, []byte(body))))
		for _, path := range []wire.Path{wire.PathCheck, wire.PathRawdata, wire.PathOutcome} {
			send := func() answer {
				r := httptest.NewRequest(http.MethodPost, string(path), strings.NewReader(body))
				r.Header.Set("Signature", signature)
				rec := httptest.NewRecorder()
				handler.ServeHTTP(rec, r)
				return answer{rec.Code, rec.Body.String(), rec.Header()}
			}
			first, second := send(), send()
			if first.status != second.status || first.body != second.body {
				t.Fatalf("%s: twice the same body: %s, then %s", path, first.body, second.body)
			}
			checkAnswer(t, w, path, body, first)
		}
	})
}

func checkAnswer(t *testing.T, w *world, path wire.Path, body string, a answer) {
	t.Helper()
	var reply wire.Response
	ok(t, json.Unmarshal([]byte(a.body), &reply))
	if a.status != http.StatusOK {
		if a.status != http.StatusBadRequest || reply.Data != nil || reply.Signature != "" {
			t.Fatalf("%s: HTTP %d %s", path, a.status, a.body)
		}
		return
	}
	p, err := wire.ParseCheck(path, []byte(body))
	if err != nil {
		t.Fatalf("%s: decided about what does not parse (%v): %s", path, err, a.body)
	}
	if p.Check.CallbackID == "" {
		if reply.Data.Action != wire.Reject {
			t.Fatalf("%s: no callback_id and %s", path, a.body)
		}
		return
	}
	d, err := wire.OpenReply(a.status, []byte(a.body), &w.replyKey.PublicKey, p.Check.Asked())
	if err != nil {
		t.Fatalf("%s: the reply does not count: %v", path, err)
	}
	if d.Action != wire.Approve && reply.Error == "" {
		t.Errorf("%s: no reason is given: %s", path, a.body)
	}
	if d.Action == wire.Approve && (len(p.Problems) > 0 || len(p.UnknownFields) > 0) {
		t.Errorf("%s: approved although it has problems: %s", path, body)
	}
}

// FuzzSignatureHeader: no signature but the node's opens anything.
func FuzzSignatureHeader(f *testing.F) {
	w := newWorld(f, options{})
	handler := w.server.Handler()
	f.Add("", "")
	f.Add("00", "00")
	f.Add("3006020100020100", "")
	f.Add(vectors(f)[0].Signature, "")
	f.Fuzz(func(t *testing.T, one, two string) {
		r := httptest.NewRequest(http.MethodPost, "/check", strings.NewReader(keygenBody))
		r.Header["Signature"], r.Header["Sigature"] = []string{one}, []string{two}
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		if rec.Code != http.StatusBadRequest {
			t.Fatalf("HTTP %d %s", rec.Code, rec.Body)
		}
	})
}

// FuzzVote: no body but a signed vote changes an approval, and none brings the server down.
func FuzzVote(f *testing.F) {
	w := newWorld(f, options{})
	w.ask(large("cb-1", strings.Repeat("ab", 32)).check(f))
	a := w.pending()
	signature := hex.EncodeToString(must[[]byte](f)(wire.SignP256(newKey(f), a.Signing.Approve)))
	f.Add(`{"approver":"alice","decision":"approve","signature":"`+signature+`"}`, a.ID)
	f.Add(`{"approver":"alice","decision":"reject","signature":""}`, a.ID)
	f.Add(`{}`, "..")
	f.Add(`[]`, strings.Repeat("0", 32))
	handler := w.server.Admin()
	f.Fuzz(func(t *testing.T, body, id string) {
		r := httptest.NewRequest(http.MethodPost, "/admin/v1/approvals/x/signatures", strings.NewReader(body))
		r.URL.Path = "/admin/v1/approvals/" + id + "/signatures"
		r.Host = "localhost"
		r.Header.Set("Authorization", "Bearer "+adminToken)
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		if rec.Code < 400 || rec.Code >= 500 {
			t.Fatalf("HTTP %d %s", rec.Code, rec.Body)
		}
		if got := must[ledger.Approval](t)(w.ledger.Approval(t.Context(), a.ID)).Votes; len(got) != 0 {
			t.Fatalf("%d votes count", len(got))
		}
	})
}

// FuzzDecisionQuery: no query brings the admin API down.
func FuzzDecisionQuery(f *testing.F) {
	w := newWorld(f, options{})
	w.ask(payment{callbackID: "cb-1", requestID: "r-1", amount: 500}.check(f))
	f.Add("callback_id=cb-1&limit=1&cursor=1")
	f.Add("request_id=%00&sino_id=x;limit=-1")
	handler := w.server.Admin()
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest(http.MethodGet, "/admin/v1/decisions", nil)
		r.URL.RawQuery = query
		r.Host = "localhost"
		r.Header.Set("Authorization", "Bearer "+adminToken)
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		if rec.Code >= 500 {
			t.Fatalf("HTTP %d %s", rec.Code, rec.Body)
		}
	})
}
