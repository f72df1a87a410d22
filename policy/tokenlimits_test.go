package policy_test

import (
	"fmt"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// coinsOf writes base units as coins with so many decimals.
func coinsOf(base *big.Int, decimals int) string {
	if decimals == 0 {
		return base.String()
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(decimals)), nil)
	whole, rest := new(big.Int).QuoRem(base, unit, new(big.Int))
	return fmt.Sprintf("%s.%0*s", whole, decimals, rest)
}

// TestTokenLimitsAreExact draws amounts of runes and BRC-20 tokens around their thresholds, in one entry or in two, and
// holds the decision against integer arithmetic.
func TestTokenLimitsAreExact(t *testing.T) {
	data := bitcoinData()
	all := []int{0, 6, 18}
	tiers := []object{{"above": "5000", "group": "treasury", "threshold": 2, "expiry_seconds": 3600}}
	for _, decimals := range all {
		set(data, fmt.Sprintf("brc20.BTC.dec%d", decimals%10), object{
			"decimals": decimals, "methods": object{"transfer": object{"steps": []int{2}, "max": "10000", "approvals": tiers}},
		})
		set(data, fmt.Sprintf("runes.BTC.7:%d", decimals), object{
			"spaced_name": "TOK•" + string(rune('A'+decimals)), "divisibility": decimals, "amount_unit": "coin", "max": "10000", "approvals": tiers,
		})
	}
	e := newEngine(t, data)
	rapid.Check(t, func(r *rapid.T) {
		decimals := rapid.SampledFrom(all).Draw(r, "decimals")
		amount, want := nearThreshold(r, decimals, 2)
		parts := []*big.Int{amount}
		if rapid.Bool().Draw(r, "in two") {
			parts = []*big.Int{big.NewInt(1), new(big.Int).Sub(amount, big.NewInt(1))}
		}
		info, account := payment(), bitcoin()
		isRune := rapid.Bool().Draw(r, "rune")
		for _, part := range parts {
			if isRune {
				d := wire.RuneDetail{
					FromAddress: hotWallet, ToAddress: exchange, RuneID: fmt.Sprintf("7:%d", decimals), RuneAmount: coinsOf(part, decimals),
					RuneName: "TOK" + string(rune('A'+decimals)), RuneSpacedName: "TOK•" + string(rune('A'+decimals)), RuneDivisibility: fmt.Sprint(decimals),
				}
				info.RuneDetails = append(info.RuneDetails, d)
			} else {
				d := ordi()
				d.Ticker, d.Quantity = fmt.Sprintf("DEC%d", decimals%10), coinsOf(part, decimals)
				info.BRC20Details = append(info.BRC20Details, d)
			}
		}
		if isRune {
			account.Runestone = &evidence.Runestone{Edicts: []evidence.Edict{{RuneID: fmt.Sprintf("7:%d", decimals), Amount: amount}}}
		}
		in := completed(t, e, info, account, nil)
		in.Evidence.Status, in.UTXO.Source = policy.EvidenceVerified, policy.SourceEvidence // a BRC-20 transfer in two is revealed by none
		d, err := e.Evaluate(t.Context(), in)
		if err != nil {
			r.Fatal(err)
		}
		if d.Action != want {
			r.Fatalf("%s with %d decimals: got %s (%s), want %s", amount, decimals, d.Action, d.ErrorText(), want)
		}
	})
}

// TestMovedInscriptionOnTrust: what the last step of a BRC-20 transfer moves is in no transaction at hand, so that data.json
// has to take it on trust; the outputs are judged as ever, by listed addresses alone.
func TestMovedInscriptionOnTrust(t *testing.T) {
	data := bitcoinData()
	set(data, "evidence.unverifiable.BTC", object{"codes": []string{"inscription"}, "any_requester": true})
	trusting, strict := newEngine(t, data), newEngine(t, bitcoinData())
	last := ordi()
	last.Step, last.InscriptionID = "3", "17b0378f551ddfda5d512a7304fdc0f33493f0429a479e243f3653d7dca0700ei0"
	judge := func(e *policy.Engine, change func(*evidence.Bitcoin)) policy.Decision {
		info, account := payment(), bitcoin()
		info.BRC20Details = []wire.BRC20Detail{last}
		change(account)
		return decide(t, e, completed(t, e, info, account, nil))
	}
	wantAction(t, judge(trusting, func(*evidence.Bitcoin) {}), policy.Approve, "address.listed")
	wantAction(t, judge(strict, func(*evidence.Bitcoin) {}), policy.Reject, "evidence.unverifiable")
	wantAction(t, judge(trusting, func(b *evidence.Bitcoin) { b.Outputs[1].Address = strangers }), policy.Reject, "limit.per_transaction")
	wantAction(t, judge(trusting, func(b *evidence.Bitcoin) { b.Outputs[0].Amount = "21999" }), policy.Reject, "evidence.mismatch")
}
