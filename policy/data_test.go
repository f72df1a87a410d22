package policy_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/rego"
)

func parse(t testing.TB, data object) (*policy.Data, error) {
	t.Helper()
	b, err := json.Marshal(data)
	must(t, err)
	return policy.ParseData("data.json", b)
}

// set puts a value at a path of objects, making those that are not there.
func set(data object, path string, value any) object {
	at := data
	keys := strings.Split(path, ".")
	for _, key := range keys[:len(keys)-1] {
		if at[key] == nil {
			at[key] = object{}
		}
		at = at[key].(object)
	}
	at[keys[len(keys)-1]] = value
	return data
}

// TestDataFaults says for each fault where it has to be found and what has to be said.
func TestDataFaults(t *testing.T) {
	limit := func(change func(limit, tier object)) any {
		l := demoData()["limits"].(object)["ETH"].(object)["USDT_ETH"].([]object)[0]
		change(l, l["approvals"].([]object)[0])
		return []object{l}
	}
	tier := func(key string, value any) any { return limit(func(_, tier object) { tier[key] = value }) }
	opening := func(key string, value any) object {
		return officeHours(set(object{"days": []string{"monday"}, "from": "09:00", "to": "17:00"}, key, value))
	}
	office := func(key string, value any) object {
		return set(officeHours(object{"days": []string{"monday"}, "from": "09:00", "to": "17:00"}), key, value)
	}
	usdtLimit := "limits.ETH.USDT_ETH"
	for name, c := range map[string]struct {
		path  string
		value any
		want  []string
	}{
		"format":                {"format", "v0", []string{"at /format", policy.DataFormat}},
		"chain by another case": {"limits.eth", object{}, []string{"at /limits/eth", `did you mean "ETH"?`}},
		"chain of a list":       {"addresses.ETHH", object{}, []string{"at /addresses/ETHH", `did you mean "ETH"?`}},
		"chain of a window":     {"windows.day", object{"measure": "count", "chain": "ETHE", "rolling_seconds": 60, "max": "1"}, []string{"at /windows/day/chain", `did you mean "ETH"?`}},
		"chain of nothing near": {"gas.SOLANA", object{}, []string{"at /gas/SOLANA", `"SOLANA" is not a chain of /chains`}},
		"asset by another case": {"limits.ETH.usdt_eth", []object{{"max": "1"}}, []string{"at /limits/ETH/usdt_eth", `did you mean "USDT_ETH"?`}},
		"tier beyond another limit": {usdtLimit, append(limit(func(_, _ object) {}).([]object), object{"max": "5000"}),
			[]string{"at /limits/ETH/USDT_ETH/0/approvals/0/above", "max of limit 1", "nobody would ever be asked"}},
		"unknown key":            {"limit", object{}, []string{"at /limit", "not known"}},
		"misspelt key in limits": {usdtLimit, []object{{"maximum": "1"}}, []string{"at /limits/ETH/USDT_ETH/0/maximum", "not known"}},
		"null":                   {"limits", nil, []string{"at /limits", "null"}},
		"array for an object":    {"limits", []int{}, []string{"at /limits", "JSON object is expected"}},
		"decimal":                {"custom", object{"x": 1.5}, []string{"at /custom/x", "decimal point"}},
		"request type":           {"request_types", []string{"sign", "steal"}, []string{"at /request_types/1", "steal"}},
		"family":                 {"chains.ETH.family", "move", []string{"at /chains/ETH/family"}},
		"no chain id":            {"chains.ETH.chain_id", 0, []string{"at /chains/ETH/chain_id"}},
		"chain id twice":         {"chains.XTH", object{"family": "evm", "chain_id": 1, "amount_unit": "base"}, []string{"at /chains/XTH/chain_id", "ETH"}},
		"network on evm":         {"chains.ETH.network", "mainnet", []string{"at /chains/ETH/network"}},
		"unit":                   {"chains.ETH.amount_unit", "wei", []string{"at /chains/ETH/amount_unit"}},
		"utxo without a network": {"chains.BTC", object{"family": "utxo", "amount_unit": "base"}, []string{"at /chains/BTC/network"}},
		"utxo with a chain id":   {"chains.BTC", object{"family": "utxo", "network": "mainnet", "chain_id": 2, "amount_unit": "base"}, []string{"at /chains/BTC/chain_id"}},
		"erc20 on utxo": {"chains.BTC", object{"family": "utxo", "network": "mainnet", "amount_unit": "base", "assets": object{"X": object{"kind": "erc20", "decimals": 1}}},
			[]string{"at /chains/BTC/assets/X/kind"}},
		"chain symbol":          {"chains.E H", object{}, []string{"at /chains/E H", "no name"}},
		"asset kind":            {"chains.ETH.assets.ETH.kind", "nft", []string{"at /chains/ETH/assets/ETH/kind"}},
		"decimals left out":     {"chains.ETH.assets.FOO", object{"kind": "erc20", "contract": recipient}, []string{"at /chains/ETH/assets/FOO/decimals"}},
		"decimals out of range": {"chains.ETH.assets.ETH.decimals", 78, []string{"at /chains/ETH/assets/ETH/decimals"}},
		"contract left out":     {"chains.ETH.assets.FOO", object{"kind": "erc20", "decimals": 1}, []string{"at /chains/ETH/assets/FOO/contract", "missing"}},
		"contract twice":        {"chains.ETH.assets.FOO", object{"kind": "erc20", "decimals": 1, "contract": strings.ToLower(usdt)}, []string{"at /chains/ETH/assets/USDT_ETH/contract", "FOO"}},
		"contract of the coin":  {"chains.ETH.assets.ETH.contract", usdt, []string{"at /chains/ETH/assets/ETH/contract"}},
		"two coins":             {"chains.ETH.assets.FOO", object{"kind": "native", "decimals": 1}, []string{"at /chains/ETH/assets/FOO", "second native"}},
		"wrong checksum":        {"chains.ETH.assets.USDT_ETH.contract", "0xdAC17F958D2ee523a2206206994597C13D831eC7", []string{"at /chains/ETH/assets/USDT_ETH/contract", "EIP-55", usdt}},
		"scheme":                {"keygen.schemes", []object{{"cryptography": "rsa", "t": 1, "n": 10}}, []string{"at /keygen/schemes/0/cryptography", "at /keygen/schemes/0: t is 1"}},
		"no node id":            {"keygen.parties", object{"": "a"}, []string{"at /keygen/parties/"}},
		"limit of no chain":     {"limits.XTH", object{}, []string{"at /limits/XTH"}},
		"limit of no asset":     {"limits.ETH.FOO", []object{}, []string{"at /limits/ETH/FOO"}},
		"no limit":              {usdtLimit, []object{}, []string{"at /limits/ETH/USDT_ETH", "empty"}},
		"max left out":          {usdtLimit, []object{{}}, []string{"at /limits/ETH/USDT_ETH/0/max", "missing"}},
		"max as a number":       {usdtLimit, limit(func(l, _ object) { l["max"] = 10000 }), []string{"at /limits/ETH/USDT_ETH/0/max", "JSON string"}},
		"max with a comma":      {usdtLimit, limit(func(l, _ object) { l["max"] = "10,000" }), []string{"at /limits/ETH/USDT_ETH/0/max"}},
		"max with an exponent":  {usdtLimit, limit(func(l, _ object) { l["max"] = "1e4" }), []string{"at /limits/ETH/USDT_ETH/0/max"}},
		"too many decimals":     {usdtLimit, limit(func(l, _ object) { l["max"] = "10000.0000001" }), []string{"at /limits/ETH/USDT_ETH/0/max", "6 decimals"}},
		"max beyond uint256":    {usdtLimit, limit(func(l, _ object) { l["max"] = strings.Repeat("9", 78) }), []string{"at /limits/ETH/USDT_ETH/0/max", "2^256"}},
		"tier above the max":    {usdtLimit, tier("above", "10000"), []string{"at /limits/ETH/USDT_ETH/0/approvals/0/above", "not below"}},
		"tiers that fall": {usdtLimit, limit(func(l, tier object) { l["approvals"] = []object{tier, tier} }),
			[]string{"at /limits/ETH/USDT_ETH/0/approvals/1/above", "tiers rise"}},
		"two limits that ask one group": {usdtLimit, []object{limit(func(object, object) {}).([]object)[0], limit(func(object, object) {}).([]object)[0]},
			[]string{"at /limits/ETH/USDT_ETH/1/approvals/0/group", "into one limit"}},
		"group":                     {usdtLimit, tier("group", "board"), []string{"at /limits/ETH/USDT_ETH/0/approvals/0/group", "board"}},
		"threshold of none":         {usdtLimit, tier("threshold", 0), []string{"at /limits/ETH/USDT_ETH/0/approvals/0/threshold"}},
		"threshold too high":        {usdtLimit, tier("threshold", 4), []string{"at /limits/ETH/USDT_ETH/0/approvals/0/threshold", "3 members"}},
		"no expiry":                 {usdtLimit, tier("expiry_seconds", 0), []string{"at /limits/ETH/USDT_ETH/0/approvals/0/expiry_seconds"}},
		"wait of a day":             {usdtLimit, tier("wait_seconds", 86400), []string{"at /limits/ETH/USDT_ETH/0/approvals/0/wait_seconds"}},
		"addresses":                 {"addresses.XTH", object{}, []string{"at /addresses/XTH"}},
		"address":                   {"addresses.ETH.deny", object{"0x1": ""}, []string{"at /addresses/ETH/deny/0x1"}},
		"address twice":             {"addresses.ETH.deny", object{burned: "", strings.ToLower(burned): ""}, []string{"at /addresses/ETH/deny/0x", "twice"}},
		"any and a list":            {"addresses.ETH.allow", object{recipient: ""}, []string{"at /addresses/ETH/allow_any"}},
		"limit of no wallet":        {usdtLimit, limit(func(l, _ object) { l["wallets"] = []string{} }), []string{"at /limits/ETH/USDT_ETH/0/wallets"}},
		"limit of a nameless vault": {usdtLimit, limit(func(l, _ object) { l["vaults"] = []string{"1", ""} }), []string{"at /limits/ETH/USDT_ETH/0/vaults"}},
		"window's tier above its max": {"windows.daily", object{"measure": "count", "calendar": "day", "max": "5", "approvals": []object{{"above": "5", "group": "treasury", "threshold": 1, "expiry_seconds": 60}}},
			[]string{"at /windows/daily/approvals/0/above", "not below"}},
		"window's tier of no group": {"windows.daily", object{"measure": "count", "calendar": "day", "max": "5", "approvals": []object{{"above": "1.5", "group": "board", "threshold": 1, "expiry_seconds": 60}}},
			[]string{"at /windows/daily/approvals/0/above", "at /windows/daily/approvals/0/group"}},
		"contracts of no chain":     {"contracts.XTH", object{}, []string{"at /contracts/XTH"}},
		"contract without a method": {"contracts.ETH", object{usdt: object{}}, []string{"at /contracts/ETH/" + usdt + "/methods", "empty"}},
		"contract of no address":    {"contracts.ETH", object{"0x1": object{"methods": []string{"deposit()"}}}, []string{"at /contracts/ETH/0x1"}},
		"contract that stands twice": {"contracts.ETH", object{usdt: object{"methods": []string{"f()"}}, strings.ToLower(usdt): object{"methods": []string{"f()"}}},
			[]string{"at /contracts/ETH/0xdac17", "twice"}},
		"allowances of no chain": {"allowances.XTH", object{}, []string{"at /allowances/XTH"}},
		"allowance of the coin":  {"allowances.ETH.ETH", object{"max": "1", "spenders": object{recipient: ""}}, []string{"at /allowances/ETH/ETH", "erc20"}},
		"allowance without max":  {"allowances.ETH.USDT_ETH", object{"spenders": object{recipient: ""}}, []string{"at /allowances/ETH/USDT_ETH/max", "missing"}},
		"allowance for nobody":   {"allowances.ETH.USDT_ETH", object{"max": "1"}, []string{"at /allowances/ETH/USDT_ETH/spenders", "empty"}},
		"gas of no chain":        {"gas.XTH", object{"max_gas_limit": "1"}, []string{"at /gas/XTH", "not a chain"}},
		"gas of nothing":         {"gas.ETH", object{}, []string{"at /gas/ETH", "no bound"}},
		"gas without its price":  {"gas.ETH", object{"max_gas_limit": "50000", "max_fee_per_mille": 5}, []string{"at /gas/ETH", "no bound"}},
		"gas price in gwei":      {"gas.ETH.max_gas_price_wei", "1.5", []string{"at /gas/ETH/max_gas_price_wei", "point"}},
		"gas price":              {"gas.ETH.max_gas_price_wei", "1e9", []string{"at /gas/ETH/max_gas_price_wei", "whole number"}},
		"gas limit":              {"gas.ETH.max_gas_limit", "0x1", []string{"at /gas/ETH/max_gas_limit", "whole number"}},
		"gas limit, a number":    {"gas.ETH.max_gas_limit", 21000, []string{"at /gas/ETH/max_gas_limit", "JSON string"}},
		"fee":                    {"gas.ETH.max_fee", "1,5", []string{"at /gas/ETH/max_fee"}},
		"fee share of none":      {"gas.ETH.max_fee_per_mille", 0, []string{"at /gas/ETH/max_fee_per_mille", "1 to 1000"}},
		"fee share of all":       {"gas.ETH.max_fee_per_mille", 1001, []string{"at /gas/ETH/max_fee_per_mille", "1 to 1000"}},
		"hours that never open":  {"hours.office", object{"zone": "UTC", "outside": "wait"}, []string{"at /hours/office/open", "empty"}},
		"hours without a zone":   {"hours.office", office("zone", ""), []string{"at /hours/office/zone", "Europe/Zurich"}},
		"hours of the machine":   {"hours.office", office("zone", "Local"), []string{"at /hours/office/zone"}},
		"hours and no outside":   {"hours.office", office("outside", "x"), []string{"at /hours/office/outside", "reject"}},
		"hours by a number":      {"hours.office", opening("from", "9"), []string{"at /hours/office/open/0/from", "09:30"}},
		"hours of 25":            {"hours.office", opening("to", "25:00"), []string{"at /hours/office/open/0/to", "09:30"}},
		"hours over midnight":    {"hours.office", opening("to", "09:00"), []string{"at /hours/office/open/0/to", "midnight"}},
		"hours on no day":        {"hours.office", opening("days", []string{}), []string{"at /hours/office/open/0/days", "empty"}},
		"hours on a Day":         {"hours.office", opening("days", []string{"Monday"}), []string{"at /hours/office/open/0/days/0", "lower case"}},
		"hours on a day twice":   {"hours.office", opening("days", []string{"friday", "friday"}), []string{"at /hours/office/open/0/days/1", "twice"}},
		"hours of a kind":        {"hours.office", office("kinds", []string{"refresh"}), []string{"at /hours/office/kinds/0", "pre_sign"}},
		"hours of no chain":      {"hours.office", office("chain", "XTH"), []string{"at /hours/office/chain"}},
		"hours of an asset":      {"hours.office", office("asset", "ETH"), []string{"at /hours/office/asset", "chain"}},
		"hours of a raw chain": {"hours.office", set(office("chain", "ETH"), "kinds", []string{"raw", "transaction"}),
			[]string{"at /hours/office/chain", "only transactions"}},
		"hours of no asset": {"hours.office", set(office("chain", "ETH"), "asset", "FOO"), []string{"at /hours/office/asset", "FOO"}},
		"holiday":           {"hours.office", office("holidays", object{"2026-02-30": ""}), []string{"at /hours/office/holidays/2026-02-30"}},
		"evidence chain":    {"evidence.unverifiable.XTH", object{"codes": []string{"x"}, "any_requester": true}, []string{"at /evidence/unverifiable/XTH"}},
		"evidence codes":    {"evidence.unverifiable.ETH", object{"any_requester": true}, []string{"at /evidence/unverifiable/ETH/codes"}},
		"evidence misspelt": {"evidence.unverifiable.ETH", object{"codes": []string{"unknown-call", "no-rawtx"}, "any_requester": true},
			[]string{"at /evidence/unverifiable/ETH/codes/1", `"no-rawtx" is none of`, `did you mean "no-raw-tx"?`}},
		"evidence mismatch":   {"evidence.unverifiable.ETH", object{"codes": []string{"differs"}, "any_requester": true}, []string{"at /evidence/unverifiable/ETH/codes/0"}},
		"evidence to nobody":  {"evidence.unverifiable.ETH", object{"codes": []string{"x"}}, []string{"at /evidence/unverifiable/ETH", "any_requester"}},
		"raw key":             {"raw", object{"02AB": object{"any_requester": true}}, []string{"at /raw/02AB"}},
		"raw for nobody":      {"raw", object{rootKey: object{}}, []string{"at /raw/" + rootKey}},
		"raw for a name":      {"raw", object{rootKey: object{"requesters": []string{"ops"}}}, []string{"at /raw/" + rootKey + "/requesters/0", "no key id"}},
		"approver's other id": {"approvers.bob.requester_key_ids", []string{"bob"}, []string{"at /approvers/bob/requester_key_ids/0", "no key id"}},
		"raw for all and one": {"raw", object{rootKey: object{"any_requester": true, "requesters": []string{opsKey}}}, []string{"at /raw/" + rootKey}},
		"pre-sign paths":      {"pre_sign", object{rootKey: object{"any_requester": true}}, []string{"at /pre_sign/" + rootKey + "/paths"}},
		"approver key":        {"approvers.alice.public_key", "AAAA", []string{"at /approvers/alice/public_key", "SPKI"}},
		"approver without":    {"approvers.alice", object{}, []string{"at /approvers/alice/public_key", "base64"}},
		"approver on P-384":   {"approvers.alice.public_key", ecdsaKey(t, elliptic.P384()), []string{"at /approvers/alice/public_key", "P-256"}},
		"approver twice":      {"approvers.dave", object{"public_key": ed25519Key('a')}, []string{"at /approvers/dave/public_key", "alice"}},
		"nobody in a group":   {"groups.board", object{}, []string{"at /groups/board/members", "nobody"}},
		"stranger in a group": {"groups.board", object{"members": []string{"mallory"}}, []string{"at /groups/board/members", "mallory"}},
		"member twice":        {"groups.board", object{"members": []string{"bob", "bob"}}, []string{"at /groups/board/members", "twice"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, set(demoData(), c.path, c.value))
			wantError(t, err, append(c.want, "data.json")...)
		})
	}
}

