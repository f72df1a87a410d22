package policy

import (
	"encoding/json"
	"math/big"
)

// What the asset of a window is besides one of /chains; rego/windows.rego says the same.
const (
	tokenNone  = ""
	tokenBRC20 = "brc20" // a ticker of /brc20
	tokenRunes = "runes" // a rune id of /runes
)

// windowAsset looks up what a window counts: an asset of the chain, or a ticker or rune that may be moved on it.
func (c *compiler) windowAsset(at []string, f fileWindow) (Asset, string) {
	asset, listed := c.chains[f.Chain].Assets[f.Asset]
	decimals, ticker := c.data.brc20[f.Chain][f.Asset]
	minted, isRune := c.data.runes[f.Chain][f.Asset]
	switch {
	case f.Asset == "" || f.Chain == "" || c.chains[f.Chain].Symbol == "": // told by windowOf
	case listed && (ticker || isRune) || ticker && isRune:
		c.add(under(at, "asset"), "%q is more than one of an asset of /chains/%s/assets, a ticker of /brc20/%[2]s and a rune of /runes/%[2]s: "+
			"it cannot be told which is meant", f.Asset, f.Chain)
	case ticker:
		return Asset{ID: f.Asset, Decimals: decimals}, tokenBRC20
	case isRune:
		return Asset{ID: f.Asset, Decimals: minted.Divisibility}, tokenRunes
	case !listed && c.chains[f.Chain].Family == FamilyUTXO:
		all := make(map[string]bool)
		for id := range c.chains[f.Chain].Assets {
			all[id] = true
		}
		for id := range c.data.brc20[f.Chain] {
			all[id] = true
		}
		for id := range c.data.runes[f.Chain] {
			all[id] = true
		}
		c.add(under(at, "asset"), "%q is not an asset of /chains/%s/assets, a ticker of /brc20/%[2]s or a rune id of /runes/%[2]s%s",
			f.Asset, f.Chain, didYouMean(f.Asset, all))
	case !listed:
		c.noAsset(under(at, "asset"), c.chains[f.Chain], f.Asset)
	}
	return asset, tokenNone
}

// moves tells whether a transaction on the window's chain moves its asset.
func (w *windowRule) moves(in *Input) bool {
	if w.token == tokenNone {
		return in.Tx.Asset == w.asset
	}
	found := false
	w.entries(in, func(json.Number, string) { found = true })
	return found
}

// tokens is what all entries of the window's token add up to, in its base units; nil if that is not known.
func (w *windowRule) tokens(in *Input) *big.Int {
	var sum total
	w.entries(in, func(amount json.Number, _ string) { sum.add(amount) })
	return parseBase(sum.number())
}

// tokenRecipient is to whom all entries of the window's token go; "" if that is not one.
func (w *windowRule) tokenRecipient(in *Input) string {
	var recipients []string
	w.entries(in, func(_ json.Number, to string) { recipients = append(recipients, to) })
	for _, to := range recipients {
		if to != recipients[0] {
			return ""
		}
	}
	return recipients[0] // the window counts the request, so there is an entry
}

// entries goes through the entries of the window's token.
func (w *windowRule) entries(in *Input, each func(amount json.Number, to string)) {
	if w.token == tokenBRC20 {
		for i := range in.BRC20 {
			if e := &in.BRC20[i]; e.Ticker == w.asset {
				each(e.QuantityBase, e.To)
			}
		}
		return
	}
	for i := range in.Runes {
		if e := &in.Runes[i]; e.ID == w.asset {
			each(e.AmountBase, e.To)
		}
	}
}
