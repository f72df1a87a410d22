package policy_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/rego"
	"github.com/countersign-mpc/countersign/wire"
)

// What the tests start from: the demo's data, and a transfer of USDT that is well within its limits.
const (
	rootKey   = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
	usdt      = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
	sender    = "0x742d35Cc6634C0532925a3b844Bc454e4438f44e"
	recipient = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
	burned    = "0x000000000000000000000000000000000000dEaD"
)

// opsKey is the id of a requester's key.
var opsKey = strings.Repeat("0b", 32)

var testTime = time.Date(2027, 1, 15, 8, 0, 0, 0, time.UTC)

func ed25519Key(seed byte) string {
	key := ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune(seed)), ed25519.SeedSize)))
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

func ecdsaKey(t testing.TB, curve elliptic.Curve) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	must(t, err)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	must(t, err)
	return base64.StdEncoding.EncodeToString(der)
}

// object is a JSON object that a test changes before it is written.
type object = map[string]any

func demoData() object {
	return object{
		"format":        policy.DataFormat,
		"request_types": []string{"keygen", "sign"},
		"chains": object{"ETH": object{
			"family": "evm", "chain_id": 1, "amount_unit": "base",
			"assets": object{
				"ETH":      object{"kind": "native", "decimals": 18},
				"USDT_ETH": object{"kind": "erc20", "contract": usdt, "decimals": 6},
			},
		}},
		"keygen": object{
			"parties": object{"sinoA": "a", "sinoB": "b", "sinoC": "c"},
			"schemes": []object{{"cryptography": "ecdsa-secp256k1", "t": 3, "n": 3}},
		},
		"gas": object{"ETH": object{"max_fee": "1"}},
		"limits": object{"ETH": object{"USDT_ETH": []object{{
			"max": "10000",
			"approvals": []object{{
				"above": "5000", "group": "treasury", "threshold": 2, "expiry_seconds": 3600, "wait_seconds": 5,
			}},
		}}}},
		"addresses": object{"ETH": object{"allow_any": true, "deny": object{burned: "burns"}}},
		"approvers": object{
			"alice": object{"public_key": ed25519Key('a')},
			"bob":   object{"public_key": ed25519Key('b'), "requester_key_ids": []string{opsKey}},
			"carol": object{"public_key": ed25519Key('c')},
		},
		"groups": object{"treasury": object{"members": []string{"carol", "alice", "bob"}}},
	}
}

// source is the shipped modules over some data, with one test in place of the shipped ones, which take their time.
func source(t testing.TB, data object) *policy.Source {
	t.Helper()
	s, err := shipped(data)
	must(t, err)
	return s
}

func shipped(data object) (*policy.Source, error) {
	s, err := policy.Load(rego.FS(), "")
	if err != nil {
		return nil, err
	}
	for name := range s.Modules {
		if strings.HasSuffix(name, "_test.rego") {
			delete(s.Modules, name)
		}
	}
	s.Modules["passing_test.rego"] = []byte(passing)
	s.Data, err = json.Marshal(data)
	return s, err
}

// passing is a test that every policy made up here brings along, since a policy without tests is refused.
const passing = "package countersign.passing_test\n\ntest_nothing if true\n"

// unhurried is a time-out that a loaded machine does not reach; those of the tests that are about time-outs are their own.
const unhurried = time.Minute

// newEngine is an engine of the shipped modules over some data, with nothing remembered. Its modules are compiled once for all tests,
// as they are for engines that follow each other.
func newEngine(t testing.TB, data object) *policy.Engine {
	t.Helper()
	compiled, err := compiledOnce()
	must(t, err)
	e, err := compiled.Over(t.Context(), source(t, data))
	must(t, err)
	if !e.SharesModules(compiled) {
		t.Fatal("the shipped modules were compiled again")
	}
	return e
}

// freshEngine is newEngine that shares nothing with another engine.
func freshEngine(t testing.TB, s *policy.Source) *policy.Engine {
	t.Helper()
	e, err := policy.New(t.Context(), policy.Config{Source: s, Timeout: unhurried})
	must(t, err)
	return e
}

var compiledOnce = sync.OnceValues(func() (*policy.Engine, error) {
	s, err := shipped(demoData())
	if err != nil {
		return nil, err
	}
	return policy.New(context.Background(), policy.Config{Source: s, Timeout: unhurried})
})

