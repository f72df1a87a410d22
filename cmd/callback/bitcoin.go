package main

import (
	"fmt"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/wire"
)

// bitcoin shows what a PSBT itself says, decoded here.
func (p printer) bitcoin(s *subject) {
	d, t := &s.parsed.Check.RequestDetail, s.parsed.TxInfo
	claim := evidence.Claim{
		Family: evidence.FamilyUTXO, To: t.To, Message: d.Message, RawTx: t.RawTx,
		UTXO: evidence.UTXOClaim{Network: networkOf(t.To), RequestType: s.parsed.Check.RequestType, InputID: t.CurInputID, TapScriptRoot: t.TapScriptRoot},
	}
	if t.ExtraData != nil {
		for _, v := range t.ExtraData.VinList {
			claim.UTXO.Vins = append(claim.UTXO.Vins, evidence.VinClaim{ID: v.ID})
		}
	}
	found := evidence.Check(claim)
	if found.Decoded == nil || found.Decoded.Bitcoin == nil {
		p.line("signed", "the PSBT cannot be read here: "+found.Reason)
		return
	}
	b := found.Decoded.Bitcoin
	p.line("signed", fmt.Sprintf("transaction %s, input %d of %d (%s, sighash %s)", b.TxID, b.SignedInput+1, len(b.Inputs), b.Spend, b.SighashType))
	for _, in := range b.Inputs {
		text := "an output that the PSBT does not show"
		if in.Amount != "" {
			text = fmt.Sprintf("%s satoshi from %s", in.Amount, place(in.Address, in.Script))
		}
		if !in.Proven {
			text += " (not proven)"
		}
		p.line("signed: input", text)
	}
	for _, out := range b.Outputs {
		text := fmt.Sprintf("%s satoshi to %s", out.Amount, place(out.Address, out.Script))
		if out.Own {
			text += " (where it comes from)"
		}
		p.line("signed: output", text)
	}
	if b.Fee != "" {
		p.line("signed: fee", fmt.Sprintf("%s satoshi, %s a virtual byte", b.Fee, b.FeeRate))
	} else {
		p.line("signed: fee", "not known: the PSBT does not show what every input holds")
	}
	p.tokens(b)
}

// tokens shows the messages of other protocols that the transaction carries.
func (p printer) tokens(b *evidence.Bitcoin) {
	if r := b.Runestone; r != nil {
		p.runestone(r)
	}
	if b.Inscription != nil {
		p.line("signed: BRC-20", fmt.Sprintf("%s %s %s", b.Inscription.Operation, b.Inscription.Amount, b.Inscription.Ticker))
	}
}

func (p printer) runestone(r *evidence.Runestone) {
	for _, e := range r.Edicts {
		amount := e.Amount.String() + " base units"
		if e.Amount.Sign() == 0 {
			amount = "all that is left"
		}
		p.line("signed: rune", fmt.Sprintf("%s of %s to output %d", amount, e.RuneID, e.Output+1))
	}
	for _, output := range r.Pointers {
		p.line("signed: rune", fmt.Sprintf("what is left goes to output %d", output+1))
	}
	if r.Etching {
		p.line("signed: rune", "a new rune is made")
	}
	if r.Mint != "" {
		p.line("signed: rune", r.Mint+" is minted")
	}
	if r.Cenotaph != "" {
		p.line("signed: rune", "all runes of the inputs are burnt: "+r.Cenotaph)
	}
}

func place(address, script string) string {
	if address == "" {
		return "script " + script
	}
	return address
}

// networkOf finds the network of an address, in which the scripts are then shown: the bytes that are signed have none.
func networkOf(address string) derive.Network {
	for _, n := range []derive.Network{derive.Mainnet, derive.Testnet, derive.Regtest, derive.Signet} {
		if _, err := derive.BitcoinScript(n, address); err == nil {
			return n
		}
	}
	return ""
}

// typedData shows for whom an EIP-712 message is: the message itself has been shown.
func (p printer) typedData(d *wire.RequestDetail) {
	if d.SignType != wire.SignTypeMessage {
		return
	}
	found := evidence.CheckMessage(d.Message)
	if found.Decoded == nil || found.Decoded.TypedData == nil {
		return
	}
	t := found.Decoded.TypedData
	p.line("signed", "EIP-712 "+t.EncodedType)
	for _, f := range []struct {
		name  string
		value *string
	}{{"name", t.Domain.Name}, {"version", t.Domain.Version}, {"chain id", t.Domain.ChainID}, {"contract", t.Domain.VerifyingContract}, {"salt", t.Domain.Salt}} {
		if f.value != nil {
			p.line("signed: domain", f.name+" "+*f.value)
		}
	}
	p.powers(found.Decoded.Approvals)
}
