package callback_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/e2e/bitcoin"
	"github.com/countersign-mpc/countersign/wire"
)

// TestBitcoinRefusals: what is claimed of a Bitcoin payment must be what is signed, and what is signed must be allowed; else
// it is rejected, and the reason names the rule and the field.
func TestBitcoinRefusals(t *testing.T) {
	w := newWorld(t, options{live: bitcoinLive()})
	small := func() spending {
		return spending{payment: mustGet(bitcoin.PayThree(coinKey(), 150_000)), requestID: "p", to: bitcoin.Recipient, amount: 150_000, input: 1}
	}
	info := func(key string, value any) func(*wire.Check, map[string]any) {
		return func(_ *wire.Check, info map[string]any) { info[key] = value }
	}
	vin := func(i int, key string, value any) func(*wire.Check, map[string]any) {
		return func(_ *wire.Check, info map[string]any) {
			info["extraData"].(map[string]any)["vinList"].([]any)[i].(map[string]any)[key] = value
		}
	}
	vout := func(i int, key string, value any) func(*wire.Check, map[string]any) {
		return func(_ *wire.Check, info map[string]any) {
			info["extraData"].(map[string]any)["voutList"].([]any)[i].(map[string]any)[key] = value
		}
	}
	detail := func(list, key string, value any) func(*wire.Check, map[string]any) {
		return func(_ *wire.Check, info map[string]any) { info[list].([]any)[0].(map[string]any)[key] = value }
	}
	const mismatch, malformed = "evidence.mismatch: ", "request.malformed: "
	other := mustGet(bitcoin.PayThree(coinKey(), 150_001))
	dear := mustGet(bitcoin.New(small().payment.Coins, []bitcoin.Output{{Address: bitcoin.Recipient, Value: 150_000}}))
	stranger := mustGet(bitcoin.New(small().payment.Coins, []bitcoin.Output{
		{Address: bitcoin.Recipient, Value: 150_000}, {Address: "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3", Value: 147_000},
	}))
	for _, tc := range []struct {
		name   string
		s      spending
		change func(*wire.Check, map[string]any)
		says   []string
	}{
		{"another amount", small(), info("amount", "149999"), []string{mismatch, "amount"}},
		{"another recipient", small(), info("to", "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3"), []string{mismatch, "to"}},
		{"another sender", small(), info("from", bitcoin.Recipient), []string{mismatch, "from"}},
		{"another fee rate", small(), info("fee", "1"), []string{mismatch, "fee"}},
		{"another input's amount", small(), vin(0, "amount", 120_001), []string{mismatch, "vinList"}},
		{"another input's outpoint", small(), vin(2, "voutIndex", 9), []string{mismatch, "vinList"}},
		{"another output's amount", small(), vout(1, "amount", 1), []string{mismatch, "voutList"}},
		{"another output's address", small(), vout(0, "address", "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3"), []string{mismatch, "voutList"}},
		{"another PSBT", small(), info("rawTx", mustGet(other.PSBT())), []string{mismatch, "amount"}},
		{"another script tree", taproot(true), info("tapScriptRoot", strings.Repeat("ab", 32)), []string{mismatch, "tapScriptRoot"}},
		{"no script tree", taproot(true), info("tapScriptRoot", ""), []string{mismatch, "tapScriptRoot"}},
		{"a script tree that nobody allowed", treeOf(500), nil, []string{"taproot.script_root: "}},
		{"another type of request", small(), func(c *wire.Check, _ map[string]any) { c.RequestType = wire.TypeTaprootSign }, []string{malformed}},
		{"a PSBT on an EVM chain", small(), info("chainSymbol", "ETH"), []string{malformed, "rawTx"}},
		{"a PSBT that is cut off", small(), info("rawTx", mustGet(other.PSBT())[:100]), []string{malformed}},
		{"a PSBT that is none", small(), info("rawTx", base64.StdEncoding.EncodeToString([]byte("psbt\xff"))), []string{malformed}},
		{"an EVM transaction", small(), info("rawTx", payment{amount: 5}.rawTx()), []string{malformed, "rawTx"}},
		{"an id and an index of two inputs", small(), func(c *wire.Check, i map[string]any) {
			vin(0, "id", 1)(c, i)
			i["curInputId"] = "1"
		}, []string{malformed, "curInputId"}},
		{"an id that two inputs have", small(), vin(0, "id", vinID(1)), []string{malformed, "curInputId"}},
		{"no input of several", small(), info("curInputId", ""), []string{malformed, "curInputId"}},
		{"an input that is none", small(), info("curInputId", "6999"), []string{malformed, "curInputId"}},
		{"over the limit", spending{payment: mustGet(bitcoin.New([]bitcoin.Coin{{Kind: bitcoin.KeyPath, Key: coinKey(), Value: 2_000_000}},
			[]bitcoin.Output{{Address: bitcoin.Recipient, Value: 1_999_000}})), requestID: "p", to: bitcoin.Recipient, amount: 1_999_000}, nil, []string{"limit.per_transaction: "}},
		{"a fee over its limit", spending{payment: dear, requestID: "p", to: bitcoin.Recipient, amount: 150_000}, nil, []string{"utxo.fee: ", "utxo.fee_rate: "}},
		{"an output to a stranger", spending{payment: stranger, requestID: "p", to: bitcoin.Recipient, amount: 150_000}, nil, []string{"utxo.output: "}},
		{"a recipient who is not listed", spending{payment: stranger, requestID: "p", to: "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3", amount: 147_000}, nil, []string{"address.listed: "}},
		{"runes over their limit", rune150(600_00), nil, []string{"runes.limit.max: "}},
		{"more runes than claimed", rune150(150_00), detail("runeDetails", "runeAmount", "100.00"), []string{mismatch, "rune"}},
		{"a rune by another id", rune150(150_00), detail("runeDetails", "runeId", "840000:2"), []string{mismatch, "rune"}},
		{"a rune by another name", rune150(150_00), detail("runeDetails", "runeName", "UNCOMMONGOODS"), []string{"runes.identity: "}},
		{"a rune by another spaced name", rune150(150_00), detail("runeDetails", "runeSpacedName", "UNCOMMON•GOODS"), []string{"runes.identity: "}},
		{"a rune divided otherwise", rune150(150_00), detail("runeDetails", "runeDivisibility", 0), []string{"runes.identity: "}},
		{"runes to another", rune150(150_00), detail("runeDetails", "toAddress", "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3"), []string{mismatch, "rune"}},
		{"runes that nobody claims", rune150(150_00), func(_ *wire.Check, i map[string]any) { delete(i, "runeDetails") }, []string{mismatch, "runeDetails"}},
		{"runes that are not there", small(), func(c *wire.Check, i map[string]any) {
			i["runeDetails"] = rune150(1).details["runeDetails"]
		}, []string{mismatch, "rune"}},
		{"BRC-20 over its limit", inscription("6000"), nil, []string{"brc20.limit.max: "}},
		{"more BRC-20 than claimed", inscription("1000"), detail("brc20Details", "quantity", "10"), []string{mismatch, "brc20"}},
		{"another BRC-20 ticker", inscription("1000"), detail("brc20Details", "ticker", "sats"), []string{mismatch, "brc20"}},
		{"another BRC-20 method", inscription("1000"), detail("brc20Details", "method", "mint"), []string{mismatch, "brc20"}},
		{"a BRC-20 step that is not allowed", inscription("1000"), detail("brc20Details", "step", 3), []string{"brc20.step: "}},
		{"BRC-20 that nobody claims", inscription("1000"), func(_ *wire.Check, i map[string]any) { delete(i, "brc20Details") }, []string{mismatch, "brc20Details"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.s.change = tc.change
			d, _ := w.ask(tc.s.check("cb-" + strings.ReplaceAll(tc.name, " ", "-")))
			want(t, d, wire.Reject, tc.says...)
		})
	}
}

