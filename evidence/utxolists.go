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
func (k *comparison) compareVins(vins []VinClaim, v *bitcoinView) {
	if len(vins) == 0 {
		return
	}
	if !v.isInput(vins[v.input], v.input) {
		k.differ("curInputId", describeVin(vins[v.input]), v.describeInput(v.input))
	}
	free := make([]bool, len(v.tx.TxIn))
	for i := range free {
		free[i] = true
	}
	listed := 0
	for _, vin := range vins {
		i := -1
		for n := range free {
			if free[n] && v.isInput(vin, n) {
				i = n
				break
			}
		}
		if i >= 0 {
			free[i] = false
		} else if listed++; listed <= maxListed {
			k.differ("extraData.vinList", describeVin(vin), "no such input")
		}
	}
	for i, unclaimed := range free {
		if unclaimed {
			if listed++; listed <= maxListed {
				k.differ("extraData.vinList", "", v.describeInput(i))
			}
		}
	}
}

// isInput tells whether an element of vinList says nothing but what is so of an input, and something.
func (v *bitcoinView) isInput(vin VinClaim, i int) bool {
	outpoint, out := v.tx.TxIn[i].PreviousOutPoint, v.prevouts[i]
	if vin.TransactionHash != "" && !strings.EqualFold(vin.TransactionHash, outpoint.Hash.String()) {
		return false
	}
	if vin.VoutIndex != "" && vin.VoutIndex != strconv.FormatUint(uint64(outpoint.Index), 10) {
		return false
	}
	if out == nil { // the obstacle CodeUnproven stands for what the PSBT does not show
		return vin.TransactionHash != ""
	}
	if vin.Address != "" && (v.inputs[i] == "" || v.canonical(vin.Address) != v.inputs[i]) {
		return false
	}
	if vin.Amount != nil && vin.Amount.Cmp(big.NewInt(out.Value)) != 0 {
		return false
	}
	return vin.TransactionHash != "" || vin.Address != "" || vin.Amount != nil
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
func (k *comparison) compareVouts(claim Claim, v *bitcoinView) {
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
	listed := 0
	for _, vout := range claim.UTXO.Vouts {
		i := v.findOutput(vout, free)
		if i >= 0 {
			free[i] = false
		} else if vout.Address != "" || vout.Amount == nil || vout.Amount.Sign() != 0 {
			if listed++; listed <= maxListed {
				k.differ("extraData.voutList", strings.TrimSpace(vout.Address+" "+formatInt(vout.Amount)), "no such output")
			}
		}
	}
	for i, unclaimed := range free {
		if unclaimed {
			if listed++; listed <= maxListed {
				k.differ("extraData.voutList", "", v.describeOutput(i))
			}
		}
	}
}

// findOutput looks for an output among those that are free. An element without address means one that has none.
func (v *bitcoinView) findOutput(vout VoutClaim, free []bool) int {
	address := v.canonical(vout.Address)
	if vout.Amount == nil || (vout.Address != "" && address == "") {
		return -1
	}
	for i, out := range v.tx.TxOut {
		if free[i] && v.outputs[i] == address && vout.Amount.Cmp(big.NewInt(out.Value)) == 0 {
			return i
		}
	}
	return -1
}

func (v *bitcoinView) describeOutput(i int) string {
	out := v.tx.TxOut[i]
	if v.outputs[i] == "" {
		return fmt.Sprintf("script %x %d", out.PkScript, out.Value)
	}
	return fmt.Sprintf("%s %d", v.outputs[i], out.Value)
}

// claimedLists holds a claim against its own lists, all that there is without a transaction.
func (k *comparison) claimedLists(claim Claim) {
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

func (k *comparison) listedRecipient(claim Claim) {
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
func (c Claim) sameBitcoin(a, b string) bool {
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
