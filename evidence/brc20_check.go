package evidence

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// checkBRC20 compares brc20Details with the inscription that a script-path spend reveals. One without a revealed
// inscription cannot be verified: the last step of a BRC-20 transfer moves an inscription whose content an earlier
// transaction's witness holds, which nothing in this one commits to.
func (k *comparison) checkBRC20(claims []BRC20Claim, tx ordinalsView) {
	in, err := ParseInscription(tx.leaf)
	switch {
	case errors.Is(err, ErrNoInscription):
		if len(claims) > 0 {
			k.obstruct(CodeInscription, "the transaction reveals no inscription that brc20Details could be held against")
		}
		return
	case err != nil:
		k.obstruct(CodeInscription, "the spent script reveals an inscription that is no plain BRC-20 operation: "+err.Error())
		return
	}
	tx.bitcoin.Inscription = in
	switch len(claims) {
	case 0:
		k.obstruct(CodeInscription, "the spent script reveals a BRC-20 operation, and brc20Details says nothing of it")
	case 1:
		k.brc20Operation(claims[0], in)
		k.brc20Landing(claims[0], in, tx)
	default:
		k.differ("brc20Details", fmt.Sprintf("%d operations", len(claims)), "one operation")
	}
}

// brc20Operation compares what is done with how much of what.
func (k *comparison) brc20Operation(c BRC20Claim, in *Inscription) {
	if c.Method != in.Operation {
		k.differ("brc20Details[0].method", c.Method, in.Operation)
	}
	if !strings.EqualFold(c.Ticker, in.Ticker) {
		k.differ("brc20Details[0].ticker", c.Ticker, in.Ticker)
	}
	quantity := in.Amount
	if in.Operation == "deploy" {
		quantity = in.Max
	}
	claimed, claimErr := ParseQuantity(c.Quantity)
	signed, err := ParseQuantity(quantity)
	if claimErr != nil || err != nil || claimed.Cmp(signed) != 0 {
		k.differ("brc20Details[0].quantity", c.Quantity, quantity)
	}
}

// brc20Landing compares where the inscription comes to lie: at the sender's for a transfer, which another transaction then
// sends on; at the recipient's for a mint or deploy.
func (k *comparison) brc20Landing(c BRC20Claim, in *Inscription, tx ordinalsView) {
	if id := c.InscriptionID; id != "" && (!strings.HasPrefix(id, tx.bitcoin.TxID+"i") || (tx.signed == 0 && id != tx.bitcoin.TxID+"i0")) {
		k.differ("brc20Details[0].inscriptionId", id, tx.bitcoin.TxID+"i0")
	}
	field, owner := "brc20Details[0].from", c.From
	if in.Operation != "transfer" {
		field, owner = "brc20Details[0].to", c.To
	}
	if owner == "" {
		k.obstruct(CodeIncomplete, field+" must name who gets the inscription")
		return
	}
	output, err := landing(tx)
	switch {
	case err != nil:
		k.obstruct(CodeInscription, err.Error())
	case output < 0:
		k.differ(field, owner, "none: the inscription is paid as fee")
	case tx.addresses[output] == "" || tx.addresses[output] != tx.canonical(owner):
		k.differ(field, owner, fmt.Sprintf("output %d, %s", output, tx.addresses[output]))
	}
}

// landing is the output that holds the first satoshi of the signed input, which is where an inscription without a pointer
// goes: satoshis keep their order from the inputs to the outputs. It is negative if they go into the fee.
func landing(tx ordinalsView) (int, error) {
	offset := new(big.Int)
	for i, input := range tx.bitcoin.Inputs[:tx.signed] {
		amount, ok := new(big.Int).SetString(input.Amount, 10)
		if !ok {
			return 0, fmt.Errorf("where the inscription goes is not known, since the amount of input %d is not", i)
		}
		offset.Add(offset, amount)
	}
	end := new(big.Int)
	for i, amount := range tx.amounts {
		if end.Add(end, big.NewInt(amount)); offset.Cmp(end) < 0 {
			return i, nil
		}
	}
	return -1, nil
}
