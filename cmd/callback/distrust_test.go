package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/countersign-mpc/countersign/bolt/ledgerstore"
	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/rego"
	"github.com/countersign-mpc/countersign/wire"
)

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](t testing.TB) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		ok(t, err)
		return v
	}
}

const approvalRequest = `{"callback_id":"cb-1","request_type":"sign","request_detail":{"sign_type":"1","public_key":"0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798","path":"m/0","message":"2222222222222222222222222222222222222222222222222222222222222222","tx_info":{"requestId":"r-large","chainSymbol":"ETH","assetId":"USDT_ETH","to":"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed","amount":"20000000000","gasPrice":"21000000000","gasLimit":"65000","requester":{"key_id":"REQUESTER","signature":"00"}}},"extra_info":{}}`

const approvalData = `{"format": "countersign/policy-data/v1", "request_types": ["sign"],
  "chains": {"ETH": {"family": "evm", "chain_id": 1, "amount_unit": "base", "assets": {
    "USDT_ETH": {"kind": "erc20", "contract": "0xdAC17F958D2ee523a2206206994597C13D831ec7", "decimals": 6}}}},
  "gas": {"ETH": {"max_gas_price_wei": "1000000000000", "max_gas_limit": "10000000"}},
  "limits": {"ETH": {"USDT_ETH": [{"max": "100000", "approvals": [{"above": "10000", "group": "treasury", "threshold": 1, "expiry_seconds": 3600}]}]}},
  "addresses": {"ETH": {"allow_any": true}},
  "evidence": {"unverifiable": {"ETH": {"codes": ["no-raw-tx"], "any_requester": true}}},
  "approvers": {"alice": {"public_key": "ALICE"}}, "groups": {"treasury": {"members": ["alice"]}}}`

// lying is a server with one approval that waits, behind a proxy that changes what it shows.
type lying struct {
	dir, id   string
	requester string // key id of who asked
	proxy     *httptest.Server
	old       string // what the proxy changes in an answer, byte for byte: order has meaning in it
	new       string
	votes     atomic.Int32 // handed in
}

func newLying(t *testing.T) *lying {
	t.Helper()
	l := &lying{dir: t.TempDir()}
	keys := map[string]keyFiles{}
	for _, name := range []string{"node", "reply", "alice", "requester"} {
		keys[name] = must[keyFiles](t)(generateKey(l.dir, name, algorithmP256))
	}
	data := filepath.Join(l.dir, "data.json")
	ok(t, os.WriteFile(data, []byte(strings.Replace(approvalData, "ALICE", keys["alice"].PublicKey, 1)), 0o600))
	live := must[*policy.Live](t)(policy.NewLive(t.Context(), policy.LiveConfig{
		Read: func() (*policy.Source, error) { return policy.Load(rego.FS(), data) }, Engine: policy.Config{Timeout: 30e9},
	}))
	store := must[*ledgerstore.Store](t)(ledgerstore.Open(ledgerstore.Config{Path: filepath.Join(l.dir, "callback.db")}))
	t.Cleanup(func() { ok(t, store.Close()) })
	book := must[*ledger.Ledger](t)(ledger.New(t.Context(), ledger.Config{Store: store, Origin: "test/callback"}))
	node, reply := must[*ecdsa.PrivateKey](t)(wire.LoadPrivateKey(keys["node"].Private)), must[*ecdsa.PrivateKey](t)(wire.LoadPrivateKey(keys["reply"].Private))
	token := must[secret.Bytes](t)(openToken(filepath.Join(l.dir, "admin.token")))
	s := must[*callback.Server](t)(callback.New(callback.Config{
		ResultKey: must[*callback.ResultKey](t)(callback.ParseResultKey(callback.GenerateResultKey())),
		Log:       slog.New(slog.DiscardHandler), Ledger: book, Policy: live, AdminToken: token, Nodes: []callback.Node{{Name: "a", PublicKey: &node.PublicKey, ReplyKey: reply}},
	}))
	body := strings.Replace(approvalRequest, "REQUESTER", keys["requester"].KeyID, 1)
	r := httptest.NewRequest(http.MethodPost, "/v1/check", strings.NewReader(body))
	r.Header.Set("Signature", hex.EncodeToString(must[[]byte](t)(wire.SignP256(node, []byte(body)))))
	rec := httptest.NewRecorder()
	s.Handler().ServeHTTP(rec, r)
	waiting := must[[]ledger.Approval](t)(book.Approvals(t.Context(), false))
	if len(waiting) != 1 {
		t.Fatalf("%d approvals wait: %s", len(waiting), rec.Body)
	}
	l.id, l.requester = waiting[0].ID, waiting[0].Requester
	l.serve(t, s)
	return l
}

