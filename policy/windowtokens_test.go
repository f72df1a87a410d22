package policy_test

import (
	"testing"

	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

func tokenWindow(asset, most string, scope ...string) object {
	return object{"measure": "amount", "chain": "BTC", "asset": asset, "scope": append([]string{}, scope...), "calendar": "day", "max": most}
}

func tokenWindows() object {
	data := bitcoinData()
	set(data, "unbound_wallets", true)
	return set(data, "windows", object{
		"ordi": tokenWindow("ordi", "1000", "recipient", "asset"), "six": tokenWindow("six!", "0.000001", "wallet"), "hello": tokenWindow(helloID, "150", "recipient"),
		"often": object{"measure": "count", "chain": "BTC", "asset": helloID, "lifetime": true, "max": "5"},
		"coins": tokenWindow("BTC_BTC", "1"),
	})
}

// TestChargesOfTokens: all entries of a ticker or a rune count together, whichever methods they have.
func TestChargesOfTokens(t *testing.T) {
	e := newEngine(t, tokenWindows())
	counted := func(change func(*wire.TxInfo)) (map[string]string, []policy.Problem) {
		info := payment()
		change(info)
		in := e.NewInput(parsed(info))
		out := map[string]string{}
		for _, c := range e.Charges(&in) {
			for _, w := range c.Windows {
				out[w.ID] = c.Amount.String()
			}
		}
		return out, in.Problems
	}
	half, mint, other := ordi(), ordi(), ordi()
	half.Quantity, mint.Method, other.To = "0.5", "mint", hotWallet
	cent := hello()
	cent.RuneAmount = "1"
	for name, c := range map[string]struct {
		change func(*wire.TxInfo)
		want   map[string]string
		scope  string // what is missing
	}{
		"neither": {func(*wire.TxInfo) {}, map[string]string{}, ""},
		"ticker":  {func(i *wire.TxInfo) { i.BRC20Details = []wire.BRC20Detail{ordi(), half, mint} }, map[string]string{"ordi": "1000500000000000000000"}, ""},
		"runes":   {func(i *wire.TxInfo) { i.RuneDetails = []wire.RuneDetail{hello(), cent} }, map[string]string{"hello": "10001", "often": "1"}, ""},
		"both": {func(i *wire.TxInfo) {
			i.BRC20Details, i.RuneDetails = []wire.BRC20Detail{half}, []wire.RuneDetail{cent}
		}, map[string]string{"ordi": "500000000000000000", "hello": "1", "often": "1"}, ""},
		"two recipients": {func(i *wire.TxInfo) { i.BRC20Details = []wire.BRC20Detail{ordi(), other} }, map[string]string{}, "recipient"},
		"no wallet": {func(i *wire.TxInfo) {
			i.BRC20Details = []wire.BRC20Detail{{Method: "transfer", Ticker: "six!", Quantity: "1"}}
		}, map[string]string{}, "wallet"},
		"amount that is none": {func(i *wire.TxInfo) {
			broken := hello()
			broken.RuneAmount = "x"
			i.RuneDetails = []wire.RuneDetail{hello(), broken}
		}, map[string]string{"often": "1"}, ""},
	} {
		got, problems := counted(c.change)
		delete(got, "coins")
		missing := ""
		if len(problems) > 0 {
			missing = problems[0].Field
		}
		if len(got) != len(c.want) || missing != c.scope {
			t.Errorf("%s: counted %v, missing %q; want %v, %q", name, got, missing, c.want, c.scope)
		}
		for id, amount := range c.want {
			if got[id] != amount {
				t.Errorf("%s: window %s counts %q, want %s", name, id, got[id], amount)
			}
		}
	}
}

// TestTokenSeries: series of tokens are apart by recipient, and from that of an asset.
func TestTokenSeries(t *testing.T) {
	e := newEngine(t, tokenWindows())
	series := func(to string) string {
		info, rune_ := payment(), hello()
		rune_.ToAddress = to
		info.RuneDetails = []wire.RuneDetail{rune_}
		in := e.NewInput(parsed(info))
		for _, c := range e.Charges(&in) {
			if c.Windows[0].ID == "hello" {
				return c.Series
			}
		}
		t.Fatalf("a rune to %s is not counted", to)
		return ""
	}
	ours, again, theirs := series(exchange), series(exchange), series(strangers)
	if ours != again || ours == theirs {
		t.Errorf("the series are %s, %s and %s", ours, again, theirs)
	}
}

func TestTokenWindowFaults(t *testing.T) {
	for name, c := range map[string]struct {
		change func(object)
		asset  string
		max    string
		words  []string
	}{
		"unknown":             {nil, "pepe", "1", []string{"at /windows/w/asset", "pepe", "/brc20/BTC", "/runes/BTC"}},
		"ticker in capitals":  {nil, "ORDI", "1", []string{"at /windows/w/asset", `did you mean "ordi"?`}},
		"beyond its decimals": {nil, "six!", "0.0000001", []string{"at /windows/w/max", "6 decimals"}},
		"rune's decimals":     {nil, helloID, "0.001", []string{"at /windows/w/max", "2 decimals"}},
		"asset and ticker": {func(data object) {
			set(data, "chains.BTC.assets.ordi", object{"kind": "native", "decimals": 8})
		}, "ordi", "1", []string{"at /windows/w/asset", "cannot be told"}},
		"ticker and rune": {func(data object) {
			set(data, "brc20.BTC.10:1", object{"methods": object{"mint": object{"steps": []int{1}, "max": "1"}}})
			set(data, "runes.BTC.10:1", object{"spaced_name": "TEN", "divisibility": 0, "amount_unit": "base", "max": "1"})
		}, "10:1", "1", []string{"at /windows/w/asset", "cannot be told"}},
	} {
		data := bitcoinData()
		if c.change != nil {
			c.change(data)
		}
		_, err := parse(t, set(data, "windows.w", tokenWindow(c.asset, c.max)))
		t.Run(name, func(t *testing.T) { wantError(t, err, c.words...) })
	}
}
