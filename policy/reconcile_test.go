package policy_test

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// bitcoin is the account that package evidence gives of the payment.
func bitcoin() *evidence.Bitcoin {
	return &evidence.Bitcoin{
		Inputs: []evidence.BitcoinInput{{Address: hotWallet, Amount: "1425593", Proven: true}},
		Outputs: []evidence.BitcoinOutput{
			{Address: exchange, Amount: "22000"},
			{Address: hotWallet, Amount: "1402000", Change: true, Own: true},
		},
		VSize: 222, SignedInput: 0, Spend: evidence.SpendP2WPKH,
	}
}

// completed is the input of a payment whose evidence is such an account.
func completed(t testing.TB, e *policy.Engine, info *wire.TxInfo, account *evidence.Bitcoin, change func(*policy.Input)) policy.Input {
	t.Helper()
	in := e.NewInput(parsed(info))
	in.Now = policy.NowAt(testTime)
	decoded, err := json.Marshal(evidence.Decoded{Kind: evidence.KindBitcoin, Bitcoin: account})
	must(t, err)
	in.Evidence = policy.Evidence{Status: policy.EvidenceVerified, Decoded: decoded}
	if change != nil {
		change(&in)
	}
	e.Complete(&in)
	return in
}

func TestPayments(t *testing.T) {
	e := newEngine(t, bitcoinData())
	op := "6a"
	type world struct {
		info    *wire.TxInfo
		account *evidence.Bitcoin
	}
	for name, c := range map[string]struct {
		change func(*world)
		action policy.Action
		rule   string
	}{
		"a payment":              {func(*world) {}, policy.Approve, "address.listed"},
		"without extraData":      {func(w *world) { w.info.ExtraData = nil }, policy.Approve, "address.listed"},
		"another claimed change": {func(w *world) { w.info.ExtraData.VoutList = w.info.ExtraData.VoutList[:1] }, policy.Approve, "address.listed"},
		"less than claimed":      {func(w *world) { w.account.Outputs[0].Amount = "21999" }, policy.Reject, "evidence.mismatch"},
		"another recipient":      {func(w *world) { w.account.Outputs[0].Address = strangers }, policy.Reject, "evidence.mismatch"},
		"change to a stranger": {func(w *world) {
			w.account.Outputs[1].Address, w.account.Outputs[1].Own = strangers, false
		}, policy.Reject, "limit.per_transaction"},
		"a little to a stranger": {func(w *world) {
			w.account.Outputs = append(w.account.Outputs, evidence.BitcoinOutput{Address: strangers, Amount: "500"})
		}, policy.Reject, "utxo.output"},
		"a fee over the limit":  {func(w *world) { w.account.Outputs[1].Amount = "1300000" }, policy.Reject, "utxo.fee"},
		"a rate over the limit": {func(w *world) { w.account.VSize = 50 }, policy.Reject, "utxo.fee_rate"},
		"no size":               {func(w *world) { w.account.VSize = 0 }, policy.Reject, "utxo.fee_rate"},
		"a stranger's input": {func(w *world) {
			w.account.Inputs = append(w.account.Inputs, evidence.BitcoinInput{Address: strangers, Amount: "1"})
		}, policy.Reject, "utxo.input"},
		"data": {func(w *world) {
			w.account.Outputs = append(w.account.Outputs, evidence.BitcoinOutput{Amount: "0", OpReturn: &op})
		}, policy.Reject, "utxo.output"},
		"an amount that is none": {func(w *world) { w.account.Inputs[0].Amount = "1e9" }, policy.Reject, "utxo.fee"},
		"no transaction":         {func(w *world) { w.account = nil }, policy.Reject, "evidence.unverifiable"},
	} {
		t.Run(name, func(t *testing.T) {
			w := world{payment(), bitcoin()}
			c.change(&w)
			wantAction(t, decide(t, e, completed(t, e, w.info, w.account, nil)), c.action, c.rule)
		})
	}
}

// TestOwnAddressesFromEvidence: the signing key's own address takes change without a list, unless a script could spend it.
func TestOwnAddressesFromEvidence(t *testing.T) {
	data := bitcoinData()
	set(data, "addresses.BTC", object{"allow": object{exchange: "exchange"}})
	e := newEngine(t, data)
	wantAction(t, decide(t, e, completed(t, e, payment(), bitcoin(), nil)), policy.Approve, "address.listed")
	account := bitcoin()
	account.Spend = evidence.SpendTaprootLeaf
	in := completed(t, e, payment(), account, nil)
	if in.UTXO.Spend != policy.SpendScript || in.UTXO.Outputs[1].Own || !in.UTXO.Inputs[0].Own {
		t.Errorf("a script: got %+v", in.UTXO)
	}
	in = completed(t, e, payment(), bitcoin(), func(in *policy.Input) { in.Evidence.Status = policy.EvidenceUnverifiable })
	if in.UTXO.Source != policy.SourceClaim || in.UTXO.Inputs[0].Own || in.UTXO.Outputs[1].Own {
		t.Errorf("not verified: got %+v", in.UTXO)
	}
	account = bitcoin()
	account.SignedInput = 7
	if in = completed(t, e, payment(), account, nil); in.UTXO.Inputs[0].Own {
		t.Errorf("another input: got %+v", in.UTXO)
	}
}

