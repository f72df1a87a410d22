package evidence_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/txscript"
	btcwire "github.com/btcsuite/btcd/wire"
	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/wire"
)

// pair is one key-value pair of a PSBT.
func pair(key, value []byte) []byte {
	var b bytes.Buffer
	for _, part := range [][]byte{key, value} {
		if err := btcwire.WriteVarBytes(&b, 0, part); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// TestPSBTForm builds PSBTs by hand that the library would take, or reserve memory for, and that must be refused.
func TestPSBTForm(t *testing.T) {
	p := newPayment(t, []*coin{coinOf(t, evidence.SpendP2WPKH, "a")}, recipient(t))
	var tx, before bytes.Buffer
	if err := p.packet.UnsignedTx.SerializeNoWitness(&tx); err != nil {
		t.Fatal(err)
	}
	if err := p.packet.Inputs[0].NonWitnessUtxo.Serialize(&before); err != nil {
		t.Fatal(err)
	}
	magic, end := []byte("psbt\xff"), []byte{0}
	global := pair([]byte{0}, tx.Bytes())
	out := p.packet.Inputs[0].WitnessUtxo
	utxo := join(binary.LittleEndian.AppendUint64(nil, uint64(out.Value)), []byte{byte(len(out.PkScript))}, out.PkScript)
	input := pair([]byte{1}, utxo)
	huge := bytes.Repeat([]byte{0xff}, 8)
	// A transaction that says it has 2^32 inputs.
	many := join([]byte{2, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0xff}, make([]byte, 60))
	witnesses := join(before.Bytes()[:4], []byte{0, 1}, before.Bytes()[4:before.Len()-4], []byte{0xfe, 0xff, 0xff, 0xff, 0xff}, make([]byte, 4))
	good := join(magic, global, end, input, end, end)
	for name, c := range map[string]struct {
		raw  []byte
		want string // empty: taken
	}{
		"good":                        {good, ""},
		"version 0":                   {join(magic, global, pair([]byte{0xfb}, make([]byte, 4)), end, input, end, end), ""},
		"unknown keys":                {join(magic, global, pair([]byte{0xfc, 1}, []byte("x")), end, input, pair([]byte{0xfc, 1}, nil), end, pair([]byte{0xfc, 1}, nil), end), ""},
		"magic alone":                 {magic, "cut off"},
		"magic and end":               {join(magic, end), "version 0"},
		"version 2":                   {join(magic, pair([]byte{0xfb}, []byte{2, 0, 0, 0}), pair([]byte{2}, []byte{2, 0, 0, 0}), end), "BIP370"},
		"version 1, with tx":          {join(magic, global, pair([]byte{0xfb}, []byte{1, 0, 0, 0}), end, input, end, end), "BIP370"},
		"version 0 of two bytes":      {join(magic, global, pair([]byte{0xfb}, []byte{0, 0}), end, input, end, end), "BIP370"},
		"version 2 keys, global":      {join(magic, global, pair([]byte{3}, []byte{0, 0, 0, 0}), end, input, end, end), "BIP370"},
		"version 2 keys, input":       {join(magic, global, end, input, pair([]byte{0x0e}, make([]byte, 32)), end, end), "BIP370"},
		"version 2 keys, output":      {join(magic, global, end, input, end, pair([]byte{3}, make([]byte, 8)), end), "BIP370"},
		"tx not first":                {join(magic, pair([]byte{0xfc, 1}, nil), global, end, input, end, end), "first key"},
		"key twice, global":           {join(magic, global, global, end, input, end, end), "twice"},
		"key twice, input":            {join(magic, global, end, input, input, end, end), "twice"},
		"sighash type twice":          {join(magic, global, end, input, pair([]byte{3}, make([]byte, 4)), pair([]byte{3}, []byte{1, 0, 0, 0}), end, end), "twice"},
		"key twice, output":           {join(magic, global, end, input, end, pair([]byte{0xfc}, nil), pair([]byte{0xfc}, []byte{1}), end), "twice"},
		"bytes after it":              {join(good, end), "follow the last map"},
		"no output map":               {join(magic, global, end, input, end), "cut off"},
		"cut off":                     {good[:len(good)-3], "cut off"},
		"long length of a key":        {join(magic, []byte{0xfd, 1, 0, 0}, global[2:], end, input, end, end), "shortest"},
		"huge length of a key":        {join(magic, global, end, []byte{0xff}, huge, end), "cut off"},
		"huge length of a value":      {join(magic, global, end, []byte{1, 1, 0xff}, huge, end), "cut off"},
		"tx of 2^32 inputs":           {join(magic, pair([]byte{0}, many), end), "cut off"},
		"tx without inputs":           {join(magic, pair([]byte{0}, join(make([]byte, 4), []byte{0, 0}, make([]byte, 4))), end), "0 inputs"},
		"tx with bytes after it":      {join(magic, pair([]byte{0}, join(tx.Bytes(), end)), end, input, end, end), "follow it"},
		"tx with a witness":           {join(magic, pair([]byte{0}, join(tx.Bytes()[:4], []byte{0, 1}, tx.Bytes()[4:])), end, input, end, end), "cut off"},
		"spent tx cut off":            {join(magic, global, end, input, pair([]byte{0}, before.Bytes()[:30]), end, end), "cut off"},
		"spent tx, bytes after it":    {join(magic, global, end, input, pair([]byte{0}, join(before.Bytes(), end)), end, end), "follow it"},
		"spent tx, 2^32 items":        {join(magic, global, end, input, pair([]byte{0}, witnesses), end, end), "cut off"},
		"spent output, length":        {join(magic, global, end, pair([]byte{1}, join(utxo[:8], []byte{21}, utxo[9:])), end, end), "witness_utxo"},
		"spent output without script": {join(magic, global, end, pair([]byte{1}, join(utxo[:8], end)), end, end), "witness_utxo"},
		"length of 2^63":              {join(magic, global, end, []byte{0xff}, huge[:7], []byte{0x7f}, end), "cut off"},
		"long length of 8 bytes":      {join(magic, []byte{0xff, 1, 0, 0, 0, 0, 0, 0, 0}, global[1:], end, input, end, end), "shortest"},
		"too many keys":               {join(magic, global, manyPairs(8192), end, input, end, end), "more than"},
		"too large unsigned":          {join(magic, pair([]byte{0}, make([]byte, 100_001)), end, input, end, end), "unsigned transaction of"},
		"too large":                   {join(good, make([]byte, evidence.MaxPSBT)), "at most"},
	} {
		r := p.request(t, "0")
		r.RawTx = base64.StdEncoding.EncodeToString(c.raw)
		_, err := evidence.SigningDigest(r)
		if (err == nil) != (c.want == "") || (err != nil && !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

// manyPairs are keys of a type that is skipped.
func manyPairs(n int) []byte {
	var b []byte
	for i := range n {
		b = append(b, pair([]byte{0xfc, byte(i >> 8), byte(i)}, nil)...)
	}
	return b
}

// TestBase64Form: one PSBT has one text.
func TestBase64Form(t *testing.T) {
	p := newPayment(t, []*coin{coinOf(t, evidence.SpendP2WPKH, "a")}, recipient(t))
	r := p.request(t, "0")
	mustDigest(t, r)
	good := r.RawTx
	padded := good
	for len(p.raw(t))%3 == 0 { // so that there is padding to change
		p.packet.UnsignedTx.TxOut[0].PkScript = append(p.packet.UnsignedTx.TxOut[0].PkScript, txscript.OP_NOP)
		padded = p.base64(t)
	}
	stray := []byte(padded)
	if i := bytes.IndexByte(stray, '='); i > 0 {
		stray[i-1]++ // bits behind the last byte
	}
	for name, s := range map[string]string{
		"line break": good[:64] + "\n" + good[64:], "trailing line break": good + "\n", "blank": good + " ",
		"no padding": strings.TrimRight(padded, "="), "stray bits": string(stray), "URL alphabet": strings.ReplaceAll(good, "/", "_") + "-",
		"hex": hex.EncodeToString(p.raw(t)),
	} {
		r.RawTx = s
		if _, err := evidence.SigningDigest(r); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// FuzzPSBT: no input kills the decoder, what SigningDigest takes Check takes too, and the account is about that digest.
func FuzzPSBT(f *testing.F) {
	for _, kind := range spends {
		p := newPayment(f, []*coin{coinOf(f, kind, "a"), coinOf(f, kind, "b")}, recipient(f))
		f.Add(p.raw(f), byte(slices.Index(spends, kind)))
	}
	f.Add([]byte("psbt\xff\x00"), byte(0))
	f.Fuzz(func(t *testing.T, raw []byte, kind byte) {
		r := evidence.Request{
			RequestType: requestType(spends[int(kind)%len(spends)]), Cryptography: wire.ECDSASecp256k1,
			SignType: wire.SignTypeTransaction, RawTx: base64.StdEncoding.EncodeToString(raw), InputID: "0", HasTxInfo: true,
		}
		if len(raw) == 0 {
			return
		}
		p, err := evidence.SigningDigest(r)
		claim := evidence.Claim{
			Family: evidence.FamilyUTXO, Message: hex.EncodeToString(p.Digest), RawTx: r.RawTx,
			UTXO: evidence.UTXOClaim{Network: derive.Mainnet, RequestType: r.RequestType, InputID: "0"},
		}
		found := evidence.Check(claim)
		if err != nil {
			if found.Decoded != nil {
				t.Fatalf("Check decodes what SigningDigest refuses: %v", err)
			}
			return
		}
		if found.Decoded == nil || found.Decoded.Digest != claim.Message || found.Status == evidence.Verified {
			t.Fatalf("finding %+v for digest %x", found, p.Digest)
		}
		digests, err := evidence.PaymentDigests(r, nil)
		if err != nil || !bytes.Equal(digests[0], p.Digest) {
			t.Fatalf("payment digests %x, %v", digests, err)
		}
	})
}

// FuzzRawTx gives the decoder text in place of bytes: what is taken is the only text of its PSBT.
func FuzzRawTx(f *testing.F) {
	p := newPayment(f, []*coin{coinOf(f, evidence.SpendP2WPKH, "a")}, recipient(f))
	r := p.request(f, "0")
	for _, s := range []string{r.RawTx, r.RawTx + "\n", strings.TrimRight(r.RawTx, "="), "cHNidP8", "cHNidP8=", "02c0", "0x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := r
		if r.RawTx = s; s == "" {
			return
		}
		payload, err := evidence.SigningDigest(r)
		if err != nil || payload.Kind != evidence.KindBitcoin {
			return
		}
		raw, err := base64.StdEncoding.DecodeString(s)
		if err != nil || base64.StdEncoding.EncodeToString(raw) != s {
			t.Fatalf("%q is not the text of its bytes", s)
		}
	})
}

// FuzzLeafScript spends scripts of any kind: a script that holds the key nowhere is never that key's.
func FuzzLeafScript(f *testing.F) {
	key := testKey("leaf")
	x := public(key)[1:]
	for _, script := range [][]byte{
		plainLeaf(f, key), plainLeaf(f, testKey("other")), {txscript.OP_CODESEPARATOR}, {txscript.OP_PUSHDATA4, 1}, {},
		pushes(f, x, txscript.OP_DROP, txscript.OP_TRUE), pushes(f, x, txscript.OP_CHECKSIG, txscript.OP_FALSE, txscript.OP_IF, "ord", txscript.OP_ENDIF),
	} {
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		c := newCoin(t, evidence.SpendTaprootLeaf, key, script)
		p := newPayment(t, []*coin{c}, recipient(t))
		r := p.request(t, "0")
		payload, err := evidence.SigningDigest(r)
		if err != nil {
			return
		}
		found := evidence.Check(evidence.Claim{
			Family: evidence.FamilyUTXO, Message: hex.EncodeToString(payload.Digest), RawTx: r.RawTx,
			UTXO: evidence.UTXOClaim{Network: derive.Regtest, RequestType: r.RequestType, InputID: "0", PublicKey: public(key)},
		})
		if found.Decoded == nil || found.Decoded.Bitcoin.LeafScript != hex.EncodeToString(script) {
			t.Fatalf("script %x: %+v", script, found)
		}
		own := !slices.ContainsFunc(found.Differences, func(d evidence.Difference) bool { return d.Field == "publickKey" })
		if own && !bytes.Contains(script, x) {
			t.Fatalf("script %x is said to ask for the key", script)
		}
	})
}
