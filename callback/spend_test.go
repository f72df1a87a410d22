package callback_test

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/e2e/bitcoin"
	"github.com/countersign-mpc/countersign/ecies"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// spendingLimits are windows over USDT, BTC and messages.
func spendingLimits(data map[string]any) {
	bitcoinData(data)
	windowed(data)
	data["windows"].(map[string]any)["btc-day"] = map[string]any{
		"measure": "amount", "chain": "BTC", "asset": "BTC_BTC", "scope": []string{"key"}, "rolling_seconds": 86400, "max": "0.002",
	}
	data["evidence"].(map[string]any)["unverifiable"] = testData(windowed)["evidence"].(map[string]any)["unverifiable"]
}

var spendingLive = sync.OnceValue(func() *policy.Live { return mustGet(liveOver(spendingLimits)) })

// fromCoins is a payment out of coins of these values, which no payment of other values spends.
func fromCoins(name string, amount int64, values ...int64) spending {
	back := mustGet(bitcoin.PayThree(coinKey(), amount)).Outputs[1]
	back.Value = -amount - 3_000
	var coins []bitcoin.Coin
	for _, v := range values {
		coins = append(coins, bitcoin.Coin{Kind: bitcoin.WitnessKeyHash, Key: coinKey(), Value: v})
		back.Value += v
	}
	return spending{
		payment: mustGet(bitcoin.New(coins, []bitcoin.Output{{Address: bitcoin.Recipient, Value: amount}, back})), requestID: name,
		to: bitcoin.Recipient, amount: amount,
	}
}

// TestSpendTwice: what a coordinator may send to move the same room of a window twice.
func TestSpendTwice(t *testing.T) {
	type step struct {
		check *wire.Check
		want  wire.Action
		says  string
	}
	pay := func(id string, amount, nonce int64) *wire.Check {
		return payment{callbackID: id, requestID: "r-" + id, amount: amount, nonce: nonce}.check(t)
	}
	named := func(id, name string, amount int64, digest int) *wire.Check {
		c := payment{callbackID: id, requestID: name, amount: amount, claim: func(info map[string]any) { delete(info, "rawTx") }}.check(t)
		c.RequestDetail.Message = fmt.Sprintf("%064x", digest)
		return c
	}
	for name, steps := range map[string][]step{
		"another nonce": {
			{pay("cb-1", 6_000, 1), wire.Approve, ""},
			{pay("cb-2", 6_000, 2), wire.Reject, "window.max: window usdt-day"},
			{pay("cb-3", 6_000, 1), wire.Approve, ""}, // the same one again counts once
		},
		"disjoint inputs": {
			{fromCoins("p-1", 150_000, 120_000, 100_000).check("cb-1"), wire.Approve, ""},
			{fromCoins("p-2", 150_000, 130_000, 90_000).check("cb-2"), wire.Reject, "window.max: window btc-day"},
			{fromCoins("p-3", 151_000, 120_000, 70_000).check("cb-3"), wire.Approve, ""}, // it spends a coin of the first: both cannot happen
			{fromCoins("p-4", 50_000, 60_000).check("cb-4"), wire.Reject, "window.max: window btc-day"},
		},
		"another digest under the same id": {
			{named("cb-1", "payment-1", 6_000, 1), wire.Approve, ""},
			{named("cb-2", "payment-1", 6_000, 2), wire.Reject, "ledger.execution: "},
			{named("cb-3", "payment-1", 5_000, 1), wire.Reject, "ledger.execution: payment payment-1"}, // nor other content
			{named("cb-4", "payment-1", 6_000, 1), wire.Approve, ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, options{live: spendingLive()})
			for _, s := range steps {
				d, _ := w.ask(s.check)
				if s.says != "" {
					want(t, d, s.want, s.says)
				} else {
					want(t, d, s.want)
				}
			}
		})
	}
}

// TestSignedAfterAll: a node that said that nothing was signed has freed the window's room. If there is a signature after all,
// by the word of the node or by the signature itself, it is taken again.
func TestSignedAfterAll(t *testing.T) {
	w := newWorld(t, options{live: spendingLive()})
	pay := func(id string, amount, nonce int64) *wire.Decision {
		d, _ := w.ask(payment{callbackID: id, requestID: "r-" + id, amount: amount, nonce: nonce}.check(t))
		return d
	}
	tell := func(id, word string) {
		t.Helper()
		d, _ := w.ask(outcome(id, word, ""))
		want(t, d, wire.Approve)
	}
	want(t, pay("w-1", 9_000, 1), wire.Approve)
	tell("w-1", wire.OutcomeNotSigned)
	want(t, pay("w-2", 1_000, 2), wire.Approve)
	tell("w-1", wire.OutcomeSigned)
	want(t, pay("w-3", 1, 3), wire.Reject, "window.max: window usdt-day would come to")
	tell("w-1", wire.OutcomeSigned) // the same word again
	tell("w-1", wire.OutcomeNotSigned)
	body, signature, err := wire.SealCheck(w.nodeKey, outcome("w-1", wire.OutcomeUnknown, ""))
	ok(t, err)
	if a := w.send("/v1/outcome", string(body), http.Header{"Signature": {signature}}); a.status != http.StatusBadRequest {
		t.Errorf("a third word: HTTP %d %s", a.status, a.body)
	}
	want(t, pay("w-4", 1, 4), wire.Reject, "window.max: ")

	for i, text := range []string{"one", "two", "three"} {
		d, _ := w.ask(message(fmt.Sprint("m-", i), text))
		want(t, d, wire.Approve)
	}
	tell("m-0", wire.OutcomeNotSigned)
	w.ask(report("m-0", "one", hex.EncodeToString(signMessage("one"))))
	if got := w.result("m-0"); got.Status != callback.ResultVerified {
		t.Fatalf("the signature is %s", got.Status)
	}
	d, _ := w.ask(message("m-4", "four"))
	want(t, d, wire.Reject, "window.max: ")
	verified, err := w.ledger.Verify(t.Context())
	if ok(t, err); !verified.OK() {
		t.Errorf("%q", verified.Problems)
	}
}

