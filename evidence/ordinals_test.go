package evidence_test

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/txscript"
	btcwire "github.com/btcsuite/btcd/wire"

	"github.com/countersign-mpc/countersign/evidence"
)

const runeID = "840000:1"

// runePayment moves 100 of the rune to the recipient's output, which is the second, and the rest back to the payer, by a
// message that an edit may change.
func runePayment(t *testing.T, message []byte) (evidence.Claim, *payment) {
	t.Helper()
	c := coinOf(t, evidence.SpendTaprootLeaf, "payer")
	p := newPayment(t, []*coin{c}, btcwire.NewTxOut(0, message), payTo(t, segwitAddress(t, testKey("recipient")), 546), btcwire.NewTxOut(98_000, c.script),
		payTo(t, segwitAddress(t, testKey("third")), 600))
	claim := p.claim(t)
	claim.Amount, claim.UTXO.FeeRate = big.NewInt(546), ""
	claim.UTXO.Runes = []evidence.RuneClaim{{
		FromAddress: claim.From, ToAddress: claim.To, ID: runeID, Name: "ZZZZZFEHUZZZZZ", Amount: "1.00", AmountBase: big.NewInt(100),
	}}
	return claim, p
}

// Tags 22 is the pointer, 0 begins the edicts: block, transaction, amount, output.
var goodRunes = []int64{22, 2, 0, 840000, 1, 100, 1}

func TestRunesVerified(t *testing.T) {
	for name, message := range map[string][]int64{
		"one edict":                   goodRunes,
		"two edicts to the recipient": {22, 2, 0, 840000, 1, 60, 1, 0, 0, 40, 1},
		"an edict to the payer":       {22, 2, 0, 840000, 1, 100, 1, 0, 0, 7, 2},
		"an unknown odd tag":          append([]int64{127, 1}, goodRunes...),
	} {
		claim, _ := runePayment(t, runeScript(message...))
		f := mustFind(t, name, claim, evidence.Verified, "")
		if r := f.Decoded.Bitcoin.Runestone; r == nil || len(r.Edicts) == 0 {
			t.Errorf("%s: runestone %+v", name, r)
		}
	}
	claim, _ := runePayment(t, runeScript(22, 2, 0, 840000, 1, 60, 1, 0, 0, 40, 3))
	two := claim.UTXO.Runes[0]
	two.ToAddress, two.AmountBase = segwitAddress(t, testKey("third")), big.NewInt(40)
	claim.UTXO.Runes[0].AmountBase = big.NewInt(60)
	claim.UTXO.Runes = append(claim.UTXO.Runes, two)
	mustFind(t, "two recipients", claim, evidence.Verified, "")
}

func TestRunesMismatch(t *testing.T) {
	for name, c := range map[string]struct {
		message []int64
		spoil   func(*evidence.RuneClaim)
		fields  []string
	}{
		"more is moved":           {message: []int64{22, 2, 0, 840000, 1, 101, 1}, fields: []string{"runeDetails"}},
		"less is moved":           {message: []int64{22, 2, 0, 840000, 1, 99, 1}, fields: []string{"runeDetails"}},
		"another rune":            {message: []int64{22, 2, 0, 840000, 2, 100, 1}, fields: []string{"runeDetails", "runeDetails"}},
		"another recipient":       {message: []int64{22, 2, 0, 840000, 1, 100, 3}, fields: []string{"runeDetails", "runeDetails"}},
		"a third party beside":    {message: append(goodRunes[:len(goodRunes):len(goodRunes)], 0, 0, 1, 3), fields: []string{"runeDetails"}},
		"another rune beside":     {message: append(goodRunes[:len(goodRunes):len(goodRunes)], 1, 5, 9, 3), fields: []string{"runeDetails"}},
		"burned":                  {message: []int64{22, 2, 0, 840000, 1, 100, 0}, fields: []string{"runeDetails", "runeDetails"}},
		"kept":                    {message: []int64{22, 2, 0, 840000, 1, 100, 2}, fields: []string{"runeDetails"}},
		"cenotaph":                {message: append([]int64{126, 0}, goodRunes...), fields: []string{"runeDetails"}},
		"no runestone":            {fields: []string{"runeDetails"}},
		"from another address":    {message: goodRunes, spoil: func(r *evidence.RuneClaim) { r.FromAddress = r.ToAddress }, fields: []string{"runeDetails[0].fromAddress"}},
		"to what is no address":   {message: goodRunes, spoil: func(r *evidence.RuneClaim) { r.ToAddress = "nowhere" }, fields: []string{"runeDetails", "runeDetails"}},
		"another amount claimed":  {message: goodRunes, spoil: func(r *evidence.RuneClaim) { r.AmountBase = big.NewInt(1) }, fields: []string{"runeDetails"}},
		"another rune is claimed": {message: goodRunes, spoil: func(r *evidence.RuneClaim) { r.ID = "840000:01" }, fields: []string{"runeDetails", "runeDetails"}},
	} {
		message := runeScript(c.message...)
		if c.message == nil {
			message = pushes(t, txscript.OP_RETURN, "memo")
		}
		claim, _ := runePayment(t, message)
		if c.spoil != nil {
			c.spoil(&claim.UTXO.Runes[0])
		}
		mustFind(t, name, claim, evidence.Mismatch, evidence.CodeDiffers, c.fields...)
	}
}

