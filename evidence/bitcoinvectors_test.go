package evidence_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"strconv"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/btcutil/psbt"
	"github.com/btcsuite/btcd/txscript"
	btcwire "github.com/btcsuite/btcd/wire"
	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/wire"
)

func readJSON(t testing.TB, path string, v any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		t.Fatal(err)
	}
}

// packetOf makes a PSBT of an unsigned transaction; outputs are what its inputs spend.
func packetOf(t *testing.T, tx string, outputs []*btcwire.TxOut) *psbt.Packet {
	t.Helper()
	unsigned := btcwire.NewMsgTx(2)
	if err := unsigned.DeserializeNoWitness(bytes.NewReader(unhex(tx))); err != nil {
		t.Fatal(err)
	}
	p, err := psbt.NewFromUnsignedTx(unsigned)
	if err != nil {
		t.Fatal(err)
	}
	for i, out := range outputs {
		p.Inputs[i].WitnessUtxo = out
	}
	return p
}

func digestOf(t *testing.T, p *psbt.Packet, requestType string, input int, root string) (evidence.Payload, error) {
	t.Helper()
	raw, err := p.B64Encode()
	if err != nil {
		t.Fatal(err)
	}
	return evidence.SigningDigest(evidence.Request{
		RequestType: requestType, Cryptography: wire.ECDSASecp256k1, SignType: wire.SignTypeTransaction, RawTx: raw,
		InputID: strconv.Itoa(input), TapScriptRoot: root, HasTxInfo: true,
	})
}

func TestBIP143Vectors(t *testing.T) {
	var file struct {
		Vectors []struct {
			Name  string
			Tx    string
			Spent []struct {
				Script string
				Amount int64
			}
			RedeemScript string `json:"redeem_script"`
			Input        int
			PublicKey    string `json:"public_key"`
			Sighash      string
		}
	}
	readJSON(t, "../testdata/bitcoin/bip143.json", &file)
	if len(file.Vectors) != 2 {
		t.Fatalf("%d vectors", len(file.Vectors))
	}
	for _, v := range file.Vectors {
		var outputs []*btcwire.TxOut
		for _, s := range v.Spent {
			outputs = append(outputs, btcwire.NewTxOut(s.Amount, unhex(s.Script)))
		}
		p := packetOf(t, v.Tx, outputs)
		program := outputs[v.Input].PkScript
		if v.RedeemScript != "" {
			program = unhex(v.RedeemScript)
			p.Inputs[v.Input].RedeemScript = program
		}
		if !bytes.Equal(program[2:], btcutil.Hash160(unhex(v.PublicKey))) {
			t.Errorf("%s: the key is not the program's", v.Name)
		}
		got, err := digestOf(t, p, wire.TypeSign, v.Input, "")
		if err != nil || hex.EncodeToString(got.Digest) != v.Sighash {
			t.Errorf("%s: %x, %v; want %s", v.Name, got.Digest, err, v.Sighash)
		}
	}
}

// TestBIP341Vectors computes the key path digests of the BIP's wallet vectors; those of other sighash types than DEFAULT
// and ALL are refused.
func TestBIP341Vectors(t *testing.T) {
	var file struct {
		KeyPathSpending []struct {
			Given struct {
				RawUnsignedTx string
				UtxosSpent    []struct {
					ScriptPubKey string
					AmountSats   int64
				}
			}
			InputSpending []struct {
				Given struct {
					TxinIndex  int
					MerkleRoot string
					HashType   txscript.SigHashType
				}
				Intermediary struct{ InternalPubkey, SigHash string }
			}
		}
	}
	readJSON(t, "../testdata/bip341/wallet-test-vectors.json", &file)
	signed, refused := 0, 0
	for _, v := range file.KeyPathSpending {
		var outputs []*btcwire.TxOut
		for _, s := range v.Given.UtxosSpent {
			outputs = append(outputs, btcwire.NewTxOut(s.AmountSats, unhex(s.ScriptPubKey)))
		}
		for _, in := range v.InputSpending {
			i := in.Given.TxinIndex
			p := packetOf(t, v.Given.RawUnsignedTx, outputs)
			p.Inputs[i].TaprootInternalKey = unhex(in.Intermediary.InternalPubkey)
			p.Inputs[i].SighashType = in.Given.HashType
			if in.Given.MerkleRoot != "" {
				p.Inputs[i].TaprootMerkleRoot = unhex(in.Given.MerkleRoot)
			}
			got, err := digestOf(t, p, wire.TypeTaprootSign, i, in.Given.MerkleRoot)
			if in.Given.HashType > txscript.SigHashAll {
				if err == nil {
					t.Errorf("input %d: sighash type %#x is signed", i, in.Given.HashType)
				}
				refused++
				continue
			}
			signed++
			if err != nil || hex.EncodeToString(got.Digest) != in.Intermediary.SigHash {
				t.Errorf("input %d: %x, %v; want %s", i, got.Digest, err, in.Intermediary.SigHash)
			}
		}
	}
	if signed != 2 || refused != 5 {
		t.Errorf("%d digests, %d refused", signed, refused)
	}
}

