package callback_test

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/e2e/bitcoin"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// coinPath is where the tests' coins lie.
const coinPath = "m/84/0/0/0/0"

func coinKey() *btcec.PublicKey { return privateAt(coinPath).PubKey() }

// spending is a Bitcoin payment as a node asks for the signature of one of its inputs.
type spending struct {
	payment   *bitcoin.Payment
	requestID string // of the payment
	to        string
	amount    int64
	input     int
	requester string
	details   map[string]any                           // runeDetails or brc20Details
	change    func(c *wire.Check, info map[string]any) // at the end
}

func vinID(input int) int { return 6900 + input }

func (s spending) check(callbackID string) *wire.Check {
	coin := s.payment.Coins[s.input]
	requestType, root := wire.TypeSign, ""
	switch coin.Kind {
	case bitcoin.KeyPath:
		requestType, root = wire.TypeTaprootSign, hex.EncodeToString(coin.Root())
	case bitcoin.ScriptPath:
		requestType = wire.TypeBIP340SchnorrSign
	}
	info := s.txInfo()
	if root != "" {
		info["tapScriptRoot"] = root
	}
	requestID := fmt.Sprintf("%s-%d", s.requestID, s.input) // each input is a request of its own
	c := &wire.Check{
		CallbackID: callbackID, RequestType: requestType,
		RequestDetail: wire.RequestDetail{
			T: 2, N: 3, Cryptography: wire.ECDSASecp256k1, SignType: wire.SignTypeTransaction, PublicKey: rootKey, Path: coinPath,
			Message: hex.EncodeToString(mustGet(s.payment.Digest(s.input))),
		},
		ExtraInfo: wire.ExtraInfo{SinoID: "s-" + requestID, RequestID: requestID},
	}
	if s.change != nil {
		s.change(c, info)
	}
	setInfo(c, info)
	return c
}

func (s spending) txInfo() map[string]any {
	var vins, vouts []any
	for i, coin := range s.payment.Coins {
		txid, vout := s.payment.Outpoint(i)
		vins = append(vins, map[string]any{
			"id": vinID(i), "address": mustGet(coin.Address()), "amount": coin.Value, "currency": "btc", "transactionHash": txid, "voutIndex": vout,
		})
	}
	for _, o := range s.payment.Outputs {
		if o.Address != "" {
			vouts = append(vouts, map[string]any{"address": o.Address, "amount": o.Value})
		}
	}
	info := map[string]any{
		"requestId": s.requestID, "chainSymbol": "BTC", "assetId": "BTC_BTC", "from": mustGet(s.payment.Coins[s.input].Address()), "to": s.to,
		"amount": strconv.FormatInt(s.amount, 10), "curInputId": strconv.Itoa(vinID(s.input)), "publickKey": hex.EncodeToString(coinKey().SerializeCompressed()),
		"extraData": map[string]any{"vinList": vins, "voutList": vouts}, "rawTx": mustGet(s.payment.PSBT()),
	}
	if s.requester != "" {
		info["requester"] = map[string]any{"key_id": s.requester, "signature": fmt.Sprintf("%02x", s.input)} // each signed anew
	}
	for name, details := range s.details {
		info[name] = details
	}
	return info
}

// bitcoinData allows what the tests pay: BTC up to 0.01 and from 0.002 on with two of three approvers, the rune and the ticker
// of package bitcoin.
func bitcoinData(data map[string]any) {
	tier := func(above string) []any {
		return []any{map[string]any{
			"above": above, "group": "treasury", "threshold": 2, "expiry_seconds": 3600, "wait_seconds": 15, "not_requester": true, "rejection_final": true,
		}}
	}
	data["chains"].(map[string]any)["BTC"].(map[string]any)["network"] = "mainnet"
	data["limits"].(map[string]any)["BTC"] = map[string]any{"BTC_BTC": []any{map[string]any{"max": "0.01", "approvals": tier("0.002")}}}
	own := map[string]any{}
	for _, p := range []*bitcoin.Payment{mustGet(bitcoin.PayRune(coinKey(), 1)), mustGet(bitcoin.InscribeBRC20(coinKey(), "1"))} {
		own[mustGet(p.Coins[0].Address())] = "tokens"
	}
	own[mustGet(bitcoin.InscribeBRC20(coinKey(), "1")).Outputs[0].Address] = "inscriptions"
	data["addresses"].(map[string]any)["BTC"] = map[string]any{"allow": map[string]any{bitcoin.Recipient: "supplier"}, "own": own}
	data["utxo"] = map[string]any{"BTC": map[string]any{"max_fee": "0.0001", "max_fee_rate": 50}}
	data["evidence"].(map[string]any)["unverifiable"] = map[string]any{}
	data["runes"] = map[string]any{"BTC": map[string]any{bitcoin.Rune.ID: map[string]any{
		"spaced_name": bitcoin.Rune.Spaced, "symbol": bitcoin.Rune.Symbol, "divisibility": bitcoin.Rune.Divisibility, "amount_unit": "coin", "max": "500",
	}}}
	data["brc20"] = map[string]any{"BTC": map[string]any{bitcoin.Ticker: map[string]any{"methods": map[string]any{
		"transfer": map[string]any{"max": "5000", "steps": []int{1, 2}},
	}}}}
	data["taproot"] = map[string]any{rootKey: map[string]any{"script_paths": true, "script_roots": map[string]string{
		hex.EncodeToString(mustGet(bitcoin.PayTaproot(coinKey(), true)).Coins[0].Root()): "time lock",
	}}}
}

