package prop

import (
	"encoding/json"
	"math/big"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/countersign-mpc/countersign/derive"
)

// place gives chains, assets, addresses and what a transaction calls.
func (g *maker) place(dim string, r request) []string {
	switch dim {
	case dimChain:
		return g.chains(r)
	case dimAsset:
		return within(g.assets(r), g.given.Asset)
	case dimTo:
		if r[dimWhat] == formCall || r[dimWhat] == formApprove {
			return []string{""} // the contract is
		}
		out := g.recipients(r, g.given.Recipient)
		if r[dimWhat] == formReveal { // an inscription comes to lie where the first output goes
			own := g.world.Addresses[r[dimChain]].Own
			slices.SortStableFunc(out, func(a, b string) int { return strings.Compare(own[b], own[a]) })
		}
		return out
	case dimContract:
		return g.contracts(r)
	case dimMethod:
		return g.methods(r)
	case dimSpender:
		return g.spenders(r)
	}
	twists := []string{none, "amount", "recipient", "chain", "token", "message"} // dimTwist
	if e := g.given.Evidence; len(e) == 1 && e[0] == "mismatch" {
		return twists[1:]
	}
	return twists
}

// chains are those of the form's family, the ones with limits first.
func (g *maker) chains(r request) []string {
	family := "evm"
	if slices.Contains([]string{formPayment, formListed, formReveal}, r[dimWhat]) {
		family = "utxo"
	}
	out := slices.DeleteFunc(sorted(g.world.Chains), func(symbol string) bool {
		return g.world.Chains[symbol].Family != family || !g.given.Chain.allow(symbol)
	})
	sort.SliceStable(out, func(i, j int) bool { return len(g.world.Limits[out[i]]) > len(g.world.Limits[out[j]]) })
	return out
}

// assets are those that fit the form, the ones with limits first: a call takes coins along, an approve is of a token.
func (g *maker) assets(r request) []string {
	chain := g.world.Chains[r[dimChain]]
	if r[dimWhat] == formCall || r[dimWhat] == formApprove {
		return []string{chain.Native}
	}
	out := sorted(chain.Assets)
	sort.SliceStable(out, func(i, j int) bool {
		return len(g.world.Limits[r[dimChain]][out[i]]) > len(g.world.Limits[r[dimChain]][out[j]])
	})
	return out
}

// class says what an address is to the policy's data.
func (w *world) class(symbol, address string) string {
	l := w.Addresses[symbol]
	if _, denied := l.Deny[address]; denied {
		return "denied"
	}
	if _, own := l.Own[address]; own {
		return "own"
	}
	if _, listed := l.Allow[address]; listed {
		return "listed"
	}
	return "unlisted"
}

// notAllowed are the unlisted ones of a chain that does not say allow_any.
const notAllowed = "not_allowed"

// among says whether an address is in one of the classes.
func (w *world) among(classes words, symbol, address string) bool {
	class := w.class(symbol, address)
	return classes.allow(class) || class == "unlisted" && !w.Addresses[symbol].AllowAny && classes.allow(notAllowed)
}

// recipients are some of each list and their neighbours, within the classes that are bound.
func (g *maker) recipients(r request, classes words) []string {
	symbol := r[dimChain]
	l := g.world.Addresses[symbol]
	var out []string
	for _, list := range []map[string]string{l.Allow, l.Own, l.Deny} {
		out = append(out, some(sorted(list))...)
	}
	for _, address := range slices.Clone(out) {
		if n := g.world.neighbour(symbol, address); n != "" {
			out = append(out, n)
		}
	}
	out = append(out, g.address(symbol, stranger))
	return slices.DeleteFunc(distinct(out), func(a string) bool { return a == "" || !g.world.among(classes, symbol, a) })
}

// address is that of a public key on a chain, in the form that rules see.
func (g *maker) address(symbol, key string) string {
	chain := g.world.Chains[symbol]
	var out string
	var err error
	if chain.Family == "evm" {
		out, err = derive.EVMAddress(keyBytes(key))
		out = strings.ToLower(out)
	} else {
		out, err = derive.P2WPKHAddress(derive.Network(chain.Network), keyBytes(key))
	}
	if err != nil {
		return ""
	}
	return out
}

