package evidence_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/btcutil/psbt"
	"github.com/btcsuite/btcd/txscript"
	btcwire "github.com/btcsuite/btcd/wire"
	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/wire"
)

// testKey is a key that guards nothing: the hash of its name.
func testKey(name string) *btcec.PrivateKey {
	secret := sha256.Sum256([]byte("TEST ONLY " + name))
	key, _ := btcec.PrivKeyFromBytes(secret[:])
	return key
}

func public(key *btcec.PrivateKey) []byte { return key.PubKey().SerializeCompressed() }

// coin is an output that a test transaction spends, with what a PSBT says of it and how it is signed.
type coin struct {
	kind    evidence.Spend
	key     *btcec.PrivateKey
	script  []byte // of the output
	amount  int64
	redeem  []byte
	witness []byte // witness script
	leaf    *psbt.TaprootTapLeafScript
	root    []byte // of the script tree
	sighash txscript.SigHashType
}

func pushes(t testing.TB, parts ...any) []byte {
	t.Helper()
	b := txscript.NewScriptBuilder()
	for _, p := range parts {
		switch v := p.(type) {
		case int:
			b.AddOp(byte(v))
		case string:
			b.AddData([]byte(v))
		case []byte:
			b.AddData(v)
		}
	}
	script, err := b.Script()
	if err != nil {
		t.Fatal(err)
	}
	return script
}

// newCoin makes a coin of 100,000 satoshi that a key spends in one of the ways; leaves are the scripts beside or, for the
// script path, in front of which the spent one stands.
func newCoin(t testing.TB, kind evidence.Spend, key *btcec.PrivateKey, leaves ...[]byte) *coin {
	t.Helper()
	hash := btcutil.Hash160(public(key))
	c := &coin{kind: kind, key: key, amount: 100_000}
	switch kind {
	case evidence.SpendP2PKH:
		c.script = pushes(t, txscript.OP_DUP, txscript.OP_HASH160, hash, txscript.OP_EQUALVERIFY, txscript.OP_CHECKSIG)
	case evidence.SpendP2WPKH:
		c.script = pushes(t, txscript.OP_0, hash)
	case evidence.SpendP2SHP2WPKH:
		c.redeem = pushes(t, txscript.OP_0, hash)
		c.script = pushes(t, txscript.OP_HASH160, btcutil.Hash160(c.redeem), txscript.OP_EQUAL)
	case evidence.SpendP2WSH:
		c.witness = pushes(t, public(key), txscript.OP_CHECKSIG)
		program := sha256.Sum256(c.witness)
		c.script = pushes(t, txscript.OP_0, program[:])
	case evidence.SpendTaprootKey, evidence.SpendTaprootLeaf:
		c.taproot(t, leaves)
	}
	return c
}

func (c *coin) taproot(t testing.TB, leaves [][]byte) {
	t.Helper()
	output := txscript.ComputeTaprootKeyNoScript(c.key.PubKey())
	if len(leaves) > 0 {
		tapLeaves := make([]txscript.TapLeaf, len(leaves))
		for i, script := range leaves {
			tapLeaves[i] = txscript.NewBaseTapLeaf(script)
		}
		tree := txscript.AssembleTaprootScriptTree(tapLeaves...)
		root := tree.RootNode.TapHash()
		c.root = root[:]
		output = txscript.ComputeTaprootOutputKey(c.key.PubKey(), c.root)
		if c.kind == evidence.SpendTaprootLeaf {
			control := tree.LeafMerkleProofs[0].ToControlBlock(c.key.PubKey())
			raw, err := control.ToBytes()
			if err != nil {
				t.Fatal(err)
			}
			c.leaf = &psbt.TaprootTapLeafScript{ControlBlock: raw, Script: leaves[0], LeafVersion: txscript.BaseLeafVersion}
		}
	}
	c.script = pushes(t, txscript.OP_1, schnorr.SerializePubKey(output))
}

// plainLeaf is the script that asks for a key's signature and nothing else.
func plainLeaf(t testing.TB, key *btcec.PrivateKey) []byte {
	return pushes(t, schnorr.SerializePubKey(key.PubKey()), txscript.OP_CHECKSIG)
}

// payment is a PSBT in the making.
type payment struct {
	coins  []*coin
	packet *psbt.Packet
}

// newPayment spends coins, each the second output of a transaction of its own, into outputs.
func newPayment(t testing.TB, coins []*coin, outputs ...*btcwire.TxOut) *payment {
	t.Helper()
	tx := btcwire.NewMsgTx(2)
	p := &payment{coins: coins}
	var inputs []psbt.PInput
	for i, c := range coins {
		before := btcwire.NewMsgTx(2)
		before.AddTxIn(btcwire.NewTxIn(&btcwire.OutPoint{Hash: [32]byte{1, byte(i)}}, nil, nil))
		before.AddTxOut(btcwire.NewTxOut(int64(1000+i), []byte{txscript.OP_TRUE}))
		before.AddTxOut(btcwire.NewTxOut(c.amount, c.script))
		in := psbt.PInput{NonWitnessUtxo: before, RedeemScript: c.redeem, WitnessScript: c.witness, SighashType: c.sighash}
		if c.kind != evidence.SpendP2PKH {
			in.WitnessUtxo = btcwire.NewTxOut(c.amount, c.script)
		}
		if c.kind == evidence.SpendTaprootKey || c.kind == evidence.SpendTaprootLeaf {
			in.NonWitnessUtxo = nil
			in.TaprootInternalKey, in.TaprootMerkleRoot = schnorr.SerializePubKey(c.key.PubKey()), c.root
		}
		if c.leaf != nil {
			in.TaprootLeafScript = []*psbt.TaprootTapLeafScript{c.leaf}
		}
		inputs = append(inputs, in)
		txIn := btcwire.NewTxIn(&btcwire.OutPoint{Hash: before.TxHash(), Index: 1}, nil, nil)
		txIn.Sequence = 0xfffffffd
		tx.AddTxIn(txIn)
	}
	for _, out := range outputs {
		tx.AddTxOut(out)
	}
	var err error
	if p.packet, err = psbt.NewFromUnsignedTx(tx); err != nil {
		t.Fatal(err)
	}
	p.packet.Inputs = inputs
	return p
}

