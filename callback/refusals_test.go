package callback_test

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/wire"
)

const keygenBody = `{"callback_id":"cb-k","request_type":"keygen","request_detail":{"t":3,"n":3,"cryptography":"ecdsa-secp256k1","party_ids":["x"]},"extra_info":{}}`

// TestRefusals: what is not authentic or cannot be read in one way gets an error of the protocol, and nothing is decided.
func TestRefusals(t *testing.T) {
	w := newWorld(t, options{})
	signed := func(body string) http.Header {
		return http.Header{"Signature": {hex.EncodeToString(must[[]byte](t)(wire.SignP256(w.nodeKey, []byte(body))))}}
	}
	stranger := hex.EncodeToString(must[[]byte](t)(wire.SignP256(newKey(t), []byte(keygenBody))))
	good := signed(keygenBody).Get("Signature")
	for _, tc := range []struct {
		name, path, body string
		header           http.Header
		status           int
		wireStatus, says string
	}{
		{"no signature", "/v1/check", keygenBody, nil, 400, "400", "Signature header is missing"},
		{"two signatures that differ", "/v1/check", keygenBody, http.Header{"Signature": {good}, "Sigature": {stranger}}, 400, "400", "differ"},
		{"signature that is not hex", "/v1/check", keygenBody, http.Header{"Signature": {"zz"}}, 400, "400", "hex"},
		{"signature of a stranger", "/v1/check", keygenBody, http.Header{"Signature": {stranger}}, 400, "400", "no configured key"},
		{"signature of another body", "/v1/check", keygenBody, signed(keygenBody + " "), 400, "400", "no configured key"},
		{"duplicate key", "/v1/check", `{"callback_id":"a","callback_id":"b","request_type":"keygen","request_detail":{},"extra_info":{}}`, nil, 400, "400", "callback_id"},
		{"case variant of a key", "/v1/check", `{"Callback_id":"a","request_type":"keygen","request_detail":{},"extra_info":{}}`, nil, 400, "400", "callback_id"},
		{"case variant in tx_info", "/v1/check", `{"callback_id":"a","request_type":"sign","request_detail":{"tx_info":{"Amount":"1"}},"extra_info":{}}`, nil, 400, "400", "amount"},
		{"trailing bytes", "/v1/check", keygenBody + `{}`, nil, 400, "400", "follow"},
		{"invalid UTF-8", "/v1/check", strings.Replace(keygenBody, `"x"`, "\"\xff\"", 1), nil, 400, "400", "UTF-8"},
		{"no JSON", "/v1/check", `hello`, nil, 400, "400", "parse"},
		{"too deep", "/v1/check", `{"a":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `}`, nil, 400, "400", "deep"},
		{"outcome at /check", "/v1/check", strings.Replace(keygenBody, "keygen", "outcome", 1), nil, 400, "400", "/outcome"},
		{"check at /rawdata_signature", "/v1/rawdata_signature", keygenBody, nil, 400, "400", "request_type"},
		{"check at /outcome", "/outcome", keygenBody, nil, 400, "400", "outcome"},
		{"over the limit", "/v1/check", `{"callback_id":"` + strings.Repeat("a", callback.DefaultBodyLimit) + `"}`, nil, 413, "413", "limit"},
		{"no such endpoint", "/v2/check", keygenBody, nil, 404, "404", "/v1/check"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.header == nil && !strings.HasPrefix(tc.name, "no signature") {
				tc.header = signed(tc.body)
			}
			a := w.send(tc.path, tc.body, tc.header)
			var reply wire.Response
			ok(t, json.Unmarshal([]byte(a.body), &reply))
			if a.status != tc.status || reply.Status != tc.wireStatus || reply.Data != nil || reply.Signature != "" {
				t.Errorf("got HTTP %d %s, want %d without data and signature", a.status, a.body, tc.status)
			}
			if !strings.Contains(reply.Error, tc.says) {
				t.Errorf("the error %q does not say %q", reply.Error, tc.says)
			}
		})
	}
	if page := w.decisions(""); len(page) != 0 {
		t.Errorf("%d decisions were recorded", len(page))
	}
	r := must[*http.Request](t)(http.NewRequest(http.MethodGet, w.api+"/v1/check", nil))
	if a := do(t, r); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != http.MethodPost {
		t.Errorf("GET: HTTP %d, Allow %q", a.status, a.header.Get("Allow"))
	}
}

// TestLimitComesFirst: a body over the limit is refused before its signature is looked at, also when its length is not
// told beforehand.
func TestLimitComesFirst(t *testing.T) {
	w := newWorld(t, options{cfg: func(c *callback.Config) { c.BodyLimit = 100 }})
	body := strings.Repeat("x", 101)
	r := must[*http.Request](t)(http.NewRequest(http.MethodPost, w.api+"/check", http.NoBody))
	r.Body, r.ContentLength = readCloser{strings.NewReader(body)}, -1
	if a := do(t, r); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("chunked: HTTP %d %s", a.status, a.body)
	}
	if a := w.send("/check", body, nil); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("with a length: HTTP %d %s", a.status, a.body)
	}
	if a := w.send("/check", body[:100], nil); a.status != http.StatusBadRequest || !strings.Contains(a.body, "signature") {
		t.Errorf("at the limit: HTTP %d %s", a.status, a.body)
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

func TestRateLimit(t *testing.T) {
	w := newWorld(t, options{cfg: func(c *callback.Config) { c.RateLimit = 2 }})
	send := func() int { return w.send("/check", "{}", nil).status }
	for i := range 4 {
		if got := send(); got != http.StatusBadRequest {
			t.Fatalf("request %d of the burst: HTTP %d", i+1, got)
		}
	}
	a := w.send("/check", "{}", nil)
	if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" || !strings.Contains(a.body, `"status":"429"`) {
		t.Fatalf("beyond the burst: HTTP %d %s", a.status, a.body)
	}
	w.clock.step(500 * time.Millisecond)
	if got := send(); got != http.StatusBadRequest {
		t.Fatalf("after half a second: HTTP %d", got)
	}
	if got := send(); got != http.StatusTooManyRequests {
		t.Fatalf("twice after half a second: HTTP %d", got)
	}
}

// TestJudgedAndRejected: a body that is authentic and well formed gets a signed, recorded Reject for what the server will
// not judge.
func TestJudgedAndRejected(t *testing.T) {
	w := newWorld(t, options{})
	transfer := func(change func(*wire.Check)) *wire.Check {
		c := payment{callbackID: "", requestID: "r", amount: 5}.check(t)
		change(c)
		return c
	}
	for i, tc := range []struct {
		name  string
		check *wire.Check
		says  string
	}{
		{"unknown request_type", transfer(func(c *wire.Check) { c.RequestType = "mint" }), "request.type: "},
		{"refresh, which the data does not allow", transfer(func(c *wire.Check) { c.RequestType = "refresh" }), "request.type: "},
		{"unknown sign_type", transfer(func(c *wire.Check) { c.RequestDetail.SignType = "9" }), "sign_type"},
		{"amount that is no string", transfer(func(c *wire.Check) { c.RequestDetail.TxInfo = []byte(`{"amount":5}`) }), "request.malformed: /request_detail/tx_info/amount"},
		{"unknown field", transfer(func(c *wire.Check) { c.RequestDetail.TxInfo = []byte(`{"gift":1}`) }), "request.unknown_field: "},
		{"requester that is no key id", transfer(func(c *wire.Check) {
			c.RequestDetail.TxInfo = []byte(`{"requester":{"key_id":"boss"}}`)
		}), "request.malformed: /request_detail/tx_info/requester/key_id"},
		{"name that is too long", transfer(func(c *wire.Check) { c.ExtraInfo.SinoID = strings.Repeat("s", 5000) }), "request.malformed: /extra_info/sino_id"},
		{"message that is no digest", transfer(func(c *wire.Check) {
			c.RequestDetail.Message, c.RequestDetail.TxInfo = "abc", []byte(`{"chainSymbol":"ETH","assetId":"USDT_ETH","to":"`+recipient+`","amount":"5","gasPrice":"1","gasLimit":"1"}`)
		}), "request.malformed: "},
		{"raw data, which is off", transfer(func(c *wire.Check) { c.RequestDetail.SignType, c.RequestDetail.TxInfo = "3", nil }), "raw.key: "},
		{"digest without a transaction", transfer(func(c *wire.Check) { c.RequestDetail.TxInfo = nil }), "raw.key: "},
		{"gas price that is no number", transfer(func(c *wire.Check) {
			c.RequestDetail.TxInfo = []byte(`{"chainSymbol":"ETH","assetId":"USDT_ETH","to":"` + recipient + `","amount":"5","gasPrice":"1.5"}`)
		}), "tx.invalid: gasPrice"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.check.CallbackID = "cb-" + string(rune('a'+i))
			d, _ := w.ask(tc.check)
			want(t, d, wire.Reject, tc.says)
			if got := w.decisions("callback_id=" + tc.check.CallbackID); len(got) != 1 || got[0].Action != "Reject" {
				t.Errorf("recorded are %+v", got)
			}
		})
	}
}

// TestNoCallbackID: a body without a callback_id is answered and recorded like any other that cannot be judged.
func TestNoCallbackID(t *testing.T) {
	w := newWorld(t, options{})
	for _, body := range []string{
		`{"request_type":"keygen","request_detail":{},"extra_info":{"sino_id":"one"}}`, `{"request_type":"keygen","request_detail":{},"extra_info":{"sino_id":"two"}}`,
	} {
		a := w.post(w.nodeKey, "/check", body)
		var reply wire.Response
		ok(t, json.Unmarshal([]byte(a.body), &reply))
		if a.status != 200 || reply.Data == nil || reply.Data.Action != wire.Reject || reply.Signature == "" || !strings.Contains(reply.Error, "callback_id") {
			t.Errorf("HTTP %d %s", a.status, a.body)
		}
		if again := w.post(w.nodeKey, "/check", body); again.body != a.body {
			t.Errorf("again: %s", again.body)
		}
	}
	if got := w.decisions(""); len(got) != 2 || !strings.HasPrefix(got[0].CallbackID, "sha256:") {
		t.Errorf("recorded are %+v", got)
	}
}

func TestConfigIsChecked(t *testing.T) {
	reply, other, node, third := newKey(t), newKey(t), newKey(t), newKey(t)
	n := func(name string, node, reply bool) callback.Node {
		out := callback.Node{Name: name}
		if node {
			out.PublicKey = &newKey(t).PublicKey
		}
		if reply {
			out.ReplyKey = newKey(t)
		}
		return out
	}
	nine := make([]callback.Node, 9)
	for i := range nine {
		nine[i] = n(string(rune('a'+i)), true, true)
	}
	for _, tc := range []struct {
		name  string
		nodes []callback.Node
		says  string
	}{
		{"none", nil, ""},
		{"eight", nine[:8], ""},
		{"nine", nine, "at most 8"},
		{"no name", []callback.Node{n("", true, true)}, "needs a name"},
		{"no key", []callback.Node{n("a", false, true), n("b", true, true)}, "node a has no P-256 public key"},
		{"no reply key", []callback.Node{n("a", true, false), n("b", true, true)}, "node a has no P-256 reply key"},
		{"shared name", []callback.Node{n("a", true, true), n("a", true, true)}, "two nodes are called a"},
		{"shared reply key", []callback.Node{{Name: "a", PublicKey: &node.PublicKey, ReplyKey: reply}, {Name: "b", PublicKey: &third.PublicKey, ReplyKey: reply}}, "share a reply key"},
		{"shared key", []callback.Node{{Name: "a", PublicKey: &node.PublicKey, ReplyKey: reply}, {Name: "b", PublicKey: &node.PublicKey, ReplyKey: other}}, "same public key"},
		{"own key as reply key", []callback.Node{{Name: "a", PublicKey: &reply.PublicKey, ReplyKey: reply}}, "its reply key is its own key"},
		{"another's key as reply key", []callback.Node{{Name: "a", PublicKey: &node.PublicKey, ReplyKey: reply}, {Name: "b", PublicKey: &third.PublicKey, ReplyKey: node}}, "the key of the other"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := callback.CheckNodes(tc.nodes)
			if tc.says == "" && err != nil || tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)) {
				t.Errorf("got %v, want %q", err, tc.says)
			}
		})
	}
	_, err := callback.New(callback.Config{BodyLimit: -1, ActionStyle: "loud"})
	for _, says := range []string{"ledger", "policy", "result key", "admin token", "body limit", "action-style"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("the error does not name the %s: %v", says, err)
		}
	}
}