// TestAcknowledgedIsSigned: once a signature was acknowledged, also one that this server cannot open or verify, the word that there is
// none frees nothing; and a signature that comes behind that word takes the room again.
func TestAcknowledgedIsSigned(t *testing.T) {
	signature := func(t *testing.T, n int) []byte { return signMessage(fmt.Sprint("hello ", n)) }
	for status, c := range map[string]struct {
		cfg    func(*callback.Config)
		report func(t *testing.T, n int) []byte
	}{
		callback.ResultEncrypted: {func(c *callback.Config) { c.Nodes[0].DecryptKey = nil }, func(t *testing.T, n int) []byte {
			return must[[]byte](t)(ecies.Encrypt(nil, &newKey(t).PublicKey, signature(t, n)))
		}},
		callback.ResultUnverified: {func(c *callback.Config) { c.Keys = nil }, signature},
	} {
		for _, order := range []string{"before", "behind"} {
			t.Run(status+" "+order, func(t *testing.T) {
				w, _ := quickWorld(t, options{cfg: c.cfg}, fewMessages("1"))
				first, _ := w.ask(hello(0))
				want(t, first, wire.Approve)
				said, signed := outcome("m-0", wire.OutcomeNotSigned, ""), report("m-0", "hello 0", hex.EncodeToString(c.report(t, 0)))
				both := []*wire.Check{signed, said}
				if order == "behind" {
					both = []*wire.Check{said, signed}
				}
				for _, check := range both {
					d, _ := w.ask(check)
					want(t, d, wire.Approve)
				}
				if got := w.result("m-0"); got.Status != status {
					t.Fatalf("the signature is %s", got.Status)
				}
				second, _ := w.ask(hello(1))
				want(t, second, wire.Reject)
				verified, err := w.ledger.Verify(t.Context())
				if ok(t, err); !verified.OK() {
					t.Errorf("%q", verified.Problems)
				}
			})
		}
	}
}

// roomy approves what the windows have room for, and is quick to start.
var roomy = sync.OnceValue(func() *policy.Live {
	return customOver(panicking{}, `
# METADATA
# labels:
#   id: own.room
allow contains {"id": "own.room"} if {
	count(input.windows) > 0
	every w in input.windows { w.after <= 10000000000 }
}

require contains "own.room"`, windowed)
})

// TestCrashInWindow: of many requests at one time as many are approved as the window has room for, whenever the server is killed
// between receipt and reply, and after it starts again each gets the answer that it had.
func TestCrashInWindow(t *testing.T) {
	const requests, room = 12, 3
	var sealed []sealedRequest
	for i := range requests {
		c := payment{callbackID: fmt.Sprint("cb-", i), requestID: fmt.Sprint("r-", i), amount: 10_000 / room, nonce: int64(i)}.check(t)
		body, signature, err := wire.SealCheck(privateKey(t, "mpc_node"), c)
		ok(t, err)
		sealed = append(sealed, sealedRequest{body, signature})
	}
	for _, where := range []string{crashDeciding + "/3", crashRecorded + "/2", crashReplying + "/4"} {
		t.Run(where, func(t *testing.T) {
			db := filepath.Join(t.TempDir(), "callback.db")
			url, _, end := child(t, where+"/windows", db)
			before := sendAll(url, sealed)
			end()
			url, admin, end := child(t, crashNowhere+"/0/windows", db)
			defer end()
			after := sendAll(url, sealed)
			approved, lost := 0, 0
			for i, body := range after {
				if strings.Contains(body, `"Approve"`) {
					approved++
				}
				if before[i] == "" {
					lost++
				} else if before[i] != body {
					t.Errorf("request %d was answered with %s, and then with %s", i, before[i], body)
				}
			}
			if approved != room || lost == 0 {
				t.Errorf("%d are approved, want %d; %d were not answered at first", approved, room, lost)
			}
			w := &world{t: t, admin: admin}
			if got := w.decisions(""); len(got) != requests {
				t.Errorf("%d decisions are recorded, want %d", len(got), requests)
			}
			end()
			verifyLog(t, db, requests)
		})
	}
}

type sealedRequest struct {
	body      []byte
	signature string
}

// sendAll sends requests at one time, and returns the answers: "" where there was none.
func sendAll(url string, requests []sealedRequest) []string {
	out := make([]string, len(requests))
	var wg sync.WaitGroup
	for i, q := range requests {
		wg.Go(func() {
			r, err := http.NewRequest(http.MethodPost, url+"/v1/check", strings.NewReader(string(q.body)))
			if err != nil {
				return
			}
			r.Header.Set("Signature", q.signature)
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				return
			}
			defer response.Body.Close()
			if body, err := io.ReadAll(response.Body); err == nil && response.StatusCode == http.StatusOK {
				out[i] = string(body)
			}
		})
	}
	wg.Wait()
	return out
}