// bitcoinLive is the policy over it.
var bitcoinLive = sync.OnceValue(func() *policy.Live { return mustGet(liveOver(bitcoinData)) })

// three is a payment from three coins of one key.
func three(requester string) spending {
	const amount = 250_000
	return spending{payment: mustGet(bitcoin.PayThree(coinKey(), amount)), requestID: "p-1", to: bitcoin.Recipient, amount: amount, requester: requester}
}

func rune150(hundredths uint64) spending {
	p := mustGet(bitcoin.PayRune(coinKey(), hundredths))
	details := map[string]any{
		"fromAddress": mustGet(p.Coins[0].Address()), "toAddress": bitcoin.Recipient, "runeName": bitcoin.Rune.Name, "runeId": bitcoin.Rune.ID,
		"runeSpacedName": bitcoin.Rune.Spaced, "runeAmount": fmt.Sprintf("%d.%02d", hundredths/100, hundredths%100), "runeSymbol": bitcoin.Rune.Symbol,
		"runeDivisibility": bitcoin.Rune.Divisibility,
	}
	return spending{payment: p, requestID: "p-rune", to: bitcoin.Recipient, amount: p.Outputs[1].Value, details: map[string]any{"runeDetails": []any{details}}}
}

func inscription(amount string) spending {
	p := mustGet(bitcoin.InscribeBRC20(coinKey(), amount))
	own := p.Outputs[0].Address
	details := map[string]any{"method": "transfer", "ticker": bitcoin.Ticker, "quantity": amount, "step": 2, "from": own, "to": bitcoin.Recipient}
	return spending{payment: p, requestID: "p-brc20", to: own, amount: p.Outputs[0].Value, details: map[string]any{"brc20Details": []any{details}}}
}

func taproot(tree bool) spending {
	return spending{payment: mustGet(bitcoin.PayTaproot(coinKey(), tree)), requestID: "p-tr", to: bitcoin.Recipient, amount: 100_000}
}

// TestBitcoinPayments: each kind of input is decoded, found to be what is claimed, and approved.
func TestBitcoinPayments(t *testing.T) {
	small := spending{payment: mustGet(bitcoin.PayThree(coinKey(), 150_000)), requestID: "p-small", to: bitcoin.Recipient, amount: 150_000, input: 1}
	for name, s := range map[string]spending{
		"P2WPKH": small, "taproot": taproot(false), "taproot with a script tree": taproot(true), "rune": rune150(150_00), "BRC-20": inscription("1000"),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, options{live: bitcoinLive()})
			d, _ := w.ask(s.check("cb-1"))
			want(t, d, wire.Approve)
			in := w.decision1("callback_id=cb-1").input(t)
			if in.Evidence.Status != "verified" || in.Tx.Source != "evidence" || in.UTXO == nil || in.UTXO.Source != "evidence" {
				t.Errorf("the evidence is %+v of %+v", in.Evidence, in.UTXO)
			}
			// The key follows from the chain code as well as from publickKey.
			s.change = func(_ *wire.Check, info map[string]any) { delete(info, "publickKey") }
			w = newWorld(t, options{live: bitcoinLive(), cfg: func(c *callback.Config) {
				c.Keys = must[*callback.Keys](t)(callback.NewKeys([]callback.Key{{PublicKey: fromHex(rootKey), ChainCode: chainCode}}))
			}})
			d, _ = w.ask(s.check("cb-1"))
			want(t, d, wire.Approve)
			w = newWorld(t, options{live: bitcoinLive()})
			d, _ = w.ask(s.check("cb-1"))
			want(t, d, wire.Reject, "evidence.unverifiable: unknown-key")
		})
	}
}