// TestTokenEvidence holds runestones and inscriptions against the claim, after evidence that calls itself verified.
func TestTokenEvidence(t *testing.T) {
	e := newEngine(t, bitcoinData())
	edict := func(id string, amount int64, output uint32) evidence.Edict {
		return evidence.Edict{RuneID: id, Amount: big.NewInt(amount), Output: output}
	}
	for name, c := range map[string]struct {
		runes  []wire.RuneDetail
		edicts []evidence.Edict
		brc20  []wire.BRC20Detail
		reveal *evidence.Inscription
		field  string
	}{
		"the rune":             {runes: []wire.RuneDetail{hello()}, edicts: []evidence.Edict{edict(helloID, 10000, 0)}},
		"the rune in two":      {runes: []wire.RuneDetail{hello()}, edicts: []evidence.Edict{edict(helloID, 1, 0), edict(helloID, 9999, 0)}},
		"the rune with change": {runes: []wire.RuneDetail{hello()}, edicts: []evidence.Edict{edict(helloID, 10000, 0), edict("1:1", 5, 1)}},
		"more of the rune":     {runes: []wire.RuneDetail{hello()}, edicts: []evidence.Edict{edict(helloID, 10001, 0)}, field: "runeDetails"},
		"another rune":         {runes: []wire.RuneDetail{hello()}, edicts: []evidence.Edict{edict("1:1", 10000, 0)}, field: "runeDetails"},
		"another rune as well": {runes: []wire.RuneDetail{hello()}, edicts: []evidence.Edict{edict(helloID, 10000, 0), edict("1:1", 5, 0)}, field: "runeDetails"},
		"all of the rune":      {runes: []wire.RuneDetail{hello()}, edicts: []evidence.Edict{edict(helloID, 0, 0)}, field: "runeDetails"},
		"to every output":      {runes: []wire.RuneDetail{hello()}, edicts: []evidence.Edict{edict(helloID, 10000, 2)}, field: "runeDetails"},
		"to no output":         {runes: []wire.RuneDetail{hello()}, edicts: []evidence.Edict{edict(helloID, 10000, 1<<31)}, field: "runeDetails"},
		"a rune of no claim":   {edicts: []evidence.Edict{edict(helloID, 1, 0)}, field: "runeDetails"},
		"a claim of no rune":   {runes: []wire.RuneDetail{hello()}, field: "runeDetails"},
		"the inscription":      {brc20: []wire.BRC20Detail{ordi()}, reveal: &evidence.Inscription{Operation: "transfer", Ticker: "ordi", Amount: "500"}},
		"the same quantity":    {brc20: []wire.BRC20Detail{ordi()}, reveal: &evidence.Inscription{Operation: "transfer", Ticker: "OrDi", Amount: "500.0"}},
		"another quantity":     {brc20: []wire.BRC20Detail{ordi()}, reveal: &evidence.Inscription{Operation: "transfer", Ticker: "ordi", Amount: "5000"}, field: "brc20Details"},
		"no quantity":          {brc20: []wire.BRC20Detail{ordi()}, reveal: &evidence.Inscription{Operation: "transfer", Ticker: "ordi"}, field: "brc20Details"},
		"another ticker":       {brc20: []wire.BRC20Detail{ordi()}, reveal: &evidence.Inscription{Operation: "transfer", Ticker: "sats", Amount: "500"}, field: "brc20Details"},
		"no ticker":            {brc20: []wire.BRC20Detail{ordi()}, reveal: &evidence.Inscription{Operation: "transfer", Ticker: "x", Amount: "500"}, field: "brc20Details"},
		"another method":       {brc20: []wire.BRC20Detail{ordi()}, reveal: &evidence.Inscription{Operation: "mint", Ticker: "ordi", Amount: "500"}, field: "brc20Details"},
		"a deploy":             {brc20: []wire.BRC20Detail{ordi()}, reveal: &evidence.Inscription{Operation: "deploy", Ticker: "ordi", Max: "500"}, field: "brc20Details"},
		"two claims":           {brc20: []wire.BRC20Detail{ordi(), ordi()}, reveal: &evidence.Inscription{Operation: "transfer", Ticker: "ordi", Amount: "500"}, field: "brc20Details"},
		"an inscription alone": {reveal: &evidence.Inscription{Operation: "transfer", Ticker: "ordi", Amount: "500"}, field: "brc20Details"},
	} {
		t.Run(name, func(t *testing.T) {
			info, account := payment(), bitcoin()
			info.RuneDetails, info.BRC20Details = c.runes, c.brc20
			if c.edicts != nil {
				account.Runestone = &evidence.Runestone{Edicts: c.edicts}
			}
			account.Inscription = c.reveal
			in := completed(t, e, info, account, nil)
			switch got := in.Evidence; {
			case c.field == "" && (got.Status != policy.EvidenceVerified || in.Tx.Source != policy.SourceEvidence || in.UTXO.Source != policy.SourceEvidence):
				t.Errorf("got %+v", got)
			case c.field != "" && (got.Status != policy.EvidenceMismatch || !strings.HasPrefix(got.Differences[0].Field, c.field)):
				t.Errorf("got %+v, want a mismatch in %s", got, c.field)
			case c.field != "" && (in.Tx.Source != policy.SourceClaim || in.UTXO.Source != policy.SourceClaim):
				t.Errorf("a mismatch is taken for evidence")
			}
		})
	}
}