func TestRunesUnverifiable(t *testing.T) {
	for name, c := range map[string]struct {
		message []int64
		spoil   func(*evidence.UTXOClaim)
	}{
		"not claimed":                        {message: goodRunes, spoil: func(c *evidence.UTXOClaim) { c.Runes = nil }},
		"cenotaph, not claimed":              {message: []int64{126, 0}, spoil: func(c *evidence.UTXOClaim) { c.Runes = nil }},
		"unit not known":                     {message: goodRunes, spoil: func(c *evidence.UTXOClaim) { c.Runes[0].AmountBase = nil }},
		"the rest goes to the recipient":     {message: []int64{22, 1, 0, 840000, 1, 100, 1}},
		"the rest goes to the first output":  {message: []int64{0, 840000, 1, 100, 1}},
		"the rest goes to a third party":     {message: []int64{22, 3, 0, 840000, 1, 100, 1}},
		"the rest is burned":                 {message: []int64{22, 0, 0, 840000, 1, 100, 1}},
		"where the rest goes is not decided": {message: []int64{22, 2, 22, 1, 0, 840000, 1, 100, 1}},
		"mints":                              {message: append([]int64{20, 840000, 20, 1}, goodRunes...)},
		"etches":                             {message: append([]int64{2, 1, 4, 99}, goodRunes...)},
		"all that is left, to the payer":     {message: append(goodRunes[:len(goodRunes):len(goodRunes)], 0, 0, 0, 2)},
		"to every output":                    {message: append(goodRunes[:len(goodRunes):len(goodRunes)], 0, 0, 1, 4)},
	} {
		claim, _ := runePayment(t, runeScript(c.message...))
		if c.spoil != nil {
			c.spoil(&claim.UTXO)
		}
		mustFind(t, name, claim, evidence.Unverifiable, evidence.CodeRunestone)
	}
	claim, _ := runePayment(t, runeScript(22, 2, 0, 840000, 1, 0, 1)) // all to the recipient is no amount, and not the claimed one
	if f := evidence.Check(claim); f.Status == evidence.Verified {
		t.Errorf("an edict over all is %s", f.Status)
	}
}

// inscriptionPayment reveals an inscription to the payer.
func inscriptionPayment(t *testing.T, body string) (evidence.Claim, *payment) {
	t.Helper()
	key := testKey("payer")
	script := envelope(t, "text/plain;charset=utf-8", body)
	copy(script[1:33], schnorr.SerializePubKey(key.PubKey()))
	c := newCoin(t, evidence.SpendTaprootLeaf, key, script)
	p := newPayment(t, []*coin{c}, btcwire.NewTxOut(546, c.script), payTo(t, segwitAddress(t, testKey("recipient")), 60_000))
	claim := p.claim(t)
	claim.UTXO.FeeRate = ""
	claim.UTXO.BRC20 = []evidence.BRC20Claim{{Method: "transfer", Ticker: "ordi", Quantity: "100.50", Step: "2", From: claim.From, To: claim.To}}
	return claim, p
}

func TestBRC20Verified(t *testing.T) {
	claim, p := inscriptionPayment(t, transferBody)
	f := mustFind(t, "transfer", claim, evidence.Verified, "")
	if in := f.Decoded.Bitcoin.Inscription; in == nil || in.Amount != "100.5" {
		t.Errorf("inscription %+v", in)
	}
	p.run(t, [][]byte{mustDigest(t, p.request(t, "0"))})
	claim.UTXO.BRC20[0].Ticker, claim.UTXO.BRC20[0].InscriptionID = "ORDI", f.Decoded.Bitcoin.TxID+"i0"
	mustFind(t, "transfer with its id", claim, evidence.Verified, "")

	claim, _ = inscriptionPayment(t, `{"p":"brc-20","op":"mint","tick":"ordi","amt":"100.5"}`)
	claim.UTXO.BRC20[0].Method, claim.UTXO.BRC20[0].To = "mint", claim.From
	mustFind(t, "mint", claim, evidence.Verified, "")
	claim, _ = inscriptionPayment(t, `{"p":"brc-20","op":"deploy","tick":"ordi","max":"100.5","lim":"1"}`)
	claim.UTXO.BRC20[0].Method, claim.UTXO.BRC20[0].To = "deploy", claim.From
	mustFind(t, "deploy", claim, evidence.Verified, "")
}