func TestDataThatIsNoJSON(t *testing.T) {
	for name, c := range map[string]struct{ data, want string }{
		"empty":            {"", "is empty"},
		"cut off":          {`{"format":`, "is not well-formed JSON"},
		"a key twice":      {`{"format":"x","raw":{"a":{},"a":{}}}`, "at /raw/a: the key stands there twice"},
		"more after it":    {`{} {}`, "has more after its first value"},
		"exponent":         {`{"custom":{"x":1e3}}`, "at /custom/x: has an exponent"},
		"invalid UTF-8":    {"{\"custom\":{\"x\":\"\xff\"}}", "is not well-formed JSON"},
		"too deep":         {`{"custom":` + strings.Repeat(`{"x":`, 100) + "1" + strings.Repeat("}", 101), "is nested deeper"},
		"case of a key":    {`{"Format":"x"}`, "at /Format: this key is not known"},
		"case of custom":   {`{"format":"` + policy.DataFormat + `","Custom":{}}`, "at /Custom: this key is not known"},
		"another language": {"format: x", "is not well-formed JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := policy.ParseData("data.json", []byte(c.data))
			wantError(t, err, "data.json: ", c.want)
		})
	}
}

// TestAllFaultsAreTold finds the faults of a file at once, up to a bound.
func TestAllFaultsAreTold(t *testing.T) {
	deny := object{}
	for i := range 100 {
		deny[fmt.Sprintf("0x%d", i)] = ""
	}
	_, err := parse(t, set(set(demoData(), "addresses.ETH.deny", deny), "chains.ETH.family", "x"))
	wantError(t, err, "/chains/ETH/family", "/addresses/ETH/deny/0x0", "and more")
	if lines := strings.Count(err.Error(), "\n"); lines > 25 {
		t.Errorf("the error has %d lines", lines)
	}
}

