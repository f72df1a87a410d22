package evidence_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcutil/psbt"
	"github.com/btcsuite/btcd/txscript"
	btcwire "github.com/btcsuite/btcd/wire"
	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/wire"
)

var spends = []evidence.Spend{
	evidence.SpendP2PKH, evidence.SpendP2SHP2WPKH, evidence.SpendP2WPKH, evidence.SpendP2WSH, evidence.SpendTaprootKey,
	evidence.SpendTaprootLeaf,
}

// coinOf makes a coin of a kind; one for the script path has two leaves.
func coinOf(t testing.TB, kind evidence.Spend, name string) *coin {
	key := testKey(name)
	if kind == evidence.SpendTaprootLeaf {
		return newCoin(t, kind, key, plainLeaf(t, key), plainLeaf(t, testKey("another")))
	}
	return newCoin(t, kind, key)
}

func recipient(t testing.TB) *btcwire.TxOut {
	return payTo(t, segwitAddress(t, testKey("recipient")), 60_000)
}

func mustDigest(t testing.TB, r evidence.Request) []byte {
	t.Helper()
	p, err := evidence.SigningDigest(r)
	if err != nil {
		t.Fatal(err)
	}
	if p.Kind != evidence.KindBitcoin || !p.Computed {
		t.Fatalf("payload is %s, computed %v", p.Kind, p.Computed)
	}
	return p.Digest
}

// TestSighashesRun signs the computed digests with test keys: btcd's engine must accept every input.
func TestSighashesRun(t *testing.T) {
	for _, kind := range spends {
		t.Run(string(kind), func(t *testing.T) {
			p := newPayment(t, []*coin{coinOf(t, kind, "a"), coinOf(t, kind, "b")}, recipient(t))
			p.run(t, [][]byte{mustDigest(t, p.request(t, "0")), mustDigest(t, p.request(t, "1"))})
		})
	}
	t.Run("taproot with a script tree", func(t *testing.T) {
		key := testKey("tree")
		c := newCoin(t, evidence.SpendTaprootKey, key, plainLeaf(t, key), plainLeaf(t, testKey("other")))
		p := newPayment(t, []*coin{c}, recipient(t))
		p.run(t, [][]byte{mustDigest(t, p.request(t, ""))})
	})
	t.Run("taproot, ALL", func(t *testing.T) {
		key, leaf := newCoin(t, evidence.SpendTaprootKey, testKey("all")), coinOf(t, evidence.SpendTaprootLeaf, "all")
		for _, c := range []*coin{key, leaf} {
			c.sighash = txscript.SigHashAll
			p := newPayment(t, []*coin{c}, recipient(t))
			p.run(t, [][]byte{mustDigest(t, p.request(t, "0"))})
		}
	})
	t.Run("mixed", func(t *testing.T) {
		var coins []*coin
		for _, kind := range spends {
			coins = append(coins, coinOf(t, kind, "mixed "+string(kind)))
		}
		p := newPayment(t, coins, recipient(t))
		var digests [][]byte
		for i, c := range coins {
			r := p.request(t, strconv.Itoa(i))
			r.RequestType = requestType(c.kind)
			digests = append(digests, mustDigest(t, r))
		}
		p.run(t, digests)
	})
}

func TestInputSelection(t *testing.T) {
	p := newPayment(t, []*coin{
		coinOf(t, evidence.SpendP2WPKH, "a"), coinOf(t, evidence.SpendP2WPKH, "b"), coinOf(t, evidence.SpendP2WPKH, "c"),
	}, recipient(t))
	var digests []string
	for i := range p.coins {
		digests = append(digests, string(mustDigest(t, p.request(t, strconv.Itoa(i)))))
	}
	for name, c := range map[string]struct {
		id   string
		ids  []string
		want int // -1 for an error
	}{
		"index, no list":             {"2", nil, 2},
		"id":                         {"6910", []string{"6909", "6910", "6911"}, 1},
		"index beside ids":           {"2", []string{"6909", "6910", "6911"}, 2},
		"id that is its own index":   {"1", []string{"0", "1", "2"}, 1},
		"id that is another's index": {"1", []string{"1", "7", "8"}, -1},
		"id beyond the indices":      {"5", []string{"4", "5", "6"}, 1},
		"id twice":                   {"6909", []string{"6909", "6909", "6911"}, -1},
		"list too short":             {"6909", []string{"6909", "6910"}, -1},
		"list too long":              {"0", []string{"1", "2", "3", "4"}, -1},
		"no input named":             {"", []string{"6909", "6910", "6911"}, -1},
		"beyond":                     {"3", nil, -1},
		"negative":                   {"-1", nil, -1},
		"leading zero":               {"01", nil, -1},
		"sign":                       {"+1", nil, -1},
	} {
		r := p.request(t, c.id)
		r.InputIDs = c.ids
		got, err := evidence.SigningDigest(r)
		if c.want < 0 {
			if err == nil {
				t.Errorf("%s: accepted", name)
			}
			continue
		}
		if err != nil || string(got.Digest) != digests[c.want] {
			t.Errorf("%s: %x, %v", name, got.Digest, err)
		}
	}
}

