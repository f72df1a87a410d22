package policy

import (
	"encoding/json"
	"math/bits"
	"strconv"

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
	if g.PriceBase == "" || g.Limit == "" {
		return g
	}
	product := multiplyBase(g.PriceBase, g.Limit)
	if product == "" || g.FeeBase == "" || compareBase(product, g.FeeBase) > 0 {
		g.FeeBase = product
	}
	return g
}

// multiplyBase multiplies two integers in base units; "" where that is out of range.
func multiplyBase(a, b json.Number) json.Number {
	x, y := parseBase(a), parseBase(b)
	if x.IsUint64() && y.IsUint64() {
		if high, low := bits.Mul64(x.Uint64(), y.Uint64()); high == 0 {
			return json.Number(strconv.FormatUint(low, 10))
		}
	}
	return exactBase(x.Mul(x, y).String())
}

// signedGas replaces what is claimed by what the transaction says, where evidence could read one whose digest is signed.
func signedGas(in *Input, found *evidence.Decoded) {
	if in.Evidence.Status != EvidenceVerified && in.Evidence.Status != EvidenceUnverifiable || len(in.Evidence.Differences) > 0 {
		return
	}
	tx := found.Transaction
	if tx == nil || found.Kind != evidence.KindEVMTransaction {
		return
	}
	price := tx.GasPrice
	if price == "" {
		price = tx.MaxFeePerGas
	}
	in.Tx.Gas = &Gas{PriceBase: exactBase(price), Limit: exactBase(tx.GasLimit), FeeBase: exactBase(tx.MaxFee), Source: SourceEvidence}
}
