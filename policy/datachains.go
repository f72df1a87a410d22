package policy

import "strings"

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
