package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/txscript"
	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/wire"
)

// maxScript bounds a script that is revealed: a witness script (consensus) and a leaf script (ours; inscriptions of BRC-20
// have some hundred bytes).
const maxScript = 10_000

// spend is how one input is spent, and the digest that is signed for it.
type spend struct {
	kind    Spend
	digest  [32]byte
	sighash txscript.SigHashType
	// script is what the digest commits to beside the spent output: the witness script of SpendP2WSH, the leaf of
	// SpendTaprootLeaf.
	script []byte
	root   []byte // the Merkle root of the script tree, empty if there is none
	// outputKey is the taproot output key, keyHash the hash of the key of the spends by hash.
	outputKey, keyHash []byte
}

// rootError is a tapScriptRoot that is not the transaction's.
type rootError struct{ claimed, signed []byte }

func (e *rootError) Error() string {
	return fmt.Sprintf("tapScriptRoot is %x, but the spent output commits to %x: %v", e.claimed, e.signed, ErrDigestMismatch)
}

func (e *rootError) Unwrap() error { return ErrDigestMismatch }

// spendOf is all that a spend of a transaction depends on.
type spendOf struct {
	input             int
	requestType, root string
}

// spend computes the digest of an input for a request type, by the rules at SigningDigest. What it returns must not be
// changed.
func (b *bitcoinTx) spend(i int, requestType string, tapScriptRoot []byte) (*spend, error) {
	of := spendOf{i, requestType, string(tapScriptRoot)}
	if s := b.spends[of]; s != nil {
		return s, nil
	}
	s, err := b.classify(i, requestType)
	if err == nil {
		err = b.checkRequest(i, s, requestType, tapScriptRoot)
	}
	if err == nil {
		s.sighash, err = sighashType(b.packet.Inputs[i].SighashType, s)
	}
	if err == nil {
		err = b.hash(i, s)
	}
	if err != nil {
		return nil, fmt.Errorf("input %d: %w", i, err)
	}
	if b.spends == nil {
		b.spends = map[spendOf]*spend{}
	}
	b.spends[of] = s
	return s, nil
}

// classify tells how an input is spent from the output and the scripts that the PSBT shows for it, each of which must be
// the one that the output commits to. For a taproot output it is the script path if the PSBT shows a leaf and the request
// is not for the key path.
func (b *bitcoinTx) classify(i int, requestType string) (*spend, error) {
	in, out := b.packet.Inputs[i], b.prevouts[i]
	if out == nil {
		return nil, errors.New("the PSBT shows neither witness_utxo nor non_witness_utxo for it")
	}
	script := out.PkScript
	switch {
	case txscript.IsPayToPubKeyHash(script):
		return &spend{kind: SpendP2PKH, keyHash: script[3:23]}, nil
	case txscript.IsPayToScriptHash(script):
		redeem := in.RedeemScript
		if !bytes.Equal(btcutil.Hash160(redeem), script[2:22]) {
			return nil, errors.New("redeem_script is missing or not the one that the spent output commits to")
		}
		if !txscript.IsPayToWitnessPubKeyHash(redeem) {
			return nil, errors.New("its redeem_script is not P2WPKH: of script hashes only P2SH-P2WPKH is signed")
		}
		return &spend{kind: SpendP2SHP2WPKH, keyHash: redeem[2:]}, nil
	case txscript.IsPayToWitnessPubKeyHash(script):
		return &spend{kind: SpendP2WPKH, keyHash: script[2:]}, nil
	case txscript.IsPayToWitnessScriptHash(script):
		if hash := sha256.Sum256(in.WitnessScript); !bytes.Equal(hash[:], script[2:]) {
			return nil, errors.New("witness_script is missing or not the one that the spent output commits to")
		}
		return &spend{kind: SpendP2WSH, script: in.WitnessScript}, checkScript(in.WitnessScript)
	case txscript.IsPayToTaproot(script):
		if len(in.TaprootLeafScript) > 0 && requestType != wire.TypeTaprootSign {
			return b.classifyLeaf(i)
		}
		return &spend{kind: SpendTaprootKey, outputKey: script[2:]}, nil
	default:
		return nil, fmt.Errorf("the spent output's script %s is of no kind that is signed: P2PKH, P2SH-P2WPKH, P2WPKH, P2WSH, P2TR",
			excerpt(hex.EncodeToString(script)))
	}
}

