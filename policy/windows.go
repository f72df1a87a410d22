package policy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/countersign-mpc/countersign/wire"
)

// What a window measures.
const (
	MeasureAmount = "amount" // base units of one asset
	MeasureCount  = "count"  // executions, and sessions that make keys or presignatures
)

// The kinds of requests that windows may count and hours hold for; rego/lib.rego says the same.
const (
	KindTransaction = "transaction"
	KindMessage     = "message"
	KindRaw         = "raw"
	KindPreSign     = "pre_sign"
	KindKeygen      = "keygen" // and refresh and reshare
)

// RuleWindowScope is the rule of the problem that a request lacks what a window counts by.
const RuleWindowScope = "window.scope"

// fileWindow is a window of data.json.
type fileWindow struct {
	Measure        string   `json:"measure"`
	Kinds          []string `json:"kinds"`
	Chain          string   `json:"chain"`
	Asset          string   `json:"asset"`
	Scope          []string `json:"scope"`
	RollingSeconds int64    `json:"rolling_seconds"`
	Calendar       string   `json:"calendar"`
	Zone           string   `json:"zone"`
	Lifetime       bool     `json:"lifetime"`
	Max            string   `json:"max"`
	// Approvals are asked for when the window comes to more than Above.
	Approvals []fileApproval `json:"approvals"`
}

// WindowPeriod is how long a window is: Rolling, a unit of the calendar in a zone, or everything since ever.
type WindowPeriod struct {
	Rolling  time.Duration
	Calendar string // minute, hour, day, week or month
	Zone     *time.Location
}

// windowRule is a window that was validated.
type windowRule struct {
	id, measure  string
	kinds        []string
	chain, asset string
	token        string // what kind of token the asset is: one of the token constants
	scope        []string
	period       WindowPeriod
	max          *big.Int // in base units, or a count
	prefix       []byte   // of the series' names: JSON of what is measured
}

// WindowMax is the maximum of a window of data.json, in base units or as a count; nil if there is no such window.
func (e *Engine) WindowMax(id string) *big.Int {
	for _, w := range e.data.windows {
		if w.id == id && w.max != nil {
			return new(big.Int).Set(w.max)
		}
	}
	return nil
}

// Charge is what a request adds to one series of amounts, and the windows through which the series is looked at. The
// series' name tells what is summed up, and over whom, in one form.
type Charge struct {
	Series  string
	Amount  *big.Int
	Windows []ChargedWindow
}

// ChargedWindow is a window of data.json.
type ChargedWindow struct {
	ID     string
	Period WindowPeriod
}

const maxWindowSeconds = 366 * 24 * 60 * 60

var (
	windowScopes   = []string{"wallet", "vault", "recipient", "path", "requester", "key", "chain", "asset"}
	calendarUnits  = []string{"minute", "hour", "day", "week", "month"}
	windowKinds    = []string{KindTransaction, KindMessage, KindRaw, KindKeygen, KindPreSign} // hours have the same
	transactionFor = []string{"wallet", "vault", "recipient", "chain", "asset"}               // scopes that only transactions have
)

// windows validates the windows and writes what Rego needs of them.
func (c *compiler) windows() map[string]any {
	out := make(map[string]any, len(c.file.Windows))
	for _, id := range sortedKeys(c.file.Windows) {
		at, f := []string{"windows", id}, c.file.Windows[id]
		c.name(at, id)
		rule := windowRule{id: id, measure: f.Measure, kinds: f.Kinds, chain: f.Chain, asset: f.Asset, scope: slices.Sorted(slices.Values(f.Scope))}
		if len(rule.kinds) == 0 {
			rule.kinds = []string{KindTransaction}
		}
		asset, token := c.windowAsset(at, f)
		rule.token = token
		c.windowOf(at, f, rule)
		rule.period, rule.prefix = c.windowPeriod(at, f), rule.measured()
		base := func(at []string, text string) json.Number { return c.windowBase(at, f, asset, text) }
		highest := base(under(at, "max"), f.Max)
		rule.max, _ = new(big.Int).SetString(string(highest), 10) // one that is none has been added to the problems
		c.data.windows = append(c.data.windows, rule)
		out[id] = map[string]any{
			"kinds": rule.kinds, "chain": f.Chain, "asset": f.Asset, "token": token, "max": f.Max, "max_base": highest,
			"approvals": c.tiers(at, highest, f.Approvals, base),
		}
	}
	return out
}