// treeOf is a payment by the output key of a script tree with one time lock.
func treeOf(block int64) spending {
	coin := bitcoin.Coin{Kind: bitcoin.KeyPath, Key: coinKey(), Value: 150_000, Leaves: [][]byte{mustGet(bitcoin.After(coinKey(), block))}}
	p := mustGet(bitcoin.New([]bitcoin.Coin{coin}, []bitcoin.Output{{Address: bitcoin.Recipient, Value: 148_000}}))
	return spending{payment: p, requestID: "p", to: bitcoin.Recipient, amount: 148_000}
}

// TestRawSigning: data that nobody can read is refused unless data.json allows it for key and requester, of whatever kind.
func TestRawSigning(t *testing.T) {
	requester := keyID(t, newKey(t))
	digest := strings.Repeat("5a", 32)
	solana := hex.EncodeToString([]byte(strings.Repeat("solana message ", 14)))
	request := func(requestType, cryptography, message string) *wire.Check {
		key := rootKey
		if cryptography == wire.EdDSAEd25519 {
			key = edPublic()
		}
		return &wire.Check{CallbackID: "cb", RequestType: requestType, RequestDetail: wire.RequestDetail{
			Cryptography: cryptography, SignType: wire.SignTypeRaw, PublicKey: key, Path: "m/44/501/0/0", Message: message,
		}, ExtraInfo: wire.ExtraInfo{SinoID: "s", RequestID: "r"}}
	}
	kinds := map[string]*wire.Check{
		"ECDSA":   request(wire.TypeSign, wire.ECDSASecp256k1, digest),
		"BIP340":  request(wire.TypeBIP340SchnorrSign, wire.ECDSASecp256k1, digest),
		"taproot": request(wire.TypeTaprootSign, wire.ECDSASecp256k1, digest),
		"Ed25519": request(wire.TypeSign, wire.EdDSAEd25519, solana),
	}
	forbidden := newWorld(t, options{})
	allowed := newWorld(t, options{data: func(data map[string]any) {
		grant := map[string]any{"requesters": []string{requester}, "paths": []string{"m/44/501/0/0"}}
		data["raw"] = map[string]any{rootKey: grant, edPublic(): grant}
	}})
	asked := func(c *wire.Check, who string) *wire.Check {
		out := *c
		out.RequestDetail.TxInfo = mustGet(wire.SetRequester(nil, wire.Requester{KeyID: who, Signature: "00"}))
		return &out
	}
	n := 0
	next := func(c *wire.Check) *wire.Check { n++; c.CallbackID = fmt.Sprint("cb-", n); return c }
	for name, c := range kinds {
		t.Run(name, func(t *testing.T) {
			d, _ := forbidden.ask(next(asked(c, requester)))
			want(t, d, wire.Reject, "raw.")
			d, _ = allowed.ask(next(asked(c, keyID(t, newKey(t)))))
			want(t, d, wire.Reject, "raw.")
			d, _ = allowed.ask(next(c))
			want(t, d, wire.Reject, "raw.")
			elsewhere := asked(c, requester)
			elsewhere.RequestDetail.Path = "m/44/501/0/1"
			d, _ = allowed.ask(next(elsewhere))
			want(t, d, wire.Reject, "raw.")
			d, _ = allowed.ask(next(asked(c, requester)))
			want(t, d, wire.Approve)
			// A digest that comes alone, as an ordinary transaction, is raw signing under another name.
			hashOnly := *c
			hashOnly.RequestDetail.SignType = wire.SignTypeTransaction
			d, _ = allowed.ask(next(&hashOnly))
			want(t, d, wire.Reject)
			// What is no digest, and what is of the wrong kind for the key, has no answer but Reject.
			if c.RequestDetail.Cryptography == wire.ECDSASecp256k1 {
				short := asked(c, requester)
				short.RequestDetail.Message = digest[2:]
				d, _ = allowed.ask(next(short))
				want(t, d, wire.Reject, "request.malformed: ")
			} else {
				schnorr := asked(c, requester)
				schnorr.RequestType = wire.TypeTaprootSign
				d, _ = allowed.ask(next(schnorr))
				want(t, d, wire.Reject, "request.malformed: ")
			}
			text := asked(c, requester)
			text.RequestDetail.SignType, text.RequestDetail.Message = wire.SignTypeMessage, "hello"
			d, _ = allowed.ask(next(text))
			if c.RequestType == wire.TypeSign && c.RequestDetail.Cryptography == wire.ECDSASecp256k1 {
				want(t, d, wire.Approve)
			} else {
				want(t, d, wire.Reject, "request.malformed: ", "sign_type 2")
			}
		})
	}
}