func TestEmptyDataIsValid(t *testing.T) {
	d, err := policy.ParseData("data.json", []byte(`{"format":"`+policy.DataFormat+`"}`))
	must(t, err)
	s, err := policy.Load(rego.FS(), "")
	must(t, err)
	s.Data = []byte(`{"format":"` + policy.DataFormat + `"}`)
	e, err := policy.New(t.Context(), policy.Config{Source: s, Timeout: unhurried})
	must(t, err)
	if got := decide(t, e, transfer(e, "1")); got.Action != policy.Reject {
		t.Errorf("got %s with %s", got.Action, d.Canonical())
	}
}

func TestGroupsAndChains(t *testing.T) {
	data := set(demoData(), "approvers.dave", object{"public_key": ecdsaKey(t, elliptic.P256())})
	set(data, "groups.board", object{"members": []string{"dave", "alice"}})
	e := newEngine(t, data)
	groups := e.Groups()
	if len(groups) != 2 || groups[0].Name != "board" || groups[1].Name != "treasury" {
		t.Fatalf("got groups %v", groups)
	}
	if _, ok := groups[0].Approvers[0].PublicKey.(ed25519.PublicKey); !ok {
		t.Error("alice's key is no Ed25519 key")
	}
	if _, ok := groups[0].Approvers[1].PublicKey.(*ecdsa.PublicKey); !ok {
		t.Error("dave's key is no ECDSA key")
	}
	groups[0].Approvers[0].Name = "mallory"
	if g, _ := e.Group("board"); g.Approvers[0].Name != "alice" {
		t.Error("an engine changes with what it gave out")
	}
	chain, ok := e.Chain("ETH")
	if !ok || chain.ChainID != 1 || chain.Native != "ETH" || chain.Assets["USDT_ETH"].Contract != strings.ToLower(usdt) {
		t.Errorf("got %+v", chain)
	}
	if _, ok := e.Chain("eth"); ok {
		t.Error("a chain is found by another case of its symbol")
	}
}