func TestPaymentDigests(t *testing.T) {
	coins := []*coin{
		coinOf(t, evidence.SpendP2WPKH, "mine"), coinOf(t, evidence.SpendTaprootKey, "mine"),
		coinOf(t, evidence.SpendP2WPKH, "other"), coinOf(t, evidence.SpendP2PKH, "mine"),
	}
	p := newPayment(t, coins, recipient(t))
	digest := map[int][]byte{}
	for _, i := range []int{0, 2, 3} {
		digest[i] = mustDigest(t, p.request(t, strconv.Itoa(i)))
	}
	want := fmt.Sprintf("%x", [][]byte{digest[0], digest[3]})
	for _, i := range []string{"0", "3"} {
		got, err := evidence.PaymentDigests(p.request(t, i), public(testKey("mine")))
		if err != nil || fmt.Sprintf("%x", got) != want {
			t.Errorf("input %s: %x, %v; want %s", i, got, err, want)
		}
	}
	got, err := evidence.PaymentDigests(p.request(t, "0"), nil)
	if err != nil || fmt.Sprintf("%x", got) != fmt.Sprintf("%x", [][]byte{digest[0], digest[2], digest[3]}) {
		t.Errorf("any key: %x, %v", got, err)
	}
	if _, err := evidence.PaymentDigests(p.request(t, "2"), public(testKey("mine"))); err == nil {
		t.Error("an input of another key is accepted")
	}
	if _, err := evidence.PaymentDigests(p.request(t, "1"), nil); err == nil {
		t.Error("a taproot input is signed by ECDSA")
	}
	other := evidence.Request{RequestType: wire.TypeSign, Cryptography: wire.ECDSASecp256k1, SignType: "2", Message: "Hello Joe"}
	if got, err := evidence.PaymentDigests(other, nil); err != nil || len(got) != 1 {
		t.Errorf("a message: %x, %v", got, err)
	}
}

// TestDigestBesideRawTx: a message that is not the digest is a contradiction.
func TestDigestBesideRawTx(t *testing.T) {
	p := newPayment(t, []*coin{coinOf(t, evidence.SpendP2WPKH, "a"), coinOf(t, evidence.SpendP2WPKH, "b")}, recipient(t))
	r := p.request(t, "1")
	r.Message = hex.EncodeToString(mustDigest(t, r))
	mustDigest(t, r)
	r.InputID = "0"
	if _, err := evidence.SigningDigest(r); !errors.Is(err, evidence.ErrDigestMismatch) {
		t.Errorf("the digest of another input: %v", err)
	}
}

func TestScriptRoot(t *testing.T) {
	key := testKey("tree")
	c := newCoin(t, evidence.SpendTaprootKey, key, plainLeaf(t, key))
	p := newPayment(t, []*coin{c}, recipient(t))
	good := p.request(t, "0")
	p.packet.Inputs[0].TaprootMerkleRoot = nil
	unsaid := p.request(t, "0")
	mustDigest(t, unsaid)
	for name, r := range map[string]evidence.Request{"root in the PSBT": good, "no root in the PSBT": unsaid} {
		for _, root := range []string{"", strings.Repeat("00", 32)} {
			r.TapScriptRoot = root
			if _, err := evidence.SigningDigest(r); !errors.Is(err, evidence.ErrDigestMismatch) {
				t.Errorf("%s, request with %q: %v", name, root, err)
			}
		}
		r.TapScriptRoot = "00"
		if _, err := evidence.SigningDigest(r); err == nil {
			t.Errorf("%s: a root of one byte is accepted", name)
		}
	}

	leaf := coinOf(t, evidence.SpendTaprootLeaf, "leaf")
	p = newPayment(t, []*coin{leaf}, recipient(t))
	r := p.request(t, "0")
	r.TapScriptRoot = hex.EncodeToString(leaf.root)
	mustDigest(t, r)
	r.TapScriptRoot = strings.Repeat("00", 32)
	if _, err := evidence.SigningDigest(r); !errors.Is(err, evidence.ErrDigestMismatch) {
		t.Errorf("script path with another root: %v", err)
	}
	segwit := newPayment(t, []*coin{coinOf(t, evidence.SpendP2WPKH, "a")}, recipient(t)).request(t, "0")
	segwit.TapScriptRoot = strings.Repeat("00", 32)
	if _, err := evidence.SigningDigest(segwit); err == nil {
		t.Error("ECDSA with a tapScriptRoot is accepted")
	}
}

