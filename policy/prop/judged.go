package prop

import (
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// Outcome is how a request was judged.
type Outcome struct {
	Decision policy.Decision
	Input    json.RawMessage // that rules saw
}

// judged is a request with its outcome. Whether it is within the bounds of a property follows from what rules saw of it, not
// from what it was made of.
type judged struct {
	request request
	body    []byte
	setting Setting
	outcome Outcome
	input   policy.Input
	far     int // how many bounds of the property it is not within
}

func (j *judged) read() error { return json.Unmarshal(j.outcome.Input, &j.input) }

// score says how far a request is from being approved: 0 is approved, 1 waits, the others by how many rules reject them.
func (j *judged) score() int {
	switch j.outcome.Decision.Action {
	case wire.Approve:
		return 0
	case wire.Wait:
		return 1
	}
	against := map[string]bool{}
	for _, r := range j.outcome.Decision.Reasons {
		if r.Severity == wire.Reject {
			against[r.RuleID] = true
		}
	}
	return 2 + len(against)
}

// violates tells whether a request speaks against what a property says of it. Sums are looked at elsewhere.
func (p *Property) violates(j *judged) bool {
	d := j.outcome.Decision
	action, not := p.claim()
	if (d.Action == action) == not {
		return true
	}
	return p.By != "" && !slices.ContainsFunc(d.Reasons, func(r policy.Reason) bool { return r.RuleID == p.By && r.Severity == action })
}

// distance says how many of a property's bounds a request is not within: 0 is within all.
func (w *world) distance(g *Given, j *judged) int {
	in := &j.input
	tx := in.Tx
	if tx == nil {
		tx = &policy.Tx{}
	}
	requester := ""
	if in.Requester != nil {
		requester = in.Requester.KeyID
	}
	out := g.unmet(j)
	for _, met := range []bool{
		g.Kind.allow(kindOfInput(in)), g.RequestType.allow(in.Request.RequestType), g.Chain.allow(tx.Chain), g.Asset.allow(tx.Asset),
		g.Wallet.allow(tx.WalletID), g.Vault.allow(tx.VaultID), g.Requester.allow(requester), g.Key.allow(in.Request.PublicKey),
		g.Path.allow(in.Request.Path), g.Evidence.allow(string(in.Evidence.Status)), g.Time == nil || g.Time.holds(time.Unix(in.Now.Unix, 0)),
		g.Call == nil || *g.Call == (in.Call != nil && in.Call.Declared), w.meetsRecipient(g, in), w.meetsAmount(g, in),
	} {
		if !met {
			out++
		}
	}
	return out
}

// meets tells whether a request is within the bounds of a property.
func (w *world) meets(g *Given, j *judged) bool { return w.distance(g, j) == 0 }

// kindOfInput says which rules judge a request, as rego/lib.rego does.
func kindOfInput(in *policy.Input) string {
	switch in.Request.RequestType {
	case wire.TypeKeygen, wire.TypeRefresh, wire.TypeReshare:
		return "keygen"
	case wire.TypePreSign:
		return "pre_sign"
	}
	switch {
	case in.Request.SignType == wire.SignTypeMessage:
		return "message"
	case in.Request.SignType == wire.SignTypeRaw, in.Tx == nil:
		return "raw"
	}
	return "transaction"
}

// meetsRecipient looks at everybody who gets something: the recipient, other outputs, and what calls move.
func (w *world) meetsRecipient(g *Given, in *policy.Input) bool {
	if len(g.Recipient) == 0 {
		return true
	}
	if in.Tx == nil || in.Tx.To == "" {
		return false
	}
	to := []string{in.Tx.To}
	if in.UTXO != nil {
		for _, o := range in.UTXO.Outputs {
			if !o.Own && o.Address != "" {
				to = append(to, o.Address)
			}
		}
	}
	if in.Call != nil {
		for _, m := range in.Call.Movements {
			to = append(to, m.To)
		}
	}
	return slices.ContainsFunc(to, func(address string) bool { return w.among(g.Recipient, in.Tx.Chain, address) })
}

// moved is the amount that leaves, in base units; nil if it is not known.
func moved(in *policy.Input) *big.Int {
	if in.Tx == nil {
		return nil
	}
	amount, ok := integer(in.Tx.AmountBase)
	if !ok {
		return nil
	}
	if in.UTXO != nil {
		if paid, ok := integer(in.UTXO.PaidBase); ok && paid.Cmp(amount) > 0 {
			return paid
		}
	}
	return amount
}

func (w *world) meetsAmount(g *Given, in *policy.Input) bool {
	if g.Amount == nil {
		return true
	}
	amount := moved(in)
	if amount == nil {
		return false
	}
	lowest, highest, err := g.Amount.bounds(w.Chains[in.Tx.Chain].Assets[in.Tx.Asset].Decimals)
	return err == nil && inside(amount, lowest, highest)
}

func inside(n, lowest, highest *big.Int) bool {
	return (lowest == nil || n.Cmp(lowest) >= 0) && (highest == nil || n.Cmp(highest) <= 0)
}

// unmet counts the members of the input, by their JSON pointers (RFC 6901), that are not as they have to be. One that is not
// there is not.
func (g *Given) unmet(j *judged) int {
	if len(g.Input) == 0 {
		return 0
	}
	var document any
	d := json.NewDecoder(strings.NewReader(string(j.outcome.Input)))
	d.UseNumber()
	if err := d.Decode(&document); err != nil {
		return len(g.Input)
	}
	out := 0
	for at, want := range g.Input {
		if value, err := resolve(document, at); err != nil || !want.holds(value) {
			out++
		}
	}
	return out
}

var errNotThere = errors.New("not there")

func resolve(document any, pointer string) (any, error) {
	for _, part := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		part = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
		switch v := document.(type) {
		case map[string]any:
			next, there := v[part]
			if !there {
				return nil, errNotThere
			}
			document = next
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(v) {
				return nil, errNotThere
			}
			document = v[i]
		default:
			return nil, errNotThere
		}
	}
	return document, nil
}

func (e Either) holds(value any) bool {
	if e.within == nil {
		return slices.ContainsFunc(e.values, func(v any) bool { return v == value }) != e.not
	}
	lowest, highest, err := e.within.bounds(0)
	n, isNumber := value.(json.Number)
	if err != nil || !isNumber {
		return false
	}
	amount, ok := integer(n)
	return ok && inside(amount, lowest, highest)
}
