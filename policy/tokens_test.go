package policy_test

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// payment is the tx_info of a payment of 22000 satoshi to the exchange.
func payment() *wire.TxInfo {
	return &wire.TxInfo{
		RequestID: "r-1", ChainSymbol: "BTC", AssetID: "BTC_BTC", From: hotWallet, To: exchange, Amount: "22000", Fee: "12",
		ExtraData: &wire.ExtraData{
			VinList:  []wire.Vin{{Address: hotWallet, Amount: "1425593", ID: "6909"}},
			VoutList: []wire.Vout{{Address: exchange, Amount: "22000"}, {Address: hotWallet, Amount: "1400000"}},
		},
	}
}

func ordi() wire.BRC20Detail {
	return wire.BRC20Detail{Method: "transfer", Ticker: "ORDI", Quantity: "500", Step: "2", From: hotWallet, To: exchange}
}

func hello() wire.RuneDetail {
	return wire.RuneDetail{
		FromAddress: hotWallet, ToAddress: exchange, RuneName: "HELLOWORLD", RuneID: helloID, RuneSpacedName: "HELLO•WORLD",
		RuneAmount: "10000", RuneSymbol: "¤", RuneDivisibility: "2",
	}
}

func TestBRC20IsMadeExact(t *testing.T) {
	e := newEngine(t, bitcoinData())
	info := payment()
	info.BRC20Details = []wire.BRC20Detail{ordi(), {Method: "transfer", Ticker: "Ordi", Quantity: "0.5"}, {Method: "mint", Ticker: "ordi", Quantity: "1"},
		{Method: "transfer", Ticker: "SIX!", Quantity: "1.000001"}, {Method: "deploy", Ticker: "none", Quantity: "18446744073709551615"}}
	in := e.NewInput(parsed(info))
	if len(in.Tx.Problems) > 0 {
		t.Fatal(in.Tx.Problems)
	}
	for i, want := range []struct{ ticker, quantity, total string }{
		{"ordi", "500000000000000000000", "500500000000000000000"},
		{"ordi", "500000000000000000", "500500000000000000000"},
		{"ordi", "1000000000000000000", "1000000000000000000"},
		{"six!", "1000001", "1000001"},
		{"none", "18446744073709551615000000000000000000", "18446744073709551615000000000000000000"},
	} {
		if got := in.BRC20[i]; got.Ticker != want.ticker || string(got.QuantityBase) != want.quantity || string(got.TotalBase) != want.total {
			t.Errorf("%d: got %+v, want %+v", i, got, want)
		}
	}
}

