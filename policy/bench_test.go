package policy_test

import (
	"fmt"
	"math/big"
	"testing"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// BenchmarkEvaluate times one decision of the shipped policies, from the input's Go form to the decision: with the
// demo's data, and with two address lists of 10 000 entries.
func BenchmarkEvaluate(b *testing.B) {
	for name, data := range map[string]object{"demo": demoData(), "long-lists": longLists(10_000)} {
		e := newEngine(b, data)
		in := transfer(e, "1500000000")
		if name == "long-lists" {
			in.Tx.To = "0x0000000000000000000000000000000000000007"
		}
		wantAction(b, decide(b, e, in), policy.Approve, "address.listed")
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d, err := e.Evaluate(b.Context(), in); err != nil || d.Action != policy.Approve {
					b.Fatal(d, err)
				}
			}
		})
	}
}

// BenchmarkEvaluatePayment times a payment in Bitcoin of two outputs and of a hundred, with a rune, beside 10 000 own
// addresses and 10 000 runes that it has nothing to do with.
func BenchmarkEvaluatePayment(b *testing.B) {
	data := bitcoinData()
	runes := data["runes"].(object)["BTC"].(object)
	for i := range 10_000 {
		name := make([]byte, 0, 8)
		for n := i + 26; n > 0; n /= 26 {
			name = append(name, byte('A'+n%26))
		}
		runes[fmt.Sprintf("100:%d", i)] = object{"spaced_name": "Z" + string(name), "divisibility": 0, "amount_unit": "base", "max": "1"}
	}
	e := newEngine(b, data)
	for name, change := range map[string]int{"two-outputs": 1, "hundred-outputs": 99} {
		info, account := payment(), bitcoin()
		info.ExtraData, info.RuneDetails = nil, []wire.RuneDetail{hello()}
		account.Runestone = &evidence.Runestone{Edicts: []evidence.Edict{{RuneID: helloID, Amount: big.NewInt(10_000)}}}
		account.VSize = 10_000
		for range change - 1 {
			account.Outputs = append(account.Outputs, evidence.BitcoinOutput{Address: hotWallet, Amount: "0", Own: true})
		}
		in := completed(b, e, info, account, nil)
		wantAction(b, decide(b, e, in), policy.Approve, "address.listed")
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d, err := e.Evaluate(b.Context(), in); err != nil || d.Action != policy.Approve {
					b.Fatal(d, err)
				}
			}
		})
	}
}

// BenchmarkReload times what a reload of 10 000-entry lists costs, tests included.
func BenchmarkReload(b *testing.B) {
	s := source(b, longLists(10_000))
	for b.Loop() {
		if _, err := policy.New(b.Context(), policy.Config{Source: s}); err != nil {
			b.Fatal(err)
		}
	}
}
