package policy_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/policy"
)

// Addresses of testnet, and a rune and a script tree that the tests' data names.
const (
	hotWallet  = "mwTnMZzAvUzVCQKGkdcAHYW1sMnJCumbJL"
	exchange   = "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx"
	strangers  = "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7"
	helloID    = "2818544:3897"
	scriptRoot = "5b75adecf53548f3ec6ad7d78383bf84cc57b55a3127c72b9a2481752dd88b21"
	router     = "0xE592427A0AEce92De3Edee1F18E0157C05861564"
)

// bitcoinData is the demo's data with a chain of outputs and what may be done on it.
func bitcoinData() object {
	data := demoData()
	data["request_types"] = []string{"keygen", "sign", "bip340-schnorr-sign", "taproot-sign"}
	set(data, "chains.BTC", object{
		"family": "utxo", "network": "testnet", "amount_unit": "base", "assets": object{"BTC_BTC": object{"kind": "native", "decimals": 8}},
	})
	set(data, "limits.BTC.BTC_BTC", []object{{"max": "0.01"}})
	set(data, "addresses.BTC", object{"allow": object{exchange: "exchange"}, "own": object{hotWallet: "hot wallet"}})
	set(data, "utxo.BTC", object{"max_fee": "0.0001", "max_fee_rate": 20})
	set(data, "brc20.BTC.ordi", object{"methods": object{
		"transfer": object{"steps": []int{1, 2, 3}, "max": "1000", "approvals": []object{
			{"above": "500", "group": "treasury", "threshold": 1, "expiry_seconds": 60},
		}},
		"mint": object{"steps": []int{1, 2}, "max": "5"},
	}})
	set(data, "brc20.BTC.six!", object{"decimals": 6, "methods": object{"transfer": object{"steps": []int{1}, "max": "0.5"}}})
	set(data, "runes.BTC", object{
		helloID: object{"spaced_name": "HELLO•WORLD", "symbol": "¤", "divisibility": 2, "amount_unit": "base", "max": "100"},
		"1:1":   object{"spaced_name": "COINS", "symbol": "$", "divisibility": 3, "amount_unit": "coin", "max": "1.5", "recipients": object{"allow_any": true}},
	})
	set(data, "taproot", object{rootKey: object{"script_roots": object{scriptRoot: "recovery"}}})
	set(data, "typed_data.usdt", object{
		"domain":        object{"name": "Tether USD", "version": "1", "chain_id": 1, "verifying_contract": usdt},
		"primary_types": []string{"Permit"},
	})
	set(data, "typed_data.mail", object{"domain": object{"name": "Ether Mail"}, "primary_types": []string{"Mail"}})
	set(data, "permits.ETH.USDT_ETH", object{"spenders": object{router: "router"}, "max": "1000", "max_deadline_seconds": 3600})
	set(data, "messages", object{rootKey: object{"any_requester": true, "text": []string{"Sign in, nonce [0-9]+"}, "typed_data": []string{"usdt", "mail"}}})
	return set(data, "raw", object{rootKey: object{"any_requester": true, "paths": []string{"m/44/60/0/0/0"}}})
}

func TestBitcoinDataIsValid(t *testing.T) {
	d, err := parse(t, bitcoinData())
	must(t, err)
	var got struct {
		UTXO      map[string]map[string]any             `json:"utxo"`
		BRC20     map[string]map[string]map[string]any  `json:"brc20"`
		Runes     map[string]map[string]map[string]any  `json:"runes"`
		Messages  map[string]struct{ Text []string }    `json:"messages"`
		TypedData map[string]struct{ Name string }      `json:"typed_data"`
		Permits   map[string]map[string]json.RawMessage `json:"permits"`
	}
	must(t, json.Unmarshal(d.Canonical(), &got))
	if got.UTXO["BTC"]["max_fee_base"] != 10000.0 || got.UTXO["BTC"]["max_fee_rate_kvb"] != 20000.0 {
		t.Errorf("utxo: got %v", got.UTXO)
	}
	if got.BRC20["BTC"]["ordi"]["decimals"] != 18.0 || got.BRC20["BTC"]["six!"]["decimals"] != 6.0 || got.BRC20["BTC"]["ordi"]["recipients"] != nil {
		t.Errorf("brc20: got %v", got.BRC20)
	}
	if hello := got.Runes["BTC"][helloID]; hello["name"] != "HELLOWORLD" || hello["max_base"] != 10000.0 {
		t.Errorf("runes: got %v", hello)
	}
	if text := got.Messages[rootKey].Text; len(text) != 1 || text[0] != `\A(?:Sign in, nonce [0-9]+)\z` {
		t.Errorf("messages: got %q", text)
	}
	if key := `["Tether USD","1","1","` + strings.ToLower(usdt) + `",null]`; got.TypedData[key].Name != "usdt" {
		t.Errorf("typed_data: got %v, want %s", got.TypedData, key)
	}
	if _, ok := got.Permits["ETH"]["USDT_ETH"]; !ok {
		t.Errorf("permits: got %s", got.Permits)
	}
}