// TestBRC20ThatIsMalformed breaks one field of an entry after the other.
func TestBRC20ThatIsMalformed(t *testing.T) {
	e := newEngine(t, bitcoinData())
	id := strings.Repeat("0a", 32)
	for field, values := range map[string][]string{
		"method":        {"", "Transfer", "burn", "transfer "},
		"ticker":        {"", "ord", "helloworld", "or i", "ord\x00", "ord\"", "ord\\", "\xff\xfe\xfd\xfc", "Äbc", "ord\u200b"},
		"quantity":      {"", "0", "0.0", "-1", "+1", "1e3", "01", "1.", ".5", "1,5", "0x1", "0.0000000000000000001", "18446744073709551616", "18446744073709551615.1", "١"},
		"inscriptionId": {id, id + "i", id + "i-1", id + "i01", strings.ToUpper(id) + "i0", id[1:] + "i0", id + "i0 ", id + "i9999999999"},
		"step":          {"-1", "256", "1.5", "x", "0x1"},
		"from":          {"x", recipient, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"},
		"to":            {"x", recipient, "mwTnMZzAvUzVCQKGkdcAHYW1sMnJCumbJM"},
	} {
		for _, value := range values {
			d := ordi()
			*map[string]*string{"method": &d.Method, "ticker": &d.Ticker, "quantity": &d.Quantity, "inscriptionId": &d.InscriptionID,
				"step": &d.Step, "from": &d.From, "to": &d.To}[field] = value
			info := payment()
			info.BRC20Details = []wire.BRC20Detail{d}
			in := e.NewInput(parsed(info))
			if len(in.Tx.Problems) != 1 || in.Tx.Problems[0].Rule != policy.RuleBRC20Invalid || in.Tx.Problems[0].Field != "brc20Details[0]."+field {
				t.Errorf("%s %q: got %v", field, value, in.Tx.Problems)
			}
			if field == "quantity" && (in.BRC20[0].QuantityBase != "" || in.BRC20[0].TotalBase != "") {
				t.Errorf("%s %q: got %+v", field, value, in.BRC20[0])
			}
		}
	}
}

func TestRunesAreMadeExact(t *testing.T) {
	e := newEngine(t, bitcoinData())
	info := payment()
	info.RuneDetails = []wire.RuneDetail{hello(), {RuneID: "1:1", RuneAmount: "1.25"}, {RuneID: helloID, RuneAmount: "1"}, {RuneID: "2:2", RuneAmount: "5"}}
	in := e.NewInput(parsed(info))
	if len(in.Tx.Problems) > 0 {
		t.Fatal(in.Tx.Problems)
	}
	for i, want := range [][2]string{{"10000", "10001"}, {"1250", "1250"}, {"1", "10001"}, {"", ""}} {
		if got := in.Runes[i]; string(got.AmountBase) != want[0] || string(got.TotalBase) != want[1] {
			t.Errorf("%d: got %+v, want %v", i, got, want)
		}
	}
}

// TestRunesThatAreMalformed breaks one field of an entry after the other.
func TestRunesThatAreMalformed(t *testing.T) {
	e := newEngine(t, bitcoinData())
	for field, values := range map[string][]string{
		"runeId":           {"", "1", "1:", ":1", "01:1", "1:01", "1:2:3", "1 :2", "18446744073709551616:1", "1:4294967296", "0:1", "-1:1"},
		"runeAmount":       {"", "0", "-1", "1.0", "1e3", "01", "340282366920938463463374607431768211456"},
		"runeDivisibility": {"-1", "256", "x"},
		"fromAddress":      {"x", recipient},
		"toAddress":        {"x", recipient},
	} {
		for _, value := range values {
			d := hello()
			*map[string]*string{"runeId": &d.RuneID, "runeAmount": &d.RuneAmount, "runeDivisibility": &d.RuneDivisibility,
				"fromAddress": &d.FromAddress, "toAddress": &d.ToAddress}[field] = value
			info := payment()
			info.RuneDetails = []wire.RuneDetail{d}
			in := e.NewInput(parsed(info))
			if len(in.Tx.Problems) != 1 || in.Tx.Problems[0].Rule != policy.RuleRunesInvalid || in.Tx.Problems[0].Field != "runeDetails[0]."+field {
				t.Errorf("%s %q: got %v", field, value, in.Tx.Problems)
			}
			if field == "runeAmount" && (in.Runes[0].AmountBase != "" || in.Runes[0].TotalBase != "") {
				t.Errorf("%s %q: got %+v", field, value, in.Runes[0])
			}
		}
	}
}

func TestTapScriptRootIsChecked(t *testing.T) {
	e := newEngine(t, bitcoinData())
	for root, valid := range map[string]bool{
		"": true, scriptRoot: true, strings.ToUpper(scriptRoot): false, scriptRoot[2:]: false, "0x" + scriptRoot: false, scriptRoot + "00": false,
	} {
		info := payment()
		info.TapScriptRoot = root
		in := e.NewInput(parsed(info))
		if (len(in.Tx.Problems) == 0) != valid {
			t.Errorf("%q: got %v", root, in.Tx.Problems)
		}
	}
}

func TestClaimedCoinsAreWeighed(t *testing.T) {
	e := newEngine(t, bitcoinData())
	type weighed struct{ fee, rate, to, paid string }
	for name, c := range map[string]struct {
		change func(*wire.TxInfo)
		want   weighed
	}{
		"a payment":       {func(*wire.TxInfo) {}, weighed{"3593", "12000", "22000", "22000"}},
		"a rate's digits": {func(i *wire.TxInfo) { i.Fee = "12.0000001" }, weighed{"3593", "12001", "22000", "22000"}},
		"no rate":         {func(i *wire.TxInfo) { i.Fee = "" }, weighed{"3593", "", "22000", "22000"}},
		"a third output": {func(i *wire.TxInfo) {
			i.ExtraData.VoutList = append(i.ExtraData.VoutList, wire.Vout{Address: strangers, Amount: "93"})
		}, weighed{"3500", "12000", "22000", "22093"}},
		"paid in two": {func(i *wire.TxInfo) {
			i.ExtraData.VoutList[0].Amount = "21000"
			i.ExtraData.VoutList[1] = wire.Vout{Address: exchange, Amount: "1000"}
		}, weighed{"1403593", "12000", "22000", "22000"}},
		"more than is in":   {func(i *wire.TxInfo) { i.ExtraData.VinList[0].Amount = "1" }, weighed{"", "12000", "22000", "22000"}},
		"nothing in":        {func(i *wire.TxInfo) { i.ExtraData.VinList = nil }, weighed{"", "12000", "22000", "22000"}},
		"an unknown input":  {func(i *wire.TxInfo) { i.ExtraData.VinList[0].Amount = "" }, weighed{"", "12000", "22000", "22000"}},
		"an unknown change": {func(i *wire.TxInfo) { i.ExtraData.VoutList[1].Amount = "" }, weighed{"", "12000", "22000", "22000"}},
		"an unknown amount": {func(i *wire.TxInfo) { i.ExtraData.VoutList[0].Amount = "" }, weighed{"", "12000", "", ""}},
		"to an own address": {func(i *wire.TxInfo) { i.To = hotWallet; i.ExtraData.VoutList[0].Address = hotWallet }, weighed{"3593", "12000", "22000", "0"}},
		"all to an own one": {func(i *wire.TxInfo) {
			i.To, i.Amount = hotWallet, "1422000"
			i.ExtraData.VoutList[0].Address = hotWallet
		}, weighed{"3593", "12000", "1422000", "0"}},
	} {
		t.Run(name, func(t *testing.T) {
			info := payment()
			c.change(info)
			in := e.NewInput(parsed(info))
			u := in.UTXO
			if got := (weighed{string(u.FeeBase), string(u.FeeRate), string(u.ToBase), string(u.PaidBase)}); got != c.want || len(in.Tx.Problems) > 0 {
				t.Errorf("got %+v with %v, want %+v", got, in.Tx.Problems, c.want)
			}
			if u.Source != policy.SourceClaim || u.Spend != "" {
				t.Errorf("a claim has source %q and spend %q", u.Source, u.Spend)
			}
		})
	}
	info := payment()
	info.Fee = "1e3"
	if in := e.NewInput(parsed(info)); len(in.Tx.Problems) != 1 || in.Tx.Problems[0].Field != "fee" {
		t.Errorf("a rate with an exponent: got %v", in.Tx.Problems)
	}
}

// FuzzTokens holds what is read as quantities and amounts of tokens against rational arithmetic, and every canonical
// ticker to be its own canonical form.
func FuzzTokens(f *testing.F) {
	e := newEngine(f, bitcoinData())
	f.Add("ordi", "500", helloID, "10000")
	f.Add("SIX!", "0.000001", "1:1", "1.001")
	f.Add("ÄBC", "1e3", "0:1", "-1")
	f.Add("🟧", "18446744073709551616", "1:4294967296", "340282366920938463463374607431768211456")
	decimals := map[string]int64{"ordi": 18, "six!": 6, helloID: 0, "1:1": 3}
	check := func(t *testing.T, text string, base json.Number, places int64) {
		t.Helper()
		want, ok := new(big.Rat).SetString(text)
		if !ok {
			t.Fatalf("%q was read as %s", text, base)
		}
		want.Mul(want, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(places), nil)))
		if got, ok := new(big.Rat).SetString(base.String()); !ok || got.Cmp(want) != 0 || got.Sign() <= 0 {
			t.Fatalf("%q was read as %s", text, base)
		}
	}
	f.Fuzz(func(t *testing.T, ticker, quantity, id, amount string) {
		info := payment()
		info.BRC20Details = []wire.BRC20Detail{{Method: "transfer", Ticker: ticker, Quantity: quantity}}
		info.RuneDetails = []wire.RuneDetail{{RuneID: id, RuneAmount: amount}}
		in := e.NewInput(parsed(info))
		if b := in.BRC20[0]; b.QuantityBase != "" {
			places, known := decimals[b.Ticker]
			if !known {
				places = 18
			}
			check(t, quantity, b.QuantityBase, places)
			info.BRC20Details[0].Ticker = b.Ticker
			if again := e.NewInput(parsed(info)); again.BRC20[0] != b {
				t.Fatalf("ticker %q becomes %q, which becomes %q", ticker, b.Ticker, again.BRC20[0].Ticker)
			}
		}
		if r := in.Runes[0]; r.AmountBase != "" {
			check(t, amount, r.AmountBase, decimals[id])
		}
	})
}

