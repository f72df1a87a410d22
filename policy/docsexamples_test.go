package policy_test

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// TestManualExamples holds the tables of docs/POLICY.md, "Bitcoin, tokens and messages", against the engine: each row is a
// request, told by its difference from the table's first one, and what the manual's data.json decides about it.
func TestManualExamples(t *testing.T) {
	holdTables(t, "Bitcoin, tokens and messages", 30, map[string]example{
		"difference":                         exampleOfOutputs,
		"difference in brc20Details[0]":      exampleOfBRC20,
		"difference in runeDetails[0]":       exampleOfRunes,
		"difference in tx_info":              exampleOfTaproot,
		"difference in the permit's message": exampleOfPermit,
		"message":                            exampleOfMessage,
		"difference in request_detail":       exampleOfRaw,
	})
}

// example makes the request of a row.
type example = func(*testing.T, *policy.Engine, json.RawMessage) policy.Input

// holdTables judges each row of a section's tables by the first data.json in it.
func holdTables(t *testing.T, title string, least int, examples map[string]example) {
	t.Helper()
	b, err := os.ReadFile("../docs/POLICY.md")
	must(t, err)
	_, section, _ := strings.Cut(string(b), "\n## "+title+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	block := regexp.MustCompile(`(?m)^    \{\n(?:    .*\n)+`).FindString(section)
	var data object
	must(t, json.Unmarshal([]byte(block), &data))
	e := newEngine(t, data)
	rows := 0
	for _, table := range regexp.MustCompile("(?m)^\\| (.*) \\| decision \\|\n\\|---\\|---\\|\n((?:\\| .*\n)+)").FindAllStringSubmatch(section, -1) {
		example := examples[table[1]]
		if example == nil {
			t.Errorf("nobody knows a table of %q", table[1])
			continue
		}
		delete(examples, table[1])
		for _, row := range regexp.MustCompile("(?m)^\\| `(.*)` \\| (Approve|Reject|Wait)(?: `(.*)`)? \\|$").FindAllStringSubmatch(table[2], -1) {
			rows++
			t.Run(table[1]+"/"+row[1], func(t *testing.T) {
				d := decide(t, e, example(t, e, json.RawMessage(row[1])))
				named := slices.ContainsFunc(d.Reasons, func(r policy.Reason) bool { return r.RuleID == row[3] && r.Severity == policy.Action(row[2]) })
				if d.Action != policy.Action(row[2]) || (row[3] != "") != named {
					t.Errorf("got %s by %s: %s", d.Action, d.Rule(), d.ErrorText())
				}
			})
		}
		if got := strings.Count(table[2], "\n"); got != len(regexp.MustCompile("(?m)^\\| `.*` \\| (Approve|Reject|Wait)").FindAllString(table[2], -1)) {
			t.Errorf("table %q has %d rows, of which some cannot be read", table[1], got)
		}
	}
	if len(examples) > 0 || rows < least {
		t.Errorf("%d rows were read; tables that are not there: %v", rows, maps.Keys(examples))
	}
}

// differing is a value with other values for some members of its JSON form.
func differing[T any](t *testing.T, base T, difference json.RawMessage) (out T) {
	t.Helper()
	var members map[string]json.RawMessage
	b, err := json.Marshal(base)
	must(t, err)
	must(t, json.Unmarshal(b, &members))
	must(t, json.Unmarshal(difference, &members))
	b, err = json.Marshal(members)
	must(t, err)
	must(t, json.Unmarshal(b, &out))
	return out
}

func bitcoinClaim() *wire.TxInfo {
	info := payment()
	info.AssetID, info.ExtraData = "BTC", nil
	return info
}

func exampleOfOutputs(t *testing.T, e *policy.Engine, difference json.RawMessage) policy.Input {
	return completed(t, e, bitcoinClaim(), differing(t, bitcoin(), difference), nil)
}

// claimed is what the wire's parser makes of a payment with more in its tx_info.
func claimed(t *testing.T, requestType string, more object) *wire.Parsed {
	t.Helper()
	info := object{"requestId": "r-1", "chainSymbol": "BTC", "assetId": "BTC", "from": hotWallet, "to": exchange, "amount": "22000"}
	maps.Copy(info, more)
	body, err := json.Marshal(object{
		"callback_id": "cb-1", "request_type": requestType,
		"request_detail": object{"sign_type": "1", "public_key": rootKey, "path": "m/86/0/0/0/0", "message": strings.Repeat("6d", 32), "tx_info": info},
		"extra_info":     object{},
	})
	must(t, err)
	p, err := wire.ParseCheck(wire.PathCheck, body)
	must(t, err)
	return p
}

// exampleOf is the input of such a request, with verified evidence of such an account.
func exampleOf(t *testing.T, e *policy.Engine, p *wire.Parsed, account *evidence.Bitcoin) policy.Input {
	t.Helper()
	in := e.NewInput(p)
	in.Now = policy.NowAt(testTime)
	decoded, err := json.Marshal(evidence.Decoded{Kind: evidence.KindBitcoin, Bitcoin: account})
	must(t, err)
	in.Evidence = policy.Evidence{Status: policy.EvidenceVerified, Decoded: decoded}
	e.Complete(&in)
	return in
}

func exampleOfBRC20(t *testing.T, e *policy.Engine, difference json.RawMessage) policy.Input {
	entry := differing(t, object{"method": "transfer", "ticker": "ordi", "quantity": "500", "step": 2, "from": hotWallet, "to": exchange}, difference)
	account := bitcoin()
	account.Inscription = &evidence.Inscription{Operation: entry["method"].(string), Ticker: entry["ticker"].(string), Amount: entry["quantity"].(string)}
	return exampleOf(t, e, claimed(t, "bip340-schnorr-sign", object{"brc20Details": []object{entry}}), account)
}

func exampleOfRunes(t *testing.T, e *policy.Engine, difference json.RawMessage) policy.Input {
	entry := differing(t, object{
		"fromAddress": hotWallet, "toAddress": exchange, "runeName": "HELLOWORLD", "runeId": helloID, "runeSpacedName": "HELLO•WORLD",
		"runeAmount": "10000", "runeSymbol": "¤", "runeDivisibility": 2,
	}, difference)
	account := bitcoin()
	edict := differing(t, evidence.Edict{RuneID: entry["runeId"].(string)}, json.RawMessage(`{"amount":`+entry["runeAmount"].(string)+`}`))
	account.Runestone = &evidence.Runestone{Edicts: []evidence.Edict{edict}}
	if entry["toAddress"] != exchange {
		account.Outputs = append(account.Outputs, evidence.BitcoinOutput{Address: entry["toAddress"].(string), Amount: "546"})
		account.Runestone.Edicts[0].Output = 2
	}
	return exampleOf(t, e, claimed(t, "bip340-schnorr-sign", object{"runeDetails": []object{entry}}), account)
}

func exampleOfTaproot(t *testing.T, e *policy.Engine, difference json.RawMessage) policy.Input {
	account := bitcoin()
	account.Spend = evidence.SpendTaprootKey
	return exampleOf(t, e, claimed(t, "taproot-sign", differing(t, object{}, difference)), account)
}

func exampleOfPermit(t *testing.T, e *policy.Engine, difference json.RawMessage) policy.Input {
	domain := object{"name": "USD Coin", "version": "2", "chainId": 1, "verifyingContract": "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"}
	message := object{"owner": sender, "spender": router, "value": "1000000000", "nonce": "0", "deadline": "1799999000"}
	return signed(t, e, typedData(t, permitType, "Permit", domain, differing(t, message, difference)))
}

func exampleOfMessage(t *testing.T, e *policy.Engine, difference json.RawMessage) policy.Input {
	var message string
	must(t, json.Unmarshal(difference, &message))
	return signed(t, e, message)
}

func exampleOfRaw(t *testing.T, e *policy.Engine, difference json.RawMessage) policy.Input {
	p := parsed(nil)
	p.Check.RequestDetail = differing(t, p.Check.RequestDetail, difference)
	p.Check.RequestDetail.SignType = wire.SignTypeRaw
	in := e.NewInput(p)
	in.Now = policy.NowAt(testTime)
	in.Evidence = policy.Evidence{Status: policy.EvidenceUnverifiable, Code: "raw"}
	e.Complete(&in)
	return in
}
