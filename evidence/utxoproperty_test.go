package evidence_test

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"strconv"
	"testing"

	"github.com/btcsuite/btcd/txscript"
	btcwire "github.com/btcsuite/btcd/wire"
	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/evidence"
	"pgregory.net/rapid"
)

// randomPayment draws coins of one kind, with whole or no spent transactions, and outputs of any kind.
func randomPayment(t *testing.T, rt *rapid.T) *payment {
	kind := rapid.SampledFrom(spends).Draw(rt, "kind")
	var coins []*coin
	for i := range rapid.IntRange(1, 5).Draw(rt, "inputs") {
		c := coinOf(t, kind, fmt.Sprint("random ", i))
		c.amount = rapid.Int64Range(1_000_000, 1<<40).Draw(rt, "amount")
		coins = append(coins, c)
	}
	var outputs []*btcwire.TxOut
	for i := range rapid.IntRange(1, 5).Draw(rt, "outputs") {
		c := coinOf(t, rapid.SampledFrom(spends).Draw(rt, "output kind"), fmt.Sprint("to ", i))
		outputs = append(outputs, btcwire.NewTxOut(rapid.Int64Range(600, 100_000).Draw(rt, "paid"), c.script))
	}
	if rapid.Bool().Draw(rt, "memo") {
		outputs = append(outputs, btcwire.NewTxOut(0, pushes(t, txscript.OP_RETURN, "memo")))
	}
	p := newPayment(t, coins, outputs...)
	p.packet.UnsignedTx.LockTime = rapid.Uint32().Draw(rt, "locktime")
	p.packet.UnsignedTx.Version = rapid.Int32Range(1, 2).Draw(rt, "version")
	for _, in := range p.packet.UnsignedTx.TxIn {
		in.Sequence = rapid.Uint32Range(0xfffffff0, 0xffffffff).Draw(rt, "sequence")
	}
	return p
}

// TestPaymentProperty: whatever is paid to whom, btcd's engine accepts the signatures, a true claim of each input is
// verified, and the same claim of another transaction is not.
func TestPaymentProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := randomPayment(t, rt)
		var digests [][]byte
		for i := range p.coins {
			digests = append(digests, mustDigest(t, p.request(t, strconv.Itoa(i))))
		}
		p.run(t, digests)
		claim := p.claim(t)
		to := rapid.IntRange(0, len(claim.UTXO.Vouts)-1).Draw(rt, "recipient")
		claim.To, claim.Amount, claim.UTXO.FeeRate = claim.UTXO.Vouts[to].Address, claim.UTXO.Vouts[to].Amount, ""
		for i, c := range p.coins {
			claim.UTXO.InputID, claim.Message, claim.UTXO.PublicKey = strconv.Itoa(i), hex.EncodeToString(digests[i]), public(c.key)
			if f := evidence.Check(claim); f.Status != evidence.Verified {
				rt.Fatalf("input %d: %s %s %v", i, f.Status, f.Reason, f.Differences)
			}
		}
		tx := p.packet.UnsignedTx
		switch rapid.IntRange(0, 3).Draw(rt, "change") {
		case 0:
			tx.LockTime ^= 1
		case 1:
			tx.TxOut[to].Value++
		case 2:
			tx.TxIn[0].Sequence ^= 1
		case 3:
			tx.TxOut[to].PkScript = coinOf(t, evidence.SpendP2WPKH, "attacker").script
		}
		claim.RawTx = p.base64(t)
		if f := evidence.Check(claim); f.Status != evidence.Mismatch {
			rt.Fatalf("another transaction: %s %s", f.Status, f.Reason)
		}
	})
}

// TestLargestPayment keeps the work for the most inputs and outputs that are taken within bounds: it would take minutes
// if a comparison of lists read addresses again for each pair.
func TestLargestPayment(t *testing.T) {
	const inputs, outputs = 500, 1800
	c := coinOf(t, evidence.SpendTaprootKey, "large")
	claim := evidence.Claim{
		Family: evidence.FamilyUTXO, Asset: evidence.Asset{Kind: evidence.AssetNative}, Amount: big.NewInt(600),
		UTXO: evidence.UTXOClaim{Network: derive.Regtest, RequestType: requestType(c.kind), InputID: "499", PublicKey: public(c.key)},
	}
	var coins []*coin
	for range inputs {
		coins = append(coins, c)
	}
	var outs []*btcwire.TxOut
	for i := range outputs {
		out := btcwire.NewTxOut(600, pushes(t, txscript.OP_0, append(make([]byte, 18), byte(i>>8), byte(i))))
		outs = append(outs, out)
		claim.UTXO.Vouts = append(claim.UTXO.Vouts, evidence.VoutClaim{Address: regtest(t, out.PkScript), Amount: big.NewInt(600)})
	}
	p := newPayment(t, coins, outs...)
	for i := range p.packet.UnsignedTx.TxIn { // else all coins are made by 256 transactions
		p.packet.UnsignedTx.TxIn[i].PreviousOutPoint.Hash = [32]byte{7, byte(i >> 8), byte(i)}
		claim.UTXO.Vins = append(claim.UTXO.Vins, evidence.VinClaim{
			ID: strconv.Itoa(10_000 + i), Address: regtest(t, c.script), Amount: big.NewInt(c.amount),
			TransactionHash: p.packet.UnsignedTx.TxIn[i].PreviousOutPoint.Hash.String(), VoutIndex: "1",
		})
	}
	claim.To, claim.RawTx = claim.UTXO.Vouts[outputs-1].Address, p.base64(t)
	r := p.request(t, "499")
	claim.Message = hex.EncodeToString(mustDigest(t, r))
	mustFind(t, "largest", claim, evidence.Verified, "")
	digests, err := evidence.PaymentDigests(r, public(c.key))
	if err != nil || len(digests) != inputs {
		t.Errorf("%d digests, %v", len(digests), err)
	}
}
