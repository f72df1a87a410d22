package prop

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/countersign-mpc/countersign/wire"
)

// Format is the first member of a file of properties.
const Format = "countersign/policy-properties/v1"

// Bounds on a file of properties.
const (
	maxFileSize   = 1 << 20
	maxProperties = 500
)

// Property is one statement about all requests: whatever is within Given is decided as Then says, and approved in no more
// than Never allows.
type Property struct {
	Name  string `json:"name"`
	Given Given  `json:"given"`
	// Then is an action, or "not" and an action.
	Then string `json:"then,omitempty"`
	// By is a rule that has to be among those that speak for the action; "" for any. With it Then is a plain action.
	By    string `json:"by,omitempty"`
	Never *Never `json:"never,omitempty"`
	// MayBeVacuous: the property holds where the data leave nothing within its bounds, such as denied addresses where none is denied.
	MayBeVacuous bool `json:"may_be_vacuous,omitempty"`
}

// Given bounds the requests that a property is about. What is left out is free; of a list, one has to hold.
type Given struct {
	Kind        words             `json:"kind,omitempty"` // transaction, message, raw, keygen, pre_sign
	RequestType words             `json:"request_type,omitempty"`
	Chain       words             `json:"chain,omitempty"`
	Asset       words             `json:"asset,omitempty"`
	Recipient   words             `json:"recipient,omitempty"` // listed, own, denied, unlisted, not_allowed
	Amount      *Range            `json:"amount,omitempty"`    // in coins of the asset
	Evidence    words             `json:"evidence,omitempty"`  // verified, unverifiable, mismatch
	Call        *bool             `json:"call,omitempty"`      // whether contracts are called other than for one transfer
	Wallet      words             `json:"wallet,omitempty"`
	Vault       words             `json:"vault,omitempty"`
	Requester   words             `json:"requester,omitempty"` // key ids; "" is that nobody is known
	Key         words             `json:"key,omitempty"`       // root public keys
	Path        words             `json:"path,omitempty"`
	Time        *TimeOfWeek       `json:"time,omitempty"`
	Approvals   string            `json:"approvals,omitempty"` // given: all approvers have approved; none (default)
	Input       map[string]Either `json:"input,omitempty"`     // by JSON pointer into the input that rules see
}

// Range bounds an amount; bounds that are left out are free.
type Range struct {
	Above string `json:"above,omitempty"`
	From  string `json:"from,omitempty"`
	To    string `json:"to,omitempty"`
	Below string `json:"below,omitempty"`
}

// TimeOfWeek is part of a week by the wall clock of a zone.
type TimeOfWeek struct {
	Zone string `json:"zone"`
	Days words  `json:"days,omitempty"` // in lower case; all if left out
	From string `json:"from"`           // "09:00"
	To   string `json:"to"`             // exclusive, up to "24:00"

	location *time.Location
	from, to int // seconds of the day
}

// Never bounds what is approved of the requests within Given, all together.
type Never struct {
	ApproveOver string `json:"approve_over"` // in coins of the one asset of Given
	// WithinSeconds is the stretch of time; 0 is for ever.
	WithinSeconds int64 `json:"within_seconds,omitempty"`
	// Per says for whom it is counted separately: recipient, wallet, vault, requester, key.
	Per words `json:"per,omitempty"`
}

// words is a string or a list of strings.
type words []string

// UnmarshalJSON reads either form.
func (w *words) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*w = words{one}
		return nil
	}
	var list []string
	if err := json.Unmarshal(b, &list); err != nil || len(list) == 0 {
		return errors.New("a string, or a list of strings, is expected")
	}
	*w = list
	return nil
}

func (w words) allow(s string) bool { return len(w) == 0 || slices.Contains(w, s) }

// Either is a value that a member of the input has to be, a list of which it has to be one, a Range that it has to be within,
// or {"not": value or list}.
type Either struct {
	values []any // string, json.Number, bool or nil
	not    bool
	within *Range
}

