package prop

import (
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/wire"
)

// request is one generated request, told by its dimensions: each has a value among those that make sense with the others, or
// "" for its plainest. A body follows from it alone (build.go).
type request map[string]string

// The dimensions, in the order in which a request is told. Those on the left of others decide about their values.
const (
	dimWhat      = "what" // the form, see below
	dimType      = "request_type"
	dimKey       = "public_key"
	dimPath      = "path"
	dimRequester = "requester"
	dimTime      = "time"
	dimUnknown   = "unknown field"
	dimChain     = "chain"
	dimAsset     = "asset"
	dimWallet    = "wallet"
	dimVault     = "vault"
	dimTo        = "to"
	dimAmount    = "amount (base units)"
	dimTwist     = "what differs in rawTx"
	dimGasLimit  = "gas limit"
	dimGasPrice  = "gas price (wei)"
	dimContract  = "contract"
	dimMethod    = "method"
	dimWrap      = "wrapped in"
	dimSpender   = "spender"
	dimAllowance = "allowance (base units)"
	dimSpend     = "spend"
	dimFee       = "fee (base units)"
	dimExtra     = "another output"
	dimSource    = "source of coins"
	dimInputs    = "inputs beside"
	dimRune      = "rune"
	dimRunes     = "rune amount (base units)"
	dimRuneName  = "rune name"
	dimTicker    = "ticker"
	dimStep      = "brc20 method and step"
	dimQuantity  = "quantity (base units)"
	dimTokenFrom = "tokens from"
	dimTokenTo   = "tokens to"
	dimText      = "text"
	dimTyped     = "typed data"
	dimDeadline  = "deadline (seconds from now)"
	dimScheme    = "scheme"
	dimParties   = "parties"
	dimWindow    = "used in window " // and its id
)

// The forms of requests.
const (
	formTransfer = "EVM transfer"
	formClaim    = "EVM transfer without rawTx"
	formCall     = "EVM call"
	formApprove  = "ERC-20 approve"
	formPayment  = "Bitcoin payment"
	formListed   = "Bitcoin payment without rawTx"
	formReveal   = "BRC-20 reveal"
	formText     = "text"
	formBytes    = "bytes"
	formTyped    = "typed data"
	formPermit   = "permit"
	formRaw      = "raw data"
	formDigest   = "digest"
	formKeygen   = "keygen"
	formPreSign  = "presignature"
)

// kindOf is the kind of a form, as rego/lib.rego has it.
var kindOf = map[string]string{
	formTransfer: "transaction", formClaim: "transaction", formCall: "transaction", formApprove: "transaction",
	formPayment: "transaction", formListed: "transaction", formReveal: "transaction", formText: "message", formBytes: "message", formTyped: "message",
	formPermit: "message", formRaw: "raw", formDigest: "raw", formKeygen: "keygen", formPreSign: "pre_sign",
}

var forms = []string{
	formTransfer, formPayment, formText, formRaw, formKeygen, formCall, formApprove, formClaim, formListed, formTyped, formPermit, formBytes,
	formDigest, formPreSign, formReveal,
}

const (
	none      = "none"
	unlimited = "unlimited"
	// generator is a public key whose private key is 1: it guards nothing.
	generator = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
	stranger  = "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5" // 2
	nobody    = "0000000000000000000000000000000000000000000000000000000000000bad"   // a requester that no data names
)

// dimensions lists those of a form.
func (g *maker) dimensions(r request) []string {
	dims := []string{dimWhat, dimType, dimKey, dimPath, dimRequester, dimTime, dimUnknown}
	kind := kindOf[r[dimWhat]]
	if kind == "transaction" {
		dims = append(dims, dimChain, dimAsset, dimWallet, dimVault, dimTo, dimAmount)
	}
	switch r[dimWhat] {
	case formTransfer:
		dims = append(dims, dimTwist, dimWrap, dimGasLimit, dimGasPrice)
	case formClaim:
		dims = append(dims, dimGasLimit, dimGasPrice)
	case formCall:
		dims = append(dims, dimContract, dimMethod, dimWrap, dimGasLimit, dimGasPrice, dimTwist)
	case formApprove:
		dims = append(dims, dimSpender, dimAllowance, dimMethod, dimGasLimit, dimGasPrice)
	case formPayment:
		dims = append(dims, dimTwist, dimSpend, dimFee, dimExtra, dimSource, dimInputs, dimRune, dimRunes, dimRuneName)
	case formReveal:
		dims = append(dims, dimTwist, dimSpend, dimFee, dimExtra, dimInputs, dimTicker, dimStep, dimQuantity, dimTokenFrom, dimTokenTo)
	case formListed:
		dims = append(dims, dimFee, dimExtra, dimSource, dimRune, dimRunes, dimRuneName, dimTicker, dimStep, dimQuantity, dimTokenFrom, dimTokenTo)
	case formText:
		dims = append(dims, dimText)
	case formTyped:
		dims = append(dims, dimTyped)
	case formPermit:
		dims = append(dims, dimTyped, dimSpender, dimAllowance, dimDeadline)
	case formKeygen:
		dims = append(dims, dimScheme, dimParties)
	}
	for _, id := range g.counting(r) {
		dims = append(dims, dimWindow+id)
	}
	return dims
}