// TestSharedPSBTs computes the digests of testdata/psbt, which were computed without this package.
func TestSharedPSBTs(t *testing.T) {
	var file struct {
		Vectors []struct {
			Name, PSBT    string
			TapScriptRoot string `json:"tap_script_root"`
			Digests       []string
		}
	}
	readJSON(t, "../testdata/psbt/payments.json", &file)
	if len(file.Vectors) == 0 {
		t.Fatal("no vectors")
	}
	kinds := map[evidence.Kind]int{}
	for _, v := range file.Vectors {
		for i, want := range v.Digests {
			found := 0
			for _, requestType := range []string{wire.TypeSign, wire.TypeTaprootSign, wire.TypeBIP340SchnorrSign} {
				r := evidence.Request{
					RequestType: requestType, Cryptography: wire.ECDSASecp256k1, SignType: wire.SignTypeTransaction, RawTx: v.PSBT,
					InputID: strconv.Itoa(i), HasTxInfo: true,
				}
				if requestType == wire.TypeTaprootSign {
					r.TapScriptRoot = v.TapScriptRoot
				}
				got, err := evidence.SigningDigest(r)
				if err != nil {
					continue
				}
				found++
				kinds[got.Kind]++
				if hex.EncodeToString(got.Digest) != want {
					t.Errorf("%s, input %d: %x, want %s", v.Name, i, got.Digest, want)
				}
			}
			if found == 0 {
				t.Errorf("%s, input %d: no request type signs it", v.Name, i)
			}
		}
	}
	if kinds[evidence.KindBitcoin] == 0 {
		t.Error("no digest was computed")
	}
}

// leaves lists the scripts of a tree in the vectors, by their id: a leaf is an object, a branch a list.
func leaves(t *testing.T, tree json.RawMessage, into map[int]*psbt.TaprootTapLeafScript) {
	t.Helper()
	if len(tree) == 0 || string(tree) == "null" {
		return
	}
	if tree[0] == '[' {
		var branch []json.RawMessage
		if err := json.Unmarshal(tree, &branch); err != nil {
			t.Fatal(err)
		}
		for _, b := range branch {
			leaves(t, b, into)
		}
		return
	}
	var leaf struct {
		ID          int
		Script      string
		LeafVersion byte
	}
	if err := json.Unmarshal(tree, &leaf); err != nil {
		t.Fatal(err)
	}
	into[leaf.ID] = &psbt.TaprootTapLeafScript{Script: unhex(leaf.Script), LeafVersion: txscript.TapscriptLeafVersion(leaf.LeafVersion)}
}

// TestBIP341ControlBlocks spends each script of the BIP's trees: those of tapscript's version are proven by their control
// block and by no other, those of other versions are refused.
func TestBIP341ControlBlocks(t *testing.T) {
	var file struct {
		ScriptPubKey []struct {
			Given struct {
				InternalPubkey string
				ScriptTree     json.RawMessage
			}
			Intermediary struct{ MerkleRoot string }
			Expected     struct {
				ScriptPubKey            string
				ScriptPathControlBlocks []string
			}
		}
	}
	readJSON(t, "../testdata/bip341/wallet-test-vectors.json", &file)
	signed, refused := 0, 0
	for n, v := range file.ScriptPubKey {
		scripts := make(map[int]*psbt.TaprootTapLeafScript)
		leaves(t, v.Given.ScriptTree, scripts)
		for id, leaf := range scripts {
			p := newPayment(t, []*coin{{kind: evidence.SpendTaprootLeaf, key: testKey("x"), script: unhex(v.Expected.ScriptPubKey), amount: 100_000}}, recipient(t))
			in := &p.packet.Inputs[0]
			in.TaprootInternalKey, in.TaprootMerkleRoot = unhex(v.Given.InternalPubkey), unhex(v.Intermediary.MerkleRoot)
			in.TaprootLeafScript = []*psbt.TaprootTapLeafScript{leaf}
			for other, block := range v.Expected.ScriptPathControlBlocks {
				leaf.ControlBlock = unhex(block)
				_, err := digestOf(t, p.packet, wire.TypeBIP340SchnorrSign, 0, v.Intermediary.MerkleRoot)
				good := other == id && leaf.LeafVersion == txscript.BaseLeafVersion
				if (err == nil) != good {
					t.Errorf("vector %d, script %d with control block %d: %v", n, id, other, err)
				}
				if good {
					signed++
				} else {
					refused++
				}
			}
		}
	}
	if signed < 8 || refused < 8 {
		t.Errorf("%d digests, %d refused", signed, refused)
	}
}