// TestSpendsThatAreRefused changes one thing about a good PSBT.
func TestSpendsThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		kind  evidence.Spend
		spoil func(p *payment, in *psbt.PInput, r *evidence.Request)
		want  string
	}{
		"no output":           {evidence.SpendP2WPKH, func(_ *payment, in *psbt.PInput, _ *evidence.Request) { in.WitnessUtxo, in.NonWitnessUtxo = nil, nil }, "neither witness_utxo"},
		"another transaction": {evidence.SpendP2WPKH, func(_ *payment, in *psbt.PInput, _ *evidence.Request) { in.NonWitnessUtxo.LockTime++ }, "but the input spends"},
		"no such output": {evidence.SpendP2WPKH, func(p *payment, _ *psbt.PInput, _ *evidence.Request) {
			p.packet.UnsignedTx.TxIn[0].PreviousOutPoint.Index = 2
		}, "spends output 2"},
		"two amounts": {evidence.SpendP2WPKH, func(_ *payment, in *psbt.PInput, _ *evidence.Request) { in.WitnessUtxo.Value++ }, "is not the output"},
		"two scripts": {evidence.SpendP2WPKH, func(_ *payment, in *psbt.PInput, _ *evidence.Request) {
			in.WitnessUtxo.PkScript = []byte{txscript.OP_TRUE}
		}, "is not the output"},
		"unknown script": {evidence.SpendTaprootKey, func(_ *payment, in *psbt.PInput, _ *evidence.Request) {
			in.WitnessUtxo.PkScript = []byte{txscript.OP_TRUE}
		}, "of no kind"},
		"P2PKH, amount not proven": {evidence.SpendP2PKH, func(_ *payment, in *psbt.PInput, _ *evidence.Request) {
			in.WitnessUtxo, in.NonWitnessUtxo = in.NonWitnessUtxo.TxOut[1], nil
		}, "non_witness_utxo"},
		"no redeem script":       {evidence.SpendP2SHP2WPKH, func(_ *payment, in *psbt.PInput, _ *evidence.Request) { in.RedeemScript = nil }, "redeem_script"},
		"another redeem script":  {evidence.SpendP2SHP2WPKH, func(_ *payment, in *psbt.PInput, _ *evidence.Request) { in.RedeemScript[3] ^= 1 }, "redeem_script"},
		"no witness script":      {evidence.SpendP2WSH, func(_ *payment, in *psbt.PInput, _ *evidence.Request) { in.WitnessScript = nil }, "witness_script"},
		"another witness script": {evidence.SpendP2WSH, func(_ *payment, in *psbt.PInput, _ *evidence.Request) { in.WitnessScript[3] ^= 1 }, "witness_script"},
		"no internal key":        {evidence.SpendTaprootKey, func(_ *payment, in *psbt.PInput, _ *evidence.Request) { in.TaprootInternalKey = nil }, "internal key"},
		"another internal key": {evidence.SpendTaprootKey, func(_ *payment, in *psbt.PInput, _ *evidence.Request) {
			in.TaprootInternalKey = public(testKey("x"))[1:]
		}, "internal key"},
		"short merkle root":               {evidence.SpendTaprootKey, func(_ *payment, in *psbt.PInput, _ *evidence.Request) { in.TaprootMerkleRoot = []byte{1} }, "tapScriptRoot"},
		"taproot beside an unknown input": {evidence.SpendTaprootKey, func(p *payment, _ *psbt.PInput, _ *evidence.Request) { p.packet.Inputs[1].WitnessUtxo = nil }, "that of input 1"},
		"no leaf":                         {evidence.SpendTaprootLeaf, func(_ *payment, in *psbt.PInput, _ *evidence.Request) { in.TaprootLeafScript = nil }, "must show the leaf"},
		"two leaves": {evidence.SpendTaprootLeaf, func(_ *payment, in *psbt.PInput, _ *evidence.Request) {
			second := *in.TaprootLeafScript[0]
			second.ControlBlock = bytes.Clone(second.ControlBlock)
			second.ControlBlock[0] ^= 1
			in.TaprootLeafScript = append(in.TaprootLeafScript, &second)
		}, "2 leaf scripts"},
		"another leaf": {evidence.SpendTaprootLeaf, func(_ *payment, in *psbt.PInput, _ *evidence.Request) { in.TaprootLeafScript[0].Script[4] ^= 1 }, "does not prove"},
		"wrong parity": {evidence.SpendTaprootLeaf, func(_ *payment, in *psbt.PInput, _ *evidence.Request) { in.TaprootLeafScript[0].ControlBlock[0] ^= 1 }, "does not prove"},
		"wrong branch": {evidence.SpendTaprootLeaf, func(_ *payment, in *psbt.PInput, _ *evidence.Request) { in.TaprootLeafScript[0].ControlBlock[40] ^= 1 }, "does not prove"},
		"leaf version": {evidence.SpendTaprootLeaf, func(_ *payment, in *psbt.PInput, _ *evidence.Request) {
			in.TaprootLeafScript[0].LeafVersion = 0xc2
			in.TaprootLeafScript[0].ControlBlock[0] = 0xc2 | in.TaprootLeafScript[0].ControlBlock[0]&1
		}, "tapscript"},
		"internal key beside the leaf": {evidence.SpendTaprootLeaf, func(_ *payment, in *psbt.PInput, _ *evidence.Request) {
			in.TaprootInternalKey = public(testKey("x"))[1:]
		}, "internal key"},
		"merkle root beside the leaf": {evidence.SpendTaprootLeaf, func(_ *payment, in *psbt.PInput, _ *evidence.Request) { in.TaprootMerkleRoot[0] ^= 1 }, "merkle root"},
		"taproot by ECDSA":            {evidence.SpendTaprootKey, func(_ *payment, _ *psbt.PInput, r *evidence.Request) { r.RequestType = wire.TypeSign }, "signed by taproot-sign"},
		"segwit by Schnorr":           {evidence.SpendP2WPKH, func(_ *payment, _ *psbt.PInput, r *evidence.Request) { r.RequestType = wire.TypeBIP340SchnorrSign }, "signed by sign"},
		"segwit by Taproot":           {evidence.SpendP2WPKH, func(_ *payment, _ *psbt.PInput, r *evidence.Request) { r.RequestType = wire.TypeTaprootSign }, "signed by sign"},
		"SINGLE":                      {evidence.SpendP2WPKH, func(_ *payment, in *psbt.PInput, _ *evidence.Request) { in.SighashType = txscript.SigHashSingle }, "sighash type"},
		"ANYONECANPAY": {evidence.SpendTaprootKey, func(_ *payment, in *psbt.PInput, _ *evidence.Request) {
			in.SighashType = txscript.SigHashAll | txscript.SigHashAnyOneCanPay
		}, "sighash type"},
		"sighash type of 32 bits": {evidence.SpendTaprootKey, func(_ *payment, in *psbt.PInput, _ *evidence.Request) { in.SighashType = 1 << 8 }, "sighash type"},
		"finalised":               {evidence.SpendP2WPKH, func(_ *payment, in *psbt.PInput, _ *evidence.Request) { in.FinalScriptWitness = []byte{0} }, "finalised"},
		"Ed25519":                 {evidence.SpendP2WPKH, func(_ *payment, _ *psbt.PInput, r *evidence.Request) { r.Cryptography = wire.EdDSAEd25519 }, "not decoded"},
		"as raw": {evidence.SpendP2WPKH, func(_ *payment, _ *psbt.PInput, r *evidence.Request) {
			r.SignType, r.Message = "3", strings.Repeat("ab", 32)
		}, "sign_type 1"},
		"outputs over inputs":   {evidence.SpendP2WPKH, func(p *payment, _ *psbt.PInput, _ *evidence.Request) { p.packet.UnsignedTx.TxOut[0].Value = 200_001 }, "good for nothing"},
		"negative output":       {evidence.SpendP2WPKH, func(p *payment, _ *psbt.PInput, _ *evidence.Request) { p.packet.UnsignedTx.TxOut[0].Value = -1 }, "are possible"},
		"output over all coins": {evidence.SpendP2WPKH, func(p *payment, _ *psbt.PInput, _ *evidence.Request) { p.packet.UnsignedTx.TxOut[0].Value = 1 << 62 }, "are possible"},
		"same output twice": {evidence.SpendP2WPKH, func(p *payment, _ *psbt.PInput, _ *evidence.Request) {
			p.packet.UnsignedTx.TxIn[1], p.packet.Inputs[1] = p.packet.UnsignedTx.TxIn[0], p.packet.Inputs[0]
		}, "same output"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPayment(t, []*coin{coinOf(t, c.kind, "a"), coinOf(t, c.kind, "b")}, recipient(t))
			good := p.request(t, "0")
			mustDigest(t, good)
			in := &p.packet.Inputs[0]
			r := good
			c.spoil(p, in, &r)
			r.RawTx = p.base64(t)
			if _, err := evidence.SigningDigest(r); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// TestCodeSeparatorIsRefused: where it stands in a script decides about the digest.
func TestCodeSeparatorIsRefused(t *testing.T) {
	key := testKey("separator")
	script := pushes(t, txscript.OP_CODESEPARATOR, public(key)[1:], txscript.OP_CHECKSIG)
	leaf := newPayment(t, []*coin{newCoin(t, evidence.SpendTaprootLeaf, key, script)}, recipient(t))
	if _, err := evidence.SigningDigest(leaf.request(t, "0")); err == nil || !strings.Contains(err.Error(), "OP_CODESEPARATOR") {
		t.Error(err)
	}
}
