package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// InputFormat is the first member of an input's JSON form; it is checked when a recorded input is replayed.
const InputFormat = "countersign/policy-input/v1"

// inputPrefix is how every canonical input begins.
var inputPrefix = []byte(`{"format":"` + InputFormat + `",`)

// Canonical is the input's JSON as it is evaluated and as it is recorded: the same input gives the same bytes. It fails
// for an input that could be read in two ways, or whose numbers are not exact integers.
func (in Input) Canonical() ([]byte, error) {
	b, _, err := in.canonical(&spanTable{})
	return b, err
}

// canonical returns the JSON and where in it the parts are that rules look at.
func (in *Input) canonical(t *spanTable) ([]byte, inputDoc, error) {
	if err := in.consistent(); err != nil {
		return nil, inputDoc{}, fmt.Errorf("write the policy's input: %w", err)
	}
	if d, ok := in.write(t); ok {
		return d.json, d, nil
	}
	if err := in.exact(); err != nil {
		return nil, inputDoc{}, fmt.Errorf("write the policy's input: %w", err)
	}
	b, err := in.marshal()
	if err != nil {
		return nil, inputDoc{}, fmt.Errorf("write the policy's input: %v", err)
	}
	d, err := readDocument(b, t)
	if err != nil {
		return nil, inputDoc{}, fmt.Errorf("write the policy's input: %w", err)
	}
	return b, d, nil
}

// marshal writes any input.
func (in Input) marshal() ([]byte, error) {
	return json.Marshal(struct {
		Format string `json:"format"`
		Input
	}{InputFormat, in.withoutNil()})
}

// readRecorded reads bytes that Canonical is said to have written into what Rego sees.
func readRecorded(b []byte, t *spanTable) (inputDoc, error) {
	if !bytes.HasPrefix(b, inputPrefix) {
		return inputDoc{}, fmt.Errorf("the recorded input does not begin as %s does", InputFormat)
	}
	return readDocument(b, t)
}

// consistent checks what the types leave open, but for the integers.
func (in *Input) consistent() error {
	switch in.Evidence.Status {
	case EvidenceNone, EvidenceVerified, EvidenceMismatch, EvidenceUnverifiable:
	default:
		return fmt.Errorf("evidence.status is %q", in.Evidence.Status)
	}
	if in.Evidence.Status == EvidenceVerified && len(in.Evidence.Differences) > 0 {
		return errors.New("evidence is verified, but lists differences")
	}
	if in.Now.Unix <= 0 || in.Now.RFC3339 == "" {
		return errors.New("now is missing")
	}
	return nil
}

// exact checks the integers. An absent one is left out of the JSON form, since null and strings compare with numbers in Rego and
// would pass for small or large ones.
func (in *Input) exact() error {
	exact := true
	in.integers(func(n json.Number) { exact = exact && isBase(n) })
	if !exact {
		return errors.New("an amount is not an integer in base units")
	}
	return nil
}

// integers goes through every exact integer of the input that is there.
func (in *Input) integers(each func(json.Number)) {
	known := func(n json.Number) {
		if n != "" {
			each(n)
		}
	}
	if in.Tx != nil {
		known(in.Tx.AmountBase)
		known(in.Tx.FeeBase)
		if g := in.Tx.Gas; g != nil {
			known(g.PriceBase)
			known(g.Limit)
			known(g.FeeBase)
		}
	}
	if in.Call != nil {
		for _, m := range in.Call.Movements {
			known(m.AmountBase)
		}
		for _, a := range in.Call.Approvals {
			known(a.AmountBase)
		}
	}
	if in.UTXO != nil {
		for _, c := range in.UTXO.Inputs {
			known(c.AmountBase)
		}
		for _, c := range in.UTXO.Outputs {
			known(c.AmountBase)
		}
		known(in.UTXO.FeeBase)
		known(in.UTXO.FeeRate)
		known(in.UTXO.ToBase)
		known(in.UTXO.PaidBase)
	}
	for _, b := range in.BRC20 {
		known(b.QuantityBase)
		known(b.TotalBase)
	}
	for _, r := range in.Runes {
		known(r.AmountBase)
		known(r.TotalBase)
	}
	if in.Message != nil {
		for _, p := range in.Message.Permits {
			known(p.ValueBase)
			known(p.Deadline)
		}
	}
	for _, w := range in.Windows { // none of them may be absent
		each(w.Used)
		each(w.Reserved)
		each(w.After)
	}
}

// allCodes are the codes, of which there is at least the gravest.
func (ev Evidence) allCodes() []string {
	if ev.Code == "" || slices.Contains(ev.Codes, ev.Code) {
		return orEmpty(ev.Codes)
	}
	return append([]string{ev.Code}, ev.Codes...)
}

// withoutNil makes JSON write [] and {} instead of null for lists and maps that hold nothing.
func (in Input) withoutNil() Input {
	in.Request.PartyIDs = orEmpty(in.Request.PartyIDs)
	in.BRC20, in.Runes = orEmpty(in.BRC20), orEmpty(in.Runes)
	in.UnknownFields, in.Problems = orEmpty(in.UnknownFields), orEmpty(in.Problems)
	in.Evidence.Differences, in.Evidence.Codes = orEmpty(in.Evidence.Differences), in.Evidence.allCodes()
	if in.Windows == nil {
		in.Windows = map[string]Window{}
	}
	if in.Tx != nil {
		tx := *in.Tx
		tx.Problems = orEmpty(tx.Problems)
		in.Tx = &tx
	}
	if in.UTXO != nil {
		utxo := *in.UTXO
		utxo.Inputs, utxo.Outputs = orEmpty(utxo.Inputs), orEmpty(utxo.Outputs)
		in.UTXO = &utxo
	}
	in.Call = in.Call.withoutNil()
	if in.Message != nil {
		message := *in.Message
		message.Permits = orEmpty(message.Permits)
		in.Message = &message
	}
	approvals := make([]Approval, len(in.Approvals))
	for i, a := range in.Approvals {
		a.ApprovedBy, a.RejectedBy = orEmpty(a.ApprovedBy), orEmpty(a.RejectedBy)
		a.Requirement.Keys = orEmpty(a.Requirement.Keys)
		approvals[i] = a
	}
	in.Approvals = approvals
	return in
}