// UnmarshalJSON reads any of the forms.
func (e *Either) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return err
	}
	switch v := v.(type) {
	case map[string]any:
		if other, there := v["not"]; there && len(v) == 1 {
			e.not = true
			return e.take(other)
		}
		e.within = &Range{}
		if err := jsonv2.Unmarshal(b, e.within, jsonv2.RejectUnknownMembers(true)); err != nil {
			return errors.New("above, from, to or below, each a whole number in a string, or not, are expected")
		}
		return nil
	}
	return e.take(v)
}

// take reads a value or a list of values.
func (e *Either) take(v any) error {
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	e.values = list
	for _, value := range e.values {
		switch value.(type) {
		case map[string]any, []any:
			return errors.New("a string, a number, true, false or null is expected")
		}
	}
	return nil
}

// Parse reads a file of properties strictly. name stands in front of the errors.
func Parse(name string, b []byte) ([]Property, error) {
	if len(b) > maxFileSize {
		return nil, fmt.Errorf("%s: is longer than %d bytes", name, maxFileSize)
	}
	var f struct {
		Format     string     `json:"format"`
		Properties []Property `json:"properties"`
	}
	if err := jsonv2.Unmarshal(b, &f, jsonv2.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("%s: %s", name, readable(err))
	}
	if f.Format != Format {
		return nil, fmt.Errorf("%s: format is %q, but this version reads %q", name, f.Format, Format)
	}
	if len(f.Properties) == 0 || len(f.Properties) > maxProperties {
		return nil, fmt.Errorf("%s: holds %d properties, not from 1 to %d", name, len(f.Properties), maxProperties)
	}
	seen := map[string]bool{}
	for i := range f.Properties {
		p := &f.Properties[i]
		if p.Name == "" || seen[p.Name] {
			return nil, fmt.Errorf("%s: property %d: its name is %q: each has one of its own", name, i, p.Name)
		}
		seen[p.Name] = true
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("%s: property %q: %w", name, p.Name, err)
		}
	}
	return f.Properties, nil
}

func readable(err error) string {
	var semantic *jsonv2.SemanticError
	if !errors.As(err, &semantic) {
		return err.Error()
	}
	if errors.Is(err, jsonv2.ErrUnknownName) {
		return fmt.Sprintf("at %s: this key is not known here (docs/POLICY.md, \"Properties\", lists them)", semantic.JSONPointer)
	}
	if semantic.Err != nil {
		return fmt.Sprintf("at %s: %v", semantic.JSONPointer, semantic.Err)
	}
	return fmt.Sprintf("at %s: another type is expected here", semantic.JSONPointer)
}

// The words that Given knows.
var (
	kinds      = []string{"transaction", "message", "raw", "keygen", "pre_sign"}
	recipients = []string{"listed", "own", "denied", "unlisted", notAllowed}
	statuses   = []string{"verified", "unverifiable", "mismatch", ""}
	weekdays   = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}
	scopes     = []string{"recipient", "wallet", "vault", "requester", "key"}
)

func (p *Property) check() error {
	var faults []error
	known := func(field string, list words, of []string) {
		for _, w := range list {
			if !slices.Contains(of, w) {
				faults = append(faults, fmt.Errorf("given.%s: %q is none of %s", field, w, strings.Join(of, ", ")))
			}
		}
	}
	known("kind", p.Given.Kind, kinds)
	known("recipient", p.Given.Recipient, recipients)
	known("evidence", p.Given.Evidence, statuses)
	if a := p.Given.Approvals; a != "" && a != "none" && a != "given" {
		faults = append(faults, fmt.Errorf("given.approvals: %q is neither none nor given", a))
	}
	if p.Given.Amount != nil && len(p.Given.Asset) != 1 {
		faults = append(faults, errors.New("given.amount: needs one asset beside it: amounts are in its coins"))
	}
	for at := range p.Given.Input {
		if !strings.HasPrefix(at, "/") {
			faults = append(faults, fmt.Errorf("given.input: %q is no JSON pointer, such as /tx/gas/limit", at))
		}
	}
	if t := p.Given.Time; t != nil {
		faults = append(faults, t.check(known))
	}
	return errors.Join(append(faults, p.checkClaim(known))...)
}