func (g *maker) contracts(r request) []string {
	out := some(sorted(g.world.Contracts[r[dimChain]]))
	for _, asset := range sorted(g.world.Chains[r[dimChain]].Assets) {
		if c := g.world.Chains[r[dimChain]].Assets[asset].Contract; c != "" {
			out = append(out, c)
		}
	}
	for _, address := range slices.Clone(out) {
		out = append(out, g.world.neighbour(r[dimChain], address))
	}
	out = append(out, some(sorted(g.world.Addresses[r[dimChain]].Deny))...)
	return distinct(append(out, g.address(r[dimChain], stranger)))
}

// methods are selectors: those that the contract may be called by, then others. What gives power over tokens is among them.
func (g *maker) methods(r request) []string {
	if r[dimWhat] == formApprove {
		return []string{"095ea7b3", "39509351"} // approve, increaseAllowance
	}
	var out []string
	for _, selector := range sorted(g.world.Contracts[r[dimChain]][r[dimContract]].Methods) {
		if !slices.Contains([]string{"0x095ea7b3", "0x" + selectorMulticall, "0x" + selectorSafe}, selector) { // a form, and wraps, of their own
			out = append(out, strings.TrimPrefix(selector, "0x"))
		}
	}
	return append(out, "d0e30db0", "a22cb465", selectorFrom, "deadbeef") // deposit(), setApprovalForAll(address,bool), ..., one that nobody knows
}

func (g *maker) spenders(r request) []string {
	var out []string
	for _, grants := range []map[string]map[string]grant{g.world.Allowances, g.world.Permits} {
		for _, symbol := range sorted(grants) {
			for _, id := range sorted(grants[symbol]) {
				out = append(out, some(sorted(grants[symbol][id].Spenders))...)
			}
		}
	}
	evm := "0x" + strings.Repeat("5", 40)
	for _, address := range slices.Clone(out) {
		if len(address) == 42 {
			out = append(out, address[:41]+map[bool]string{true: "1", false: "0"}[address[41] == '0'])
		}
	}
	return distinct(append(append(out, some(sorted(g.world.Addresses[r[dimChain]].Deny))...), evm))
}

// content gives what messages say and who holds a key.
func (g *maker) content(dim string, r request) []string {
	switch dim {
	case dimText:
		var out []string
		for _, pattern := range g.world.Messages[r[dimKey]].Text {
			out = append(out, sample(pattern))
		}
		out = distinct(append(out, "anything"))
		return append(out, out[0]+"x", "x"+out[0])
	case dimTyped:
		return g.typedNames(r[dimWhat] == formPermit)
	case dimDeadline:
		return g.deadlines()
	case dimScheme:
		var out []string
		for _, s := range g.world.Keygen.Schemes {
			out = append(out, scheme(s.Cryptography, s.T, s.N), scheme(s.Cryptography, s.T-1, s.N), scheme(s.Cryptography, s.T, s.N+1))
		}
		return append(out, "ecdsa-secp256k1 2 2", "eddsa-ed25519 2 3")
	}
	return []string{"known", "one unknown", "one twice", "one too few"} // dimParties
}

func scheme(cryptography string, t, n int) string {
	return cryptography + " " + strconv.Itoa(t) + " " + strconv.Itoa(n)
}

// typedName is a domain, as data has it, with a primary type.
type typedName struct {
	domain  []*string // name, version, chain id, verifying contract, salt
	primary string
}

func (n typedName) String() string {
	b, err := json.Marshal(n.domain)
	if err != nil { // strings can always be written
		return ""
	}
	return n.primary + " " + string(b)
}

func parseTyped(text string) (typedName, bool) {
	primary, domain, _ := strings.Cut(text, " ")
	n := typedName{primary: primary}
	err := json.Unmarshal([]byte(domain), &n.domain)
	return n, err == nil && len(n.domain) == 5
}

