package callback_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/e2e/bitcoin"
	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

var update = flag.Bool("update", false, "write testdata/cases.json anew: what is recorded of requests has changed")

const caseFile = "testdata/cases.json"

// caseLive has windows of every kind over the data of bitcoinLive.
var caseLive = sync.OnceValue(func() *policy.Live {
	return mustGet(liveOver(func(data map[string]any) {
		bitcoinData(data)
		windowed(data)
		windows := data["windows"].(map[string]any)
		windows["payments"] = map[string]any{"measure": "count", "scope": []string{"key", "path", "recipient"}, "calendar": "month", "zone": "Europe/Zurich", "max": "100"}
		windows["btc"] = map[string]any{"measure": "amount", "chain": "BTC", "asset": "BTC_BTC", "scope": []string{"vault", "requester"}, "lifetime": true, "max": "1"}
	}))
})

// caseRequests are requests of every kind that package testdata has, by name.
func caseRequests(t testing.TB) map[string]*wire.Check {
	t.Helper()
	all := map[string]*wire.Check{}
	for _, v := range vectors(t) {
		var c wire.Check
		ok(t, json.Unmarshal([]byte(v.Body), &c))
		if v.Path == wire.PathCheck {
			all["vector "+v.Name] = &c
		}
	}
	maps.Copy(all, transferRequests(t))
	maps.Copy(all, callRequests(t))
	maps.Copy(all, coinRequests())
	maps.Copy(all, psbtRequests(t))
	maps.Copy(all, messageRequests(t))
	return all
}

// transferRequests claim the transfer of a token, rightly and wrongly.
func transferRequests(t testing.TB) map[string]*wire.Check {
	t.Helper()
	all := map[string]*wire.Check{}
	for name, change := range map[string]map[string]any{
		"plain": nil, "escapes": {"remark": `<a href="x">&</a>`, "note": "Zürich \u2028 \"quoted\" \\"}, "mismatch": {"amount": "1", "to": usdt},
		"no rawTx": {"rawTx": nil}, "broken rawTx": {"rawTx": "0x02ff"}, "no hex": {"rawTx": "0xzz"}, "calldata alone": {"rawTx": nil, "inputdata": "0xa9059cbb" + strings.Repeat("00", 64)},
		"unknown chain": {"chainSymbol": "DOGE"}, "unknown asset": {"assetId": "X"}, "wrong checksum": {"to": strings.Replace(recipient, "a", "A", 1)},
		"lower case": {"to": strings.ToLower(recipient)}, "no address": {"to": "0x12"}, "from": {"from": usdt}, "fee": {"fee": "1365000000000000"}, "another fee": {"fee": "7"},
		"gas": {"gasPrice": "1", "gasLimit": "2"}, "odd gas": {"gasPrice": "1.5", "gasLimit": "0x10"}, "huge": {"amount": strings.Repeat("9", 78)},
		"decimals": {"amount": "1.5"}, "zeros": {"amount": "007"}, "of a requester": {"requester": map[string]any{"key_id": strings.Repeat("ab", 32), "signature": "00"}},
		"of nobody": {"requester": map[string]any{"key_id": "AB", "signature": "00"}}, "unknown field": {"gift": map[string]any{"a": []int{1, 2}}},
		"key": {"publickKey": rootKey}, "no name": {"requestId": ""}, "no wallet": {"walletId": ""},
	} {
		all["transfer "+name] = payment{callbackID: "cb", requestID: "r-1", amount: 500, claim: func(info map[string]any) {
			for k, v := range change {
				if info[k] = v; v == nil {
					delete(info, k)
				}
			}
		}}.check(t)
	}
	root := payment{callbackID: "cb", requestID: "r-1", amount: 7, nonce: 300}.check(t)
	root.RequestDetail.Path, root.RequestDetail.Message = "m", "00"
	all["transfer by the root with another digest"] = root
	flat := payment{callbackID: "cb", requestID: strings.Repeat("r", 600), amount: 7}.check(t)
	flat.RequestDetail.ToAddress, flat.RequestDetail.Amount, flat.RequestDetail.Coin = recipient, "1", "usdt"
	flat.RequestDetail.PartyIDs, flat.RequestDetail.Cryptography = []string{"a", "b<c"}, ""
	all["transfer with flat fields"] = flat
	return all
}