// checkClaim checks what is said of the requests.
func (p *Property) checkClaim(known func(string, words, []string)) error {
	switch {
	case (p.Then == "") == (p.Never == nil):
		return errors.New("needs either then, such as \"not Approve\", or never")
	case p.Never != nil:
		known("never.per", p.Never.Per, scopes)
		if len(p.Given.Asset) != 1 || len(p.Given.Chain) != 1 {
			return errors.New("never.approve_over: needs one chain and one asset in given: amounts are in its coins")
		}
		if p.Never.WithinSeconds < 0 {
			return errors.New("never.within_seconds: is negative")
		}
		return nil
	}
	action, not := p.claim()
	if action == "" {
		return fmt.Errorf("then: %q is none of Approve, Wait and Reject, nor one of them with \"not\" in front", p.Then)
	}
	if p.By != "" && not {
		return errors.New("by: names the rule of an action; with \"not\" there is none")
	}
	return nil
}

// claim is what Then says.
func (p *Property) claim() (action wire.Action, not bool) {
	text, not := strings.CutPrefix(p.Then, "not ")
	for _, a := range []wire.Action{wire.Approve, wire.Wait, wire.Reject} {
		if strings.EqualFold(text, string(a)) {
			return a, not
		}
	}
	return "", not
}

func (t *TimeOfWeek) check(known func(string, words, []string)) error {
	known("time.days", t.Days, weekdays)
	var err error
	if t.location, err = time.LoadLocation(t.Zone); err != nil || t.Zone == "" || t.Zone == "Local" {
		return fmt.Errorf("given.time.zone: %q is no time zone: names such as \"Europe/Zurich\" and \"UTC\" are", t.Zone)
	}
	var ok, also bool
	t.from, ok = wallClock(t.From)
	t.to, also = wallClock(t.To)
	if !ok || !also || t.from >= t.to {
		return fmt.Errorf("given.time: from %q to %q is no part of a day, such as from \"09:00\" to \"24:00\"", t.From, t.To)
	}
	return nil
}

func wallClock(text string) (int, bool) {
	if text == "24:00" {
		return 24 * 60 * 60, true
	}
	t, err := time.Parse("15:04", text)
	return t.Hour()*3600 + t.Minute()*60, err == nil && len(text) == len("15:04")
}

// holds tells whether a time is within.
func (t *TimeOfWeek) holds(at time.Time) bool {
	local := at.In(t.location)
	second := local.Hour()*3600 + local.Minute()*60 + local.Second()
	return t.Days.allow(weekdays[local.Weekday()]) && t.from <= second && second < t.to
}

// bounds are the range's in units of which 10^decimals are a coin, nil for those left out: lowest and highest, both within.
func (r *Range) bounds(decimals int) (lowest, highest *big.Int, err error) {
	read := func(text string, add int64) *big.Int {
		if text == "" {
			return nil
		}
		n, e := base(text, decimals)
		if e != nil {
			err = e
			return nil
		}
		return n.Add(n, big.NewInt(add))
	}
	lowest, highest = read(r.From, 0), read(r.To, 0)
	if above := read(r.Above, 1); above != nil && (lowest == nil || above.Cmp(lowest) > 0) {
		lowest = above
	}
	if below := read(r.Below, -1); below != nil && (highest == nil || below.Cmp(highest) < 0) {
		highest = below
	}
	return lowest, highest, err
}

// base reads coins as base units.
func base(coins string, decimals int) (*big.Int, error) {
	whole, part, _ := strings.Cut(coins, ".")
	if whole == "" || len(coins) > 100 || len(part) > decimals || strings.Trim(whole+part, "0123456789") != "" || strings.HasSuffix(coins, ".") {
		return nil, fmt.Errorf("%q is no amount of a coin with %d decimals, such as \"10000\" or \"0.5\"", coins, decimals)
	}
	n, _ := new(big.Int).SetString(whole+part+strings.Repeat("0", decimals-len(part)), 10)
	return n, nil
}

// coins writes base units as coins.
func coins(n *big.Int, decimals int) string {
	text := n.String()
	if len(text) <= decimals {
		text = strings.Repeat("0", decimals+1-len(text)) + text
	}
	whole, part := text[:len(text)-decimals], strings.TrimRight(text[len(text)-decimals:], "0")
	if part == "" {
		return whole
	}
	return whole + "." + part
}
