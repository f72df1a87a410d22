package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/countersign-mpc/countersign/evidence"
)

// signed shows what an EVM transaction itself says, decoded here: every call, also those that are wrapped, what they move, and
// what power over tokens they give.
func (p printer) signed(s *subject) {
	t := s.parsed.TxInfo
	if t.RawTx == "" {
		p.line("signed", "no rawTx came with the request: only the claim is there to see")
		return
	}
	found := evidence.Check(evidence.Claim{Family: evidence.FamilyEVM, From: t.From, To: t.To, Message: s.parsed.Check.RequestDetail.Message, RawTx: t.RawTx})
	if found.Decoded == nil || found.Decoded.Transaction == nil {
		p.line("signed", "rawTx cannot be read here: "+found.Reason)
		return
	}
	p.transaction(found.Decoded.Transaction)
	p.effects(found.Decoded)
	if calls := found.Decoded.Calls; len(calls) > 0 && calls[0].Args == nil && calls[0].Selector != "" {
		p.line("signed: data", found.Decoded.Transaction.Data) // whose arguments could not be read
	}
}

// effects shows the calls of a transaction and what they do.
func (p printer) effects(d *evidence.Decoded) {
	for _, step := range d.Calls {
		p.line("signed: call", strings.Repeat("  ", step.Depth)+callText(step))
	}
	for _, m := range d.Movements {
		p.line("signed: moves", movementText(m))
	}
	p.powers(d.Approvals)
	if !d.Complete {
		p.line("signed", "NOT ALL that it does is known here")
	}
}

func (p printer) transaction(t *evidence.Transaction) {
	to := t.To
	if to == "" {
		to = "nobody: it creates a contract"
	}
	chain := t.ChainID
	if chain == "" {
		chain = "none: it is valid on every chain"
	}
	p.line("signed", fmt.Sprintf("chain id %s, nonce %s, to %s, value %s wei, gas at most %s wei", chain, t.Nonce, to, t.Value, t.MaxFee))
	for _, a := range t.Authorizations {
		p.line("signed", fmt.Sprintf("hands the account to the code at %s (chain id %s, EIP-7702)", a.Address, a.ChainID))
	}
	if t.To == "" {
		p.line("signed: data", t.Data)
	}
}

// callText is a call on one line.
func callText(step evidence.Step) string {
	what := step.Method
	switch {
	case what != "" && step.Args != nil:
		name, _, _ := strings.Cut(what, "(")
		what = name + "(" + argsText(step.Args) + ")"
	case what == "" && step.Selector == "":
		what = "no calldata"
	case what == "":
		what = "a method that is not known, " + step.Selector
	}
	how := "call of "
	if step.Delegate {
		how = "DELEGATECALL of "
	}
	contract := step.Contract
	if contract == "" {
		contract = "a contract that is not known"
	}
	out := how + contract + ": " + what
	if step.Value != "" && step.Value != "0" {
		out += ", with " + step.Value + " wei"
	}
	if step.Data != "" {
		out += ", data " + step.Data
	}
	if step.Code != "" {
		out += " (" + string(step.Code) + ")"
	}
	return out
}

// argsText writes arguments by name, in the order of their names.
func argsText(args map[string]any) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(args)) {
		value, isText := args[name].(string)
		if !isText {
			b, err := json.Marshal(args[name])
			if err != nil { // what was decoded can be written
				b = []byte("?")
			}
			value = string(b)
		}
		out = append(out, name+" "+value)
	}
	return strings.Join(out, ", ")
}

func movementText(m evidence.Movement) string {
	amount := m.Amount
	switch {
	case m.AmountOrID != "":
		amount = m.AmountOrID + " (an amount, or the id of one token)"
	case m.Amount == "":
		amount = "an amount that is not known"
	}
	what := "wei"
	if m.Asset != evidence.AssetNative {
		what = "of " + string(m.Asset) + " " + m.Contract
	}
	if m.TokenID != "" {
		what += ", token " + m.TokenID
	}
	from := m.From
	if from == "" {
		from = "the signer or whoever approved it"
	}
	return fmt.Sprintf("%s %s from %s to %s", amount, what, from, m.To)
}

// powers shows what power over tokens is given, by a transaction or by typed data.
func (p printer) powers(list []evidence.Approval) {
	for _, a := range list {
		p.line("signed: power", powerText(a))
	}
}

func powerText(a evidence.Approval) string {
	token := a.Token
	if token == "" {
		token = "a token that is not known"
	}
	what := fmt.Sprintf("%s of %s", a.Amount, token)
	switch {
	case a.Kind == evidence.ApproveAll:
		what = "ALL tokens of " + token
	case a.Unlimited:
		what = "WITHOUT LIMIT over " + token
	case a.AmountOrID != "":
		what = fmt.Sprintf("%s (an amount, or the id of one token) of %s", a.AmountOrID, token)
	case a.TokenID != "":
		what = fmt.Sprintf("token %s of %s", a.TokenID, token)
	}
	switch {
	case a.Revoke:
		what = "taken back: " + what
	case a.Change == "increase" || a.Change == "decrease":
		what = a.Change + " by " + what
	}
	out := fmt.Sprintf("%s, spender %s (%s)", what, a.Spender, a.Kind)
	if a.Deadline != "" {
		out += ", to be used until " + moment(a.Deadline)
	}
	if a.Expires != "" {
		out += ", lasts until " + moment(a.Expires)
	}
	return out
}

// moment is a Unix time for people, or its digits where no calendar has it.
func moment(unix string) string {
	var n int64
	if _, err := fmt.Sscan(unix, &n); err != nil || n < 0 || n > 253402300799 { // the year 9999
		return unix
	}
	return time.Unix(n, 0).UTC().Format(time.RFC3339)
}