// classifyLeaf proves the one leaf that the PSBT shows against the spent output (BIP341, "Script validation rules").
func (b *bitcoinTx) classifyLeaf(i int) (*spend, error) {
	in, outputKey := b.packet.Inputs[i], b.prevouts[i].PkScript[2:]
	if n := len(in.TaprootLeafScript); n != 1 {
		return nil, fmt.Errorf("the PSBT shows %d leaf scripts for it: leave the one that is spent", n)
	}
	leaf := in.TaprootLeafScript[0]
	control, err := txscript.ParseControlBlock(leaf.ControlBlock)
	if err != nil {
		return nil, fmt.Errorf("control block: %v", err)
	}
	if leaf.LeafVersion != txscript.BaseLeafVersion || control.LeafVersion != leaf.LeafVersion {
		return nil, fmt.Errorf("leaf version %#02x: only tapscript (%#02x, BIP342) is signed", byte(leaf.LeafVersion), byte(txscript.BaseLeafVersion))
	}
	if err := txscript.VerifyTaprootLeafCommitment(control, outputKey, leaf.Script); err != nil {
		return nil, errors.New("the control block does not prove the leaf script against the spent output")
	}
	if key := in.TaprootInternalKey; key != nil && !bytes.Equal(key, leaf.ControlBlock[1:33]) {
		return nil, errors.New("the PSBT's internal key is not the control block's")
	}
	s := &spend{kind: SpendTaprootLeaf, outputKey: outputKey, script: leaf.Script, root: control.RootHash(leaf.Script)}
	if root := in.TaprootMerkleRoot; root != nil && !bytes.Equal(root, s.root) {
		return nil, errors.New("the PSBT's merkle root is not the one that the control block gives")
	}
	return s, checkScript(leaf.Script)
}

// checkScript refuses scripts whose digest would depend on where they are executed.
func checkScript(script []byte) error {
	if len(script) > maxScript {
		return fmt.Errorf("script of %d bytes: at most %d are signed", len(script), maxScript)
	}
	tokens := txscript.MakeScriptTokenizer(0, script)
	for tokens.Next() {
		if tokens.Opcode() == txscript.OP_CODESEPARATOR {
			return errors.New("its script has an OP_CODESEPARATOR: the digest would depend on which one runs last")
		}
	}
	if tokens.Err() != nil {
		return fmt.Errorf("its script does not parse: %v", tokens.Err())
	}
	return nil
}

// checkRequest holds a spend against the request's type and script root, and demands what its digest commits to.
func (b *bitcoinTx) checkRequest(i int, s *spend, requestType string, tapScriptRoot []byte) error {
	in := b.packet.Inputs[i]
	if in.FinalScriptSig != nil || in.FinalScriptWitness != nil {
		return errors.New("it is finalised already")
	}
	if want := s.kind.requestType(); want != requestType {
		return fmt.Errorf("it is a %s spend, which is signed by %s and not by %s%s", s.kind, want, requestType, hint(s, requestType))
	}
	switch s.kind {
	case SpendP2PKH:
		if !b.proven[i] {
			return errors.New("P2PKH needs non_witness_utxo (BIP174)")
		}
	case SpendTaprootKey, SpendTaprootLeaf:
		if missing := b.missingPrevout(); missing >= 0 {
			return fmt.Errorf("a taproot digest commits to all spent outputs, but the PSBT does not show that of input %d", missing)
		}
		if s.kind == SpendTaprootKey {
			return b.checkKeyPath(i, s, tapScriptRoot)
		}
	}
	if len(tapScriptRoot) == 0 || bytes.Equal(tapScriptRoot, s.root) {
		return nil
	}
	return &rootError{tapScriptRoot, s.root}
}

func hint(s *spend, requestType string) string {
	if s.kind == SpendTaprootKey && requestType == wire.TypeBIP340SchnorrSign {
		return ": for a script path the PSBT must show the leaf script with its control block"
	}
	return ""
}

// checkKeyPath proves that the spent output's key is the internal key tweaked with the root that the request names.
func (b *bitcoinTx) checkKeyPath(i int, s *spend, tapScriptRoot []byte) error {
	in := b.packet.Inputs[i]
	if in.TaprootMerkleRoot != nil && !bytes.Equal(in.TaprootMerkleRoot, tapScriptRoot) {
		return &rootError{tapScriptRoot, in.TaprootMerkleRoot}
	}
	if in.TaprootInternalKey == nil {
		return errors.New("the PSBT does not show its internal key, without which tapScriptRoot cannot be checked")
	}
	key, err := derive.TaprootOutputKey(in.TaprootInternalKey, tapScriptRoot)
	if err != nil {
		return err
	}
	if !bytes.Equal(key.OutputKey[:], s.outputKey) {
		return fmt.Errorf("the spent output's key is not the internal key tweaked with tapScriptRoot %s: %w",
			formatRoot(tapScriptRoot), ErrDigestMismatch)
	}
	s.root = tapScriptRoot
	return nil
}

