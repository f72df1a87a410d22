// Package bitcoin builds unsigned Bitcoin payments as a wallet would, together with the coins that they spend, and finishes
// them with signatures that somebody else made. btcd's script engine then says whether the network would take them. It
// shares no code with the rest of the module, so that its word is independent; the coins are made up and lie on no chain.
package bitcoin

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
)

// Network is where all addresses of this package belong.
var Network = &chaincfg.MainNetParams

// Kind is how a coin is spent.
type Kind int

// The kinds of coins.
const (
	WitnessKeyHash Kind = iota // P2WPKH, ECDSA
	KeyPath                    // P2TR by the output key, BIP340
	ScriptPath                 // P2TR by the one leaf of its tree, BIP340
)

// Coin is an output that one key can spend.
type Coin struct {
	Kind  Kind
	Key   *btcec.PublicKey // whose it is; for P2TR the internal key
	Value int64            // satoshi
	// Leaves are the tapscripts of a P2TR coin's tree: none or more for KeyPath, one for ScriptPath.
	Leaves [][]byte
}

// ParseKey reads a compressed public key, 33 bytes.
func ParseKey(b []byte) (*btcec.PublicKey, error) {
	if len(b) != btcec.PubKeyBytesLenCompressed {
		return nil, fmt.Errorf("a key of %d bytes, want 33", len(b))
	}
	return btcec.ParsePubKey(b)
}

// Root is the Merkle root of a coin's script tree (BIP341), nothing if it has none.
func (c Coin) Root() []byte {
	tree := c.tree()
	if tree == nil {
		return nil
	}
	root := tree.RootNode.TapHash()
	return root[:]
}

func (c Coin) tree() *txscript.IndexedTapScriptTree {
	if len(c.Leaves) == 0 {
		return nil
	}
	leaves := make([]txscript.TapLeaf, len(c.Leaves))
	for i, l := range c.Leaves {
		leaves[i] = txscript.NewBaseTapLeaf(l)
	}
	return txscript.AssembleTaprootScriptTree(leaves...)
}

// outputKey is the BIP341 output key.
func (c Coin) outputKey() *btcec.PublicKey {
	if root := c.Root(); root != nil {
		return txscript.ComputeTaprootOutputKey(c.Key, root)
	}
	return txscript.ComputeTaprootKeyNoScript(c.Key)
}

// address is the coin's address, as btcutil has it.
func (c Coin) address() (btcutil.Address, error) {
	if c.Kind == WitnessKeyHash {
		return btcutil.NewAddressWitnessPubKeyHash(btcutil.Hash160(c.Key.SerializeCompressed()), Network)
	}
	return btcutil.NewAddressTaproot(schnorr.SerializePubKey(c.outputKey()), Network)
}

// Address is the address that the coin lies on.
func (c Coin) Address() (string, error) {
	a, err := c.address()
	if err != nil {
		return "", err
	}
	return a.EncodeAddress(), nil
}

// script is the coin's scriptPubKey.
func (c Coin) script() ([]byte, error) {
	a, err := c.address()
	if err != nil {
		return nil, err
	}
	return txscript.PayToAddrScript(a)
}

// controlBlock proves that the coin's leaf is in its tree.
func (c Coin) controlBlock() ([]byte, error) {
	if c.Kind != ScriptPath || len(c.Leaves) != 1 {
		return nil, errors.New("a coin for the script path has one leaf")
	}
	block := c.tree().LeafMerkleProofs[0].ToControlBlock(c.Key)
	return block.ToBytes()
}

// fundedAt is the output of a funding transaction that holds the coin; another coin of nobody lies before it.
const fundedAt = 1

// funding is the transaction that made the coin. number tells the coins of one payment apart.
func (c Coin) funding(number int) (*wire.MsgTx, error) {
	script, err := c.script()
	if err != nil {
		return nil, err
	}
	tx := wire.NewMsgTx(2)
	before := chainhash.Hash(sha256.Sum256(fmt.Appendf(nil, "made up, coin %d", number)))
	tx.AddTxIn(wire.NewTxIn(wire.NewOutPoint(&before, 0), nil, nil))
	tx.AddTxOut(wire.NewTxOut(1000, append([]byte{txscript.OP_0, txscript.OP_DATA_20}, before[:20]...)))
	tx.AddTxOut(wire.NewTxOut(c.Value, script))
	return tx, nil
}
