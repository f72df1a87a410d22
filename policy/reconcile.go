package policy

import (
	"encoding/json"
	"strings"

	"github.com/countersign-mpc/countersign/wire"
)

// Complete makes an input whole once its evidence is there: it holds what evidence decoded against what NewInput made of
// the claim once more, by data.json's own units, contracts and decimals, and adds what only evidence knows. A request in
// which both agree keeps its verified evidence, and Tx.Source and UTXO.Source become SourceEvidence; otherwise the
// evidence becomes a mismatch, with the differences. A message is described in in.Message.
//
// Package evidence compares the same things before; this keeps a slip between the two from reaching a limit.
func (e *Engine) Complete(in *Input) {
	switch {
	case in.Request.SignType == wire.SignTypeMessage:
		if in.Evidence.Status == EvidenceVerified {
			in.Message = e.data.message(in.Evidence.decoded())
			if in.Message != nil && in.Message.Transaction {
				e.data.byMessage(in)
			}
		}
	case in.Request.SignType != wire.SignTypeTransaction || in.Tx == nil:
	case in.Tx.Family == FamilyUTXO:
		e.reconcileUTXO(in)
	default:
		in.Evidence = e.Reconcile(in.Tx, in.Evidence)
		if found := in.Evidence.decoded(); found != nil {
			signedGas(in, found)
			in.Call = e.data.call(in, found)
		}
	}
}

// Reconcile is the part of Complete that is about an EVM transaction: it holds what evidence decoded against tx and
// returns the evidence to put into the input, unchanged if verified evidence and tx agree. On agreement tx.Source
// becomes SourceEvidence.
func (e *Engine) Reconcile(tx *Tx, ev Evidence) Evidence {
	if tx == nil || ev.Status != EvidenceVerified || len(tx.Problems) > 0 { // a problem rejects by itself
		return ev
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
		ev.differ("assetId", strings.TrimSpace(tx.Asset+" "+asset.Contract), strings.TrimSpace(signed.Kind+" "+signed.Contract))
	}
	if to, err := chain.canonicalAddress(signed.To); err != nil || to != tx.To {
		ev.differ("to", tx.To, signed.To)
	}
	if signed.Amount == "" || json.Number(signed.Amount) != tx.AmountBase {
		ev.differ("amount", string(tx.AmountBase), signed.Amount)
	}
	if ev.Status == EvidenceVerified {
		tx.Source = SourceEvidence
	}
	return ev
}

// differ makes the evidence a mismatch, without writing into memory that it may share.
func (ev *Evidence) differ(field, claimed, signed string) {
	ev.Status = EvidenceMismatch
	ev.Differences = append(ev.Differences[:len(ev.Differences):len(ev.Differences)], Difference{field, claimed, signed})
}
