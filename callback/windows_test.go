package callback_test

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/wire"
)

// windowed allows 10,000 USDT in a rolling day and 3 messages ever.
func windowed(data map[string]any) {
	data["unbound_wallets"] = true
	data["windows"] = map[string]any{
		"usdt-day": map[string]any{"measure": "amount", "chain": "ETH", "asset": "USDT_ETH", "scope": []string{"wallet"}, "rolling_seconds": 86400, "max": "10000"},
		"messages": map[string]any{"measure": "count", "kinds": []string{"message"}, "scope": []string{"key"}, "lifetime": true, "max": "3"},
	}
}

// TestWindow sends what a coordinator might send to move more than the window allows.
func TestWindow(t *testing.T) {
	w := newWorld(t, options{data: windowed})
	pay := func(callbackID string, amount, nonce int64, claim func(map[string]any)) *wire.Decision {
		d, _ := w.ask(payment{callbackID: callbackID, requestID: "r-" + callbackID, amount: amount, nonce: nonce, claim: claim}.check(t))
		return d
	}
	const over = "window.max: window usdt-day would come to"
	want(t, pay("w-1", 6_000, 1, nil), wire.Approve)
	want(t, pay("w-2", 6_000, 2, nil), wire.Reject, over)    // another nonce is another transfer
	want(t, pay("w-3", 6_000, 1, nil), wire.Approve)         // the same transaction again
	want(t, pay("w-4", 7_000, 1, nil), wire.Approve)         // a replacement adds the difference
	want(t, pay("w-5", 3_001, 3, nil), wire.Reject, over)    // 10,001
	want(t, pay("w-6", 3_000, 3, nil), wire.Approve)         // 10,000
	want(t, pay("w-7", 1, 4, nil), wire.Reject, over)        // nothing is left
	want(t, pay("w-8", 1, 4, wallet("other")), wire.Approve) // of another wallet
	want(t, pay("w-9", 1, 5, wallet("")), wire.Reject, "window.scope: wallet")
	d, _ := w.ask(outcome("w-6", wire.OutcomeNotSigned, ""))
	want(t, d, wire.Approve)
	want(t, pay("w-10", 3_000, 6, nil), wire.Approve) // the room of w-6 is free again
	d, _ = w.ask(outcome("w-4", wire.OutcomeNotSigned, ""))
	want(t, d, wire.Approve)
	want(t, pay("w-11", 1, 7, nil), wire.Reject, over) // w-1 and w-3 may still be signed
	w.clock.step(24 * time.Hour)
	want(t, pay("w-12", 10_000, 8, nil), wire.Approve)
}

func wallet(id string) func(map[string]any) {
	return func(info map[string]any) {
		delete(info, "walletId")
		if id != "" {
			info["walletId"] = id
		}
	}
}

// TestDecimal: numbers are written as math/big writes them.
func TestDecimal(t *testing.T) {
	word := new(big.Int).SetUint64(math.MaxUint64)
	for _, n := range []*big.Int{
		new(big.Int), big.NewInt(7), big.NewInt(-7), big.NewInt(math.MinInt64), word, new(big.Int).Add(word, big.NewInt(1)), new(big.Int).Neg(word), new(big.Int).Lsh(word, 200), nil,
	} {
		if got := callback.Decimal(n); got.String() != n.String() {
			t.Errorf("%s is written %s", n, got)
		}
	}
}

// TestWindowOfPayments: without a transaction a payment counts once under its name, which stands for one content and each
// input of it for one digest.
func TestWindowOfPayments(t *testing.T) {
	w := newWorld(t, options{data: windowed})
	pay := func(callbackID, name string, amount int64, digest string) *wire.Decision {
		return payInput(t, w, callbackID, name, amount, digest, "")
	}
	one, two := fmt.Sprintf("%064x", 1), fmt.Sprintf("%064x", 2)
	want(t, pay("p-1", "payment-1", 6_000, one), wire.Approve)
	want(t, pay("p-2", "payment-1", 6_000, one), wire.Approve)
	want(t, pay("p-3", "payment-1", 6_000, two), wire.Reject, "ledger.execution: ")
	want(t, payInput(t, w, "p-3b", "payment-1", 6_000, two, "7"), wire.Reject, "ledger.execution: ")
	want(t, pay("p-4", "payment-1", 5_000, one), wire.Reject, "ledger.execution: payment payment-1")
	want(t, pay("p-5", "payment-2", 6_000, two), wire.Reject, "window.max: ")
	want(t, pay("p-6", "payment-2", 4_000, two), wire.Approve)
}

