package policy_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

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

// TestWrittenStays: what was written of an input stays as it is when others are written, and is written so again.
func TestWrittenStays(t *testing.T) {
	e := newEngine(t, trafficData())
	inputs := traffic(t, e, 20)
	var written, want [][]byte
	for _, in := range inputs {
		b, err := in.Canonical()
		must(t, err)
		written, want = append(written, b), append(want, bytes.Clone(b))
	}
	for i, b := range written {
		if !bytes.Equal(b, want[i]) {
			t.Fatalf("%s became %s", want[i], b)
		}
		if again, err := inputs[i].Canonical(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%s, %v in place of %s", again, err, b)
		}
	}
}

// TestNowAt: times of one second are one to a policy, wherever they were read, and others are not.
func TestNowAt(t *testing.T) {
	zurich := time.FixedZone("", 3600)
	for _, c := range []struct {
		at   time.Time
		want policy.Now
	}{
		{time.Unix(1_700_000_000, 0), policy.Now{Unix: 1_700_000_000, RFC3339: "2023-11-14T22:13:20Z"}},
		{time.Unix(1_700_000_000, 999_999_999).In(zurich), policy.Now{Unix: 1_700_000_000, RFC3339: "2023-11-14T22:13:20Z"}},
		{time.Unix(1_700_000_001, 0).In(zurich), policy.Now{Unix: 1_700_000_001, RFC3339: "2023-11-14T22:13:21Z"}},
		{time.Unix(1_700_000_000, 1), policy.Now{Unix: 1_700_000_000, RFC3339: "2023-11-14T22:13:20Z"}},
		{time.Time{}, policy.Now{Unix: -62135596800, RFC3339: "0001-01-01T00:00:00Z"}},
	} {
		if got := policy.NowAt(c.at); got != c.want {
			t.Errorf("%v is %+v in place of %+v", c.at, got, c.want)
		}
	}
}
