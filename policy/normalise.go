package policy

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

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
	n := normaliser{chains: e.data.chains}
	in.Tx = n.tx(p.TxInfo)
	in.UTXO = n.utxo(p.TxInfo)
	in.BRC20, in.Runes = n.brc20(p.TxInfo), n.runes(p.TxInfo)
	n.flatFields(d, p.TxInfo)
	in.Tx.Problems = n.problems
	return in
}

// maxProblems bounds the problems that are told of one transaction.
const maxProblems = 32

// normaliser makes one claim exact, collecting what it could not.
type normaliser struct {
	chains   map[string]Chain
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
	chain, known := n.chains[info.ChainSymbol]
	if !known {
		n.problem(RuleAssetUnknown, "chainSymbol", "%q is not a chain of data.json /chains", info.ChainSymbol)
		return tx
	}
	n.chain = chain
	tx.Chain, tx.Family = chain.Symbol, chain.Family
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
	if n.chain.Family != FamilyEVM || info.Fee == "" || !known {
		return
	}
	tx.FeeBase = n.amount("fee", info.Fee, native)
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

func (n *normaliser) utxo(info *wire.TxInfo) *UTXO {
	if info.ExtraData == nil || n.chain.Family != FamilyUTXO {
		return nil
	}
	native := n.chain.Assets[n.chain.Native]
	u := &UTXO{}
	for i, v := range info.ExtraData.VinList {
		u.Inputs = append(u.Inputs, n.coin(fmt.Sprintf("extraData.vinList[%d]", i), v.Address, v.Amount, native))
	}
	for i, v := range info.ExtraData.VoutList {
		u.Outputs = append(u.Outputs, n.coin(fmt.Sprintf("extraData.voutList[%d]", i), v.Address, v.Amount, native))
	}
	return u
}

func (n *normaliser) coin(field, address, amount string, native Asset) Coin {
	return Coin{Address: n.address(field+".address", address), AmountBase: n.amount(field+".amount", amount, native)}
}

func (n *normaliser) brc20(info *wire.TxInfo) []BRC20 {
	out := make([]BRC20, 0, len(info.BRC20Details))
	for i, d := range info.BRC20Details {
		out = append(out, BRC20{
			Method: d.Method, Ticker: d.Ticker, Quantity: d.Quantity, InscriptionID: d.InscriptionID,
			Step: n.small(fmt.Sprintf("brc20Details[%d].step", i), d.Step), From: d.From, To: d.To,
		})
	}
	return out
}

func (n *normaliser) runes(info *wire.TxInfo) []Rune {
	out := make([]Rune, 0, len(info.RuneDetails))
	for i, d := range info.RuneDetails {
		out = append(out, Rune{
			ID: d.RuneID, Name: d.RuneName, SpacedName: d.RuneSpacedName, Symbol: d.RuneSymbol, Amount: d.RuneAmount,
			Divisibility: n.small(fmt.Sprintf("runeDetails[%d].runeDivisibility", i), d.RuneDivisibility),
			From:         d.FromAddress, To: d.ToAddress,
		})
	}
	return out
}

func (n *normaliser) small(field, number string) int {
	if number == "" {
		return 0
	}
	v, err := strconv.ParseUint(number, 10, 8)
	if err != nil {
		n.problem(RuleTxInvalid, field, "%q is not a whole number up to 255", clip(number))
	}
	return int(v)
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

// Reconcile holds what evidence decoded against tx once more, by data.json's own units and contracts, and returns the
// evidence to put into the input: unchanged if verified evidence and tx agree, and otherwise with the differences
// that make it a mismatch. On agreement tx.Source becomes SourceEvidence.
//
// Package evidence compares the same things before; this keeps a slip between the two from reaching a limit.
func (e *Engine) Reconcile(tx *Tx, ev Evidence) Evidence {
	if tx == nil || ev.Status != EvidenceVerified || len(tx.Problems) > 0 { // a problem rejects by itself
		return ev
	}
	differ := func(field, claimed, signed string) {
		ev.Status = EvidenceMismatch
		ev.Differences = append(ev.Differences[:len(ev.Differences):len(ev.Differences)], Difference{field, claimed, signed})
	}
	if ev.Transfer == nil {
		ev.Status, ev.Code, ev.Reason = EvidenceUnverifiable, "no-transfer", "what is signed was not described as a transfer"
		return ev
	}
	chain := e.data.chains[tx.Chain]
	asset, signed := chain.Assets[tx.Asset], *ev.Transfer
	contract := ""
	if signed.Contract != "" {
		contract, _ = chain.canonicalAddress(signed.Contract) // malformed: "", which no ERC-20 asset has
	}
	if asset.Kind != signed.Kind || asset.Contract != contract {
		differ("assetId", strings.TrimSpace(tx.Asset+" "+asset.Contract), strings.TrimSpace(signed.Kind+" "+signed.Contract))
	}
	if to, err := chain.canonicalAddress(signed.To); err != nil || to != tx.To {
		differ("to", tx.To, signed.To)
	}
	if signed.Amount == "" || json.Number(signed.Amount) != tx.AmountBase {
		differ("amount", string(tx.AmountBase), signed.Amount)
	}
	if ev.Status == EvidenceVerified {
		tx.Source = SourceEvidence
	}
	return ev
}

// clip shortens what is repeated from a request.
func clip(s string) string {
	const most = 100
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
