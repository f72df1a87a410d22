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
