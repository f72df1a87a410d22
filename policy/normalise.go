package policy

import (
	"encoding/json"
	"fmt"

	"github.com/countersign-mpc/countersign/wire"
)

// NewInput fills an input from a parsed body: everything but the node, the evidence, the windows, the approvals and the
// time, which the caller adds. What tx_info claims is made exact against the engine's data; whatever is unknown or
// malformed stands in the input's problems, which the policies reject. Nothing is guessed.
func (e *Engine) NewInput(p *wire.Parsed) Input {
	d, x := p.Check.RequestDetail, p.Check.ExtraInfo
	in := Input{
		Request: Request{
			CallbackID: p.Check.CallbackID, RequestType: p.Check.RequestType,
			T: d.T, N: d.N, Cryptography: d.Cryptography, PartyIDs: d.PartyIDs,
			SignType: d.SignType, PublicKey: d.PublicKey, Path: d.Path, Message: d.Message,
			SinoID: x.SinoID, RequestID: x.RequestID,
			Coin: d.Coin, FromAddress: d.FromAddress, ToAddress: d.ToAddress, Amount: d.Amount,
			Fee: d.Fee, GasPrice: d.GasPrice, GasLimit: d.GasLimit,
		},
		TxInfo: d.TxInfo,
	}
	for _, f := range p.UnknownFields {
		in.UnknownFields = append(in.UnknownFields, UnknownField{Pointer: f.Pointer, Value: f.Value})
	}
	for _, f := range p.Problems {
		in.Problems = append(in.Problems, Problem{Rule: RuleRequestMalformed, Field: f.Pointer, Message: f.Reason})
	}
	if p.TxInfo == nil {
		return in
	}
	if r := p.TxInfo.Requester; r != nil && r.KeyID != "" {
		in.Requester = &Requester{KeyID: r.KeyID}
	}
	n := normaliser{data: e.data}
	in.Tx = n.tx(p.TxInfo)
	in.UTXO = n.utxo(in.Tx, p.TxInfo)
	in.BRC20, in.Runes = n.brc20(p.TxInfo), n.runes(p.TxInfo)
	n.flatFields(d, p.TxInfo)
	in.Tx.Problems = n.problems
	return in
}

// maxProblems bounds the problems that are told of one transaction.
const maxProblems = 32

// normaliser makes one claim exact, collecting what it could not.
type normaliser struct {
	data     *Data
	chain    Chain // the claimed one, once it is known
	problems []Problem
}

func (n *normaliser) problem(rule, field, format string, args ...any) {
	if len(n.problems) < maxProblems { // one is enough to reject
		n.problems = append(n.problems, Problem{Rule: rule, Field: field, Message: fmt.Sprintf(format, args...)})
	}
}

func (n *normaliser) tx(info *wire.TxInfo) *Tx {
	tx := &Tx{
		ToTag: info.ToTag, Amount: info.Amount, Fee: info.Fee, GasPrice: info.GasPrice, GasLimit: info.GasLimit,
		VaultID: info.VaultID, WalletID: info.WalletID, RequestID: info.RequestID, InputID: info.CurInputID,
		TapScriptRoot: info.TapScriptRoot, Source: SourceClaim,
	}
	chain, known := n.data.chains[info.ChainSymbol]
	if !known {
		n.problem(RuleAssetUnknown, "chainSymbol", "%q is not a chain of data.json /chains", info.ChainSymbol)
		return tx
	}
	n.chain = chain
	tx.Chain, tx.Family = chain.Symbol, chain.Family
	if tx.TapScriptRoot != "" && !scriptRootPattern.MatchString(tx.TapScriptRoot) {
		n.problem(RuleTxInvalid, "tapScriptRoot", "%q is not 64 lower-case hex digits", clip(tx.TapScriptRoot))
	}
	tx.To = n.address("to", info.To)
	if info.From != "" {
		tx.From = n.address("from", info.From)
	}
	asset, known := chain.Assets[info.AssetID]
	if !known {
		n.problem(RuleAssetUnknown, "assetId", "%q is not an asset of data.json /chains/%s/assets", info.AssetID, chain.Symbol)
		return tx
	}
	tx.Asset = asset.ID
	tx.AmountBase = n.amount("amount", info.Amount, asset)
	n.fees(tx, info)
	return tx
}

// fees reads what an EVM transaction may cost. On UTXO chains fee is a rate per byte, which is no amount.
func (n *normaliser) fees(tx *Tx, info *wire.TxInfo) {
	native, known := n.chain.Assets[n.chain.Native]
	if n.chain.Family != FamilyEVM {
		return
	}
	if info.Fee != "" && known {
		tx.FeeBase = n.amount("fee", info.Fee, native)
	}
	tx.Gas = claimedGas(tx, info)
}

func (n *normaliser) amount(field, amount string, asset Asset) json.Number {
	base, err := baseUnits(amount, n.chain.AmountUnit, asset.Decimals)
	if err != nil {
		n.problem(RuleTxInvalid, field, "%q %v", clip(amount), err)
		return ""
	}
	return base
}

func (n *normaliser) address(field, address string) string {
	canonical, err := n.chain.canonicalAddress(address)
	if err != nil {
		n.problem(RuleTxInvalid, field, "%q %v", clip(address), err)
	}
	return canonical
}

// flatFields holds the fields that older nodes send beside tx_info against it: two places that claim different things
// cannot both be what is judged.
func (n *normaliser) flatFields(d wire.RequestDetail, info *wire.TxInfo) {
	for _, f := range []struct{ flat, key, claimed, name string }{
		{d.FromAddress, "from_address", info.From, "from"},
		{d.ToAddress, "to_address", info.To, "to"},
		{d.Amount, "amount", info.Amount, "amount"},
		{d.Fee, "fee", info.Fee, "fee"},
		{d.GasPrice, "gas_price", info.GasPrice, "gasPrice"},
		{d.GasLimit, "gas_limit", info.GasLimit, "gasLimit"},
	} {
		if f.flat != "" && f.flat != f.claimed {
			n.problem(RuleTxInvalid, f.name, "tx_info.%s is %q, but request_detail.%s is %q", f.name, clip(f.claimed), f.key, clip(f.flat))
		}
	}
}

// clip shortens what is repeated from a request.
func clip(s string) string {
	const most = 100
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
