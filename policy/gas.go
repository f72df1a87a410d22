package policy

import (
	"encoding/json"
	"math/big"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/wire"
)

// Gas is what an EVM transaction may cost. A number that is not known exactly is absent.
type Gas struct {
	PriceBase json.Number `json:"price_base,omitempty"` // wei for a unit of gas: gas price, or max fee per gas
	Limit     json.Number `json:"limit,omitempty"`      // units of gas
	FeeBase   json.Number `json:"fee_base,omitempty"`   // wei: the most that it may pay
	Source    string      `json:"source"`               // SourceEvidence: of the transaction that is signed; or SourceClaim
}

// claimedGas is what tx_info says. The fee is that which is claimed, or that of limit and price if it is more.
func claimedGas(tx *Tx, info *wire.TxInfo) *Gas {
	g := &Gas{PriceBase: exactBase(info.GasPrice), Limit: exactBase(info.GasLimit), FeeBase: tx.FeeBase, Source: SourceClaim}
	price, priced := new(big.Int).SetString(string(g.PriceBase), 10)
	limit, limited := new(big.Int).SetString(string(g.Limit), 10)
	if !priced || !limited {
		return g
	}
	product := exactBase(price.Mul(price, limit).String())
	if product == "" || g.FeeBase == "" || compareBase(product, g.FeeBase) > 0 {
		g.FeeBase = product
	}
	return g
}

// signedGas replaces what is claimed by what the transaction says, where evidence could read one whose digest is signed.
func signedGas(in *Input) {
	if in.Evidence.Status != EvidenceVerified && in.Evidence.Status != EvidenceUnverifiable || len(in.Evidence.Differences) > 0 {
		return
	}
	tx := decodedEVM(in.Evidence.Decoded)
	if tx == nil {
		return
	}
	price := tx.GasPrice
	if price == "" {
		price = tx.MaxFeePerGas
	}
	in.Tx.Gas = &Gas{PriceBase: exactBase(price), Limit: exactBase(tx.GasLimit), FeeBase: exactBase(tx.MaxFee), Source: SourceEvidence}
}

// decodedEVM is the EVM transaction that evidence decoded, or nil.
func decodedEVM(decoded json.RawMessage) *evidence.Transaction {
	var d evidence.Decoded
	if len(decoded) == 0 || json.Unmarshal(decoded, &d) != nil || d.Kind != evidence.KindEVMTransaction {
		return nil
	}
	return d.Transaction
}
