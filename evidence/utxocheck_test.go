package evidence_test

import (
	"encoding/hex"
	"math/big"
	"slices"
	"strconv"
	"testing"

	"github.com/btcsuite/btcd/btcutil/psbt"
	"github.com/btcsuite/btcd/txscript"
	btcwire "github.com/btcsuite/btcd/wire"
	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/evidence"
)

// paid makes a payment of 60,000 satoshi from two coins of a key, change going back, with a fee of 2,000.
func paid(t testing.TB, kind evidence.Spend) *payment {
	c := coinOf(t, kind, "payer")
	return newPayment(t, []*coin{c, coinOf(t, kind, "payer")}, recipient(t), btcwire.NewTxOut(138_000, c.script))
}

func regtest(t testing.TB, script []byte) string {
	t.Helper()
	address, err := derive.BitcoinAddress(derive.Regtest, script)
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// claim says what the payment does, all of it.
func (p *payment) claim(t testing.TB) evidence.Claim {
	t.Helper()
	r := p.request(t, "0")
	digest := mustDigest(t, r)
	tx := p.packet.UnsignedTx
	c := evidence.Claim{
		Family: evidence.FamilyUTXO, Asset: evidence.Asset{Kind: evidence.AssetNative}, From: regtest(t, p.coins[0].script),
		To: segwitAddress(t, testKey("recipient")), Amount: big.NewInt(60_000), Message: hex.EncodeToString(digest), RawTx: r.RawTx,
		UTXO: evidence.UTXOClaim{
			Network: derive.Regtest, RequestType: r.RequestType, InputID: "0", TapScriptRoot: r.TapScriptRoot,
			PublicKey: public(p.coins[0].key), FeeRate: "9.5",
		},
	}
	for i, coin := range p.coins {
		c.UTXO.Vins = append(c.UTXO.Vins, evidence.VinClaim{
			ID: strconv.Itoa(6900 + i), Address: regtest(t, coin.script), Amount: big.NewInt(coin.amount),
			TransactionHash: tx.TxIn[i].PreviousOutPoint.Hash.String(), VoutIndex: "1",
		})
	}
	for _, out := range tx.TxOut {
		if out.PkScript[0] != txscript.OP_RETURN {
			c.UTXO.Vouts = append(c.UTXO.Vouts, evidence.VoutClaim{Address: regtest(t, out.PkScript), Amount: big.NewInt(out.Value)})
		}
	}
	return c
}

func mustFind(t *testing.T, name string, c evidence.Claim, status evidence.Status, code evidence.Code, fields ...string) evidence.Finding {
	t.Helper()
	f := evidence.Check(c)
	var got []string
	for _, d := range f.Differences {
		got = append(got, d.Field)
	}
	if f.Status != status || f.Code != code || !slices.Equal(got, fields) {
		t.Errorf("%s: %s %s %v (%s), want %s %s %v", name, f.Status, f.Code, f.Differences, f.Reason, status, code, fields)
	}
	if (f.Decoded != nil && f.Decoded.Transfer != nil) != (status == evidence.Verified) {
		t.Errorf("%s: %s with transfer %v", name, f.Status, f.Decoded)
	}
	return f
}

func TestBitcoinVerified(t *testing.T) {
	for _, kind := range spends {
		p := paid(t, kind)
		c := p.claim(t)
		switch kind { // the same fee is another rate for other sizes
		case evidence.SpendP2PKH:
			c.UTXO.FeeRate = "5.4"
		case evidence.SpendP2SHP2WPKH:
			c.UTXO.FeeRate = "7.8"
		}
		f := mustFind(t, string(kind), c, evidence.Verified, "")
		b := f.Decoded.Bitcoin
		if b == nil || b.Spend != kind || b.Fee != "2000" || b.InputAmount != "200000" || b.OutputAmount != "198000" ||
			b.SignedInput != 0 || b.TxID != p.packet.UnsignedTx.TxHash().String() || len(b.Inputs) != 2 || len(b.Outputs) != 2 {
			t.Fatalf("%s: %+v", kind, b)
		}
		if *f.Decoded.Transfer != (evidence.Transfer{Asset: evidence.AssetNative, To: c.To, Amount: "60000"}) {
			t.Errorf("%s: transfer %+v", kind, f.Decoded.Transfer)
		}
		if pay, change := b.Outputs[0], b.Outputs[1]; pay.Change || pay.Own || !change.Change || !change.Own || pay.Address != c.To {
			t.Errorf("%s: outputs %+v", kind, b.Outputs)
		}
		if in := b.Inputs[0]; !in.Proven || in.Amount != "100000" || in.Address != c.From || in.Sequence != 0xfffffffd || in.Vout != 1 {
			t.Errorf("%s: input %+v", kind, in)
		}
		if (kind == evidence.SpendTaprootLeaf) != (b.LeafScript != "") || (b.SighashType == "DEFAULT") != (requestType(kind) != "sign") {
			t.Errorf("%s: leaf %q, sighash %s", kind, b.LeafScript, b.SighashType)
		}
	}
}

// TestSizeEstimate holds the estimate against the size of the signed transaction, and the rate against their quotient.
func TestSizeEstimate(t *testing.T) {
	for _, kind := range spends {
		p := paid(t, kind)
		f := evidence.Check(p.claim(t))
		r := p.request(t, "1")
		signed := p.run(t, [][]byte{mustDigest(t, p.request(t, "0")), mustDigest(t, r)})
		weight := 3*signed.SerializeSizeStripped() + signed.SerializeSize()
		virtual := (weight + 3) / 4
		got := f.Decoded.Bitcoin
		if got.VSize < virtual || got.VSize > virtual+4 {
			t.Errorf("%s: estimated %d virtual bytes, signed it has %d", kind, got.VSize, virtual)
		}
		milli := (2000*1000 + got.VSize - 1) / got.VSize
		if want := strconv.Itoa(milli/1000) + "." + strconv.Itoa(1000 + milli%1000)[1:]; got.FeeRate != want {
			t.Errorf("%s: rate %s, want %s", kind, got.FeeRate, want)
		}
	}
}

// TestBitcoinMismatch changes one field of a true claim: it must be found, and it alone.
func TestBitcoinMismatch(t *testing.T) {
	p := paid(t, evidence.SpendP2WPKH)
	other := segwitAddress(t, testKey("attacker"))
	for name, c := range map[string]struct {
		spoil  func(c *evidence.Claim)
		fields []string
	}{
		"message":               {func(c *evidence.Claim) { c.Message = c.Message[2:] + "00" }, []string{"message"}},
		"no message":            {func(c *evidence.Claim) { c.Message = "" }, []string{"message"}},
		"recipient":             {func(c *evidence.Claim) { c.To = other }, []string{"to"}},
		"recipient, network":    {func(c *evidence.Claim) { c.To = "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx" }, []string{"to"}},
		"recipient, no address": {func(c *evidence.Claim) { c.To = c.To[:len(c.To)-1] }, []string{"to"}},
		"amount":                {func(c *evidence.Claim) { c.Amount = big.NewInt(59_999) }, []string{"amount"}},
		"sender":                {func(c *evidence.Claim) { c.From = other }, []string{"from"}},
		"key":                   {func(c *evidence.Claim) { c.UTXO.PublicKey = public(testKey("attacker")) }, []string{"publickKey"}},
		"key, other parity":     {func(c *evidence.Claim) { c.UTXO.PublicKey[0] ^= 1 }, []string{"publickKey"}},
		"rate too low":          {func(c *evidence.Claim) { c.UTXO.FeeRate = "3" }, []string{"fee"}},
		"rate too high":         {func(c *evidence.Claim) { c.UTXO.FeeRate = "30" }, []string{"fee"}},
		"rate no number":        {func(c *evidence.Claim) { c.UTXO.FeeRate = "1e1" }, []string{"fee"}},
		"input amount":          {func(c *evidence.Claim) { c.UTXO.Vins[1].Amount = big.NewInt(1) }, []string{"extraData.vinList", "extraData.vinList"}},
		"input address":         {func(c *evidence.Claim) { c.UTXO.Vins[1].Address = other }, []string{"extraData.vinList", "extraData.vinList"}},
		"input transaction": {func(c *evidence.Claim) { c.UTXO.Vins[1].TransactionHash = hex.EncodeToString(make([]byte, 32)) },
			[]string{"extraData.vinList", "extraData.vinList"}},
		"input index":           {func(c *evidence.Claim) { c.UTXO.Vins[1].VoutIndex = "0" }, []string{"extraData.vinList", "extraData.vinList"}},
		"input, empty":          {func(c *evidence.Claim) { c.UTXO.Vins[1] = evidence.VinClaim{ID: "x"} }, []string{"extraData.vinList", "extraData.vinList"}},
		"inputs swapped":        {func(c *evidence.Claim) { slices.Reverse(c.UTXO.Vins) }, []string{"curInputId"}},
		"one input twice":       {func(c *evidence.Claim) { c.UTXO.Vins[1] = c.UTXO.Vins[0] }, []string{"extraData.vinList", "extraData.vinList"}},
		"output amount":         {func(c *evidence.Claim) { c.UTXO.Vouts[1].Amount = big.NewInt(1) }, []string{"extraData.voutList", "extraData.voutList"}},
		"output address":        {func(c *evidence.Claim) { c.UTXO.Vouts[1].Address = other }, []string{"extraData.voutList", "extraData.voutList"}},
		"output unclaimed":      {func(c *evidence.Claim) { c.UTXO.Vouts = c.UTXO.Vouts[:1] }, []string{"extraData.voutList"}},
		"output too many":       {func(c *evidence.Claim) { c.UTXO.Vouts = append(c.UTXO.Vouts, c.UTXO.Vouts[0]) }, []string{"extraData.voutList"}},
		"output without amount": {func(c *evidence.Claim) { c.UTXO.Vouts[1].Amount = nil }, []string{"extraData.voutList", "extraData.voutList"}},
	} {
		claim := p.claim(t)
		c.spoil(&claim)
		mustFind(t, name, claim, evidence.Mismatch, evidence.CodeDiffers, c.fields...)
	}

	short := p.claim(t)
	short.UTXO.Vins = short.UTXO.Vins[:1]
	mustFind(t, "list too short", short, evidence.Mismatch, evidence.CodeDiffers, "extraData.vinList", "extraData.vinList")

	key := testKey("tree")
	tree := newPayment(t, []*coin{newCoin(t, evidence.SpendTaprootKey, key, plainLeaf(t, key))}, recipient(t))
	root := tree.claim(t)
	root.UTXO.TapScriptRoot = ""
	mustFind(t, "another root", root, evidence.Mismatch, evidence.CodeDiffers, "tapScriptRoot")
}

// TestBitcoinClaimsThatSuffice are true in another way than the full claim.
func TestBitcoinClaimsThatSuffice(t *testing.T) {
	p := paid(t, evidence.SpendP2WPKH)
	for name, change := range map[string]func(c *evidence.Claim){
		"no lists":         func(c *evidence.Claim) { c.UTXO.Vins, c.UTXO.Vouts = nil, nil },
		"no sender":        func(c *evidence.Claim) { c.From = "" },
		"no rate":          func(c *evidence.Claim) { c.UTXO.FeeRate = "" },
		"rate by bytes":    func(c *evidence.Claim) { c.UTXO.FeeRate = "5.3" }, // 2,000 for 374 bytes
		"outputs reversed": func(c *evidence.Claim) { slices.Reverse(c.UTXO.Vouts) },
		"by id":            func(c *evidence.Claim) { c.UTXO.InputID = "6900" },
		"recipient in capitals": func(c *evidence.Claim) {
			script, err := derive.BitcoinScript(derive.Regtest, c.To)
			if err != nil {
				t.Fatal(err)
			}
			c.To = regtest(t, script)
		},
		"inputs by outpoint": func(c *evidence.Claim) {
			for i := range c.UTXO.Vins {
				c.UTXO.Vins[i].Address, c.UTXO.Vins[i].Amount = "", nil
			}
		},
	} {
		claim := p.claim(t)
		change(&claim)
		mustFind(t, name, claim, evidence.Verified, "")
	}
}

// TestBitcoinPaysItself: where change and payment go to the same address, either amount may be claimed.
func TestBitcoinPaysItself(t *testing.T) {
	c := coinOf(t, evidence.SpendP2WPKH, "self")
	p := newPayment(t, []*coin{c}, btcwire.NewTxOut(30_000, c.script), btcwire.NewTxOut(68_500, c.script))
	for amount, status := range map[int64]evidence.Status{
		30_000: evidence.Verified, 68_500: evidence.Verified, 98_500: evidence.Verified, 50_000: evidence.Mismatch,
	} {
		claim := p.claim(t)
		claim.To, claim.Amount, claim.UTXO.FeeRate = claim.From, big.NewInt(amount), ""
		if f := evidence.Check(claim); f.Status != status {
			t.Errorf("%d: %s %v", amount, f.Status, f.Differences)
		}
	}
	to := recipient(t)
	twice := newPayment(t, []*coin{c}, to, btcwire.NewTxOut(10_000, to.PkScript))
	claim := twice.claim(t)
	claim.UTXO.FeeRate = ""
	mustFind(t, "two outputs to the recipient, one claimed", claim, evidence.Mismatch, evidence.CodeDiffers, "amount")
	claim.Amount = big.NewInt(70_000)
	mustFind(t, "two outputs to the recipient", claim, evidence.Verified, "")
}

func TestBitcoinUnverifiable(t *testing.T) {
	for name, c := range map[string]struct {
		kind  evidence.Spend
		spoil func(p *payment, c *evidence.Claim)
		code  evidence.Code
	}{
		"amount not proven":       {evidence.SpendP2WPKH, func(p *payment, _ *evidence.Claim) { p.packet.Inputs[0].NonWitnessUtxo = nil }, evidence.CodeUnproven},
		"other amount not proven": {evidence.SpendP2WPKH, func(p *payment, _ *evidence.Claim) { p.packet.Inputs[1].NonWitnessUtxo = nil }, evidence.CodeUnproven},
		"other output not known":  {evidence.SpendP2WPKH, func(p *payment, _ *evidence.Claim) { p.packet.Inputs[1] = psbt.PInput{} }, evidence.CodeUnproven},
		"no key":                  {evidence.SpendP2WPKH, func(_ *payment, c *evidence.Claim) { c.UTXO.PublicKey = nil }, evidence.CodeUnknownKey},
		"no network":              {evidence.SpendP2WPKH, func(_ *payment, c *evidence.Claim) { c.UTXO.Network = "" }, evidence.CodeChain},
		"unknown network":         {evidence.SpendP2WPKH, func(_ *payment, c *evidence.Claim) { c.UTXO.Network = "simnet" }, evidence.CodeChain},
		"no asset":                {evidence.SpendP2WPKH, func(_ *payment, c *evidence.Claim) { c.Asset.Kind = "" }, evidence.CodeAsset},
		"token":                   {evidence.SpendP2WPKH, func(_ *payment, c *evidence.Claim) { c.Asset.Kind = evidence.AssetERC20 }, evidence.CodeAsset},
		"no recipient":            {evidence.SpendP2WPKH, func(_ *payment, c *evidence.Claim) { c.To = "" }, evidence.CodeIncomplete},
		"no amount":               {evidence.SpendP2WPKH, func(_ *payment, c *evidence.Claim) { c.Amount = nil }, evidence.CodeIncomplete},
		"input named twice": {evidence.SpendP2WPKH, func(_ *payment, c *evidence.Claim) {
			c.UTXO.InputID, c.UTXO.Vins[1].ID = "1", "0"
			c.UTXO.Vins[0].ID = "1"
		}, evidence.CodeUndecodable},
		"no such input":           {evidence.SpendP2WPKH, func(_ *payment, c *evidence.Claim) { c.UTXO.InputID = "9" }, evidence.CodeUndecodable},
		"another request type":    {evidence.SpendP2WPKH, func(_ *payment, c *evidence.Claim) { c.UTXO.RequestType = "taproot-sign" }, evidence.CodeUndecodable},
		"taproot, output missing": {evidence.SpendTaprootKey, func(p *payment, _ *evidence.Claim) { p.packet.Inputs[1].WitnessUtxo = nil }, evidence.CodeUndecodable},
	} {
		p := paid(t, c.kind)
		claim := p.claim(t)
		c.spoil(p, &claim)
		claim.RawTx = p.base64(t)
		mustFind(t, name, claim, evidence.Unverifiable, c.code)
	}
	claim := paid(t, evidence.SpendP2WPKH).claim(t)
	claim.RawTx = "02c0"
	mustFind(t, "an EVM payload", claim, evidence.Unverifiable, evidence.CodeUndecodable)
}

// TestUnclaimedOutput: without voutList nothing but payment and change may be there.
func TestUnclaimedOutput(t *testing.T) {
	c := coinOf(t, evidence.SpendP2WPKH, "payer")
	for name, v := range map[string]struct {
		extra *btcwire.TxOut
		code  evidence.Code
	}{
		"third party":          {payTo(t, segwitAddress(t, testKey("attacker")), 30_000), evidence.CodeIncomplete},
		"data without value":   {btcwire.NewTxOut(0, pushes(t, txscript.OP_RETURN, "memo")), ""},
		"data that burns":      {btcwire.NewTxOut(30_000, pushes(t, txscript.OP_RETURN, "memo")), evidence.CodeIncomplete},
		"script of no address": {btcwire.NewTxOut(30_000, []byte{txscript.OP_TRUE}), evidence.CodeIncomplete},
	} {
		claim := newPayment(t, []*coin{c}, recipient(t), btcwire.NewTxOut(8_000, c.script)).claim(t)
		p := newPayment(t, []*coin{c}, recipient(t), btcwire.NewTxOut(8_000, c.script), v.extra)
		claim.RawTx, claim.Message, claim.UTXO.FeeRate = p.base64(t), hex.EncodeToString(mustDigest(t, p.request(t, "0"))), ""
		listed := claim
		claim.UTXO.Vouts = nil
		status := evidence.Unverifiable
		if v.code == "" {
			status = evidence.Verified
		}
		f := mustFind(t, name, claim, status, v.code)
		if data := f.Decoded.Bitcoin.Outputs[2].OpReturn; (data != nil) != (v.extra.PkScript[0] == txscript.OP_RETURN) {
			t.Errorf("%s: op_return %v", name, data)
		}
		if v.code == "" {
			mustFind(t, name+", listed", listed, evidence.Verified, "")
		} else {
			mustFind(t, name+", listed", listed, evidence.Mismatch, evidence.CodeDiffers, "extraData.voutList")
		}
	}
}

// TestBitcoinWithoutRawTx checks what the lists alone can contradict.
func TestBitcoinWithoutRawTx(t *testing.T) {
	p := paid(t, evidence.SpendP2WPKH)
	other := segwitAddress(t, testKey("attacker"))
	for name, c := range map[string]struct {
		spoil  func(c *evidence.Claim)
		status evidence.Status
		code   evidence.Code
		fields []string
	}{
		"true":          {func(*evidence.Claim) {}, evidence.Unverifiable, evidence.CodeNoRawTx, nil},
		"no lists":      {func(c *evidence.Claim) { c.UTXO.Vins, c.UTXO.Vouts = nil, nil }, evidence.Unverifiable, evidence.CodeNoRawTx, nil},
		"recipient":     {func(c *evidence.Claim) { c.To = other }, evidence.Mismatch, evidence.CodeDiffers, []string{"to"}},
		"amount":        {func(c *evidence.Claim) { c.Amount = big.NewInt(1) }, evidence.Mismatch, evidence.CodeDiffers, []string{"amount"}},
		"sender":        {func(c *evidence.Claim) { c.From = other }, evidence.Mismatch, evidence.CodeDiffers, []string{"from"}},
		"sums":          {func(c *evidence.Claim) { c.UTXO.Vins[0].Amount = big.NewInt(1) }, evidence.Mismatch, evidence.CodeDiffers, []string{"extraData.vinList"}},
		"input":         {func(c *evidence.Claim) { c.UTXO.InputID = "9" }, evidence.Unverifiable, evidence.CodeIncomplete, nil},
		"output amount": {func(c *evidence.Claim) { c.UTXO.Vouts[0].Amount = nil }, evidence.Unverifiable, evidence.CodeIncomplete, nil},
		"no network":    {func(c *evidence.Claim) { c.UTXO.Network = "" }, evidence.Unverifiable, evidence.CodeChain, nil},
	} {
		claim := p.claim(t)
		claim.RawTx = ""
		c.spoil(&claim)
		mustFind(t, name, claim, c.status, c.code, c.fields...)
	}
}

// TestScriptPathKey: the key must be one that the script checks a signature of, not one that it merely holds.
func TestScriptPathKey(t *testing.T) {
	key := testKey("leaf")
	x, other := public(key)[1:], public(testKey("other"))[1:]
	for name, c := range map[string]struct {
		script []byte
		own    bool
	}{
		"signature":           {pushes(t, x, txscript.OP_CHECKSIG), true},
		"two of two":          {pushes(t, other, txscript.OP_CHECKSIGVERIFY, x, txscript.OP_CHECKSIG), true},
		"add":                 {pushes(t, x, txscript.OP_CHECKSIG, other, txscript.OP_CHECKSIGADD, txscript.OP_2, txscript.OP_NUMEQUAL), true},
		"dropped":             {pushes(t, x, txscript.OP_DROP, other, txscript.OP_CHECKSIG), false},
		"before another's":    {pushes(t, x, other, txscript.OP_CHECKSIG, txscript.OP_NIP), false},
		"in data":             {pushes(t, other, txscript.OP_CHECKSIG, txscript.OP_0, txscript.OP_IF, x, txscript.OP_ENDIF), false},
		"number in between":   {pushes(t, x, txscript.OP_1, txscript.OP_CHECKSIG), false},
		"another key's alone": {pushes(t, other, txscript.OP_CHECKSIG), false},
	} {
		p := newPayment(t, []*coin{newCoin(t, evidence.SpendTaprootLeaf, key, c.script)}, recipient(t))
		claim := p.claim(t)
		claim.UTXO.FeeRate = ""
		if c.own {
			mustFind(t, name, claim, evidence.Verified, "")
		} else {
			mustFind(t, name, claim, evidence.Mismatch, evidence.CodeDiffers, "publickKey")
		}
	}
}