// counting are the windows that may count a request.
func (g *maker) counting(r request) []string {
	var out []string
	for _, id := range sorted(g.world.Windows) {
		w := g.world.Windows[id]
		if slices.Contains(w.Kinds, kindOf[r[dimWhat]]) && (w.Chain == "" || w.Chain == r[dimChain]) && (w.Asset == "" || w.Asset == r[dimAsset]) {
			out = append(out, id)
		}
	}
	return out
}

// maker makes requests within the bounds of a property.
type maker struct {
	world *world
	given *Given
	rand  *rand.Rand
}

// values are those of a dimension beside what was chosen before it: first the one that is most likely allowed, and plain.
// None means that no request of this form fits.
func (g *maker) values(dim string, r request) []string {
	switch dim {
	case dimWhat:
		return g.whats()
	case dimType:
		return g.typesWithin(r)
	case dimKey:
		return within(append(append(g.keysFor(r), generator), g.world.keys()...), g.given.Key)
	case dimPath:
		return within(append([]string{"m"}, g.world.paths()...), g.given.Path)
	case dimRequester:
		return within(append(g.world.requesters(), none, nobody), requesterNames(g.given.Requester))
	case dimTime:
		return g.times()
	case dimUnknown:
		return append(append([]string{none}, some(g.world.literalsLike("/"))...), "/request_detail/beneficiary")
	case dimWallet:
		return within(g.scope(r, func(l limit) []string { return l.Wallets }), g.given.Wallet)
	case dimVault:
		return within(g.scope(r, func(l limit) []string { return l.Vaults }), g.given.Vault)
	case dimChain, dimAsset, dimTo, dimContract, dimMethod, dimSpender, dimTwist:
		return g.place(dim, r)
	case dimWrap:
		return g.wraps(r)
	case dimText, dimTyped, dimDeadline, dimScheme, dimParties:
		return g.content(dim, r)
	case dimSpend, dimExtra, dimSource, dimInputs, dimRune, dimRuneName, dimTicker, dimStep, dimTokenFrom, dimTokenTo:
		return g.coins(dim, r)
	}
	return g.numbers(dim, r)
}

func requesterNames(ids words) words {
	out := slices.Clone(ids)
	for i, id := range out {
		if id == "" {
			out[i] = none
		}
	}
	return out
}

// within leaves what a bound allows, and what it names beside.
func within(values []string, bound words) []string {
	if len(bound) == 0 {
		return distinct(values)
	}
	return distinct(append(slices.DeleteFunc(values, func(v string) bool { return !bound.allow(v) }), bound...))
}

func distinct(values []string) []string {
	seen := make(map[string]bool, len(values))
	return slices.DeleteFunc(slices.Clone(values), func(v string) bool {
		twice := seen[v]
		seen[v] = true
		return twice
	})
}

func (g *maker) whats() []string {
	var evm, utxo bool
	for symbol, c := range g.world.Chains {
		if g.given.Chain.allow(symbol) {
			evm, utxo = evm || c.Family == "evm", utxo || c.Family == "utxo"
		}
	}
	return slices.DeleteFunc(slices.Clone(forms), func(form string) bool {
		if !g.fits(form) {
			return true
		}
		switch form {
		case formTransfer, formClaim, formCall, formApprove:
			if !evm {
				return true
			}
		case formPayment, formListed, formReveal:
			if !utxo || form == formReveal && !g.tokens() {
				return true
			}
		case formPermit:
			if len(g.typedNames(true)) == 0 {
				return true
			}
		}
		kind := kindOf[form]
		bound := len(g.given.Chain)+len(g.given.Asset)+len(g.given.Recipient)+len(g.given.Wallet)+len(g.given.Vault) > 0 || g.given.Amount != nil || g.given.Call != nil
		return !g.given.Kind.allow(kind) || bound && kind != "transaction"
	})
}

// typesWithin are the types of a form that the property allows, or all that it names.
func (g *maker) typesWithin(r request) []string {
	out := slices.DeleteFunc(g.types(r), func(t string) bool { return !g.given.RequestType.allow(t) })
	if len(out) == 0 {
		return g.given.RequestType
	}
	return out
}

// fits tells whether a form may have the type and the evidence that the property is about.
func (g *maker) fits(form string) bool {
	if (form == formClaim || form == formListed) && !g.given.Evidence.allow("unverifiable") {
		return false
	}
	natural := g.types(request{dimWhat: form})
	for _, f := range forms { // a type that is natural for no form may be tried with all
		if slices.ContainsFunc(g.types(request{dimWhat: f}), g.given.RequestType.allow) {
			return slices.ContainsFunc(natural, g.given.RequestType.allow)
		}
	}
	return true
}

