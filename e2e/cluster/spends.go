package cluster

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"

	"github.com/countersign-mpc/countersign/e2e/bitcoin"
)

// Where a key's Bitcoin addresses lie.
const (
	TaprootPath = "m/86/0/0/0/0"
	SegwitPath  = "m/84/0/0/0/0"
)

// TaprootSpend pays 100,000 satoshi by key path, from a coin with a script tree or without.
func TaprootSpend(key *btcec.PublicKey, tree bool) (Spend, error) {
	p, err := bitcoin.PayTaproot(key, tree)
	return Spend{Path: TaprootPath, Payment: p, To: bitcoin.Recipient, Amount: 100_000}, err
}

// RuneSpend moves an amount of the example's rune, in hundredths, by script path.
func RuneSpend(key *btcec.PublicKey, hundredths uint64) (Spend, error) {
	p, err := bitcoin.PayRune(key, hundredths)
	if err != nil {
		return Spend{}, err
	}
	from, err := p.Coins[0].Address()
	details := map[string]any{"fromAddress": from, "toAddress": bitcoin.Recipient, "runeName": bitcoin.Rune.Name, "runeId": bitcoin.Rune.ID,
		"runeSpacedName": bitcoin.Rune.Spaced, "runeAmount": fmt.Sprintf("%d.%02d", hundredths/100, hundredths%100), "runeSymbol": bitcoin.Rune.Symbol,
		"runeDivisibility": bitcoin.Rune.Divisibility}
	return Spend{Path: TaprootPath, Payment: p, To: bitcoin.Recipient, Amount: p.Outputs[1].Value, Details: map[string]any{"runeDetails": []any{details}}}, err
}

// InscriptionSpend makes an amount of the example's BRC-20 ticker transferable, by script path.
func InscriptionSpend(key *btcec.PublicKey, amount string) (Spend, error) {
	p, err := bitcoin.InscribeBRC20(key, amount)
	if err != nil {
		return Spend{}, err
	}
	own := p.Outputs[0].Address
	details := map[string]any{"method": "transfer", "ticker": bitcoin.Ticker, "quantity": amount, "step": 2, "from": own, "to": bitcoin.Recipient}
	return Spend{Path: TaprootPath, Payment: p, To: own, Amount: p.Outputs[0].Value, Details: map[string]any{"brc20Details": []any{details}}}, nil
}

// ThreeSpend pays satoshi from three P2WPKH coins.
func ThreeSpend(key *btcec.PublicKey, value int64) (Spend, error) {
	p, err := bitcoin.PayThree(key, value)
	return Spend{Path: SegwitPath, Payment: p, To: bitcoin.Recipient, Amount: value}, err
}

// Secp256k1Child derives the key at a path of a finished keygen by btcutil, and wants the coordinator to show the same.
func (a *API) Secp256k1Child(ctx context.Context, made Request, path string) (*btcec.PublicKey, error) {
	root, err := hex.DecodeString(made.PublicKey)
	if err != nil {
		return nil, err
	}
	chain, err := hex.DecodeString(made.ChainCode)
	if err != nil {
		return nil, err
	}
	child, err := bitcoin.Child(root, chain, path)
	if err != nil {
		return nil, err
	}
	shown, err := a.Child(ctx, made.KeyID, path)
	if err != nil {
		return nil, err
	}
	if got := hex.EncodeToString(child.SerializeCompressed()); got != shown.DerivedKey {
		return nil, fmt.Errorf("the key at %s is %s by btcutil and %s by the coordinator", path, got, shown.DerivedKey)
	}
	return child, nil
}

// Known is what a policy should know of a secp256k1 key: its Bitcoin addresses and script trees. It allows nothing yet.
func (a *API) Known(ctx context.Context, made Request) (Key, error) {
	known := Key{PublicKey: made.PublicKey, ChainCode: made.ChainCode, ScriptRoots: make(map[string]string), Own: make(map[string]string)}
	key, err := a.Secp256k1Child(ctx, made, TaprootPath)
	if err != nil {
		return known, err
	}
	for name, spend := range map[string]func() (Spend, error){
		"taproot":     func() (Spend, error) { return TaprootSpend(key, false) },
		"time lock":   func() (Spend, error) { return TaprootSpend(key, true) },
		"runes":       func() (Spend, error) { return RuneSpend(key, 1) },
		"inscription": func() (Spend, error) { return InscriptionSpend(key, "1") },
	} {
		s, err := spend()
		if err != nil {
			return known, err
		}
		coin := s.Payment.Coins[0]
		address, err := coin.Address()
		if err != nil {
			return known, err
		}
		if name != "inscription" { // whose address depends on what it says
			known.Own[address] = name
		}
		if root := coin.Root(); coin.Kind == bitcoin.KeyPath && root != nil {
			known.ScriptRoots[hex.EncodeToString(root)] = name
		}
	}
	return known, nil
}