// TestLongLists looks up addresses in lists of 10 000 entries, whatever the case they are written in.
func TestLongLists(t *testing.T) {
	e := newEngine(t, longLists(10_000))
	in := transfer(e, "1")
	wantAction(t, decide(t, e, in), policy.Reject, "address.listed")
	for address, want := range map[string]string{
		fmt.Sprintf("0x%040x", 7):      "address.listed",
		fmt.Sprintf("0x%040X", 9_999):  "address.listed",
		fmt.Sprintf("0x%040x", 10_000): "address.listed",
	} {
		in.Tx.To = strings.ToLower(address)
		d := decide(t, e, in)
		listed := !strings.Contains(address, "2710") // 10 000, which is one too many
		if (d.Action == policy.Approve) != listed || d.Rule() != want {
			t.Errorf("%s: got %s by %s", address, d.Action, d.Rule())
		}
	}
	in.Tx.From = fmt.Sprintf("0x%040x", 1<<32+77)
	wantAction(t, decide(t, e, in), policy.Reject, "address.denied")
}

// longLists allows the addresses from 0 and denies those from 2^32.
func longLists(n int) object {
	allow, deny := object{}, object{}
	for i := range n {
		allow[fmt.Sprintf("0x%040x", i)] = "customer"
		deny[fmt.Sprintf("0x%040x", 1<<32+i)] = "sanctioned"
	}
	return set(demoData(), "addresses.ETH", object{"allow": allow, "deny": deny})
}

// FuzzParseData holds that no file breaks the parser, and that a file that is accepted means the same however it is
// laid out.
func FuzzParseData(f *testing.F) {
	seed, err := json.Marshal(demoData())
	must(f, err)
	f.Add(seed)
	shipped, err := policy.Load(rego.FS(), "")
	must(f, err)
	f.Add(shipped.Data)
	f.Add([]byte(`{"format":"` + policy.DataFormat + `","custom":{"a":[1,{"b":"\u2028"}]}}`))
	f.Add([]byte(`{"format":"` + policy.DataFormat + `","limits":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := policy.ParseData("data.json", b)
		if err != nil {
			return
		}
		if !json.Valid(d.Canonical()) {
			t.Fatalf("canonical form is no JSON: %s", d.Canonical())
		}
		var laidOut bytes.Buffer
		must(t, json.Indent(&laidOut, b, " ", "\t"))
		again, err := policy.ParseData("data.json", laidOut.Bytes())
		must(t, err)
		if !bytes.Equal(again.Canonical(), d.Canonical()) {
			t.Fatalf("laid out otherwise, the file means another thing:\n%s\n%s", d.Canonical(), again.Canonical())
		}
	})
}