func (p *payment) base64(t testing.TB) string {
	t.Helper()
	s, err := p.packet.B64Encode()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (p *payment) raw(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := p.packet.Serialize(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// request asks for the signature of an input.
func (p *payment) request(t testing.TB, input string) evidence.Request {
	t.Helper()
	return evidence.Request{
		RequestType: requestType(p.coins[0].kind), Cryptography: wire.ECDSASecp256k1, SignType: wire.SignTypeTransaction,
		RawTx: p.base64(t), InputID: input, HasTxInfo: true, TapScriptRoot: p.coins[0].scriptRoot(),
	}
}

// scriptRoot is the tapScriptRoot of a request for this coin.
func (c *coin) scriptRoot() string {
	if c.kind != evidence.SpendTaprootKey {
		return ""
	}
	return hex.EncodeToString(c.root)
}

func requestType(kind evidence.Spend) string {
	switch kind {
	case evidence.SpendTaprootKey:
		return wire.TypeTaprootSign
	case evidence.SpendTaprootLeaf:
		return wire.TypeBIP340SchnorrSign
	}
	return wire.TypeSign
}

// sign gives an input's signature script and witness for a digest.
func (c *coin) sign(t testing.TB, digest []byte) (script []byte, witness btcwire.TxWitness) {
	t.Helper()
	var signature []byte
	switch c.kind {
	case evidence.SpendTaprootKey:
		signature = c.schnorr(t, txscript.TweakTaprootPrivKey(*c.key, c.root), digest)
		return nil, btcwire.TxWitness{signature}
	case evidence.SpendTaprootLeaf:
		return nil, btcwire.TxWitness{c.schnorr(t, c.key, digest), c.leaf.Script, c.leaf.ControlBlock}
	}
	signature = append(ecdsa.Sign(c.key, digest).Serialize(), byte(txscript.SigHashAll))
	switch c.kind {
	case evidence.SpendP2PKH:
		return pushes(t, signature, public(c.key)), nil
	case evidence.SpendP2SHP2WPKH:
		return pushes(t, c.redeem), btcwire.TxWitness{signature, public(c.key)}
	case evidence.SpendP2WSH:
		return nil, btcwire.TxWitness{signature, c.witness}
	default:
		return nil, btcwire.TxWitness{signature, public(c.key)}
	}
}

func (c *coin) schnorr(t testing.TB, key *btcec.PrivateKey, digest []byte) []byte {
	t.Helper()
	s, err := schnorr.Sign(key, digest)
	if err != nil {
		t.Fatal(err)
	}
	if c.sighash == txscript.SigHashAll {
		return append(s.Serialize(), byte(txscript.SigHashAll))
	}
	return s.Serialize()
}

// run lets btcd's script engine judge the transaction with these signatures.
func (p *payment) run(t testing.TB, digests [][]byte) *btcwire.MsgTx {
	t.Helper()
	tx := p.packet.UnsignedTx.Copy()
	fetcher := txscript.NewMultiPrevOutFetcher(nil)
	for i, c := range p.coins {
		fetcher.AddPrevOut(tx.TxIn[i].PreviousOutPoint, btcwire.NewTxOut(c.amount, c.script))
		tx.TxIn[i].SignatureScript, tx.TxIn[i].Witness = c.sign(t, digests[i])
	}
	hashes := txscript.NewTxSigHashes(tx, fetcher)
	for i, c := range p.coins {
		engine, err := txscript.NewEngine(c.script, tx, i, txscript.StandardVerifyFlags, nil, hashes, c.amount, fetcher)
		if err != nil {
			t.Fatal(err)
		}
		if err := engine.Execute(); err != nil {
			t.Errorf("input %d, %s: the engine says %v", i, c.kind, err)
		}
	}
	return tx
}

// payTo is an output to an address of regtest.
func payTo(t testing.TB, address string, amount int64) *btcwire.TxOut {
	t.Helper()
	script, err := derive.BitcoinScript(derive.Regtest, address)
	if err != nil {
		t.Fatal(err)
	}
	return btcwire.NewTxOut(amount, script)
}

func segwitAddress(t testing.TB, key *btcec.PrivateKey) string {
	t.Helper()
	address, err := derive.P2WPKHAddress(derive.Regtest, public(key))
	if err != nil {
		t.Fatal(err)
	}
	return address
}
