package policy

import (
	"fmt"
	"strings"
)

// oneUTXOChain refuses a second chain of the utxo family. No signature of a Bitcoin transaction says for which network it is:
// by naming the other chain, the same coins could be spent under its limits.
func (c *compiler) oneUTXOChain(chains map[string]Chain) {
	var symbols []string
	for _, symbol := range sortedKeys(chains) {
		if chains[symbol].Family == FamilyUTXO {
			symbols = append(symbols, symbol)
		}
	}
	if len(symbols) > 1 {
		c.add([]string{"chains", symbols[1]}, "%s are all of family %s, whose signatures do not say for which of them they are: limits of one would not hold for the other; run a server for each",
			strings.Join(symbols, " and "), FamilyUTXO)
	}
}

// perChain writes a section that has an entry for each chain of a family; "" is every family. An entry for another chain is told
// of and left out.
func perChain[F any](c *compiler, family, section string, entries map[string]F, write func(at []string, chain Chain, f F) map[string]any) map[string]any {
	out := make(map[string]any, len(entries))
	for _, symbol := range sortedKeys(entries) {
		at := []string{section, symbol}
		chain, known := c.chains[symbol]
		switch {
		case !known:
			c.noChain(at, symbol)
		case family != "" && chain.Family != family:
			c.add(at, "is of family %s: this section is for chains of family %s", chain.Family, family)
		default:
			out[symbol] = write(at, chain, entries[symbol])
		}
	}
	return out
}

// onceAmong is the canonical form of an address that may stand once in a list; ok is false for one that has none.
func onceAmong[V any](c *compiler, at []string, chain Chain, address string, list map[string]V) (canonical string, ok bool) {
	canonical, err := chain.canonicalAddress(address)
	if err != nil {
		c.add(at, "%v", err)
		return "", false
	}
	if _, twice := list[canonical]; twice {
		c.add(at, "stands there twice, written differently")
	}
	return canonical, true
}

// erc20 is an asset of a chain that has to be a token with a contract.
func (c *compiler) erc20(at []string, chain Chain, id string) (asset Asset, ok bool) {
	asset, known := chain.Assets[id]
	if !known || asset.Kind != AssetERC20 {
		c.add(at, "is not an %s asset of /chains/%s/assets", AssetERC20, chain.Symbol)
		return asset, false
	}
	return asset, true
}

// noChain tells of a symbol that no chain has, and of the nearest one that has.
func (c *compiler) noChain(at []string, symbol string) {
	c.add(at, "%q is not a chain of /chains%s", symbol, didYouMean(symbol, c.file.Chains))
}

// noAsset is noChain for an asset of a chain.
func (c *compiler) noAsset(at []string, chain Chain, id string) {
	c.add(at, "%q is not an asset of /chains/%s/assets%s", id, chain.Symbol, didYouMean(id, chain.Assets))
}

// didYouMean names the nearest key, but for case, or nothing where none is near.
func didYouMean[V any](name string, known map[string]V) string {
	keys := sortedKeys(known)
	for _, key := range keys {
		if strings.EqualFold(key, name) {
			return fmt.Sprintf(": did you mean %q?", key)
		}
	}
	if near := nearest(name, keys); near != "" {
		return fmt.Sprintf(": did you mean %q?", near)
	}
	return ""
}
