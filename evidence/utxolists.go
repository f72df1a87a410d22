package evidence

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// maxListed bounds the differences that one list gives.
const maxListed = 16

// compareVins holds extraData.vinList against the inputs: in any order, each element one input and none left over. The
// element that curInputId names must be the signed input itself.
func (k *comparison) compareVins(claimed []VinClaim, v *bitcoinView) {
	if len(claimed) == 0 {
		return
	}
	vins := v.exactVins(claimed)
	if !v.isInput(vins[v.input], v.input) {
		k.differ("curInputId", describeVin(claimed[v.input]), v.describeInput(v.input))
	}
	free := make([]int, len(v.tx.TxIn))
	for i := range free {
		free[i] = i
	}
	d := limited{k: k, field: "extraData.vinList"}
	for n, vin := range vins {
		at := slices.IndexFunc(free, func(i int) bool { return v.isInput(vin, i) })
		if at < 0 {
			d.differ(describeVin(claimed[n]), "no such input")
			continue
		}
		free = slices.Delete(free, at, at+1)
	}
	for _, i := range free {
		d.differ("", v.describeInput(i))
	}
}

// limited notes the differences of one list, of which there may be thousands.
type limited struct {
	k     *comparison
	field string
	noted int
}

func (l *limited) differ(claimed, signed string) {
	if l.noted++; l.noted <= maxListed {
		l.k.differ(l.field, claimed, signed)
	}
}

// exactVin is an element of vinList in the transaction's terms. What was not claimed is empty, amount then negative.
type exactVin struct {
	hash, index, address string
	amount               int64
	void                 bool // it says nothing, or what no input can be
}

func (v *bitcoinView) exactVins(vins []VinClaim) []exactVin {
	out := make([]exactVin, len(vins))
	for i, vin := range vins {
		e := exactVin{hash: strings.ToLower(vin.TransactionHash), index: vin.VoutIndex, amount: -1}
		e.void = vin.TransactionHash == "" && vin.Address == "" && vin.Amount == nil
		if vin.Address != "" {
			e.address = v.canonical(vin.Address)
			e.void = e.void || e.address == ""
		}
		if vin.Amount != nil {
			e.amount = vin.Amount.Int64()
			e.void = e.void || !vin.Amount.IsInt64() || e.amount < 0
		}
		out[i] = e
	}
	return out
}

// isInput tells whether an element of vinList says nothing but what is so of an input, and something.
func (v *bitcoinView) isInput(vin exactVin, i int) bool {
	outpoint, out := v.tx.TxIn[i].PreviousOutPoint, v.prevouts[i]
	switch {
	case vin.void,
		vin.hash != "" && vin.hash != outpoint.Hash.String(),
		vin.index != "" && vin.index != strconv.FormatUint(uint64(outpoint.Index), 10):
		return false
	case out == nil: // the obstacle CodeUnproven stands for what the PSBT does not show
		return vin.hash != ""
	}
	return (vin.address == "" || vin.address == v.inputs[i]) && (vin.amount < 0 || vin.amount == out.Value)
}

func describeVin(vin VinClaim) string {
	return strings.TrimSpace(fmt.Sprintf("%s:%s %s %s", vin.TransactionHash, vin.VoutIndex, vin.Address, formatInt(vin.Amount)))
}

func (v *bitcoinView) describeInput(i int) string {
	s := v.tx.TxIn[i].PreviousOutPoint.String()
	if out := v.prevouts[i]; out != nil {
		s += fmt.Sprintf(" %s %d", v.inputs[i], out.Value)
	}
	return s
}