// demoEngine is one engine of the shipped modules, their tests included, over the demo's data.
func demoEngine(t testing.TB) *policy.Engine {
	t.Helper()
	e, err := builtOnce()
	must(t, err)
	return e
}

var builtOnce = sync.OnceValues(func() (*policy.Engine, error) {
	s, err := policy.Load(rego.FS(), "")
	if err != nil {
		return nil, err
	}
	if s.Data, err = json.Marshal(demoData()); err != nil {
		return nil, err
	}
	return policy.New(context.Background(), policy.Config{Source: s, Timeout: unhurried})
})

// claim is the tx_info of a transfer of so many base units.
func claim(amount string) *wire.TxInfo {
	return &wire.TxInfo{
		VaultID: "1", WalletID: "2", RequestID: "r-1", ChainSymbol: "ETH", AssetID: "USDT_ETH",
		From: sender, To: recipient, Amount: amount, Fee: "1050000000000000", GasPrice: "21000000000", GasLimit: "50000",
	}
}

// parsed is the body of a request to sign a transaction.
func parsed(info *wire.TxInfo) *wire.Parsed {
	p := &wire.Parsed{
		Path: wire.PathCheck,
		Check: wire.Check{
			CallbackID:  "cb-1",
			RequestType: "sign",
			RequestDetail: wire.RequestDetail{
				SignType: "1", PublicKey: rootKey, Path: "m/44/60/0/0/0", Message: strings.Repeat("6d", 32),
			},
			ExtraInfo: wire.ExtraInfo{SinoID: "s-1", RequestID: "r-1"},
		},
		TxInfo: info,
	}
	if info != nil {
		p.Check.RequestDetail.TxInfo = json.RawMessage(`{"chainSymbol":"ETH"}`)
	}
	return p
}

func keygen(parties ...string) *wire.Parsed {
	return &wire.Parsed{Check: wire.Check{
		CallbackID: "cb-2", RequestType: "keygen",
		RequestDetail: wire.RequestDetail{T: 3, N: 3, Cryptography: "ecdsa-secp256k1", PartyIDs: parties},
	}}
}

// input is what a callback server makes of a body whose evidence is verified.
func input(e *policy.Engine, p *wire.Parsed) policy.Input {
	in := e.NewInput(p)
	in.Node = policy.Node{ID: "sinoA", Name: "a"}
	in.Now = policy.NowAt(testTime)
	if in.Tx != nil {
		in.Evidence = e.Reconcile(in.Tx, policy.Evidence{
			Status:   policy.EvidenceVerified,
			Transfer: &policy.Transfer{Kind: policy.AssetERC20, Contract: usdt, To: recipient, Amount: string(in.Tx.AmountBase)},
		})
	}
	return in
}

func transfer(e *policy.Engine, amount string) policy.Input { return input(e, parsed(claim(amount))) }

// decide evaluates an input that the engine has to be able to judge.
func decide(t testing.TB, e *policy.Engine, in policy.Input) policy.Decision {
	t.Helper()
	d, recorded, err := e.Judge(context.Background(), in)
	must(t, err)
	if heldToSchema.Add(1) <= maxHeldToSchema {
		matches(t, recorded, policy.InputSchema())
		whole, err := e.Whole().Evaluate(context.Background(), in)
		must(t, err)
		if !reflect.DeepEqual(d, whole) {
			t.Errorf("%s\nin parts: %+v\nas a whole: %+v", recorded, d, whole)
		}
	}
	return d
}

// heldToSchema counts the inputs that decide has held to the schema, which reads all of it each time, and to what the policy says
// as a whole.
var heldToSchema atomic.Int64

// maxHeldToSchema is more than all tests decide but those that decide in a loop.
const maxHeldToSchema = 400

func wantAction(t testing.TB, d policy.Decision, action policy.Action, rule string) {
	t.Helper()
	if d.Action != action || d.Rule() != rule {
		t.Errorf("got %s by %s (%s), want %s by %s", d.Action, d.Rule(), d.ErrorText(), action, rule)
	}
}

func wantError(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func ExampleDecision_ErrorText() {
	d := policy.Decision{Action: policy.Reject, Reasons: []policy.Reason{
		{RuleID: "address.denied", Severity: policy.Reject, Message: `address "0xdead" is denied: burns`},
		{RuleID: "tx.invalid", Severity: policy.Approve, Message: "allowed"},
	}}
	fmt.Println(d.ErrorText())
	// Output: address.denied: address "0xdead" is denied: burns
}