// TestWindowOfMessages counts messages, and each once however often it is asked for.
func TestWindowOfMessages(t *testing.T) {
	w := newWorld(t, options{data: windowed})
	for i, c := range []struct {
		text string
		want wire.Action
	}{{"one", wire.Approve}, {"two", wire.Approve}, {"one", wire.Approve}, {"three", wire.Approve}, {"four", wire.Reject}, {"two", wire.Approve}} {
		d, _ := w.ask(message(fmt.Sprint("m-", i), c.text))
		want(t, d, c.want)
	}
}

// TestWindowOfSafes counts what a Safe moves by messages of its owners: one execution for each of its nonces.
func TestWindowOfSafes(t *testing.T) {
	const safe = "0x3E5c63644E683549055b9Be8653de26E0B4CD36E"
	w := newWorld(t, options{data: func(data map[string]any) {
		data["windows"] = map[string]any{
			"usdt-day": map[string]any{"measure": "amount", "chain": "ETH", "asset": "USDT_ETH", "scope": []string{"key"}, "rolling_seconds": 86400, "max": "10000"},
		}
		data["typed_data"] = map[string]any{"safe": map[string]any{"domain": map[string]any{"chain_id": 1, "verifying_contract": safe}, "primary_types": []string{"SafeTx"}}}
		data["messages"] = map[string]any{rootKey: map[string]any{"any_requester": true, "typed_data": []string{"safe"}}}
	}})
	for i, c := range []struct {
		usdt, nonce int64
		want        wire.Action
	}{
		{6_000, 1, wire.Approve}, {6_000, 2, wire.Reject}, {6_000, 1, wire.Approve}, {7_000, 1, wire.Approve}, {3_001, 2, wire.Reject}, {3_000, 2, wire.Approve},
	} {
		d, _ := w.ask(message(fmt.Sprint("m-", i), fmt.Sprintf(`{"types":{"EIP712Domain":[{"name":"chainId","type":"uint256"},{"name":"verifyingContract","type":"address"}],
			"SafeTx":[{"name":"to","type":"address"},{"name":"value","type":"uint256"},{"name":"data","type":"bytes"},{"name":"operation","type":"uint8"},
			{"name":"safeTxGas","type":"uint256"},{"name":"baseGas","type":"uint256"},{"name":"gasPrice","type":"uint256"},{"name":"gasToken","type":"address"},
			{"name":"refundReceiver","type":"address"},{"name":"nonce","type":"uint256"}]},"primaryType":"SafeTx","domain":{"chainId":1,"verifyingContract":%q},
			"message":{"to":"0xdAC17F958D2ee523a2206206994597C13D831ec7","value":"0","data":"0xa9059cbb%024x%s%064x","operation":0,"safeTxGas":0,"baseGas":0,"gasPrice":0,
			"gasToken":"0x0000000000000000000000000000000000000000","refundReceiver":"0x0000000000000000000000000000000000000000","nonce":%d}}`,
			safe, 0, strings.ToLower(recipient[2:]), c.usdt*1_000_000, c.nonce)))
		want(t, d, c.want)
	}
}

// TestWindowIsRecorded: the recorded input holds the state of the windows, and gives the same decision again.
func TestWindowIsRecorded(t *testing.T) {
	w := newWorld(t, options{data: windowed})
	w.ask(payment{callbackID: "w-1", requestID: "r-1", amount: 6_000, nonce: 1}.check(t))
	w.ask(payment{callbackID: "w-2", requestID: "r-2", amount: 6_000, nonce: 2}.check(t))
	rec := w.decisions("callback_id=w-2")[0].Record
	d, err := w.live.Engine().Replay(t.Context(), rec.Input)
	ok(t, err)
	if d.Action != wire.Reject || rec.Action != wire.Reject || d.Reasons[0].Message != rec.Reasons[0].Message {
		t.Errorf("replayed it is %s %v, recorded %s %v", d.Action, d.Reasons, rec.Action, rec.Reasons)
	}
	if rule := d.Reasons[0].RuleID; rule != "window.max" {
		t.Errorf("the rule is %s", rule)
	}
}

// payInput asks for a payment without its transaction.
func payInput(t *testing.T, w *world, callbackID, name string, amount int64, digest, input string) *wire.Decision {
	t.Helper()
	c := payment{callbackID: callbackID, requestID: name, amount: amount, claim: func(info map[string]any) {
		delete(info, "rawTx")
		if input != "" {
			info["curInputId"] = input
		}
	}}.check(t)
	c.RequestDetail.Message = digest
	d, _ := w.ask(c)
	return d
}
