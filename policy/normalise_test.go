package policy_test

import (
	"encoding/json"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// coinData has a chain whose amounts are coins, and one of the UTXO family.
func coinData() object {
	data := demoData()
	set(data, "chains.XCH", object{
		"family": "evm", "chain_id": 7, "amount_unit": "coin",
		"assets": object{"XCH": object{"kind": "native", "decimals": 18}, "TOK": object{"kind": "erc20", "contract": usdt, "decimals": 6}},
	})
	return set(data, "chains.BTC", object{
		"family": "utxo", "network": "testnet", "amount_unit": "base", "assets": object{"BTC_BTC": object{"kind": "native", "decimals": 8}},
	})
}

func TestAmounts(t *testing.T) {
	e := newEngine(t, coinData())
	for _, c := range []struct{ chain, asset, amount, want string }{
		{"ETH", "USDT_ETH", "0", "0"},
		{"ETH", "USDT_ETH", "1500000000", "1500000000"},
		{"ETH", "ETH", strings.Repeat("9", 77), strings.Repeat("9", 77)},
		{"ETH", "ETH", "115792089237316195423570985008687907853269984665640564039457584007913129639935",
			"115792089237316195423570985008687907853269984665640564039457584007913129639935"},
		{"XCH", "XCH", "1", "1000000000000000000"},
		{"XCH", "XCH", "0.000000000000000001", "1"},
		{"XCH", "TOK", "10000.5", "10000500000"},
		{"XCH", "TOK", "0.0", "0"},
		{"XCH", "TOK", "0.000000", "0"},
	} {
		in := e.NewInput(parsed(&wire.TxInfo{ChainSymbol: c.chain, AssetID: c.asset, To: recipient, Amount: c.amount}))
		if len(in.Tx.Problems) > 0 || string(in.Tx.AmountBase) != c.want {
			t.Errorf("%s of %s: got %s %v, want %s", c.amount, c.asset, in.Tx.AmountBase, in.Tx.Problems, c.want)
		}
	}
}

// TestAmountsThatAreNotExact are refused rather than read somehow; each of them has meant something to some parser.
func TestAmountsThatAreNotExact(t *testing.T) {
	e := newEngine(t, coinData())
	for _, amount := range []string{
		"", " 1", "1 ", "+1", "-1", "-0", "00", "01", "1.", ".5", "1.5.0", "1,5", "1_000", "1e5", "1E5", "0x10", "NaN", "Infinity", "null", "١",
		"1.0000001", "1.0000000", strings.Repeat("1", 79), strings.Repeat("0", 200), "0." + strings.Repeat("0", 200),
		"115792089237316195423570985008687907853269984665640564039457584007913129639936",
	} {
		for _, chain := range []string{"ETH", "XCH"} {
			asset := map[string]string{"ETH": "USDT_ETH", "XCH": "TOK"}[chain]
			in := e.NewInput(parsed(&wire.TxInfo{ChainSymbol: chain, AssetID: asset, To: recipient, Amount: amount}))
			if in.Tx.AmountBase != "" || len(in.Tx.Problems) != 1 || in.Tx.Problems[0].Rule != policy.RuleTxInvalid {
				t.Errorf("%q on %s: got %q with %v", amount, chain, in.Tx.AmountBase, in.Tx.Problems)
			}
		}
	}
}

// TestExponentIsToldOf: what is wrong with an amount is said in the unit that the chain's amounts have.
func TestExponentIsToldOf(t *testing.T) {
	in := newEngine(t, coinData()).NewInput(parsed(&wire.TxInfo{ChainSymbol: "XCH", AssetID: "TOK", To: recipient, Amount: "1e3"}))
	if len(in.Tx.Problems) != 1 || !strings.Contains(in.Tx.Problems[0].Message, "not a plain decimal number") {
		t.Errorf("in coins: %v", in.Tx.Problems)
	}
	in = demoEngine(t).NewInput(parsed(claim("1e3")))
	if len(in.Tx.Problems) != 1 || !strings.Contains(in.Tx.Problems[0].Message, "integers in base units only") {
		t.Errorf("in base units: %v", in.Tx.Problems)
	}
}

func TestAddresses(t *testing.T) {
	e := newEngine(t, coinData())
	for _, c := range []struct{ chain, asset, address, want string }{
		{"ETH", "ETH", recipient, strings.ToLower(recipient)},
		{"ETH", "ETH", strings.ToLower(recipient), strings.ToLower(recipient)},
		{"ETH", "ETH", "0x" + strings.ToUpper(recipient[2:]), strings.ToLower(recipient)},
		{"ETH", "ETH", "0X" + recipient[2:], ""},
		{"ETH", "ETH", recipient[2:], ""},
		{"ETH", "ETH", recipient + "0", ""},
		{"ETH", "ETH", recipient + " ", ""},
		{"ETH", "ETH", "", ""},
		{"ETH", "ETH", "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", ""}, // one letter of the checksum is wrong
		{"BTC", "BTC_BTC", "mwTnMZzAvUzVCQKGkdcAHYW1sMnJCumbJL", "mwTnMZzAvUzVCQKGkdcAHYW1sMnJCumbJL"},
		{"BTC", "BTC_BTC", "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx"},
		{"BTC", "BTC_BTC", "TB1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KXPJZSX", "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx"},
		{"BTC", "BTC_BTC", "tb1qW508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", ""},
		{"BTC", "BTC_BTC", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", ""}, // of another network
		{"BTC", "BTC_BTC", "mwTnMZzAvUzVCQKGkdcAHYW1sMnJCumbJ0", ""},
		{"BTC", "BTC_BTC", recipient, ""},
	} {
		in := e.NewInput(parsed(&wire.TxInfo{ChainSymbol: c.chain, AssetID: c.asset, To: c.address, Amount: "1"}))
		if in.Tx.To != c.want || (len(in.Tx.Problems) == 0) != (c.want != "") {
			t.Errorf("%s on %s: got %q with %v, want %q", c.address, c.chain, in.Tx.To, in.Tx.Problems, c.want)
		}
	}
}

func TestUnknownChainAndAsset(t *testing.T) {
	e := demoEngine(t)
	for _, c := range []struct{ chain, asset, field string }{
		{"", "USDT_ETH", "chainSymbol"}, {"eth", "USDT_ETH", "chainSymbol"}, {"BTC", "USDT_ETH", "chainSymbol"},
		{"ETH", "", "assetId"}, {"ETH", "usdt_eth", "assetId"}, {"ETH", "USDT", "assetId"},
	} {
		info := claim("1")
		info.ChainSymbol, info.AssetID = c.chain, c.asset
		in := e.NewInput(parsed(info))
		if len(in.Tx.Problems) != 1 || in.Tx.Problems[0].Rule != policy.RuleAssetUnknown || in.Tx.Problems[0].Field != c.field {
			t.Errorf("%+v: got %v", c, in.Tx.Problems)
		}
		if in.Tx.AmountBase != "" || in.Tx.Asset != "" {
			t.Errorf("%+v: got an amount of %q %q", c, in.Tx.AmountBase, in.Tx.Asset)
		}
	}
}

// TestTwoClaims gives the flat fields of older nodes another meaning than tx_info has.
func TestTwoClaims(t *testing.T) {
	e := demoEngine(t)
	p := parsed(claim("1500000000"))
	d := &p.Check.RequestDetail
	d.Amount, d.ToAddress, d.FromAddress, d.GasLimit = "1500000000", recipient, sender, "50000"
	if in := e.NewInput(p); len(in.Tx.Problems) > 0 {
		t.Errorf("the same claim twice: got %v", in.Tx.Problems)
	}
	d.Amount, d.GasPrice = "15", "1"
	in := e.NewInput(p)
	if len(in.Tx.Problems) != 2 || in.Tx.Problems[0].Field != "amount" || in.Tx.Problems[1].Field != "gasPrice" {
		t.Errorf("got %v", in.Tx.Problems)
	}
}

// TestReconcile gives evidence that calls itself verified and is of something else.
func TestReconcile(t *testing.T) {
	e := demoEngine(t)
	good := policy.Transfer{Kind: policy.AssetERC20, Contract: usdt, To: recipient, Amount: "1500000000"}
	for name, c := range map[string]struct {
		change func(*policy.Transfer)
		field  string
	}{
		"the same":         {func(*policy.Transfer) {}, ""},
		"another case":     {func(t *policy.Transfer) { t.To, t.Contract = strings.ToLower(t.To), strings.ToLower(t.Contract) }, ""},
		"another amount":   {func(t *policy.Transfer) { t.Amount = "1500000001" }, "amount"},
		"no amount":        {func(t *policy.Transfer) { t.Amount = "" }, "amount"},
		"a padded amount":  {func(t *policy.Transfer) { t.Amount = "01500000000" }, "amount"},
		"another to":       {func(t *policy.Transfer) { t.To = sender }, "to"},
		"another contract": {func(t *policy.Transfer) { t.Contract = recipient }, "assetId"},
		"the coin":         {func(t *policy.Transfer) { t.Kind, t.Contract = policy.AssetNative, "" }, "assetId"},
		"a bad contract":   {func(t *policy.Transfer) { t.Contract = "0x" }, "assetId"},
	} {
		t.Run(name, func(t *testing.T) {
			in := e.NewInput(parsed(claim("1500000000")))
			signed := good
			c.change(&signed)
			got := e.Reconcile(in.Tx, policy.Evidence{Status: policy.EvidenceVerified, Transfer: &signed})
			switch {
			case c.field == "" && (got.Status != policy.EvidenceVerified || in.Tx.Source != policy.SourceEvidence):
				t.Errorf("got %+v", got)
			case c.field != "" && (got.Status != policy.EvidenceMismatch || len(got.Differences) != 1 || got.Differences[0].Field != c.field):
				t.Errorf("got %+v, want a mismatch in %s", got, c.field)
			case c.field != "" && in.Tx.Source != policy.SourceClaim:
				t.Errorf("a mismatch is taken for evidence")
			}
		})
	}
	in := e.NewInput(parsed(claim("1500000000")))
	if got := e.Reconcile(in.Tx, policy.Evidence{Status: policy.EvidenceVerified}); got.Status != policy.EvidenceUnverifiable {
		t.Errorf("verified without a transfer: got %+v", got)
	}
	if got := e.Reconcile(nil, policy.Evidence{Status: policy.EvidenceVerified}); got.Status != policy.EvidenceVerified {
		t.Errorf("a message: got %+v", got)
	}
}

func TestUTXOAndTokens(t *testing.T) {
	e := newEngine(t, coinData())
	for _, v := range vectors(t) {
		p, err := wire.ParseCheck(wire.Path(v.Path), []byte(v.Body))
		must(t, err)
		in := e.NewInput(p)
		switch v.Name {
		case "sign-utxo":
			if len(in.UTXO.Inputs) != 1 || len(in.UTXO.Outputs) != 2 || in.UTXO.Outputs[0].AmountBase != "22000" {
				t.Errorf("%s: got %+v", v.Name, in.UTXO)
			}
			if in.Tx.AmountBase != "22000" || in.Tx.FeeBase != "" || len(in.Tx.Problems) > 0 {
				t.Errorf("%s: got %+v", v.Name, in.Tx)
			}
		case "taproot-sign-brc20":
			if len(in.BRC20) != 1 || in.BRC20[0].Ticker != "ordi" || in.BRC20[0].Step != 3 {
				t.Errorf("%s: got %+v", v.Name, in.BRC20)
			}
		case "bip340-sign-rune":
			if len(in.Runes) != 1 || in.Runes[0].ID != "2818544:3897" || in.Runes[0].Amount != "100" {
				t.Errorf("%s: got %+v", v.Name, in.Runes)
			}
		}
	}
}

// TestCanonicalInputHasNoNull holds that lists and maps are there even when they hold nothing, and that an amount that
// is not known is absent: null is less than every number in Rego.
func TestCanonicalInputHasNoNull(t *testing.T) {
	e := demoEngine(t)
	in := e.NewInput(parsed(claim("no amount")))
	in.Now = policy.NowAt(testTime)
	b, err := in.Canonical()
	must(t, err)
	var got map[string]json.RawMessage
	must(t, json.Unmarshal(b, &got))
	for _, key := range []string{"brc20", "runes", "approvals", "unknown_fields", "problems"} {
		if string(got[key]) != "[]" {
			t.Errorf("%s is %s", key, got[key])
		}
	}
	if string(got["windows"]) != "{}" || strings.Contains(string(got["tx"]), "null") || strings.Contains(string(got["tx"]), "amount_base") {
		t.Errorf("windows is %s, tx is %s", got["windows"], got["tx"])
	}
}

// FuzzAmount holds what is read as an amount against rational arithmetic.
func FuzzAmount(f *testing.F) {
	e := newEngine(f, coinData())
	for _, seed := range []string{"0", "1.5", "10000.000001", "1e3", "-1", "007", "99999999999999999999.999999", "1_0"} {
		f.Add(seed)
	}
	plain := regexp.MustCompile(`^(0|[1-9][0-9]*)(\.[0-9]+)?$`)
	f.Fuzz(func(t *testing.T, amount string) {
		in := e.NewInput(parsed(&wire.TxInfo{ChainSymbol: "XCH", AssetID: "TOK", To: recipient, Amount: amount}))
		if in.Tx.AmountBase == "" {
			if len(in.Tx.Problems) == 0 {
				t.Fatalf("%q is no amount and no problem", amount)
			}
			return
		}
		if !plain.MatchString(amount) {
			t.Fatalf("%q was read as %s", amount, in.Tx.AmountBase)
		}
		want, ok := new(big.Rat).SetString(amount)
		if !ok {
			t.Fatalf("%q was read as %s", amount, in.Tx.AmountBase)
		}
		want.Mul(want, big.NewRat(1_000_000, 1))
		if got, ok := new(big.Rat).SetString(string(in.Tx.AmountBase)); !ok || got.Cmp(want) != 0 {
			t.Fatalf("%q was read as %s, not %s", amount, in.Tx.AmountBase, want)
		}
	})
}

// FuzzAddress holds that a canonical address is its own canonical form.
func FuzzAddress(f *testing.F) {
	e := newEngine(f, coinData())
	for _, seed := range []string{recipient, "mwTnMZzAvUzVCQKGkdcAHYW1sMnJCumbJL", "TB1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KXPJZSX", "0x", "tb1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		for chain, asset := range map[string]string{"ETH": "ETH", "BTC": "BTC_BTC"} {
			to := func(a string) string {
				return e.NewInput(parsed(&wire.TxInfo{ChainSymbol: chain, AssetID: asset, To: a, Amount: "1"})).Tx.To
			}
			if once := to(address); once != "" && to(once) != once {
				t.Fatalf("%q becomes %q, which becomes %q", address, once, to(once))
			}
		}
	})
}

// FuzzReplay holds that no recorded bytes make the engine panic, and that what it cannot judge it rejects.
func FuzzReplay(f *testing.F) {
	e := demoEngine(f)
	for _, amount := range []string{"1", "6000000000"} {
		b, err := transfer(e, amount).Canonical()
		must(f, err)
		f.Add(b)
	}
	f.Add([]byte(`{"format":"countersign/policy-input/v1","tx":{"amount_base":1e400}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := e.Replay(t.Context(), b); err != nil && d.Action != policy.Reject {
			t.Fatalf("got %s with %v", d.Action, err)
		}
	})
}