func formatRoot(root []byte) string {
	if len(root) == 0 {
		return "(empty)"
	}
	return hex.EncodeToString(root)
}

func (k Spend) requestType() string {
	switch k {
	case SpendTaprootKey:
		return wire.TypeTaprootSign
	case SpendTaprootLeaf:
		return wire.TypeBIP340SchnorrSign
	default:
		return wire.TypeSign
	}
}

func (k Spend) taproot() bool { return k == SpendTaprootKey || k == SpendTaprootLeaf }

// sighashType takes those types only that commit to all inputs and outputs. A PSBT that names none means DEFAULT for
// taproot and ALL elsewhere.
func sighashType(asked txscript.SigHashType, s *spend) (txscript.SigHashType, error) {
	switch {
	case asked == txscript.SigHashAll, asked == txscript.SigHashDefault && s.kind.taproot():
		return asked, nil
	case asked == txscript.SigHashDefault:
		return txscript.SigHashAll, nil
	default:
		return 0, fmt.Errorf("sighash type %#02x leaves inputs or outputs open to change: only DEFAULT and ALL are signed", uint32(asked))
	}
}

// hash computes the digest: as Bitcoin always had it for P2PKH, by BIP143 for segwit version 0, by BIP341 and BIP342.
func (b *bitcoinTx) hash(i int, s *spend) error {
	out := b.prevouts[i]
	var digest []byte
	var err error
	switch s.kind {
	case SpendP2PKH:
		digest, err = txscript.CalcSignatureHash(out.PkScript, s.sighash, b.tx, i)
	case SpendP2SHP2WPKH:
		digest, err = txscript.CalcWitnessSigHash(b.packet.Inputs[i].RedeemScript, b.hashes, s.sighash, b.tx, i, out.Value)
	case SpendP2WPKH:
		digest, err = txscript.CalcWitnessSigHash(out.PkScript, b.hashes, s.sighash, b.tx, i, out.Value)
	case SpendP2WSH:
		digest, err = txscript.CalcWitnessSigHash(s.script, b.hashes, s.sighash, b.tx, i, out.Value)
	case SpendTaprootKey:
		digest, err = txscript.CalcTaprootSignatureHash(b.hashes, s.sighash, b.tx, i, b)
	case SpendTaprootLeaf:
		digest, err = txscript.CalcTapscriptSignaturehash(b.hashes, s.sighash, b.tx, i, b, txscript.NewBaseTapLeaf(s.script))
	}
	if err != nil {
		return fmt.Errorf("sighash: %v", err)
	}
	if len(digest) != len(s.digest) {
		return fmt.Errorf("sighash of %d bytes", len(digest))
	}
	copy(s.digest[:], digest)
	return nil
}

// signedBy tells whether the key (33 bytes, compressed) can sign this spend: its hash or output key is the spent output's,
// or the script holds it where signatures are checked.
func (s *spend) signedBy(publicKey []byte) bool {
	switch s.kind {
	case SpendP2PKH, SpendP2SHP2WPKH, SpendP2WPKH:
		return bytes.Equal(btcutil.Hash160(publicKey), s.keyHash)
	case SpendP2WSH:
		return scriptAsks(s.script, publicKey)
	case SpendTaprootKey:
		key, err := derive.TaprootOutputKey(publicKey, s.root)
		return err == nil && bytes.Equal(key.OutputKey[:], s.outputKey)
	default:
		return len(publicKey) == 33 && scriptAsks(s.script, publicKey[1:])
	}
}

// scriptAsks tells whether a script pushes a key right before an opcode that checks a signature under it, or among the
// keys of an OP_CHECKMULTISIG. Data that is pushed elsewhere, such as an inscription's, does not count.
func scriptAsks(script, key []byte) bool {
	tokens := txscript.MakeScriptTokenizer(0, script)
	var last []byte // what was pushed right before
	listed := false // the key is among the pushes of its length that went before, with numbers between them at most
	for tokens.Next() {
		switch op := tokens.Opcode(); {
		case op <= txscript.OP_PUSHDATA4 && op != txscript.OP_0:
			last = tokens.Data()
			listed = bytes.Equal(last, key) || (listed && len(last) == len(key))
		case op >= txscript.OP_1 && op <= txscript.OP_16:
			last = nil
		case op == txscript.OP_CHECKSIG, op == txscript.OP_CHECKSIGVERIFY, op == txscript.OP_CHECKSIGADD:
			if bytes.Equal(last, key) {
				return true
			}
			last, listed = nil, false
		case op == txscript.OP_CHECKMULTISIG, op == txscript.OP_CHECKMULTISIGVERIFY:
			if listed {
				return true
			}
			last, listed = nil, false
		default:
			last, listed = nil, false
		}
	}
	return false
}
