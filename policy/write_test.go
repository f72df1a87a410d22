package policy_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/countersign-mpc/countersign/policy"
)

// TestWriteAsMarshal: an input is recorded as encoding/json writes it, whichever way it was written, and the parts that rules
// look at stand where reading the record finds them.
func TestWriteAsMarshal(t *testing.T) {
	e := newEngine(t, trafficData())
	texts := []string{"", "a", "1", "m/44", "a\"b", `a\b`, "<a>", "&", "ä", "\u2028", "\xff", "\x01", "\x7f", " "}
	raws := []json.RawMessage{
		nil, {}, json.RawMessage(`{"a":1}`), json.RawMessage(`{"a": 1}`), json.RawMessage(`{"a":1e5}`), json.RawMessage(`{"a":"b c\"d"}`),
		json.RawMessage(`{"a":1,"a":2}`), json.RawMessage(`{"rawTx":"x","b":[{}]}`), json.RawMessage(`"<"`), json.RawMessage(`["é"]`), json.RawMessage(`{`),
		json.RawMessage(bytes.Repeat([]byte{'['}, 79)), json.RawMessage(`1 2`), json.RawMessage("{}\n"), json.RawMessage(`null`),
		json.RawMessage(string(bytes.Repeat([]byte{'['}, 78)) + string(bytes.Repeat([]byte{']'}, 78))),
		json.RawMessage(string(bytes.Repeat([]byte{'['}, 79)) + string(bytes.Repeat([]byte{']'}, 79))),
		json.RawMessage(string(bytes.Repeat([]byte{'['}, 80)) + string(bytes.Repeat([]byte{']'}, 80))),
	}
	r := rand.New(rand.NewPCG(3, 4))
	text := func() string { return texts[r.IntN(len(texts))] }
	raw := func() json.RawMessage { return raws[r.IntN(len(raws))] }
	odd := []func(in *policy.Input){
		func(in *policy.Input) { in.Request.Path = text() },
		func(in *policy.Input) { in.Request.PartyIDs = []string{text(), text()} },
		func(in *policy.Input) { in.Requester = &policy.Requester{KeyID: text()} },
		func(in *policy.Input) { in.TxInfo = raw() },
		func(in *policy.Input) { in.Evidence.Decoded = raw() },
		func(in *policy.Input) { in.Evidence.Transfer = nil },
		func(in *policy.Input) { in.Evidence.Codes, in.Evidence.Code = []string{text()}, text() },
		func(in *policy.Input) { in.Evidence.Differences = []policy.Difference{{}} },
		func(in *policy.Input) { in.Tx = nil },
		func(in *policy.Input) { in.Tx.AmountBase, in.Tx.Gas = "", nil },
		func(in *policy.Input) { in.Tx.Problems = []policy.Problem{{Rule: "tx.invalid"}} },
		func(in *policy.Input) { in.Tx.FeeBase = "-1" },
		func(in *policy.Input) {
			in.Windows = map[string]policy.Window{text(): {Used: "0", Reserved: "1", After: "2"}}
		},
		func(in *policy.Input) { in.Windows = nil },
		func(in *policy.Input) { in.Call = nil },
		func(in *policy.Input) {
			in.Call.Movements, in.Call.Steps = nil, append(in.Call.Steps, policy.CallStep{Method: text()})
		},
		func(in *policy.Input) {
			in.Call.Movements = []policy.CallMove{{Kind: text(), TokenID: text()}, {TokenID: "7", AmountBase: "1"}}
		},
		func(in *policy.Input) { in.Call.Approvals = []policy.CallGrant{{Kind: text()}} },
		func(in *policy.Input) { in.BRC20, in.Runes = []policy.BRC20{{}}, []policy.Rune{{}} },
		func(in *policy.Input) { in.UTXO = &policy.UTXO{} },
		func(in *policy.Input) { in.Message = &policy.Message{Text: text()} },
		func(in *policy.Input) { in.Approvals = []policy.Approval{{}} },
		func(in *policy.Input) { in.UnknownFields = []policy.UnknownField{{Pointer: text(), Value: raw()}} },
		func(in *policy.Input) { in.Problems = []policy.Problem{{Message: text()}} },
		func(in *policy.Input) { in.Now = policy.Now{Unix: 5, RFC3339: text()} },
	}
	quick := 0
	for i, in := range traffic(t, e, 3000) {
		for range i % 3 {
			if change := odd[r.IntN(len(odd))]; in.Tx != nil && in.Call != nil {
				tx, call := *in.Tx, *in.Call
				in.Tx, in.Call = &tx, &call
				change(&in)
			}
		}
		if !e.SameInput(t, in) {
			t.Fatalf("%+v is written in two ways", in)
		}
		if e.CheckGiven(t, in); e.QuickInput(in) {
			quick++
		}
	}
	if quick < 1000 || quick > 2900 {
		t.Errorf("%d of 3000 inputs are written by hand", quick)
	}
}
