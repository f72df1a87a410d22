package bitcoin

import (
	"encoding/binary"
	"encoding/json"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/txscript"
)

// CheckSig is the tapscript that a key's signature satisfies.
func CheckSig(key *btcec.PublicKey) ([]byte, error) {
	return txscript.NewScriptBuilder().AddData(schnorr.SerializePubKey(key)).AddOp(txscript.OP_CHECKSIG).Script()
}

// After is the tapscript that a key's signature satisfies from a block on (BIP 65): a leaf that a key-path spend leaves unused.
func After(key *btcec.PublicKey, block int64) ([]byte, error) {
	return txscript.NewScriptBuilder().AddInt64(block).AddOp(txscript.OP_CHECKLOCKTIMEVERIFY).AddOp(txscript.OP_DROP).
		AddData(schnorr.SerializePubKey(key)).AddOp(txscript.OP_CHECKSIG).Script()
}

// BRC20 is the tapscript that a key's signature satisfies and that inscribes a BRC-20 operation when it is revealed.
func BRC20(key *btcec.PublicKey, operation, ticker, amount string) ([]byte, error) {
	body, err := json.Marshal(struct {
		P    string `json:"p"`
		Op   string `json:"op"`
		Tick string `json:"tick"`
		Amt  string `json:"amt"`
	}{"brc-20", operation, ticker, amount})
	if err != nil {
		return nil, err
	}
	head, err := CheckSig(key)
	if err != nil {
		return nil, err
	}
	envelope, err := txscript.NewScriptBuilder().AddOp(txscript.OP_FALSE).AddOp(txscript.OP_IF).AddData([]byte("ord")).
		AddOp(txscript.OP_DATA_1).AddOp(1). // the tag "content type" as a byte of data, which is how ord writes it
		AddData([]byte("text/plain;charset=utf-8")).AddOp(txscript.OP_0).AddData(body).AddOp(txscript.OP_ENDIF).Script()
	return append(head, envelope...), err
}

// Runestone is the output script of a message of the runes protocol that moves an amount of one rune, block:tx, to an output
// and what is left of it to the output pointer.
func Runestone(block uint64, tx uint32, amount uint64, output, pointer uint32) ([]byte, error) {
	var payload []byte
	for _, v := range []uint64{22, uint64(pointer), 0, block, uint64(tx), amount, uint64(output)} {
		payload = binary.AppendUvarint(payload, v)
	}
	return txscript.NewScriptBuilder().AddOp(txscript.OP_RETURN).AddOp(txscript.OP_13).AddData(payload).Script()
}
