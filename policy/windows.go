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
	MeasureCount  = "count"  // executions
)

// The kinds of requests that a window may count; rego/lib.rego says the same.
const (
	KindTransaction = "transaction"
	KindMessage     = "message"
	KindRaw         = "raw"
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
	scope        []string
	period       WindowPeriod
	max          *big.Int // in base units, or a count
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
	windowKinds    = []string{KindTransaction, KindMessage, KindRaw}
	transactionFor = []string{"wallet", "vault", "recipient", "chain", "asset"} // scopes that only transactions have
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
		c.windowOf(at, f, rule)
		rule.period = c.windowPeriod(at, f)
		base := func(at []string, text string) json.Number { return c.windowBase(at, f, text) }
		highest := base(under(at, "max"), f.Max)
		rule.max, _ = new(big.Int).SetString(string(highest), 10) // one that is none has been added to the problems
		c.data.windows = append(c.data.windows, rule)
		out[id] = map[string]any{
			"kinds": rule.kinds, "chain": f.Chain, "asset": f.Asset, "max": f.Max, "max_base": highest,
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
	switch chain, known := c.chains[f.Chain]; {
	case f.Measure != MeasureAmount && f.Measure != MeasureCount:
		c.add(under(at, "measure"), "is %q, not %s (of one asset) or %s (of executions)", f.Measure, MeasureAmount, MeasureCount)
	case f.Measure == MeasureAmount && (f.Asset == "" || !onlyTransactions):
		c.add(at, "measures amounts: it needs chain and asset, and counts transactions only")
	case f.Chain != "" && !known:
		c.add(under(at, "chain"), "%q is not a chain of /chains", f.Chain)
	case f.Asset != "" && f.Chain == "":
		c.add(under(at, "asset"), "needs chain beside it")
	case f.Asset != "":
		if _, known := chain.Assets[f.Asset]; !known {
			c.add(under(at, "asset"), "%q is not an asset of /chains/%s/assets", f.Asset, f.Chain)
		}
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
		}
	}
}

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
func (c *compiler) windowBase(at []string, f fileWindow, text string) json.Number {
	if f.Measure == MeasureCount {
		return c.whole(at, text)
	}
	return c.coins(at, c.chains[f.Chain].Assets[f.Asset], text)
}

// Charges says what a request counts in the windows of data.json, once the input is complete but for the state of the
// windows. What a window counts by and the request lacks becomes a problem of the input, which rejects it.
func (e *Engine) Charges(in *Input) []Charge {
	kind := kindOf(in)
	var out []Charge
	for _, w := range e.data.windows {
		if !w.applies(kind, in) {
			continue
		}
		amount := big.NewInt(1)
		if w.measure == MeasureAmount {
			if amount = movedAmount(in); amount == nil {
				continue // the rules reject an amount that is not known
			}
		}
		series, missing := w.series(in)
		if missing != "" {
			in.Problems = append(in.Problems, Problem{
				Rule: RuleWindowScope, Field: missing, Message: fmt.Sprintf("is missing or is not one, and window %s counts by it", w.id),
			})
			continue
		}
		i := slices.IndexFunc(out, func(c Charge) bool { return c.Series == series })
		if i < 0 {
			i, out = len(out), append(out, Charge{Series: series, Amount: amount})
		}
		out[i].Windows = append(out[i].Windows, ChargedWindow{ID: w.id, Period: w.period})
	}
	return out
}

func (w *windowRule) applies(kind string, in *Input) bool {
	if !slices.Contains(w.kinds, kind) {
		return false
	}
	return w.chain == "" || (in.Tx != nil && in.Tx.Chain == w.chain && (w.asset == "" || in.Tx.Asset == w.asset))
}

// kindOf is lib.kind of rego/lib.rego, for requests that sign.
func kindOf(in *Input) string {
	switch in.Request.RequestType {
	case wire.TypeSign, wire.TypeBIP340SchnorrSign, wire.TypeTaprootSign, wire.TypePreSignOnline:
	default:
		return ""
	}
	switch in.Request.SignType {
	case wire.SignTypeTransaction:
		if in.Tx != nil {
			return KindTransaction
		}
		return KindRaw
	case wire.SignTypeMessage:
		return KindMessage
	case wire.SignTypeRaw:
		return KindRaw
	}
	return ""
}

// movedAmount is lib.amount of rego/lib.rego: what the transaction moves, in base units; nil if that is not known.
func movedAmount(in *Input) *big.Int {
	amount, ok := new(big.Int).SetString(string(in.Tx.AmountBase), 10)
	if !ok {
		return nil
	}
	if in.Tx.Family != FamilyUTXO {
		return amount
	}
	if in.UTXO == nil {
		return nil
	}
	paid, ok := new(big.Int).SetString(string(in.UTXO.PaidBase), 10)
	if !ok {
		return nil
	}
	if paid.Cmp(amount) > 0 {
		return paid
	}
	return amount
}

// series names what the window sums up, with the values that it counts by; missing is the first of them that is not there.
func (w *windowRule) series(in *Input) (name, missing string) {
	parts := []string{w.measure, strings.Join(w.kinds, "+"), w.chain, w.asset}
	for _, scope := range w.scope {
		value := scopeValue(scope, in)
		if value == "" {
			return "", scope
		}
		parts = append(parts, scope, value)
	}
	b, err := json.Marshal(parts) // one for one
	if err != nil {
		return "", "scope"
	}
	return string(b), ""
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

func scopeValue(scope string, in *Input) string {
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
	return map[string]string{
		"wallet": in.Tx.WalletID, "vault": in.Tx.VaultID, "recipient": onlyRecipient(in), "chain": in.Tx.Chain, "asset": in.Tx.Asset,
	}[scope]
}
