package policy_test

import (
	"encoding/json"
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
		timeApproval(b, name, e, in)
	}
}

// timeApproval times the decision about an input that is approved.
func timeApproval(b *testing.B, name string, e *policy.Engine, in policy.Input) {
	b.Helper()
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

// traffic are transfers of tokens as cmd/bench sends them: each has its own transaction, and there are 50 wallets and 50 paths.
func traffic(t testing.TB, e *policy.Engine, n int) []policy.Input {
	t.Helper()
	out := make([]policy.Input, n)
	for i := range out {
		amount, to := fmt.Sprint(1_000_000+i), fmt.Sprintf("0x%040x", i%10_000)
		data := fmt.Sprintf("0xa9059cbb%064x%064x", i%10_000, 1_000_000+i)
		info := &wire.TxInfo{
			VaultID: "1", WalletID: fmt.Sprint(i % 50), RequestID: fmt.Sprintf("pay-%08d", i), ChainSymbol: "ETH", AssetID: "USDT_ETH",
			To: to, Amount: amount, GasPrice: "21000000000", GasLimit: "65000",
		}
		p := parsed(info)
		d := &p.Check.RequestDetail
		p.Check.CallbackID, d.Path, d.Message = fmt.Sprintf("%032x", i), fmt.Sprintf("m/44/60/0/0/%d", i%50), fmt.Sprintf("%064x", i)
		tx, err := json.Marshal(map[string]any{
			"vaultId": "1", "walletId": info.WalletID, "requestId": info.RequestID, "chainSymbol": "ETH", "assetId": "USDT_ETH", "to": to,
			"amount": amount, "gasPrice": "21000000000", "gasLimit": "65000", "rawTx": data + data,
		})
		must(t, err)
		d.TxInfo = tx
		in := e.NewInput(p)
		in.Node, in.Now = policy.Node{ID: "sinoA", Name: "a"}, policy.NowAt(testTime)
		decoded, err := json.Marshal(evidence.Decoded{
			Kind: evidence.KindEVMTransaction, Digest: d.Message, Complete: true,
			Transaction: &evidence.Transaction{
				Type: "0x2", ChainID: "1", Nonce: fmt.Sprint(i / 50), To: usdt, Value: "0", Data: data, GasLimit: "65000",
				MaxFeePerGas: "21000000000", MaxPriorityFeePerGas: "1000000000", MaxFee: "1365000000000000",
			},
			Calls: []evidence.Step{{
				Contract: usdt, Value: "0", Method: "transfer(address,uint256)", Selector: "0xa9059cbb", Args: map[string]any{"to": to, "value": amount},
			}},
			Movements: []evidence.Movement{{Asset: evidence.AssetERC20, Contract: usdt, To: to, Amount: amount}},
			Approvals: []evidence.Approval{},
			Transfer:  &evidence.Transfer{Asset: evidence.AssetERC20, Contract: usdt, To: to, Amount: amount},
		})
		must(t, err)
		in.Evidence = policy.Evidence{
			Status: policy.EvidenceVerified, Decoded: decoded,
			Transfer: &policy.Transfer{Kind: policy.AssetERC20, Contract: usdt, To: to, Amount: amount},
		}
		e.Complete(&in)
		in.Windows = map[string]policy.Window{
			"usdt-a-day":       {Used: "0", Reserved: json.Number(fmt.Sprint(i)), After: json.Number(fmt.Sprint(1_000_000 + 2*i))},
			"payments-a-month": {Used: "0", Reserved: json.Number(fmt.Sprint(i)), After: json.Number(fmt.Sprint(i + 1))},
		}
		out[i] = in
	}
	return out
}

// trafficData has two lists of 10 000 addresses and two windows.
func trafficData() object {
	data := set(set(longLists(10_000), "unbound_wallets", true), "windows.usdt-a-day", object{
		"measure": "amount", "chain": "ETH", "asset": "USDT_ETH", "scope": []string{"wallet"}, "rolling_seconds": 86400, "max": "1000000000000",
	})
	return set(data, "windows.payments-a-month", object{
		"measure": "count", "scope": []string{"key", "path"}, "calendar": "month", "zone": "Europe/Zurich", "max": "1000000000",
	})
}

// BenchmarkTraffic times the decisions of make bench, each about another transfer, from the input's Go form on.
func BenchmarkTraffic(b *testing.B) {
	e := newEngine(b, trafficData())
	inputs := traffic(b, e, 5000)
	for _, in := range inputs { // what hardly varies is remembered
		if d := decide(b, e, in); d.Action != policy.Approve {
			b.Fatal(d)
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if d, _, err := e.Judge(b.Context(), inputs[i%len(inputs)]); err != nil || d.Action != policy.Approve {
			b.Fatal(d, err)
		}
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
		timeApproval(b, name, e, in)
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
