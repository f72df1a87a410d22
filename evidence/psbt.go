package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/btcsuite/btcd/btcutil/psbt"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
)

// maxSatoshi is the number of satoshi that there will ever be, the most that an output may hold.
const maxSatoshi = 21_000_000 * 100_000_000

// bitcoinTx is a PSBT that decoded, with the outputs that it spends.
type bitcoinTx struct {
	packet *psbt.Packet
	tx     *wire.MsgTx
	// prevouts are the outputs that the inputs spend, nil where the PSBT does not show one; proven says that the PSBT
	// holds the transaction with that output, whose hash the input names.
	prevouts []*wire.TxOut
	proven   []bool
	hashes   *txscript.TxSigHashes
	spends   map[spendOf]*spend // what spend has computed
}

var _ txscript.PrevOutputFetcher = (*bitcoinTx)(nil)

// parseBitcoin reads tx_info.rawTx of a Bitcoin chain: a PSBT of version 0 (BIP174) in base64. Decoding is btcd's; what
// it is lax about is refused before (skimPSBT).
func parseBitcoin(rawTx string) (*bitcoinTx, error) {
	raw, err := decodePSBT(rawTx)
	if err != nil {
		return nil, err
	}
	if err := skimPSBT(raw); err != nil {
		return nil, fmt.Errorf("PSBT: %w", err)
	}
	packet, err := psbt.NewFromRawBytes(bytes.NewReader(raw), false)
	if err != nil {
		return nil, fmt.Errorf("PSBT does not decode: %v", err)
	}
	b := &bitcoinTx{packet: packet, tx: packet.UnsignedTx}
	if err := b.checkTransaction(); err != nil {
		return nil, fmt.Errorf("PSBT: %w", err)
	}
	if err := b.findPrevouts(); err != nil {
		return nil, fmt.Errorf("PSBT: %w", err)
	}
	b.hashes = txscript.NewTxSigHashes(b.tx, b)
	return b, nil
}

// checkTransaction refuses what no chain accepts: amounts out of range, an input twice, a coinbase.
func (b *bitcoinTx) checkTransaction() error {
	var total int64
	for i, out := range b.tx.TxOut {
		if out.Value < 0 || out.Value > maxSatoshi {
			return fmt.Errorf("output %d holds %d satoshi: 0 to %d are possible", i, out.Value, int64(maxSatoshi))
		}
		if total += out.Value; total > maxSatoshi {
			return errors.New("the outputs hold more satoshi together than there will ever be")
		}
	}
	seen := make(map[wire.OutPoint]bool, len(b.tx.TxIn))
	for i, in := range b.tx.TxIn {
		if seen[in.PreviousOutPoint] {
			return fmt.Errorf("input %d spends the same output as another", i)
		}
		seen[in.PreviousOutPoint] = true
		if in.PreviousOutPoint.Hash == (wire.OutPoint{}).Hash {
			return fmt.Errorf("input %d spends no transaction", i)
		}
	}
	return nil
}

func (b *bitcoinTx) findPrevouts() error {
	b.prevouts = make([]*wire.TxOut, len(b.tx.TxIn))
	b.proven = make([]bool, len(b.tx.TxIn))
	var total int64
	complete := true
	for i := range b.tx.TxIn {
		if err := b.findPrevout(i); err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
		out := b.prevouts[i]
		if out == nil {
			complete = false
			continue
		}
		if out.Value < 0 || out.Value > maxSatoshi-total {
			return fmt.Errorf("input %d holds %d satoshi: 0 to %d are possible, for all together too", i, out.Value, int64(maxSatoshi))
		}
		total += out.Value
	}
	if complete && total < b.outputAmount() {
		return fmt.Errorf("the inputs hold %d satoshi, the outputs %d: the transaction is good for nothing", total, b.outputAmount())
	}
	return nil
}

// findPrevout takes the spent output from non_witness_utxo, whose hash proves it, or from witness_utxo, a mere claim. Where
// both are there they must say the same.
func (b *bitcoinTx) findPrevout(i int) error {
	in, outpoint := b.packet.Inputs[i], b.tx.TxIn[i].PreviousOutPoint
	b.prevouts[i] = in.WitnessUtxo
	if in.NonWitnessUtxo == nil {
		return nil
	}
	if in.NonWitnessUtxo.TxHash() != outpoint.Hash {
		return fmt.Errorf("non_witness_utxo is transaction %s, but the input spends %s", in.NonWitnessUtxo.TxHash(), outpoint.Hash)
	}
	if int64(outpoint.Index) >= int64(len(in.NonWitnessUtxo.TxOut)) {
		return fmt.Errorf("it spends output %d of a transaction that has %d", outpoint.Index, len(in.NonWitnessUtxo.TxOut))
	}
	out := in.NonWitnessUtxo.TxOut[outpoint.Index]
	if w := in.WitnessUtxo; w != nil && (w.Value != out.Value || !bytes.Equal(w.PkScript, out.PkScript)) {
		return errors.New("witness_utxo is not the output that non_witness_utxo shows")
	}
	b.prevouts[i], b.proven[i] = out, true
	return nil
}

// FetchPrevOutput gives the output that an outpoint names, and an empty one where it is not known: no digest that
// commits to it is computed then.
func (b *bitcoinTx) FetchPrevOutput(o wire.OutPoint) *wire.TxOut {
	for i, in := range b.tx.TxIn {
		if in.PreviousOutPoint == o && b.prevouts[i] != nil {
			return b.prevouts[i]
		}
	}
	return &wire.TxOut{}
}

// missingPrevout gives the first input whose output is not known, -1 if all are.
func (b *bitcoinTx) missingPrevout() int {
	return slices.Index(b.prevouts, nil)
}

func (b *bitcoinTx) outputAmount() int64 {
	var total int64
	for _, out := range b.tx.TxOut {
		total += out.Value
	}
	return total
}

// inputAmount is the sum of the inputs, if all are known.
func (b *bitcoinTx) inputAmount() (int64, bool) {
	if b.missingPrevout() >= 0 {
		return 0, false
	}
	var total int64
	for _, out := range b.prevouts {
		total += out.Value
	}
	return total, true
}

// selectInput gives the index of the input that tx_info.curInputId means: the one whose place in vinList has that id,
// else the one at that index. ids are vinList's, in the order of the inputs; count is the number of inputs.
func selectInput(id string, ids []string, count int) (int, error) {
	if len(ids) > 0 && len(ids) != count {
		return 0, &countError{len(ids), count}
	}
	if id == "" {
		if count != 1 {
			return 0, fmt.Errorf("curInputId is empty, but the transaction has %d inputs: name the one to sign", count)
		}
		return 0, nil
	}
	named := slices.Index(ids, id)
	if named >= 0 && slices.Contains(ids[named+1:], id) {
		return 0, errors.New("curInputId: several inputs of vinList have this id")
	}
	index, err := strconv.Atoi(id)
	isIndex := err == nil && index >= 0 && index < count && strconv.Itoa(index) == id
	switch {
	case named >= 0 && isIndex && index != named:
		return 0, errors.New("curInputId: it is the id of one input of vinList and the index of another")
	case named >= 0:
		return named, nil
	case isIndex:
		return index, nil
	}
	return 0, fmt.Errorf("curInputId %q is neither an id in vinList nor an index from 0 to %d", excerpt(id), count-1)
}

// countError is a vinList that cannot be the transaction's.
type countError struct{ listed, inputs int }

func (e *countError) Error() string {
	return fmt.Sprintf("vinList has %d elements, but the transaction has %d inputs", e.listed, e.inputs)
}
