package bitcoin

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/btcutil/psbt"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
)

// Output is where a payment sends satoshi.
type Output struct {
	Address string // or
	Script  []byte
	Value   int64
}

// Payment is a transaction that spends coins. It is not safe for concurrent use.
type Payment struct {
	Coins   []Coin
	Outputs []Output
	tx      *wire.MsgTx
	funding []*wire.MsgTx
	prev    *txscript.MultiPrevOutFetcher
}

// New builds the unsigned transaction.
func New(coins []Coin, outputs []Output) (*Payment, error) {
	p := &Payment{Coins: coins, Outputs: outputs, tx: wire.NewMsgTx(2), prev: txscript.NewMultiPrevOutFetcher(nil)}
	for i, c := range coins {
		funding, err := c.funding(i)
		if err != nil {
			return nil, fmt.Errorf("coin %d: %w", i, err)
		}
		hash := funding.TxHash()
		in := wire.NewTxIn(wire.NewOutPoint(&hash, fundedAt), nil, nil)
		in.Sequence = wire.MaxTxInSequenceNum - 2 // may be replaced (BIP 125)
		p.tx.AddTxIn(in)
		p.prev.AddPrevOut(in.PreviousOutPoint, funding.TxOut[fundedAt])
		p.funding = append(p.funding, funding)
	}
	for i, o := range outputs {
		script := o.Script
		if o.Address != "" {
			a, err := btcutil.DecodeAddress(o.Address, Network)
			if err != nil {
				return nil, fmt.Errorf("output %d: %w", i, err)
			}
			if script, err = txscript.PayToAddrScript(a); err != nil {
				return nil, fmt.Errorf("output %d: %w", i, err)
			}
		}
		p.tx.AddTxOut(wire.NewTxOut(o.Value, script))
	}
	if p.Fee() <= 0 {
		return nil, errors.New("the outputs hold more than the coins")
	}
	return p, nil
}

// Fee is what the outputs leave of the coins, in satoshi.
func (p *Payment) Fee() int64 {
	fee := int64(0)
	for _, c := range p.Coins {
		fee += c.Value
	}
	for _, o := range p.Outputs {
		fee -= o.Value
	}
	return fee
}

// Outpoint is the coin that an input spends: transaction id and output.
func (p *Payment) Outpoint(input int) (txid string, vout uint32) {
	o := p.tx.TxIn[input].PreviousOutPoint
	return o.Hash.String(), o.Index
}

// PSBT is the unsigned transaction as a PSBT of version 0 in base64 (BIP 174, BIP 371). Every input brings the transaction
// that funded it and the output that it spends; one of the script path its leaf.
func (p *Payment) PSBT() (string, error) {
	packet, err := psbt.NewFromUnsignedTx(p.tx.Copy())
	if err != nil {
		return "", err
	}
	for i, c := range p.Coins {
		in := &packet.Inputs[i]
		in.WitnessUtxo, in.NonWitnessUtxo = p.funding[i].TxOut[fundedAt], p.funding[i]
		if c.Kind == WitnessKeyHash {
			in.SighashType = txscript.SigHashAll
			continue
		}
		in.TaprootInternalKey, in.TaprootMerkleRoot = schnorr.SerializePubKey(c.Key), c.Root()
		if c.Kind == ScriptPath {
			block, err := c.controlBlock()
			if err != nil {
				return "", err
			}
			in.TaprootLeafScript = []*psbt.TaprootTapLeafScript{{ControlBlock: block, Script: c.Leaves[0], LeafVersion: txscript.BaseLeafVersion}}
		}
	}
	return packet.B64Encode()
}

// Digest is what has to be signed for an input, by btcd: BIP 143 with SIGHASH_ALL, or BIP 341 and 342 with SIGHASH_DEFAULT.
func (p *Payment) Digest(input int) ([]byte, error) {
	hashes := txscript.NewTxSigHashes(p.tx, p.prev)
	c := p.Coins[input]
	switch c.Kind {
	case WitnessKeyHash:
		script, err := c.script()
		if err != nil {
			return nil, err
		}
		return txscript.CalcWitnessSigHash(script, hashes, txscript.SigHashAll, p.tx, input, c.Value)
	case KeyPath:
		return txscript.CalcTaprootSignatureHash(hashes, txscript.SigHashDefault, p.tx, input, p.prev)
	default:
		return txscript.CalcTapscriptSignaturehash(hashes, txscript.SigHashDefault, p.tx, input, p.prev, txscript.NewBaseTapLeaf(c.Leaves[0]))
	}
}

// Finish puts a signature of 64 bytes, r ‖ s, into an input.
func (p *Payment) Finish(input int, signature []byte) error {
	if len(signature) != 64 {
		return fmt.Errorf("a signature of %d bytes, want 64", len(signature))
	}
	c := p.Coins[input]
	switch c.Kind {
	case WitnessKeyHash:
		var r, s btcec.ModNScalar
		if r.SetByteSlice(signature[:32]) || s.SetByteSlice(signature[32:]) {
			return errors.New("a number of the signature is not below the group's order")
		}
		der := append(ecdsa.NewSignature(&r, &s).Serialize(), byte(txscript.SigHashAll))
		p.tx.TxIn[input].Witness = wire.TxWitness{der, c.Key.SerializeCompressed()}
	case KeyPath:
		p.tx.TxIn[input].Witness = wire.TxWitness{signature}
	default:
		block, err := c.controlBlock()
		if err != nil {
			return err
		}
		p.tx.TxIn[input].Witness = wire.TxWitness{signature, c.Leaves[0], block}
	}
	return nil
}

// Accept runs btcd's script engine over every input with the rules of relaying nodes: nil means that the finished
// transaction is valid.
func (p *Payment) Accept() error {
	hashes := txscript.NewTxSigHashes(p.tx, p.prev)
	for i, in := range p.tx.TxIn {
		coin := p.prev.FetchPrevOutput(in.PreviousOutPoint)
		engine, err := txscript.NewEngine(coin.PkScript, p.tx, i, txscript.StandardVerifyFlags, nil, hashes, coin.Value, p.prev)
		if err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
		if err := engine.Execute(); err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
	}
	return nil
}

// ID is the transaction's id.
func (p *Payment) ID() string { return p.tx.TxHash().String() }