// serve puts the proxy in front of a server.
func (l *lying) serve(t *testing.T, s *callback.Server) {
	t.Helper()
	honest := httptest.NewServer(s.Admin())
	t.Cleanup(honest.Close)
	proxy := httputil.NewSingleHostReverseProxy(must[*url.URL](t)(url.Parse(honest.URL)))
	proxy.ModifyResponse = func(r *http.Response) error {
		if r.Request.Method == http.MethodPost {
			l.votes.Add(1)
			return nil
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		if !bytes.Contains(body, []byte(l.old)) {
			return fmt.Errorf("the answer has no %s: %s", l.old, body)
		}
		body = bytes.Replace(body, []byte(l.old), []byte(l.new), 1)
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
		return nil
	}
	l.proxy = httptest.NewServer(proxy)
	t.Cleanup(l.proxy.Close)
}

// approve runs the command as alice would.
func (l *lying) approve(ctx context.Context) (code int, out string) {
	var text bytes.Buffer
	code = run(ctx, []string{"approve", l.id, "--key", filepath.Join(l.dir, "alice.pem"), "--server", l.proxy.URL, "--token-file", filepath.Join(l.dir, "admin.token")},
		streams{strings.NewReader(""), &text, &text})
	return code, text.String()
}

// TestApproverDistrustsTheServer: whatever a server that was taken over shows instead of the truth, the approver signs
// nothing, or signs what counts for nothing.
func TestApproverDistrustsTheServer(t *testing.T) {
	l := newLying(t)
	twos, threes := strings.Repeat("22", 32), strings.Repeat("33", 32)
	for name, lie := range map[string][2]string{
		"another amount":    {`"amount":"20000000000","gasPrice"`, `"amount":"1","gasPrice"`},
		"another recipient": {`"to":"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed","amount"`, `"to":"0x742d35Cc6634C0532925a3b844Bc454e4438f44e","amount"`},
		"another path":      {`"path":"m/0"`, `"path":"m/1"`},
		"another message":   {`"message":"` + twos, `"message":"` + threes},
		"another requester": {`"requester":{"key_id":"` + l.requester + `","signature"`, `"requester":{"key_id":"` + twos + `","signature"`},
		"another intent":    {`"intent_hash":"`, `"intent_hash":"` + twos + `","x":"`},
		"another digest":    {`"digests":["` + twos, `"digests":["` + threes},
		"one digest more":   {`"digests":["`, `"digests":["` + threes + `","`},
		"another approval":  {`"id":"` + l.id, `"id":"` + l.id[1:] + "0"},
		"no request":        {`"request":{`, `"request":{},"x":{`},
		"no requester":      {`"requester":"` + l.requester, `"requester":"`},
	} {
		l.old, l.new = lie[0], lie[1]
		code, out := l.approve(t.Context())
		if code != exitRefused || !strings.Contains(out, "nothing was signed") {
			t.Errorf("%s: code %d\n%s", name, code, out)
		}
	}
	if n := l.votes.Load(); n != 0 {
		t.Fatalf("%d votes were handed in", n)
	}
	// What the approver cannot compute is under its signature, so that another threshold than the real one counts for nothing.
	l.old, l.new = `"lifetime_seconds":3600`, `"lifetime_seconds":1`
	if code, out := l.approve(t.Context()); code != exitRefused || !strings.Contains(out, "does not verify") {
		t.Errorf("another requirement: code %d\n%s", code, out)
	}
	l.old, l.new = "", ""
	if code, out := l.approve(t.Context()); code != exitOK || !strings.Contains(out, "state approved") {
		t.Errorf("the truth: code %d\n%s", code, out)
	}
}
