package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/e2e/bitcoin"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// coinKey is the public key of the private key 2.
func coinKey() *btcec.PublicKey {
	key, _ := btcec.PrivKeyFromBytes([]byte{2})
	return key.PubKey()
}

// shown is an approval of a Bitcoin payment as a server shows it.
func shown(t *testing.T, p *bitcoin.Payment, requestType, input string, extra map[string]any) *callback.ApprovalView {
	t.Helper()
	key := hex.EncodeToString(coinKey().SerializeCompressed())
	info := map[string]any{
		"requestId": "p-1", "chainSymbol": "BTC", "assetId": "BTC", "to": bitcoin.Recipient, "amount": "1", "curInputId": input,
		"publickKey": key, "rawTx": must[string](t)(p.PSBT()),
	}
	for name, value := range extra {
		info[name] = value
	}
	return viewOf(t, policy.Input{
		Request: policy.Request{CallbackID: "cb", RequestType: requestType, Cryptography: wire.ECDSASecp256k1, SignType: wire.SignTypeTransaction, PublicKey: key, Path: "m"},
		TxInfo:  must[[]byte](t)(json.Marshal(info)),
		Now:     policy.NowAt(time.Unix(1_700_000_000, 0)),
	})
}

func printed(t *testing.T, view *callback.ApprovalView) string {
	t.Helper()
	var out bytes.Buffer
	must[*subject](t)(readSubject(view)).print(&out)
	return out.String()
}

// TestBitcoinIsShown: an approver sees what the PSBT itself says, and every digest that the vote stands for.
func TestBitcoinIsShown(t *testing.T) {
	three := must[*bitcoin.Payment](t)(bitcoin.PayThree(coinKey(), 250_000))
	text := printed(t, shown(t, three, wire.TypeSign, "1", nil))
	own := must[string](t)(three.Coins[0].Address())
	for i := range 3 {
		digest := hex.EncodeToString(must[[]byte](t)(three.Digest(i)))
		if line := fmt.Sprintf("%s (computed here), %d of 3 of the payment\n", digest, i+1); !strings.Contains(text, line) {
			t.Errorf("it does not show %s\n%s", line, text)
		}
	}
	for _, line := range []string{
		"transaction " + three.ID() + ", input 2 of 3 (p2wpkh, sighash ALL)", "120000 satoshi from " + own + "\n", "80000 satoshi from " + own + "\n",
		"250000 satoshi to " + bitcoin.Recipient + "\n", "47000 satoshi to " + own + " (where it comes from)\n", "3000 satoshi, ",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("it does not show %q\n%s", line, text)
		}
	}
	rune := must[*bitcoin.Payment](t)(bitcoin.PayRune(coinKey(), 150_00))
	details := []any{map[string]any{"runeAmount": "150.00", "runeSpacedName": bitcoin.Rune.Spaced, "runeId": bitcoin.Rune.ID, "toAddress": bitcoin.Recipient}}
	text = printed(t, shown(t, rune, wire.TypeBIP340SchnorrSign, "0", map[string]any{"runeDetails": details}))
	for _, line := range []string{"150.00 " + bitcoin.Rune.Spaced + " (840000:1", "15000 base units of 840000:1 to output 2\n", "what is left goes to output 3\n", "p2tr-script"} {
		if !strings.Contains(text, line) {
			t.Errorf("it does not show %q\n%s", line, text)
		}
	}
	brc20 := must[*bitcoin.Payment](t)(bitcoin.InscribeBRC20(coinKey(), "1000"))
	if text = printed(t, shown(t, brc20, wire.TypeBIP340SchnorrSign, "0", nil)); !strings.Contains(text, "transfer 1000 ordi") {
		t.Errorf("it does not show the inscription\n%s", text)
	}
}

// TestBitcoinDistrust: a server that shows one payment and would have another approved is found out.
func TestBitcoinDistrust(t *testing.T) {
	three := must[*bitcoin.Payment](t)(bitcoin.PayThree(coinKey(), 250_000))
	other := must[*bitcoin.Payment](t)(bitcoin.PayThree(coinKey(), 250_001))
	foreign := shown(t, other, wire.TypeSign, "0", nil)
	for name, change := range map[string]func(v *callback.ApprovalView){
		"a digest more":         func(v *callback.ApprovalView) { v.Digests = append(v.Digests, foreign.Digests[0]) },
		"a digest less":         func(v *callback.ApprovalView) { v.Digests = v.Digests[:2] },
		"no digest":             func(v *callback.ApprovalView) { v.Digests = nil },
		"another digest":        func(v *callback.ApprovalView) { v.Digests[2] = foreign.Digests[2] },
		"another order":         func(v *callback.ApprovalView) { slices.Reverse(v.Digests) },
		"another's digests":     func(v *callback.ApprovalView) { v.Digests = foreign.Digests },
		"another's intent":      func(v *callback.ApprovalView) { v.IntentHash = foreign.IntentHash },
		"another's transaction": func(v *callback.ApprovalView) { v.Request = foreign.Request },
	} {
		view := shown(t, three, wire.TypeSign, "0", nil)
		change(view)
		if _, err := readSubject(view); !errors.Is(err, errNotAsShown) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