// typedNames are the domains and types that data lists, and for permits those of its tokens; then a domain that it does not.
func (g *maker) typedNames(permits bool) []string {
	var out []string
	for _, domain := range sorted(g.world.TypedData) {
		for _, primary := range sorted(g.world.TypedData[domain].PrimaryTypes) {
			if n, ok := parseTyped(primary + " " + domain); ok && (primary == "Permit") == permits {
				out = append(out, n.String())
			}
		}
		if n, ok := parseTyped("Other " + domain); ok && !permits {
			out = append(out, n.String())
		}
	}
	name, one := "Somebody's token", "1"
	for _, symbol := range sorted(g.world.Chains) {
		chain := g.world.Chains[symbol]
		for _, id := range sorted(chain.Assets) {
			if contract, chainID := chain.Assets[id].Contract, strconv.FormatUint(chain.ChainID, 10); contract != "" && permits {
				out = append(out, typedName{[]*string{&name, &one, &chainID, &contract, nil}, "Permit"}.String())
			}
		}
	}
	if !permits {
		out = append(out, typedName{[]*string{&name, &one, &one, nil, nil}, "Order"}.String())
	}
	return out
}

func (g *maker) deadlines() []string {
	out := ints(60)
	for _, symbol := range sorted(g.world.Permits) {
		for _, id := range sorted(g.world.Permits[symbol]) {
			out = append(out, around(big.NewInt(g.world.Permits[symbol][id].MaxDeadlineSeconds))...)
		}
	}
	return asText(append(out, big.NewInt(1<<32)))
}

// coins gives what a payment of inputs and outputs does.
func (g *maker) coins(dim string, r request) []string {
	chain := r[dimChain]
	switch dim {
	case dimSpend:
		if r[dimWhat] == formReveal {
			return []string{spendReveal, spendOther}
		}
		return map[string][]string{"taproot-sign": {"key", "tree"}, "bip340-schnorr-sign": {"checksig", "script"}}[r[dimType]]
	case dimExtra:
		return []string{none, "own", "listed", "unlisted", "denied", "data"}
	case dimSource:
		own := some(sorted(g.world.Addresses[chain].Own))
		return distinct(append(append([]string{"signer"}, own...), g.address(chain, stranger)))
	case dimInputs:
		return []string{none, "own", "another's", "another's before"}
	case dimRune:
		return append(append([]string{none}, sorted(g.world.Runes[chain])...), "1:1")
	case dimRuneName:
		return []string{"right", "wrong"}
	case dimTicker:
		if r[dimWhat] == formReveal {
			return append(sorted(g.world.BRC20[chain]), "none-such", none)
		}
		return append(append([]string{none}, sorted(g.world.BRC20[chain])...), "none-such")
	case dimStep:
		return g.steps(r)
	case dimTokenFrom:
		own := some(sorted(g.world.Addresses[chain].Own))
		return append(own, g.address(chain, stranger))
	}
	return append([]string{"recipient"}, g.recipients(r, nil)...) // dimTokenTo
}

func (g *maker) steps(r request) []string {
	var out []string
	methods := g.world.BRC20[r[dimChain]][r[dimTicker]].Methods
	if r[dimWhat] == formReveal { // what an inscription says in a spent script
		out = append(out, "transfer 2")
	}
	for _, method := range sorted(methods) {
		for _, step := range methods[method].Steps {
			out = append(out, method+" "+strconv.Itoa(step))
		}
	}
	return distinct(append(out, "transfer 1", "transfer 3", "mint 1", "deploy 1", "transfer 7"))
}

func integer(text json.Number) (*big.Int, bool) {
	if text == "" {
		return nil, false
	}
	return new(big.Int).SetString(string(text), 10)
}

// number is a JSON number that was read without its type being known.
func number(v any) json.Number {
	switch n := v.(type) {
	case json.Number:
		return n
	case float64:
		return json.Number(strconv.FormatFloat(n, 'f', 0, 64))
	}
	return ""
}
