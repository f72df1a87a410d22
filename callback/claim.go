package callback

import (
	"encoding/hex"
	"math/big"
	"strings"

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
		Family: tx.Family, From: info.From, Signer: signer(p), To: info.To, Amount: integer(string(tx.AmountBase)),
		InputData: info.InputData, Fee: integer(string(tx.FeeBase)),
		GasPrice: c.gas("gasPrice", info.GasPrice), GasLimit: c.gas("gasLimit", info.GasLimit),
		Message: p.Check.RequestDetail.Message, RawTx: info.RawTx,
	}
	chain, known := e.Chain(tx.Chain)
	if !known {
		return claim
	}
	if chain.ChainID != 0 {
		claim.ChainID = new(big.Int).SetUint64(chain.ChainID)
	}
	if asset, known := chain.Assets[tx.Asset]; known {
		claim.Asset = evidence.Asset{Kind: evidence.AssetKind(asset.Kind), Contract: asset.Contract}
	}
	return claim
}

// gas reads a gas price (in the chain's smallest unit) or a gas limit. One that is no whole number makes the claim
// invalid: it could not be held against the transaction.
func (c *Case) gas(field, text string) *big.Int {
	if text == "" || c.Input.Tx.Family != policy.FamilyEVM {
		return nil
	}
	n := integer(text)
	if n == nil {
		c.Input.Tx.Problems = append(c.Input.Tx.Problems, policy.Problem{
			Rule: policy.RuleTxInvalid, Field: field, Message: "is not a whole number of at most 78 digits",
		})
	}
	return n
}

// integer reads a decimal without sign; nil for anything else.
func integer(text string) *big.Int {
	const maxDigits = 78 // of 2^256
	if text == "" || len(text) > maxDigits || strings.Trim(text, "0123456789") != "" {
		return nil
	}
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		return nil
	}
	return n
}

// signer is the EVM address of the key that signs, where the request shows that key: the root key itself, or the derived
// one that tx_info names. It serves to find a from that is another address; nothing is approved by it, since only the
// node knows the chain code that ties a derived key to its root.
func signer(p *wire.Parsed) string {
	key := p.TxInfo.PublicKey
	if path := p.Check.RequestDetail.Path; path == "" || path == "m" {
		key = p.Check.RequestDetail.PublicKey
	}
	raw, err := hex.DecodeString(key)
	if err != nil {
		return ""
	}
	address, err := derive.EVMAddress(raw)
	if err != nil { // not a secp256k1 key, so no EVM address
		return ""
	}
	return address
}
