package evidence

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
)

// checkRunes compares runeDetails with the runestone of a transaction. A claim is verified if the edicts give each
// recipient exactly what is claimed and all that is left goes back to an address of the inputs; names and divisibility
// are not in the transaction and are left to the policy's data.
func (k *comparison) checkRunes(claims []RuneClaim, tx ordinalsView) {
	stone := FindRunestone(tx.scripts)
	tx.bitcoin.Runestone = stone
	switch {
	case stone == nil && len(claims) == 0:
		return
	case stone == nil:
		k.differ("runeDetails", describeRunes(claims), "none: the transaction carries no runestone")
		return
	case len(claims) == 0:
		k.obstruct(CodeRunestone, "the transaction carries a runestone, which moves what its amounts do not show, and runeDetails says nothing of it")
		return
	case stone.Cenotaph != "":
		k.differ("runeDetails", describeRunes(claims), "a malformed runestone, which burns all runes: "+stone.Cenotaph)
		return
	}
	k.runesRest(stone, tx)
	k.runeMoves(claims, stone, tx)
}

// runesRest looks at what a runestone does beside its edicts.
func (k *comparison) runesRest(stone *Runestone, tx ordinalsView) {
	if stone.Etching || stone.Mint != "" {
		k.obstruct(CodeRunestone, "the runestone makes new runes, which runeDetails cannot say")
	}
	rest := slices.IndexFunc(tx.scripts, func(script []byte) bool { return !isOpReturn(script) })
	switch len(stone.Pointers) {
	case 0:
	case 1:
		rest = int(stone.Pointers[0])
	default:
		k.obstruct(CodeRunestone, "the runestone has several pointers: where the rest of the runes goes is decided when it is mined")
		return
	}
	switch {
	case rest < 0 || isOpReturn(tx.scripts[rest]):
		k.obstruct(CodeRunestone, "the rest of the runes is burned: no output takes it")
	case !tx.spendsFrom(tx.addresses[rest]):
		k.obstruct(CodeRunestone, fmt.Sprintf("the rest of the runes goes to output %d, whose address is none of the inputs'", rest))
	}
}

// runeMove is a rune and who gets it.
type runeMove struct{ id, to string }

func (m runeMove) String() string { return m.id + " to " + m.to }

// runeMoves compares the sums that each address gets of each rune.
func (k *comparison) runeMoves(claims []RuneClaim, stone *Runestone, tx ordinalsView) {
	claimed := make(map[runeMove]*big.Int)
	for i, c := range claims {
		if c.FromAddress != "" && !tx.spendsFrom(tx.canonical(c.FromAddress)) {
			k.differ(fmt.Sprintf("runeDetails[%d].fromAddress", i), c.FromAddress, "not among the inputs: "+strings.Join(tx.inputAddresses, ", "))
		}
		if c.AmountBase == nil {
			k.obstruct(CodeRunestone, fmt.Sprintf("the unit of rune %s is not known: add it to data.json", excerpt(c.ID)))
			return
		}
		add(claimed, runeMove{c.ID, tx.canonical(c.ToAddress)}, c.AmountBase)
	}
	signed := make(map[runeMove]*big.Int)
	for i, e := range stone.Edicts {
		switch {
		case e.Amount.Sign() == 0:
			k.obstruct(CodeRunestone, fmt.Sprintf("edict %d of the runestone moves all that is left, which is no amount", i))
		case int(e.Output) == len(tx.scripts):
			k.obstruct(CodeRunestone, fmt.Sprintf("edict %d of the runestone pays every output", i))
		case isOpReturn(tx.scripts[e.Output]):
			k.differ("runeDetails", "no rune is burned", fmt.Sprintf("%s of %s is burned", e.Amount, e.RuneID))
		default:
			move := runeMove{e.RuneID, tx.addresses[e.Output]}
			if claimed[move] != nil || !tx.spendsFrom(move.to) { // else it is change
				add(signed, move, e.Amount)
			}
		}
	}
	all := maps.Clone(claimed)
	maps.Copy(all, signed)
	for _, move := range slices.SortedFunc(maps.Keys(all), func(a, b runeMove) int { return strings.Compare(a.String(), b.String()) }) {
		c, s := claimed[move], signed[move]
		if c == nil || s == nil || c.Cmp(s) != 0 {
			k.differ("runeDetails", sumOf(c, move), sumOf(s, move))
		}
	}
}

func add(sums map[runeMove]*big.Int, move runeMove, amount *big.Int) {
	if sums[move] == nil {
		sums[move] = new(big.Int)
	}
	sums[move].Add(sums[move], amount)
}

func sumOf(amount *big.Int, move runeMove) string {
	if amount == nil {
		return "none of " + move.String()
	}
	return amount.String() + " of " + move.String()
}

func describeRunes(claims []RuneClaim) string {
	parts := make([]string, len(claims))
	for i, c := range claims {
		parts[i] = c.Amount + " of " + c.ID + " to " + c.ToAddress
	}
	return strings.Join(parts, ", ")
}