// callRequests ask for the transactions and the calls of testdata/evm, claimed as a call and as a transfer.
func callRequests(t testing.TB) map[string]*wire.Check {
	t.Helper()
	var transactions []struct {
		Name  string
		RawTx string `json:"raw_tx"`
	}
	ok(t, json.Unmarshal(must[[]byte](t)(os.ReadFile("../testdata/evm/transactions.json")), &transactions))
	var calls []struct{ Name, From, Contract, Value, Calldata string }
	ok(t, json.Unmarshal(must[[]byte](t)(os.ReadFile("../testdata/evm/calls.json")), &calls))
	all := map[string]*wire.Check{}
	add := func(name, rawTx string, claim map[string]any) {
		c := payment{callbackID: "cb", requestID: "r-1", amount: 500, claim: func(info map[string]any) {
			info["rawTx"] = rawTx
			maps.Copy(info, claim)
		}}.check(t)
		payload, err := evidence.SigningDigest(evidence.Request{
			RequestType: wire.TypeSign, Cryptography: wire.ECDSASecp256k1, SignType: wire.SignTypeTransaction, RawTx: rawTx, HasTxInfo: true,
		})
		if err == nil {
			c.RequestDetail.Message = hex.EncodeToString(payload.Digest)
		}
		all[name] = c
	}
	for _, tx := range transactions {
		add("transaction "+tx.Name, tx.RawTx, nil)
		add("transaction of coins "+tx.Name, tx.RawTx, map[string]any{"assetId": "ETH", "amount": "1000000000000000000"})
	}
	number := func(n int64) []byte { return big.NewInt(n).Bytes() }
	for _, c := range calls {
		value := must[*big.Int](t)(new(big.Int), new(big.Int).UnmarshalText([]byte(c.Value)))
		value.SetString(c.Value, 10)
		rawTx := "0x02" + hex.EncodeToString(rlp([]any{
			number(1), number(7), number(1), number(21_000_000_000), number(65_000), fromHex(c.Contract), value.Bytes(), fromHex(c.Calldata), []any{},
		}))
		add("call "+c.Name, rawTx, map[string]any{"assetId": "ETH", "to": c.Contract, "amount": c.Value, "inputdata": c.Calldata, "from": c.From})
		add("call as a transfer "+c.Name, rawTx, map[string]any{"inputdata": c.Calldata})
		add("calldata "+c.Name, "", map[string]any{"inputdata": c.Calldata, "from": c.From})
	}
	return all
}

// coinRequests are payments of coins, each input of them, with runes and inscriptions.
func coinRequests() map[string]*wire.Check {
	all := map[string]*wire.Check{}
	for i := range 3 {
		s := three(strings.Repeat("cd", 32))
		s.input = i
		all[fmt.Sprint("coins, input ", i)] = s.check("cb")
	}
	for name, s := range map[string]spending{
		"rune": rune150(150_00), "another rune amount": rune150(1), "inscription": inscription("1000"), "taproot": taproot(false), "taproot tree": taproot(true),
	} {
		all["coins, "+name] = s.check("cb")
		s.change = func(c *wire.Check, info map[string]any) {
			delete(info, "publickKey")
			info["fee"], info["vaultId"] = "9.25", "v"
		}
		all["coins without their key, "+name] = s.check("cb")
		s.change = func(c *wire.Check, info map[string]any) { delete(info, "rawTx") }
		all["coins without their PSBT, "+name] = s.check("cb")
		s.change = func(c *wire.Check, info map[string]any) {
			info["to"], info["from"] = bitcoin.Recipient[:10], "x"
			info["extraData"].(map[string]any)["voutList"] = []any{map[string]any{"address": bitcoin.Recipient, "amount": "17"}}
		}
		all["coins claimed otherwise, "+name] = s.check("cb")
	}
	return all
}

// psbtRequests sign the PSBTs of testdata by the key that they name.
func psbtRequests(t testing.TB) map[string]*wire.Check {
	t.Helper()
	var file struct {
		Vectors []struct {
			Name, PSBT string
			Root       string `json:"tap_script_root"`
			Digests    []string
		}
	}
	ok(t, json.Unmarshal(must[[]byte](t)(os.ReadFile("../testdata/psbt/payments.json")), &file))
	all := map[string]*wire.Check{}
	for _, v := range file.Vectors {
		for _, requestType := range []string{wire.TypeSign, wire.TypeTaprootSign, wire.TypeBIP340SchnorrSign} {
			s := three("")
			s.change = func(c *wire.Check, info map[string]any) {
				c.RequestType, c.RequestDetail.Message = requestType, v.Digests[0]
				info["rawTx"], info["curInputId"] = v.PSBT, "0"
				delete(info, "extraData")
				if v.Root != "" {
					info["tapScriptRoot"] = v.Root
				}
			}
			all["psbt "+v.Name+" by "+requestType] = s.check("cb")
		}
	}
	return all
}