func TestBRC20Mismatch(t *testing.T) {
	for name, c := range map[string]struct {
		spoil  func(*evidence.UTXOClaim)
		fields []string
	}{
		"method":          {func(c *evidence.UTXOClaim) { c.BRC20[0].Method = "deploy" }, []string{"brc20Details[0].method"}},
		"ticker":          {func(c *evidence.UTXOClaim) { c.BRC20[0].Ticker = "sats" }, []string{"brc20Details[0].ticker"}},
		"quantity":        {func(c *evidence.UTXOClaim) { c.BRC20[0].Quantity = "100.51" }, []string{"brc20Details[0].quantity"}},
		"no quantity":     {func(c *evidence.UTXOClaim) { c.BRC20[0].Quantity = "" }, []string{"brc20Details[0].quantity"}},
		"sender":          {func(c *evidence.UTXOClaim) { c.BRC20[0].From = c.BRC20[0].To }, []string{"brc20Details[0].from"}},
		"no address":      {func(c *evidence.UTXOClaim) { c.BRC20[0].From = "nowhere" }, []string{"brc20Details[0].from"}},
		"inscription":     {func(c *evidence.UTXOClaim) { c.BRC20[0].InscriptionID = "00i0" }, []string{"brc20Details[0].inscriptionId"}},
		"more operations": {func(c *evidence.UTXOClaim) { c.BRC20 = append(c.BRC20, c.BRC20[0]) }, []string{"brc20Details"}},
	} {
		claim, _ := inscriptionPayment(t, transferBody)
		c.spoil(&claim.UTXO)
		mustFind(t, name, claim, evidence.Mismatch, evidence.CodeDiffers, c.fields...)
	}
}

func TestBRC20Unverifiable(t *testing.T) {
	claim, _ := inscriptionPayment(t, transferBody)
	claim.UTXO.BRC20 = nil
	mustFind(t, "not claimed", claim, evidence.Unverifiable, evidence.CodeInscription)
	claim, _ = inscriptionPayment(t, `{"p":"brc-20","op":"transfer","tick":"ordi","amt":100.5}`)
	mustFind(t, "read by some indexers only", claim, evidence.Unverifiable, evidence.CodeInscription)
	claim, _ = inscriptionPayment(t, transferBody)
	claim.UTXO.BRC20[0].From = ""
	mustFind(t, "no sender", claim, evidence.Unverifiable, evidence.CodeIncomplete)
	claim = paid(t, evidence.SpendTaprootKey).claim(t)
	claim.UTXO.BRC20 = []evidence.BRC20Claim{{Method: "transfer", Ticker: "ordi", Quantity: "1", Step: "3", From: claim.From, To: claim.To}}
	mustFind(t, "the last step of a transfer", claim, evidence.Unverifiable, evidence.CodeInscription)
}

// An inscription follows the first satoshi of the input that reveals it, wherever that goes.
func TestInscriptionLanding(t *testing.T) {
	key := testKey("payer")
	script := envelope(t, "text/plain", transferBody)
	copy(script[1:33], schnorr.SerializePubKey(key.PubKey()))
	reveal, before := newCoin(t, evidence.SpendTaprootLeaf, key, script), coinOf(t, evidence.SpendTaprootKey, "payer")
	for name, c := range map[string]struct {
		first  int64 // of the first output, to the recipient; the second goes to the payer
		second int64
		fields []string
	}{
		"just before it": {first: 100_000, second: 546},
		"well before it": {first: 99_000, second: 2_000},
		"into it":        {first: 100_001, second: 546, fields: []string{"brc20Details[0].from"}},
		"into the fee":   {first: 99_000, second: 1_000, fields: []string{"brc20Details[0].from"}},
	} {
		p := newPayment(t, []*coin{before, reveal}, payTo(t, segwitAddress(t, testKey("recipient")), c.first), btcwire.NewTxOut(c.second, reveal.script))
		r := p.request(t, "1")
		r.RequestType, r.TapScriptRoot = requestType(reveal.kind), ""
		claim := evidence.Claim{
			Family: evidence.FamilyUTXO, Asset: evidence.Asset{Kind: evidence.AssetNative}, From: regtest(t, reveal.script), To: segwitAddress(t, testKey("recipient")),
			Amount: big.NewInt(c.first), Message: hex.EncodeToString(mustDigest(t, r)), RawTx: r.RawTx,
			UTXO: evidence.UTXOClaim{Network: "regtest", RequestType: r.RequestType, InputID: "1", PublicKey: public(key)},
		}
		claim.UTXO.BRC20 = []evidence.BRC20Claim{{Method: "transfer", Ticker: "ordi", Quantity: "100.5", From: claim.From, To: claim.To}}
		status, code := evidence.Verified, evidence.Code("")
		if c.fields != nil {
			status, code = evidence.Mismatch, evidence.CodeDiffers
		}
		mustFind(t, fmt.Sprint("the first output ends ", name), claim, status, code, c.fields...)
	}
}
