package callback

import (
	"math/big"
	"strconv"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// claim is what tx_info says of its transaction, in the exact form that the engine made of it. What could not be made
// exact is left out here and stands in the transaction's problems.
func (c *Case) claim(e *policy.Engine, p *wire.Parsed) evidence.Claim {
	tx, info := c.Input.Tx, p.TxInfo
	claim := evidence.Claim{
		Family: tx.Family, From: info.From, Signer: c.signer.evmAddress(), To: info.To, Amount: c.integer(string(tx.AmountBase)),
		InputData: info.InputData, Fee: c.integer(string(tx.FeeBase)),
		GasPrice: c.gas("gasPrice", info.GasPrice), GasLimit: c.gas("gasLimit", info.GasLimit),
		Message: p.Check.RequestDetail.Message, RawTx: info.RawTx, Memo: &c.memo, ABIs: c.abis,
	}
	chain, asset := e.Lookup(tx.Chain, tx.Asset)
	if chain.ChainID != 0 {
		claim.ChainID = c.numbers.next().SetUint64(chain.ChainID)
	}
	if tx.Family == policy.FamilyUTXO {
		claim.UTXO = c.utxoClaim(chain, p)
	}
	claim.Asset = evidence.Asset{Kind: evidence.AssetKind(asset.Kind), Contract: asset.Contract}
	return claim
}

// utxoClaim is what tx_info says of a Bitcoin transaction. Amounts are those that the engine made exact.
func (c *Case) utxoClaim(chain policy.Chain, p *wire.Parsed) evidence.UTXOClaim {
	info, exact := p.TxInfo, c.Input.UTXO
	out := evidence.UTXOClaim{
		Network: derive.Network(chain.Network), RequestType: evidenceRequest(p).RequestType, InputID: info.CurInputID, TapScriptRoot: info.TapScriptRoot,
		PublicKey: c.signer.key, FeeRate: info.Fee,
	}
	if x := info.ExtraData; x != nil && exact != nil {
		for i, v := range x.VinList {
			out.Vins = append(out.Vins, evidence.VinClaim{
				ID: v.ID, Address: v.Address, Amount: c.integer(string(exact.Inputs[i].AmountBase)), TransactionHash: v.TransactionHash, VoutIndex: v.VoutIndex,
			})
		}
		for i, v := range x.VoutList {
			out.Vouts = append(out.Vouts, evidence.VoutClaim{Address: v.Address, Amount: c.integer(string(exact.Outputs[i].AmountBase))})
		}
	}
	for i, r := range info.RuneDetails {
		out.Runes = append(out.Runes, evidence.RuneClaim{
			FromAddress: r.FromAddress, ToAddress: r.ToAddress, Name: r.RuneName, ID: r.RuneID, SpacedName: r.RuneSpacedName,
			Amount: r.RuneAmount, Symbol: r.RuneSymbol, Divisibility: r.RuneDivisibility,
			AmountBase: c.integer(string(c.Input.Runes[i].AmountBase)),
		})
	}
	for _, b := range info.BRC20Details {
		out.BRC20 = append(out.BRC20, evidence.BRC20Claim{
			Method: b.Method, Ticker: b.Ticker, Quantity: b.Quantity, InscriptionID: b.InscriptionID, Step: b.Step, From: b.From, To: b.To,
		})
	}
	return out
}

// gas reads a gas price (in the chain's smallest unit) or a gas limit. One that is no whole number makes the claim
// invalid: it could not be held against the transaction.
func (c *Case) gas(field, text string) *big.Int {
	if text == "" || c.Input.Tx.Family != policy.FamilyEVM {
		return nil
	}
	n := c.integer(text)
	if n == nil {
		c.Input.Tx.Problems = append(c.Input.Tx.Problems, policy.Problem{
			Rule: policy.RuleTxInvalid, Field: field, Message: "is not a whole number of at most 78 digits",
		})
	}
	return n
}

// integer reads a decimal without sign; nil for anything else.
func (c *Case) integer(text string) *big.Int {
	const maxDigits = 78 // of 2^256
	if text == "" || len(text) > maxDigits || !isDecimal(text) {
		return nil
	}
	if small, err := strconv.ParseUint(text, 10, 64); err == nil {
		return c.numbers.next().SetUint64(small)
	}
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		return nil
	}
	return n
}

// numbers has room for the small numbers of most claims, in one piece of memory.
type numbers struct {
	list  [5]big.Int
	words [5]big.Word
	used  int
}

// next is a number that nobody has yet.
func (n *numbers) next() *big.Int {
	if n.used == len(n.list) {
		return new(big.Int)
	}
	i := n.used
	n.used++
	return n.list[i].SetBits(n.words[i : i : i+1]) // it goes elsewhere where it needs more room
}