// TestTokenDataFaults says for each fault of these sections where it has to be found and what has to be said.
func TestTokenDataFaults(t *testing.T) {
	method := func(change object) object {
		m := object{"steps": []int{1}, "max": "1"}
		for k, v := range change {
			m[k] = v
		}
		return object{"methods": object{"transfer": m}}
	}
	rune_ := func(key string, value any) object {
		r := object{"spaced_name": "A•B", "symbol": "", "divisibility": 0, "amount_unit": "base", "max": "1"}
		r[key] = value
		return object{"5:5": r}
	}
	for name, c := range map[string]struct {
		path  string
		value any
		want  []string
	}{
		"own address":            {"addresses.BTC.own", object{"mw": "x"}, []string{"at /addresses/BTC/own/mw", "cannot be read"}},
		"own address's checksum": {"addresses.BTC.own", object{"mwTnMZzAvUzVCQKGkdcAHYW1sMnJCumbJM": "x"}, []string{"at /addresses/BTC/own/", "checksum"}},
		"own address elsewhere":  {"addresses.BTC.own", object{"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4": "x"}, []string{"at /addresses/BTC/own/bc1q"}},

		"utxo of no chain":      {"utxo.XTC", object{}, []string{"at /utxo/XTC", "not a chain"}},
		"utxo of accounts":      {"utxo.ETH", object{}, []string{"at /utxo/ETH", "family evm"}},
		"no fee":                {"utxo.BTC", object{"max_fee_rate": 1}, []string{"at /utxo/BTC/max_fee", "missing"}},
		"fee as a number":       {"utxo.BTC.max_fee", 1, []string{"at /utxo/BTC/max_fee", "JSON string"}},
		"no fee rate":           {"utxo.BTC", object{"max_fee": "1"}, []string{"at /utxo/BTC/max_fee_rate", "0, not from 1"}},
		"a fee rate of a slip":  {"utxo.BTC.max_fee_rate", 100_001, []string{"at /utxo/BTC/max_fee_rate"}},
		"a fee rate's decimals": {"utxo.BTC.max_fee_rate", 1.5, []string{"at /utxo/BTC/max_fee_rate", "point"}},
		"a fee share of none":   {"utxo.BTC.max_fee_per_mille", 0, []string{"at /utxo/BTC/max_fee_per_mille", "1 to 1000"}},
		"a fee share of more":   {"utxo.BTC.max_fee_per_mille", 1001, []string{"at /utxo/BTC/max_fee_per_mille", "1 to 1000"}},
		"decimals of a coin":    {"chains.BTC.assets.BTC_BTC.decimals", 18, []string{"at /chains/BTC/assets/BTC_BTC/decimals", "18", "has 8"}},
		"utxo without a coin":   {"chains.BTC.assets", object{}, []string{"at /utxo/BTC", "native"}},

		"brc20 of no chain":    {"brc20.XTC", object{}, []string{"at /brc20/XTC"}},
		"brc20 on accounts":    {"brc20.ETH", object{}, []string{"at /brc20/ETH", "family evm"}},
		"ticker too long":      {"brc20.BTC.helloworld", method(nil), []string{"at /brc20/BTC/helloworld", "4 to 6"}},
		"ticker in capitals":   {"brc20.BTC.ORDX", method(nil), []string{"at /brc20/BTC/ORDX", `"ordx"`}},
		"ticker of two cases":  {"brc20.BTC.ÄBC", method(nil), []string{"at /brc20/BTC/ÄBC", "two cases"}},
		"brc20 decimals":       {"brc20.BTC.ordi.decimals", 19, []string{"at /brc20/BTC/ordi/decimals", "0 to 18"}},
		"no methods":           {"brc20.BTC.ordi", object{}, []string{"at /brc20/BTC/ordi/methods", "empty"}},
		"method":               {"brc20.BTC.ordi.methods.burn", object{"steps": []int{1}, "max": "1"}, []string{"at /brc20/BTC/ordi/methods/burn", "none of"}},
		"no steps":             {"brc20.BTC.xxxx", method(object{"steps": []int{}}), []string{"at /brc20/BTC/xxxx/methods/transfer/steps", "empty"}},
		"step":                 {"brc20.BTC.xxxx", method(object{"steps": []int{256}}), []string{"at /brc20/BTC/xxxx/methods/transfer/steps", "256"}},
		"no max":               {"brc20.BTC.xxxx", method(object{"max": ""}), []string{"at /brc20/BTC/xxxx/methods/transfer/max", "missing"}},
		"max beyond decimals":  {"brc20.BTC.six!.methods.transfer.max", "0.0000001", []string{"at /brc20/BTC/six!/methods/transfer/max", "6 decimals"}},
		"token tier":           {"brc20.BTC.xxxx", method(object{"approvals": []object{{"above": "2", "group": "board", "threshold": 1, "expiry_seconds": 1}}}), []string{"at /brc20/BTC/xxxx/methods/transfer/approvals/0/above", "/approvals/0/group", "board"}},
		"recipients":           {"brc20.BTC.ordi.recipients", object{"allow": object{"x": ""}}, []string{"at /brc20/BTC/ordi/recipients/allow/x"}},
		"recipients and any":   {"brc20.BTC.ordi.recipients", object{"allow_any": true, "allow": object{exchange: ""}}, []string{"at /brc20/BTC/ordi/recipients/allow_any"}},
		"recipients' own":      {"brc20.BTC.ordi.recipients", object{"own": object{}}, []string{"at /brc20/BTC/ordi/recipients/own", "not known"}},
		"a word for a method":  {"brc20.BTC.ordi.methods", []string{"transfer"}, []string{"at /brc20/BTC/ordi/methods", "JSON object"}},
		"limit as for a chain": {"brc20.BTC.ordi.max", "1", []string{"at /brc20/BTC/ordi/max", "not known"}},

		"runes of no chain":     {"runes.XTC", object{}, []string{"at /runes/XTC"}},
		"rune id":               {"runes.BTC", object{"5": rune_("max", "1")["5:5"]}, []string{"at /runes/BTC/5", "no rune id"}},
		"rune id's zeros":       {"runes.BTC", object{"05:1": rune_("max", "1")["5:5"]}, []string{"at /runes/BTC/05:1", "no rune id"}},
		"rune in block zero":    {"runes.BTC", object{"0:1": rune_("max", "1")["5:5"]}, []string{"at /runes/BTC/0:1", "no rune id"}},
		"rune id too large":     {"runes.BTC", object{"1:4294967296": rune_("max", "1")["5:5"]}, []string{"at /runes/BTC/1:4294967296", "no rune id"}},
		"spaced name":           {"runes.BTC", rune_("spaced_name", "A••B"), []string{"at /runes/BTC/5:5/spaced_name"}},
		"spaced name's case":    {"runes.BTC", rune_("spaced_name", "a"), []string{"at /runes/BTC/5:5/spaced_name"}},
		"spaced name's point":   {"runes.BTC", rune_("spaced_name", "A.B"), []string{"at /runes/BTC/5:5/spaced_name"}},
		"spaced name too long":  {"runes.BTC", rune_("spaced_name", strings.Repeat("A", 29)), []string{"at /runes/BTC/5:5/spaced_name"}},
		"name of two runes":     {"runes.BTC.9:9", rune_("spaced_name", "HELL•OWORLD")["5:5"], []string{"at /runes/BTC/9:9/spaced_name", helloID}},
		"unit":                  {"runes.BTC", rune_("amount_unit", ""), []string{"at /runes/BTC/5:5/amount_unit"}},
		"divisibility":          {"runes.BTC", rune_("divisibility", 39), []string{"at /runes/BTC/5:5/divisibility", "0 to 38"}},
		"divisibility left out": {"runes.BTC", object{"5:5": object{"spaced_name": "A", "amount_unit": "base", "max": "1"}}, []string{"at /runes/BTC/5:5/divisibility"}},
		"rune's max":            {"runes.BTC", rune_("max", "0.1"), []string{"at /runes/BTC/5:5/max", "0 decimals"}},

		"taproot key":        {"taproot", object{strings.Repeat("a", 64): object{}}, []string{"at /taproot/aaa", "66"}},
		"script root":        {"taproot." + rootKey + ".script_roots", object{"5B": ""}, []string{"at /taproot/" + rootKey + "/script_roots/5B"}},
		"any root and a one": {"taproot." + rootKey + ".any_script_root", true, []string{"at /taproot/" + rootKey + "/any_script_root"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, set(bitcoinData(), c.path, c.value))
			wantError(t, err, append(c.want, "data.json")...)
		})
	}
}

