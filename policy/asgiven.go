package policy

import (
	"encoding/json"

	"github.com/open-policy-agent/opa/v1/ast"
)

// given are values of an input as they were given to be written, which were found to stand in its JSON as they are: what is looked at of
// them need not be read from there. The zero value is that of an input of which only the JSON is known.
type given struct {
	is      bool
	tx      *Tx
	call    *Call
	windows map[string]Window
}

// givenPlaces are the parts of the input, by their indexes, of which values are given; -1 for those that nobody looks at.
type givenPlaces struct {
	to, amount, amountBase, gas, movements, windows int
}

func newGivenPlaces(index map[inputPath]int) givenPlaces {
	at := func(name, member string) int {
		if i, known := index[inputPath{name, member}]; known {
			return i
		}
		return -1
	}
	return givenPlaces{
		to: at("tx", "to"), amount: at("tx", "amount"), amountBase: at("tx", "amount_base"), gas: at("tx", "gas"),
		movements: at("call", "movements"), windows: at("windows", ""),
	}
}

// part is the value of a part that is there; nil for one that is not given.
func (g *given) part(p *givenPlaces, part int) ast.Value {
	if !g.is || g.tx == nil {
		return nil
	}
	switch part {
	case p.to:
		return ast.String(g.tx.To)
	case p.amount:
		return ast.String(g.tx.Amount)
	case p.amountBase:
		return number(g.tx.AmountBase)
	}
	return nil
}

// member is what a part holds under names; ok is false where that is not given.
func (g *given) member(p *givenPlaces, part int, names []string) (v ast.Value, ok bool) {
	switch {
	case !g.is:
	case part == p.windows && len(names) == 2:
		return g.window(names[0], names[1]), true
	case part == p.gas && len(names) == 1 && g.tx != nil && g.tx.Gas != nil:
		return g.tx.Gas.member(names[0]), true
	}
	return nil, false
}

func (g *given) window(id, name string) ast.Value {
	w, known := g.windows[id]
	if !known {
		return nil
	}
	switch name {
	case "used":
		return number(w.Used)
	case "reserved":
		return number(w.Reserved)
	case "after":
		return number(w.After)
	}
	return nil
}

func (g *Gas) member(name string) ast.Value {
	switch name {
	case "price_base":
		return number(g.PriceBase)
	case "limit":
		return number(g.Limit)
	case "fee_base":
		return number(g.FeeBase)
	case "source":
		return ast.String(g.Source)
	}
	return nil
}

func (m *CallMove) member(name string) ast.Value {
	switch name {
	case "kind":
		return ast.String(m.Kind)
	case "contract":
		return ast.String(m.Contract)
	case "to":
		return ast.String(m.To)
	case "token_id":
		if m.TokenID != "" {
			return ast.String(m.TokenID)
		}
	case "amount_base":
		return number(m.AmountBase)
	}
	return nil
}

// number is an integer in base units, nil for one that is absent.
func number(n json.Number) ast.Value {
	if n == "" {
		return nil
	}
	return ast.Number(n)
}