// windowOf checks what is counted and by what.
func (c *compiler) windowOf(at []string, f fileWindow, rule windowRule) {
	for i, kind := range rule.kinds {
		if !slices.Contains(windowKinds, kind) {
			c.add(under(at, "kinds", fmt.Sprint(i)), "%q is none of %s", kind, strings.Join(windowKinds, ", "))
		}
	}
	onlyTransactions := slices.Equal(rule.kinds, []string{KindTransaction})
	switch _, known := c.chains[f.Chain]; {
	case f.Measure != MeasureAmount && f.Measure != MeasureCount:
		c.add(under(at, "measure"), "is %q, not %s (of one asset) or %s (of executions)", f.Measure, MeasureAmount, MeasureCount)
	case f.Measure == MeasureAmount && (f.Asset == "" || !onlyTransactions):
		c.add(at, "measures amounts: it needs chain and asset, and counts transactions only")
	case f.Chain != "" && !known:
		c.noChain(under(at, "chain"), f.Chain)
	case f.Asset != "" && f.Chain == "":
		c.add(under(at, "asset"), "needs chain beside it")
	case f.Chain != "" && !onlyTransactions:
		c.add(under(at, "chain"), "only transactions have one: leave out the other kinds")
	}
	for i, scope := range rule.scope {
		switch {
		case !slices.Contains(windowScopes, scope):
			c.add(under(at, "scope"), "%q is none of %s", scope, strings.Join(windowScopes, ", "))
		case i > 0 && rule.scope[i-1] == scope:
			c.add(under(at, "scope"), "%q is there twice", scope)
		case !onlyTransactions && slices.Contains(transactionFor, scope):
			c.add(under(at, "scope"), "only transactions have a %s: leave out the other kinds", scope)
		case scope != "requester" && slices.Contains(rule.kinds, KindKeygen):
			c.add(under(at, "scope"), "a keygen has no %s: leave it out of kinds, or give it a window of its own", scope)
		}
	}
	if len(f.Approvals) > 0 && slices.ContainsFunc(rule.kinds, isSession) {
		c.add(under(at, "approvals"), "are given for what is to be signed, and nothing is in a %s or %s", KindPreSign, KindKeygen)
	}
}

// isSession tells a kind of request in which nothing is signed yet.
func isSession(kind string) bool { return kind == KindPreSign || kind == KindKeygen }

func (c *compiler) windowPeriod(at []string, f fileWindow) WindowPeriod {
	p := WindowPeriod{Rolling: time.Duration(f.RollingSeconds) * time.Second, Calendar: f.Calendar}
	given := 0
	for _, there := range []bool{f.RollingSeconds != 0, f.Calendar != "", f.Lifetime} {
		if there {
			given++
		}
	}
	switch {
	case given != 1:
		c.add(at, "needs one of rolling_seconds, calendar and lifetime")
	case f.RollingSeconds < 0 || f.RollingSeconds > maxWindowSeconds:
		c.add(under(at, "rolling_seconds"), "is %d, not from 1 to %d", f.RollingSeconds, maxWindowSeconds)
	case f.Calendar != "" && !slices.Contains(calendarUnits, f.Calendar):
		c.add(under(at, "calendar"), "is %q, none of %s", f.Calendar, strings.Join(calendarUnits, ", "))
	case f.Calendar == "" && f.Zone != "":
		c.add(under(at, "zone"), "belongs to a calendar")
	}
	if f.Calendar != "" {
		zone, err := time.LoadLocation(cmp.Or(f.Zone, "UTC"))
		if err != nil || f.Zone == "Local" {
			c.add(under(at, "zone"), "%q is no time zone: names such as \"Europe/Zurich\" are", f.Zone)
		}
		p.Zone = zone
	}
	return p
}

// windowBase reads a number of what a window measures.
func (c *compiler) windowBase(at []string, f fileWindow, asset Asset, text string) json.Number {
	if f.Measure == MeasureCount {
		return c.whole(at, text)
	}
	return c.coins(at, asset, text)
}

// Charges says what a request counts in the windows of data.json, once the input is complete but for the state of the
// windows. What a window counts by and the request lacks becomes a problem of the input, which rejects it.
func (e *Engine) Charges(in *Input) []Charge {
	kinds := kindsOf(in)
	out := make([]Charge, 0, len(e.data.windows))
	for i := range e.data.windows {
		w := &e.data.windows[i]
		if !w.applies(kinds, in) {
			continue
		}
		amount := w.amount(in)
		if amount == nil {
			continue // the rules reject an amount that is not known
		}
		series, missing, why := w.series(in, e.data)
		if missing != "" {
			in.Problems = append(in.Problems, Problem{
				Rule: RuleWindowScope, Field: missing, Message: fmt.Sprintf("%s, and window %s counts by it", why, w.id),
			})
			continue
		}
		at := slices.IndexFunc(out, func(c Charge) bool { return c.Series == series })
		if at < 0 {
			at, out = len(out), append(out, Charge{Series: series, Amount: amount})
		}
		out[at].Windows = append(out[at].Windows, ChargedWindow{ID: w.id, Period: w.period})
	}
	return out
}

