package evidence

import (
	"fmt"
	"math/big"

	"github.com/btcsuite/btcd/txscript"
)

// Sizes of what a signature adds to an input, in bytes: DER of two numbers of 32 and 33 bytes with the sighash type, a
// Schnorr signature without one, a compressed key. Each stands behind one byte of length.
const (
	sizeECDSA   = 72
	sizeSchnorr = 64
	sizeKey     = 33
)

// size is that of a signed transaction: in bytes, and in virtual bytes (BIP141, a quarter of the weight, rounded up).
type size struct{ bytes, virtual int }

// estimate tells how large the transaction will be when all inputs are signed, at most but for P2WSH scripts that ask for
// more than signatures. An input whose output or script is not known, or not one of ours, is taken as P2WPKH.
func (b *bitcoinTx) estimate() size {
	base, witness, segwit := b.tx.SerializeSizeStripped(), 0, false
	for i := range b.tx.TxIn {
		script, items := b.inputSize(i)
		base += script
		witness++ // the number of items
		for _, n := range items {
			witness += varSize(n) + n
			segwit = true
		}
	}
	if !segwit {
		return size{base, base}
	}
	witness += 2 // marker and flag
	return size{base + witness, (4*base + witness + 3) / 4}
}

// inputSize gives how much longer an input's signature script gets, and the lengths of the items of its witness.
func (b *bitcoinTx) inputSize(i int) (script int, witness []int) {
	s, err := b.classify(i, "")
	if err != nil {
		return 0, []int{sizeECDSA, sizeKey}
	}
	switch s.kind {
	case SpendP2PKH:
		return 1 + sizeECDSA + 1 + sizeKey, nil
	case SpendP2SHP2WPKH:
		return 1 + 22, []int{sizeECDSA, sizeKey}
	case SpendP2WSH:
		witness := []int{0}
		signatures := 1
		if txscript.GetScriptClass(s.script) == txscript.MultiSigTy {
			if _, n, err := txscript.CalcMultiSigStats(s.script); err == nil {
				signatures = n
			}
		}
		for range signatures {
			witness = append(witness, sizeECDSA)
		}
		return 0, append(witness, len(s.script))
	case SpendTaprootKey:
		return 0, []int{b.schnorrSize(i)}
	case SpendTaprootLeaf:
		return 0, []int{b.schnorrSize(i), len(s.script), len(b.packet.Inputs[i].TaprootLeafScript[0].ControlBlock)}
	default:
		return 0, []int{sizeECDSA, sizeKey}
	}
}

// schnorrSize is one more where the sighash type is written behind the signature.
func (b *bitcoinTx) schnorrSize(i int) int {
	if b.packet.Inputs[i].SighashType == txscript.SigHashDefault {
		return sizeSchnorr
	}
	return sizeSchnorr + 1
}

func varSize(n int) int {
	switch {
	case n < 0xfd:
		return 1
	case n <= 0xffff:
		return 3
	default:
		return 5
	}
}

// formatRate is fee divided by virtual bytes with three decimals, rounded up.
func formatRate(fee int64, virtual int) string {
	thousandths := (fee*1000 + int64(virtual) - 1) / int64(virtual)
	return fmt.Sprintf("%d.%03d", thousandths/1000, thousandths%1000)
}

// dust is what wallets add to the fee at most where change would not be worth an output (Bitcoin Core's limit for P2PKH).
const dust = 546

// rateFits tells whether a claimed rate per byte can have led to a fee. The vendor does not say which bytes are meant,
// and how a wallet estimates sizes differs: the fee must lie between 80 % of the rate for the virtual bytes and 120 % of
// the rate for all bytes, and a change too small to pay out.
func rateFits(rate *big.Rat, fee int64, s size) bool {
	product := func(factor int64, bytes int) *big.Rat {
		r := new(big.Rat).SetFrac64(factor*int64(bytes), 100)
		return r.Mul(r, rate)
	}
	paid := new(big.Rat).SetInt64(fee)
	most := product(120, s.bytes)
	most.Add(most, new(big.Rat).SetInt64(dust))
	return paid.Cmp(product(80, s.virtual)) >= 0 && paid.Cmp(most) <= 0
}
