package policy

import (
	"encoding/json"
	"fmt"
	"math/big"

	"github.com/countersign-mpc/countersign/wire"
)

// UTXO is what a payment spends and pays: as verified evidence says where Source is SourceEvidence, else as
// tx_info.extraData claims. Addresses are canonical where they could be read and "" where not.
type UTXO struct {
	Inputs  []Coin `json:"inputs"`
	Outputs []Coin `json:"outputs"`
	// FeeBase is what the inputs hold more than the outputs; absent if an amount is not known.
	FeeBase json.Number `json:"fee_base,omitempty"`
	// FeeRate is in satoshi per 1000 virtual bytes, rounded up, so that it is a whole number: of the transaction where
	// that is known, else as claimed; absent if neither is known.
	FeeRate json.Number `json:"fee_rate,omitempty"`
	// ToBase is the sum of the outputs to the recipient; to an own address, the one that holds the amount, if one does.
	// Absent if an amount is not known.
	ToBase json.Number `json:"to_base,omitempty"`
	// PaidBase is the sum of all outputs but those to own addresses; absent if an amount is not known.
	PaidBase json.Number `json:"paid_base,omitempty"`
	// Spend says how the input that is signed for is spent: SpendKey, SpendScript, or "" where no evidence says.
	Spend  string `json:"spend"`
	Source string `json:"source"` // SourceEvidence or SourceClaim
}

// How an input is spent.
const (
	SpendKey    = "key"    // by a signature alone: P2PKH, P2WPKH, a taproot key path
	SpendScript = "script" // by a script that the spender shows: a taproot leaf, P2WSH, P2SH
)

// Coin is one input or output of a UTXO payment.
type Coin struct {
	Address    string      `json:"address"`               // "" for an output that pays no address
	AmountBase json.Number `json:"amount_base,omitempty"` // integer in base units; absent when it is not known
	// Own says that data.json addresses.<chain>.own holds the address or, with verified evidence, that it is that of the
	// input which is signed for.
	Own  bool `json:"own"`
	Data bool `json:"data"` // an OP_RETURN output; known from evidence only
}

func (n *normaliser) utxo(tx *Tx, info *wire.TxInfo) *UTXO {
	if info.ExtraData == nil || n.chain.Family != FamilyUTXO {
		return nil
	}
	native := n.chain.Assets[n.chain.Native]
	u := &UTXO{Source: SourceClaim}
	for i, v := range info.ExtraData.VinList {
		u.Inputs = append(u.Inputs, n.coin(fmt.Sprintf("extraData.vinList[%d]", i), v.Address, v.Amount, native))
	}
	for i, v := range info.ExtraData.VoutList {
		u.Outputs = append(u.Outputs, n.coin(fmt.Sprintf("extraData.voutList[%d]", i), v.Address, v.Amount, native))
	}
	if info.Fee != "" {
		rate, err := claimedRate(info.Fee)
		if err != nil {
			n.problem(RuleTxInvalid, "fee", "%q %v: on this chain it is a rate per byte", clip(info.Fee), err)
		}
		u.FeeRate = rate
	}
	n.data.weigh(tx, u)
	return u
}

// coin reads an element of a list. What it leaves out is not known, which no rule takes for anything.
func (n *normaliser) coin(field, address, amount string, native Asset) Coin {
	var c Coin
	if address != "" {
		c.Address = n.address(field+".address", address)
	}
	if amount != "" {
		c.AmountBase = n.amount(field+".amount", amount, native)
	}
	return c
}

// claimedRate reads satoshi per byte, with up to eight decimals, as satoshi per 1000 bytes, rounded up.
func claimedRate(text string) (json.Number, error) {
	rate, err := baseUnits(text, UnitCoin, 8)
	if err != nil {
		return "", err
	}
	v, ok := new(big.Int).SetString(string(rate), 10)
	if !ok {
		return "", errAmountForm
	}
	return json.Number(ceilDiv(v, big.NewInt(100_000)).String()), nil
}

// ceilDiv is a / b, rounded up, of two integers that are not negative.
func ceilDiv(a, b *big.Int) *big.Int {
	up := new(big.Int).Sub(b, big.NewInt(1))
	return up.Add(up, a).Quo(up, b)
}

// weigh marks the coins of own addresses and sums up. Coins that are marked already stay so.
func (d *Data) weigh(tx *Tx, u *UTXO) {
	var in, out, paid total
	for i := range u.Inputs {
		u.Inputs[i].Own = u.Inputs[i].Own || d.owns(tx.Chain, u.Inputs[i].Address)
		in.add(u.Inputs[i].AmountBase)
	}
	for i := range u.Outputs {
		u.Outputs[i].Own = u.Outputs[i].Own || d.owns(tx.Chain, u.Outputs[i].Address)
		out.add(u.Outputs[i].AmountBase)
		if !u.Outputs[i].Own {
			paid.add(u.Outputs[i].AmountBase)
		}
	}
	u.PaidBase, u.ToBase = paid.number(), toRecipient(tx, u.Outputs)
	fee := total{unknown: in.unknown || out.unknown || len(u.Inputs) == 0}
	fee.sum.Sub(&in.sum, &out.sum)
	u.FeeBase = fee.number() // absent where the outputs hold more than the inputs
}

// toRecipient sums up what the recipient gets. To an own address, which may get the change as well, it is the amount if
// one output holds that.
func toRecipient(tx *Tx, outputs []Coin) json.Number {
	var to total
	for _, c := range outputs {
		if tx.To == "" || c.Address != tx.To {
			continue
		}
		if c.Own && tx.AmountBase != "" && c.AmountBase == tx.AmountBase {
			return tx.AmountBase
		}
		to.add(c.AmountBase)
	}
	return to.number()
}

func (d *Data) owns(chain, address string) bool { return address != "" && d.own[chain][address] }

// exactBase is an integer in base units as evidence writes it, "" for anything else.
func exactBase(text string) json.Number {
	if n := json.Number(text); isBase(n) {
		return n
	}
	return ""
}