// messageRequests sign text, typed data and raw bytes.
func messageRequests(t testing.TB) map[string]*wire.Check {
	t.Helper()
	var file struct {
		TypedData []struct{ Name, Message string } `json:"typed_data"`
		Personal  []struct{ Message string }
	}
	ok(t, json.Unmarshal(must[[]byte](t)(os.ReadFile("../testdata/eip712/vectors.json")), &file))
	all := map[string]*wire.Check{"message that is empty": message("cb", ""), "message of broken typed data": message("cb", `{"primaryType":"Mail"}`)}
	for _, v := range file.TypedData {
		all["message "+v.Name] = message("cb", v.Message)
	}
	for i, v := range file.Personal {
		all[fmt.Sprint("message ", i)] = message("cb", v.Message)
	}
	raw := message("cb", strings.Repeat("ab", 32))
	raw.RequestDetail.SignType = wire.SignTypeRaw
	all["raw"] = raw
	keygen := message("cb", "")
	keygen.RequestType = wire.TypeKeygen
	all["keygen"] = keygen
	online := payment{callbackID: "cb", requestID: "r-1", amount: 500}.check(t)
	online.RequestType = wire.TypePreSignOnline
	all["pre-sign-online"] = online
	return all
}

// account is all that is made of a request before it is judged: what is recorded, and for what an approval counts.
func account(t testing.TB, e *policy.Engine, c *wire.Check, keys *callback.Keys) []byte {
	t.Helper()
	p := must[*wire.Parsed](t)(wire.ParseCheck(wire.PathCheck, must[[]byte](t)(c.Marshal())))
	made := must[*callback.Case](t)(callback.NewCase(e, p, keys))
	made.Input.Node, made.Input.Now = policy.Node{ID: "sino", Name: "a"}, policy.NowAt(time.Unix(1_800_000_000, 0))
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s\nintent %s digests %x requester %q\n", must[[]byte](t)(made.Input.Canonical()), made.Intent, made.Digests, made.Requester)
	if x := made.Execution; x != nil {
		fmt.Fprintf(&out, "anchors %s bindings %v\n", x.Anchors, x.Bindings)
		for _, charge := range x.Charges {
			fmt.Fprintln(&out, charge.Series, charge.Amount, charge.Windows)
		}
	}
	return out.Bytes()
}

// TestCases: what is recorded of a request, its intent, its digests and what it counts are what they were in earlier
// versions, to the last byte: replay and approvals that are stored rest on it. Where only the words of a problem or a reason
// are meant to change, -update writes the file anew.
func TestCases(t *testing.T) {
	known := must[*callback.Keys](t)(callback.NewKeys([]callback.Key{{PublicKey: fromHex(rootKey), ChainCode: chainCode}}))
	got := map[string]string{}
	accounts := map[string][]byte{}
	requests := caseRequests(t)
	for _, name := range slices.Sorted(maps.Keys(requests)) {
		for setting, made := range map[string][]byte{
			"":                           account(t, caseLive().Engine(), requests[name], nil),
			" (key known)":               account(t, caseLive().Engine(), requests[name], known),
			" (testnet, without window)": account(t, must[*policy.Live](t)(standard()).Engine(), requests[name], nil),
		} {
			sum := sha256.Sum256(made)
			got[name+setting], accounts[name+setting] = hex.EncodeToString(sum[:]), made
		}
	}
	if *update {
		ok(t, os.MkdirAll(filepath.Dir(caseFile), 0o755))
		ok(t, os.WriteFile(caseFile, append(must[[]byte](t)(json.MarshalIndent(got, "", " ")), '\n'), 0o644))
	}
	var want map[string]string
	ok(t, json.Unmarshal(must[[]byte](t)(os.ReadFile(caseFile)), &want))
	if len(want) != len(got) {
		t.Errorf("%d cases, %s has %d", len(got), caseFile, len(want))
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if got[name] != want[name] {
			t.Errorf("%s: what is made of it has changed, to\n%s", name, accounts[name])
		}
	}
}