func (g *maker) types(r request) []string {
	switch kindOf[r[dimWhat]] {
	case "keygen":
		return []string{wire.TypeKeygen, wire.TypeRefresh, wire.TypeReshare}
	case "pre_sign":
		return []string{wire.TypePreSign}
	case "message":
		return []string{wire.TypeSign, wire.TypePreSignOnline, wire.TypeTaprootSign}
	case "raw":
		return []string{wire.TypeSign, wire.TypeBIP340SchnorrSign, wire.TypeTaprootSign, wire.TypePreSignOnline}
	}
	switch r[dimWhat] {
	case formPayment:
		return []string{wire.TypeSign, wire.TypeTaprootSign, wire.TypeBIP340SchnorrSign}
	case formListed:
		return []string{wire.TypeSign, wire.TypeTaprootSign, wire.TypeBIP340SchnorrSign}
	case formReveal:
		return []string{wire.TypeBIP340SchnorrSign}
	}
	return []string{wire.TypeSign, wire.TypePreSignOnline}
}

// keysFor are the keys that data lets sign requests of this form.
func (g *maker) keysFor(r request) []string {
	var out []string
	switch kindOf[r[dimWhat]] {
	case "message":
		out = sorted(g.world.Messages)
	case "raw":
		out = sorted(g.world.Raw)
	case "pre_sign":
		out = sorted(g.world.PreSign)
	}
	return slices.DeleteFunc(out, func(key string) bool { return !rootKey.MatchString(key) })
}

func (w *world) literalsLike(prefix string) []string {
	var out []string
	for _, text := range w.literals.Strings {
		if strings.HasPrefix(text, prefix) && len(text) < 100 {
			out = append(out, text)
		}
	}
	return out
}

// scope is a wallet or vault: one that a limit names, one that none names, and none.
func (g *maker) scope(r request, of func(limit) []string) []string {
	var named, other []string
	for _, l := range g.world.Limits[r[dimChain]][r[dimAsset]] {
		named = append(named, of(l)...)
	}
	for _, text := range g.world.literals.Strings {
		if len(text) > 0 && len(text) <= 40 && !strings.ContainsAny(text, " %\n:") {
			other = append(other, text)
		}
	}
	return append(append(append([]string{"1"}, named...), "90210", none), other...)
}

// monday is the first day of the weeks in which requests are made.
var monday = time.Date(2027, 1, 11, 0, 0, 0, 0, time.UTC)

// times are an ordinary hour, then the edges of all hours and of the property's.
func (g *maker) times() []string {
	var out []time.Time
	edge := func(zone *time.Location, day int, seconds ...int) {
		for _, second := range seconds {
			d := monday.AddDate(0, 0, day)
			out = append(out, time.Date(d.Year(), d.Month(), d.Day(), 0, 0, second, 0, zone))
		}
	}
	for _, name := range sorted(g.world.Hours) {
		h := g.world.Hours[name]
		zone, err := time.LoadLocation(h.Zone)
		if err != nil {
			continue
		}
		for day, weekday := range weekdays {
			for _, o := range h.Open[strings.ToUpper(weekday[:1])+weekday[1:]] {
				edge(zone, (day+6)%7, o.From, o.From-1, o.To-1, o.To)
			}
		}
		for _, date := range sorted(h.Holidays) {
			if t, err := time.ParseInLocation(time.DateOnly, date, zone); err == nil {
				out = append(out, t.Add(12*time.Hour))
			}
		}
	}
	for day := range 7 {
		edge(time.UTC, day, 10*3600, 3*3600, 22*3600)
	}
	t := g.given.Time
	if t == nil {
		return timesAsText(out)
	}
	for day := range 7 {
		edge(t.location, day, t.from, t.to-1, (t.from+t.to)/2)
	}
	return timesAsText(slices.DeleteFunc(out, func(at time.Time) bool { return !t.holds(at) }))
}

func timesAsText(times []time.Time) []string {
	out := make([]string, len(times))
	for i, t := range times {
		out[i] = t.UTC().Format(time.RFC3339)
	}
	return distinct(out)
}

// neighbour is an address that differs from one in its last digit, "" for none that is well formed.
func (w *world) neighbour(symbol, address string) string {
	chain := w.Chains[symbol]
	if chain.Family == "evm" && len(address) == 42 {
		last := "0"
		if strings.HasSuffix(address, "0") {
			last = "1"
		}
		return address[:41] + last
	}
	script, err := derive.BitcoinScript(derive.Network(chain.Network), address)
	if err != nil || len(script) < 22 {
		return ""
	}
	script[len(script)-3] ^= 1
	out, err := derive.BitcoinAddress(derive.Network(chain.Network), script)
	if err != nil {
		return ""
	}
	return out
}

func keyBytes(text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil {
		return nil
	}
	return b
}

func atoi(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}
