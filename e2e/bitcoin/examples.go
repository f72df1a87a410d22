package bitcoin

import (
	"github.com/btcsuite/btcd/btcec/v2"
)

// Recipient is where the examples pay to: the P2WPKH address of BIP 173's examples.
const Recipient = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"

// Rune is the rune of the examples: block and transaction of its etching, name and divisibility as wallets show them.
var Rune = struct {
	Block            uint64
	Tx               uint32
	ID, Name, Spaced string
	Symbol           string
	Divisibility     int
}{Block: 840_000, Tx: 1, ID: "840000:1", Name: "ZZZZZFEHUZZZZZ", Spaced: "Z•Z•Z•Z•Z•FEHU•Z•Z•Z•Z•Z", Symbol: "ᚠ", Divisibility: 2}

// Ticker is the BRC-20 ticker of the examples.
const Ticker = "ordi"

// Example is a payment of one kind, for any key.
type Example struct {
	Name  string
	Build func(key *btcec.PublicKey) (*Payment, error)
}

// Examples are the payments whose PSBTs for a published test key lie in testdata/psbt.
var Examples = []Example{
	{"p2tr-key-path", func(key *btcec.PublicKey) (*Payment, error) { return PayTaproot(key, false) }},
	{"p2tr-script-tree", func(key *btcec.PublicKey) (*Payment, error) { return PayTaproot(key, true) }},
	{"p2tr-script-path-rune", func(key *btcec.PublicKey) (*Payment, error) { return PayRune(key, 150_00) }},
	{"p2tr-script-path-brc20", func(key *btcec.PublicKey) (*Payment, error) { return InscribeBRC20(key, "1000") }},
	{"p2wpkh-three-inputs", func(key *btcec.PublicKey) (*Payment, error) { return PayThree(key, 250_000) }},
}

// change goes back to the address of the coin that pays.
func change(c Coin, value int64) (Output, error) {
	address, err := c.Address()
	return Output{Address: address, Value: value}, err
}

// PayTaproot spends a P2TR coin by its output key; with a tree, two scripts stand beside it that are not used.
func PayTaproot(key *btcec.PublicKey, tree bool) (*Payment, error) {
	coin := Coin{Kind: KeyPath, Key: key, Value: 150_000}
	if tree {
		for _, block := range []int64{900_000, 1_000_000} {
			leaf, err := After(key, block)
			if err != nil {
				return nil, err
			}
			coin.Leaves = append(coin.Leaves, leaf)
		}
	}
	back, err := change(coin, 48_000)
	if err != nil {
		return nil, err
	}
	return New([]Coin{coin}, []Output{{Address: Recipient, Value: 100_000}, back})
}

// PayRune moves an amount of the rune, in its smallest unit, to the recipient. The coin that carries it is spent by a
// script; what is left of the rune goes back to the coin's address.
func PayRune(key *btcec.PublicKey, amount uint64) (*Payment, error) {
	leaf, err := CheckSig(key)
	if err != nil {
		return nil, err
	}
	coin := Coin{Kind: ScriptPath, Key: key, Value: 20_000, Leaves: [][]byte{leaf}}
	back, err := change(coin, 18_000)
	if err != nil {
		return nil, err
	}
	const message, recipient, own = 0, 546, 2
	stone, err := Runestone(Rune.Block, Rune.Tx, amount, 1, own)
	if err != nil {
		return nil, err
	}
	return New([]Coin{coin}, []Output{{Script: stone, Value: message}, {Address: Recipient, Value: recipient}, back})
}

// InscribeBRC20 reveals the inscription that makes an amount of the ticker transferable. It comes to lie at the key's own
// taproot address, from where a later payment hands it over.
func InscribeBRC20(key *btcec.PublicKey, amount string) (*Payment, error) {
	leaf, err := BRC20(key, "transfer", Ticker, amount)
	if err != nil {
		return nil, err
	}
	own, err := Coin{Kind: KeyPath, Key: key}.Address()
	if err != nil {
		return nil, err
	}
	coin := Coin{Kind: ScriptPath, Key: key, Value: 2_000, Leaves: [][]byte{leaf}}
	return New([]Coin{coin}, []Output{{Address: own, Value: 546}})
}

// PayThree pays from three P2WPKH coins of one key.
func PayThree(key *btcec.PublicKey, value int64) (*Payment, error) {
	var coins []Coin
	for _, v := range []int64{120_000, 100_000, 80_000} {
		coins = append(coins, Coin{Kind: WitnessKeyHash, Key: key, Value: v})
	}
	back, err := change(coins[0], 300_000-value-3_000)
	if err != nil {
		return nil, err
	}
	return New(coins, []Output{{Address: Recipient, Value: value}, back})
}