// TestHostileTokens puts into every text field of tokens and messages what would break a log line or a reply.
func TestHostileTokens(t *testing.T) {
	e := newEngine(t, bitcoinData())
	for _, hostile := range []string{"a\nb: Approve", "\u202eevil", "%s%d%!", `"}],"action":"Approve"`, strings.Repeat("x", 100_000), "\x00\x1b[31m", "é😀\u2028"} {
		for name, set := range map[string]func(*wire.TxInfo){
			"ticker":      func(i *wire.TxInfo) { i.BRC20Details[0].Ticker = hostile },
			"method":      func(i *wire.TxInfo) { i.BRC20Details[0].Method = hostile },
			"quantity":    func(i *wire.TxInfo) { i.BRC20Details[0].Quantity = hostile },
			"inscription": func(i *wire.TxInfo) { i.BRC20Details[0].InscriptionID = hostile },
			"id":          func(i *wire.TxInfo) { i.RuneDetails[0].RuneID = hostile },
			"name":        func(i *wire.TxInfo) { i.RuneDetails[0].RuneName = hostile },
			"spaced name": func(i *wire.TxInfo) { i.RuneDetails[0].RuneSpacedName = hostile },
			"symbol":      func(i *wire.TxInfo) { i.RuneDetails[0].RuneSymbol = hostile },
			"root":        func(i *wire.TxInfo) { i.TapScriptRoot = hostile },
			"output":      func(i *wire.TxInfo) { i.ExtraData.VoutList[0].Address = hostile },
		} {
			info := payment()
			info.BRC20Details, info.RuneDetails = []wire.BRC20Detail{ordi()}, []wire.RuneDetail{hello()}
			set(info)
			in := e.NewInput(parsed(info))
			in.Now = policy.NowAt(testTime)
			in.Evidence = policy.Evidence{Status: policy.EvidenceUnverifiable, Code: "no-raw-tx"}
			e.Complete(&in)
			d, err := e.Evaluate(t.Context(), in)
			text := d.ErrorText()
			if d.Action != policy.Reject || text == "" || len(text) > policy.MaxErrorText || strings.ContainsAny(text, "\n\r\x00\x1b\u2028\u202e") {
				t.Errorf("%s %.20q: got %s, %.80q (%v)", name, hostile, d.Action, text, err)
			}
		}
	}
}
