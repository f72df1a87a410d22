package evidence_test

import (
	"crypto/sha256"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/txscript"
	btcwire "github.com/btcsuite/btcd/wire"
	"github.com/countersign-mpc/countersign/evidence"
)

// TestMultisig spends a 2-of-3 P2WSH output: each of the three keys may be the one that is asked, no other.
func TestMultisig(t *testing.T) {
	a, b := testKey("a"), testKey("b")
	c := coinOf(t, evidence.SpendP2WSH, "a")
	c.witness = pushes(t, txscript.OP_2, public(a), public(b), public(testKey("c")), txscript.OP_3, txscript.OP_CHECKMULTISIG)
	program := sha256.Sum256(c.witness)
	c.script = pushes(t, txscript.OP_0, program[:])
	p := newPayment(t, []*coin{c}, recipient(t))
	digest := mustDigest(t, p.request(t, "0"))

	tx := p.packet.UnsignedTx.Copy()
	signature := func(name string) []byte {
		return append(ecdsa.Sign(testKey(name), digest).Serialize(), byte(txscript.SigHashAll))
	}
	tx.TxIn[0].Witness = btcwire.TxWitness{nil, signature("a"), signature("b"), c.witness}
	fetcher := txscript.NewCannedPrevOutputFetcher(c.script, c.amount)
	engine, err := txscript.NewEngine(c.script, tx, 0, txscript.StandardVerifyFlags, nil, txscript.NewTxSigHashes(tx, fetcher), c.amount, fetcher)
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Execute(); err != nil {
		t.Error(err)
	}

	claim := p.claim(t)
	claim.UTXO.FeeRate = ""
	for _, name := range []string{"a", "b", "c"} {
		claim.UTXO.PublicKey = public(testKey(name))
		f := mustFind(t, name, claim, evidence.Verified, "")
		weight := 3*tx.SerializeSizeStripped() + tx.SerializeSize()
		if got := f.Decoded.Bitcoin.VSize; got < (weight+3)/4 || got > weight/4+3 {
			t.Errorf("estimated %d virtual bytes, signed it has %d", got, (weight+3)/4)
		}
	}
	claim.UTXO.PublicKey = public(testKey("d"))
	mustFind(t, "another key", claim, evidence.Mismatch, evidence.CodeDiffers, "publickKey")
}

// TestScriptsThatAreNotSigned are committed to by their outputs and are still none of those that are signed.
func TestScriptsThatAreNotSigned(t *testing.T) {
	key := testKey("a")
	wsh := func(script []byte) *coin {
		c := coinOf(t, evidence.SpendP2WSH, "a")
		program := sha256.Sum256(script)
		c.witness, c.script = script, pushes(t, txscript.OP_0, program[:])
		return c
	}
	nested := coinOf(t, evidence.SpendP2SHP2WPKH, "a")
	nested.redeem = pushes(t, public(key), txscript.OP_CHECKSIG)
	nested.script = pushes(t, txscript.OP_HASH160, btcutil.Hash160(nested.redeem), txscript.OP_EQUAL)
	for name, c := range map[string]struct {
		coin *coin
		want string
	}{
		"P2SH of a plain script": {nested, "P2SH-P2WPKH"},
		"code separator":         {wsh(pushes(t, txscript.OP_CODESEPARATOR, public(key), txscript.OP_CHECKSIG)), "OP_CODESEPARATOR"},
		"script cut off":         {wsh([]byte{txscript.OP_DATA_33, 2}), "does not parse"},
		"script too long":        {wsh(make([]byte, 10_001)), "at most"},
	} {
		_, err := evidence.SigningDigest(newPayment(t, []*coin{c.coin}, recipient(t)).request(t, "0"))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

// TestAmountsBeyondAllCoins: sums are bounded where single amounts are not out of range.
func TestAmountsBeyondAllCoins(t *testing.T) {
	const most = 21_000_000 * 100_000_000
	c := coinOf(t, evidence.SpendP2WPKH, "a")
	to := recipient(t).PkScript
	outs := newPayment(t, []*coin{c}, btcwire.NewTxOut(most, to), btcwire.NewTxOut(1, to))
	if _, err := evidence.SigningDigest(outs.request(t, "0")); err == nil || !strings.Contains(err.Error(), "than there will ever be") {
		t.Errorf("outputs: %v", err)
	}
	for name, amounts := range map[string][]int64{
		"one too large": {most + 1, 1, 1}, "negative": {-1, 1, 1}, "together": {1, most},
	} {
		var coins []*coin
		for i, amount := range amounts {
			coin := coinOf(t, evidence.SpendP2WPKH, string(rune('a'+i)))
			coin.amount = amount
			coins = append(coins, coin)
		}
		p := newPayment(t, coins, btcwire.NewTxOut(1, to))
		if _, err := evidence.SigningDigest(p.request(t, strconv.Itoa(len(amounts)-1))); err == nil || !strings.Contains(err.Error(), "are possible") {
			t.Errorf("%s: %v", name, err)
		}
	}
	claim := newPayment(t, []*coin{c}, recipient(t)).claim(t)
	claim.UTXO.FeeRate, claim.Amount = "", new(big.Int).Lsh(big.NewInt(1), 70)
	mustFind(t, "claim of more than fits", claim, evidence.Mismatch, evidence.CodeDiffers, "amount")
}