// amount is what a request adds to the window; nil if that is not known.
func (w *windowRule) amount(in *Input) *big.Int {
	switch {
	case w.measure != MeasureAmount:
		return big.NewInt(1)
	case w.token != tokenNone:
		return w.tokens(in)
	}
	return movedAmount(in)
}

func (w *windowRule) applies(kinds []string, in *Input) bool {
	if !slices.ContainsFunc(kinds, func(kind string) bool { return slices.Contains(w.kinds, kind) }) {
		return false
	}
	return w.chain == "" || (in.Tx != nil && in.Tx.Chain == w.chain && (w.asset == "" || w.moves(in)))
}

// The kinds that a request is of, made once.
var (
	ofTransaction = []string{KindTransaction}
	ofMessage     = []string{KindMessage}
	ofRaw         = []string{KindRaw}
	ofBoth        = []string{KindTransaction, KindMessage}
	ofPreSign     = []string{KindPreSign}
	ofKeygen      = []string{KindKeygen}
)

// kindsOf is lib.kinds of rego/lib.rego.
func kindsOf(in *Input) []string {
	switch in.Request.RequestType {
	case wire.TypeSign, wire.TypeBIP340SchnorrSign, wire.TypeTaprootSign, wire.TypePreSignOnline:
	case wire.TypePreSign:
		return ofPreSign
	case wire.TypeKeygen, wire.TypeRefresh, wire.TypeReshare:
		return ofKeygen
	default:
		return nil
	}
	switch in.Request.SignType {
	case wire.SignTypeTransaction:
		if in.Tx != nil {
			return ofTransaction
		}
		return ofRaw
	case wire.SignTypeMessage:
		if in.Message != nil && in.Message.Transaction && in.Tx != nil {
			return ofBoth
		}
		return ofMessage
	case wire.SignTypeRaw:
		return ofRaw
	}
	return nil
}

// movedAmount is lib.amount of rego/lib.rego: what the transaction moves, in base units; nil if that is not known.
func movedAmount(in *Input) *big.Int {
	amount := parseBase(in.Tx.AmountBase)
	if amount == nil {
		return nil
	}
	if in.Tx.Family != FamilyUTXO {
		return amount
	}
	if in.UTXO == nil {
		return nil
	}
	paid := parseBase(in.UTXO.PaidBase)
	if paid == nil {
		return nil
	}
	if paid.Cmp(amount) > 0 {
		return paid
	}
	return amount
}

// measured is a JSON array of what the window measures, without its end.
func (w *windowRule) measured() []byte {
	b := []byte{'['}
	for i, text := range []string{w.measure, strings.Join(w.kinds, "+"), w.chain, w.asset} {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, text)
	}
	return b
}

// series names what the window sums up, with the values that it counts by, as a JSON array: one for one. missing is the first
// of the values that does not count, and why says why.
func (w *windowRule) series(in *Input, d *Data) (name, missing, why string) {
	var buffer [256]byte
	b := append(buffer[:0], w.prefix...)
	for _, scope := range w.scope {
		value := w.scopeValue(scope, in)
		if value == "" {
			return "", scope, "is missing or is not one"
		}
		if why := d.claimed(scope, value, in); why != "" {
			return "", scope, why
		}
		b = appendText(append(b, ','), scope)
		b = appendText(append(b, ','), value)
	}
	return string(append(b, ']')), "", ""
}

// appendText writes a string as encoding/json does.
func appendText(b []byte, text string) []byte {
	begin := len(b)
	b = append(append(append(b, '"'), text...), '"')
	if plainLength(b[begin+1:]) < len(text) {
		quoted, _ := json.Marshal(text) // of a string it never fails
		return append(b[:begin], quoted...)
	}
	return b
}

// onlyRecipient is the recipient of a transaction that pays nobody else: with several, what each gets is not told apart.
func onlyRecipient(in *Input) string {
	if in.UTXO == nil {
		return in.Tx.To
	}
	for _, out := range in.UTXO.Outputs {
		if !out.Own && !out.Data && out.Address != in.Tx.To {
			return ""
		}
	}
	return in.Tx.To
}

func (w *windowRule) scopeValue(scope string, in *Input) string {
	switch scope {
	case "path":
		return cmp.Or(in.Request.Path, "m")
	case "key":
		return in.Request.PublicKey
	case "requester":
		if in.Requester == nil {
			return ""
		}
		return in.Requester.KeyID
	}
	if in.Tx == nil {
		return ""
	}
	switch scope {
	case "wallet":
		return in.Tx.WalletID
	case "vault":
		return in.Tx.VaultID
	case "recipient":
		if w.token != tokenNone {
			return w.tokenRecipient(in)
		}
		return onlyRecipient(in)
	case "chain":
		return in.Tx.Chain
	case "asset":
		if w.token != tokenNone {
			return w.asset
		}
		return in.Tx.Asset
	}
	return ""
}