// TestCompleteLeavesTheRest: an EVM transfer is reconciled as before, and raw data is left alone.
func TestCompleteLeavesTheRest(t *testing.T) {
	e := newEngine(t, bitcoinData())
	in := e.NewInput(parsed(claim("1500000000")))
	in.Evidence = policy.Evidence{
		Status: policy.EvidenceVerified, Transfer: &policy.Transfer{Kind: policy.AssetERC20, Contract: usdt, To: recipient, Amount: "15"},
	}
	if e.Complete(&in); in.Evidence.Status != policy.EvidenceMismatch {
		t.Errorf("another amount: got %+v", in.Evidence)
	}
	raw := e.NewInput(parsed(nil))
	raw.Request.SignType = wire.SignTypeRaw
	raw.Evidence.Status = policy.EvidenceUnverifiable
	if e.Complete(&raw); raw.Message != nil || raw.Evidence.Status != policy.EvidenceUnverifiable {
		t.Errorf("raw data: got %+v", raw)
	}
	info := payment()
	info.BRC20Details = []wire.BRC20Detail{ordi()}
	if moved := completed(t, e, info, bitcoin(), nil); moved.Evidence.Status != policy.EvidenceUnverifiable || moved.Tx.Source != policy.SourceClaim {
		t.Errorf("a claim of an inscription that is not revealed: got %+v", moved.Evidence)
	}
	broken := completed(t, e, payment(), bitcoin(), func(in *policy.Input) { in.Evidence.Decoded = json.RawMessage("{") })
	if broken.Evidence.Status != policy.EvidenceUnverifiable {
		t.Errorf("an account that is no JSON: got %+v", broken.Evidence)
	}
}

// FuzzComplete holds that no account of a transaction breaks the engine, and that whatever it says becomes an input that can
// be judged.
func FuzzComplete(f *testing.F) {
	e := newEngine(f, bitcoinData())
	stone := bitcoin()
	stone.Runestone = &evidence.Runestone{Edicts: []evidence.Edict{{RuneID: helloID, Amount: big.NewInt(10000)}}}
	stone.Inscription = &evidence.Inscription{Operation: "transfer", Ticker: "ordi", Amount: "500"}
	for _, account := range []*evidence.Bitcoin{bitcoin(), stone, {}} {
		b, err := json.Marshal(account)
		must(f, err)
		f.Add(b)
	}
	f.Add([]byte(`{"inputs":[{"amount":"-1"},{}],"outputs":[{"amount":"1e9"}],"vsize":-1,"signed_input":-9,"runestone":{"edicts":[{"output":-1,"amount":1e9}]}}`))
	f.Fuzz(func(t *testing.T, account []byte) {
		if !json.Valid(account) {
			return
		}
		info := payment()
		info.RuneDetails = []wire.RuneDetail{hello()}
		in := completed(t, e, info, nil, func(in *policy.Input) {
			in.Evidence.Decoded = json.RawMessage(`{"kind":"bitcoin-transaction","bitcoin":` + string(account) + `}`)
		})
		in.Evidence.Decoded = nil // the account itself may hold numbers that no input may
		if _, err := in.Canonical(); err != nil {
			t.Fatal(err)
		}
		if in.UTXO != nil && in.UTXO.Source == policy.SourceEvidence && (in.Evidence.Status != policy.EvidenceVerified || in.UTXO.ToBase != in.Tx.AmountBase) {
			t.Fatalf("taken for evidence: %+v, %+v", in.UTXO, in.Evidence)
		}
	})
}
