package policy_test

import (
	"encoding/json"
	"testing"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/policy"
)

// payingGas is a transfer of one ETH whose tx_info claims such costs and whose transaction has others.
func payingGas(t testing.TB, e *policy.Engine, status policy.EvidenceStatus, tx *evidence.Transaction) policy.Input {
	t.Helper()
	info := claim("1000000000000000000")
	info.AssetID = "ETH"
	in := e.NewInput(parsed(info))
	in.Now = policy.NowAt(testTime)
	in.Evidence = policy.Evidence{Status: status, Transfer: &policy.Transfer{Kind: policy.AssetNative, To: recipient, Amount: info.Amount}}
	if tx != nil {
		decoded, err := json.Marshal(evidence.Decoded{Kind: evidence.KindEVMTransaction, Transaction: tx})
		must(t, err)
		in.Evidence.Decoded = decoded
	}
	e.Complete(&in)
	return in
}

func TestGas(t *testing.T) {
	e := demoEngine(t)
	claimed := policy.Gas{PriceBase: "21000000000", Limit: "50000", FeeBase: "1050000000000000", Source: policy.SourceClaim}
	legacy := &evidence.Transaction{GasPrice: "7", GasLimit: "3", MaxFee: "21"}
	signed := policy.Gas{PriceBase: "7", Limit: "3", FeeBase: "21", Source: policy.SourceEvidence}
	for name, c := range map[string]struct {
		status policy.EvidenceStatus
		tx     *evidence.Transaction
		want   policy.Gas
	}{
		"as claimed":          {policy.EvidenceUnverifiable, nil, claimed},
		"as signed":           {policy.EvidenceVerified, legacy, signed},
		"signed, but unclear": {policy.EvidenceUnverifiable, legacy, signed},
		"dynamic fee":         {policy.EvidenceVerified, &evidence.Transaction{MaxFeePerGas: "7", MaxPriorityFeePerGas: "1", GasLimit: "3", MaxFee: "21"}, signed},
		"malformed":           {policy.EvidenceVerified, &evidence.Transaction{GasPrice: "7.5", GasLimit: "-3", MaxFee: "1e3"}, policy.Gas{Source: policy.SourceEvidence}},
		"a mismatch":          {policy.EvidenceMismatch, legacy, claimed},
	} {
		t.Run(name, func(t *testing.T) {
			in := payingGas(t, e, c.status, c.tx)
			if in.Tx.Gas == nil || *in.Tx.Gas != c.want {
				t.Errorf("got %+v, want %+v", in.Tx.Gas, c.want)
			}
			if _, err := in.Canonical(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestClaimedGas: a claim cannot hide a fee behind a smaller one, nor pass a number off that is none.
func TestClaimedGas(t *testing.T) {
	e := demoEngine(t)
	for name, c := range map[string]struct {
		price, limit, fee string
		want              policy.Gas
	}{
		"a small fee":     {"100", "50", "1", policy.Gas{PriceBase: "100", Limit: "50", FeeBase: "5000"}},
		"a larger fee":    {"100", "50", "6000", policy.Gas{PriceBase: "100", Limit: "50", FeeBase: "6000"}},
		"no fee":          {"100", "50", "", policy.Gas{PriceBase: "100", Limit: "50", FeeBase: "5000"}},
		"no price":        {"", "50", "1", policy.Gas{Limit: "50", FeeBase: "1"}},
		"a price in gwei": {"1.5", "50", "", policy.Gas{Limit: "50"}},
		"an exponent":     {"1e3", "0x1", "", policy.Gas{}},
		"beyond uint256":  {"1" + maxUint256, "2", "1", policy.Gas{Limit: "2", FeeBase: "1"}},
		"product beyond":  {maxUint256, "2", "1", policy.Gas{PriceBase: maxUint256, Limit: "2"}},
	} {
		t.Run(name, func(t *testing.T) {
			info := claim("1")
			info.GasPrice, info.GasLimit, info.Fee = c.price, c.limit, c.fee
			in := e.NewInput(parsed(info))
			c.want.Source = policy.SourceClaim
			if in.Tx.Gas == nil || *in.Tx.Gas != c.want {
				t.Errorf("got %+v, want %+v", in.Tx.Gas, c.want)
			}
		})
	}
}

// TestClaimedGasProduct multiplies around the sizes at which the arithmetic changes.
func TestClaimedGasProduct(t *testing.T) {
	e := demoEngine(t)
	const uint64s, halves = "18446744073709551615", "4294967296" // 2^64-1, 2^32
	for _, c := range []struct{ price, limit, fee string }{
		{"0", uint64s, "0"}, {"1", uint64s, uint64s}, {"2", uint64s, "36893488147419103230"}, {halves, "4294967295", "18446744069414584320"},
		{halves, halves, "18446744073709551616"}, {"18446744073709551616", "1", "18446744073709551616"},
		{"115792089237316195423570985008687907853269984665640564039457584007913129639935", "1", "115792089237316195423570985008687907853269984665640564039457584007913129639935"},
		{"115792089237316195423570985008687907853269984665640564039457584007913129639935", "2", ""},
	} {
		info := claim("1000000000000000000")
		info.AssetID, info.Fee, info.GasPrice, info.GasLimit = "ETH", "", c.price, c.limit
		if got := e.NewInput(parsed(info)).Tx.Gas.FeeBase; string(got) != c.fee {
			t.Errorf("%s for %s comes to %q, want %q", c.price, c.limit, got, c.fee)
		}
	}
}