func TestMessageDataFaults(t *testing.T) {
	key := "messages." + rootKey
	domain := object{"name": "X"}
	for name, c := range map[string]struct {
		path  string
		value any
		want  []string
	}{
		"grant of no message":       {"messages", object{rootKey: object{"any_requester": true}}, []string{"at /messages/" + rootKey, "allows no message"}},
		"message key":               {"messages", object{"02": object{"any_requester": true, "bytes": true}}, []string{"at /messages/02", "no root public key"}},
		"messages for nobody":       {"messages", object{rootKey: object{"bytes": true}}, []string{"at /messages/" + rootKey, "any_requester"}},
		"pattern":                   {key + ".text", []string{"ok", "("}, []string{"at /messages/" + rootKey + "/text/1", "RE2"}},
		"pattern that breaks out":   {key + ".text", []string{"a)|(b"}, []string{"at /messages/" + rootKey + "/text/0"}},
		"pattern that is not ended": {key + ".text", []string{`\Qa`}, []string{"at /messages/" + rootKey + "/text/0"}},
		"pattern of another kind":   {key + ".text", []string{"(?=a)"}, []string{"at /messages/" + rootKey + "/text/0"}},
		"typed data's name":         {key + ".typed_data", []string{"nobody"}, []string{"at /messages/" + rootKey + "/typed_data/0", "nobody"}},
		"name with a blank":         {"typed_data.a b", object{"domain": domain, "primary_types": []string{"A"}}, []string{"at /typed_data/a b", "no name"}},
		"no domain":                 {"typed_data.x", object{"primary_types": []string{"A"}}, []string{"at /typed_data/x/domain", "anybody"}},
		"domain twice":              {"typed_data.x", object{"domain": object{"name": "Ether Mail"}, "primary_types": []string{"A"}}, []string{"at /typed_data/x/domain", "mail"}},
		"contract":                  {"typed_data.x", object{"domain": object{"verifying_contract": "0x1"}, "primary_types": []string{"A"}}, []string{"at /typed_data/x/domain/verifying_contract"}},
		"salt":                      {"typed_data.x", object{"domain": object{"name": "X", "salt": "0x1"}, "primary_types": []string{"A"}}, []string{"at /typed_data/x/domain/salt"}},
		"chain id as text":          {"typed_data.x", object{"domain": object{"name": "X", "chain_id": "1"}}, []string{"at /typed_data/x/domain/chain_id", "whole number"}},
		"no types":                  {"typed_data.x", object{"domain": domain}, []string{"at /typed_data/x/primary_types", "empty"}},
		"permits of no chain":       {"permits.XTH", object{}, []string{"at /permits/XTH"}},
		"permits of no token":       {"permits.ETH.ETH", object{}, []string{"at /permits/ETH/ETH", "erc20"}},
		"no spenders":               {"permits.ETH.USDT_ETH.spenders", object{}, []string{"at /permits/ETH/USDT_ETH/spenders", "empty"}},
		"spender":                   {"permits.ETH.USDT_ETH.spenders", object{"0x1": ""}, []string{"at /permits/ETH/USDT_ETH/spenders/0x1"}},
		"permit's max":              {"permits.ETH.USDT_ETH.max", "1e3", []string{"at /permits/ETH/USDT_ETH/max"}},
		"no deadline":               {"permits.ETH.USDT_ETH.max_deadline_seconds", 0, []string{"at /permits/ETH/USDT_ETH/max_deadline_seconds"}},
		"deadline of a century":     {"permits.ETH.USDT_ETH.max_deadline_seconds", 100 * 366 * 86400, []string{"at /permits/ETH/USDT_ETH/max_deadline_seconds"}},
		"no raw paths":              {"raw." + rootKey + ".paths", []string{}, []string{"at /raw/" + rootKey + "/paths", "leave it out"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, set(bitcoinData(), c.path, c.value))
			wantError(t, err, append(c.want, "data.json")...)
		})
	}
}

// TestDomainsAreToldApart gives domains that differ in one field, left out or empty: none is another's.
func TestDomainsAreToldApart(t *testing.T) {
	typed := object{}
	for name, domain := range map[string]object{
		"a": {"name": "X"}, "b": {"name": "X", "version": ""}, "c": {"name": "X", "version": "1"}, "d": {"name": "X", "chain_id": 1},
		"e": {"name": "X", "chain_id": 0}, "f": {"name": "X", "verifying_contract": usdt}, "g": {"verifying_contract": usdt},
		"h": {"name": "", "verifying_contract": usdt}, "i": {"name": "X", "salt": "0x" + strings.Repeat("00", 32)}, "j": {"name": `X","1`},
	} {
		typed[name] = object{"domain": domain, "primary_types": []string{"T"}}
	}
	d, err := parse(t, object{"format": policy.DataFormat, "typed_data": typed})
	must(t, err)
	var got struct {
		TypedData map[string]any `json:"typed_data"`
	}
	must(t, json.Unmarshal(d.Canonical(), &got))
	if len(got.TypedData) != len(typed) {
		t.Errorf("%d domains became %d", len(typed), len(got.TypedData))
	}
}