// compareVouts holds extraData.voutList against the outputs: in any order, each element one output, and none left over but
// an OP_RETURN without value. Without a list, nothing may go elsewhere than to the recipient and back to the signed input's
// script: what is not claimed is not verified.
func (k *comparison) compareVouts(claim *Claim, v *bitcoinView) {
	free := make([]bool, len(v.tx.TxOut))
	for i, out := range v.tx.TxOut {
		free[i] = !(isOpReturn(out.PkScript) && out.Value == 0)
	}
	if len(claim.UTXO.Vouts) == 0 {
		for i, f := range k.decoded.Bitcoin.Outputs {
			if free[i] && (f.Change || f.OpReturn != nil) && !f.Own {
				k.obstruct(CodeIncomplete, fmt.Sprintf("output %d is neither the recipient's nor the signing key's, and no voutList claims it", i))
				break
			}
		}
		return
	}
	outputs := make(map[exactVout][]int)
	for i, out := range v.tx.TxOut {
		if free[i] {
			key := exactVout{v.outputs[i], out.Value}
			outputs[key] = append(outputs[key], i)
		}
	}
	d := limited{k: k, field: "extraData.voutList"}
	for _, vout := range claim.UTXO.Vouts {
		key, ok := v.exactVout(vout)
		switch found := outputs[key]; {
		case ok && len(found) > 0:
			free[found[0]], outputs[key] = false, found[1:]
		case ok && key == (exactVout{}): // an OP_RETURN without value may be listed or not
		default:
			d.differ(strings.TrimSpace(vout.Address+" "+formatInt(vout.Amount)), "no such output")
		}
	}
	for i, unclaimed := range free {
		if unclaimed {
			d.differ("", v.describeOutput(i))
		}
	}
}

// exactVout is an output by its address, empty where there is none, and its amount.
type exactVout struct {
	address string
	amount  int64
}

// exactVout reads an element of voutList; one that no output can be is not ok.
func (v *bitcoinView) exactVout(vout VoutClaim) (key exactVout, ok bool) {
	if vout.Amount == nil || !vout.Amount.IsInt64() {
		return exactVout{}, false
	}
	if vout.Address == "" {
		return exactVout{amount: vout.Amount.Int64()}, true
	}
	address := v.canonical(vout.Address)
	return exactVout{address, vout.Amount.Int64()}, address != ""
}

func (v *bitcoinView) describeOutput(i int) string {
	out := v.tx.TxOut[i]
	if v.outputs[i] == "" {
		return fmt.Sprintf("script %x %d", out.PkScript, out.Value)
	}
	return fmt.Sprintf("%s %d", v.outputs[i], out.Value)
}

// claimedLists holds a claim against its own lists, all that there is without a transaction.
func (k *comparison) claimedLists(claim *Claim) {
	vins, vouts := claim.UTXO.Vins, claim.UTXO.Vouts
	if len(vins) > 0 {
		if _, err := selectInput(claim.UTXO.InputID, vinIDs(vins), len(vins)); err != nil {
			k.obstruct(CodeIncomplete, err.Error())
		}
		if claim.From != "" && !slices.ContainsFunc(vins, func(v VinClaim) bool { return v.Address == "" || claim.sameBitcoin(v.Address, claim.From) }) {
			k.differ("from", claim.From, "no element of vinList")
		}
	}
	if len(vouts) > 0 && claim.To != "" {
		k.listedRecipient(claim)
	}
	in, completeIn := sum(vins, func(v VinClaim) *big.Int { return v.Amount })
	out, completeOut := sum(vouts, func(v VoutClaim) *big.Int { return v.Amount })
	if completeIn && completeOut && in.Cmp(out) < 0 {
		k.differ("extraData.vinList", "inputs of "+in.String(), "outputs of "+out.String())
	}
}

func (k *comparison) listedRecipient(claim *Claim) {
	var paid []int64
	for _, v := range claim.UTXO.Vouts {
		if !claim.sameBitcoin(v.Address, claim.To) {
			continue
		}
		if v.Amount == nil || !v.Amount.IsInt64() {
			k.obstruct(CodeIncomplete, "an amount in voutList is missing or out of range")
			return
		}
		paid = append(paid, v.Amount.Int64())
	}
	change := slices.ContainsFunc(claim.UTXO.Vins, func(v VinClaim) bool { return claim.sameBitcoin(v.Address, claim.To) })
	k.compareAmount(claim, paid, change)
}

// sameBitcoin compares two addresses of the claimed network; one that is malformed equals nothing. Where the network is
// not known, which is an obstacle, they are compared as text.
func (c *Claim) sameBitcoin(a, b string) bool {
	if !c.UTXO.Network.Known() {
		return a == b
	}
	x, y := canonicalBitcoin(c.UTXO.Network, a), canonicalBitcoin(c.UTXO.Network, b)
	return x != "" && x == y
}

// sum adds up a list's amounts; complete is false for an empty list and one with an amount that is not known.
func sum[T any](list []T, amount func(T) *big.Int) (total *big.Int, complete bool) {
	total = new(big.Int)
	for _, v := range list {
		n := amount(v)
		if n == nil {
			return total, false
		}
		total.Add(total, n)
	}
	return total, len(list) > 0
}
