package prop

import (
	"encoding/json"
	"math/big"
	"slices"
	"strings"
)

// numbers are amounts around every threshold that may matter for a dimension.
func (g *maker) numbers(dim string, r request) []string {
	var base []json.Number
	var first []*big.Int
	add := func(list ...json.Number) { base = append(base, list...) }
	asset := g.world.Chains[r[dimChain]].Assets[r[dimAsset]]
	coin := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(asset.Decimals)), nil)
	switch {
	case dim == dimAmount:
		return g.amounts(r)
	case dim == dimGasLimit:
		first = ints(100_000, 21_000)
		add(g.world.Gas[r[dimChain]].Max["limit"].Base)
	case dim == dimGasPrice:
		first = ints(1_000_000_000, 1)
		add(g.world.Gas[r[dimChain]].Max["price_base"].Base)
		if fee, ok := integer(g.world.Gas[r[dimChain]].Max["fee_base"].Base); ok {
			if gas, ok := new(big.Int).SetString(r[dimGasLimit], 10); ok && gas.Sign() > 0 {
				first = append(first, around(new(big.Int).Div(fee, gas))...)
			}
		}
	case dim == dimAllowance:
		return append(g.allowances(r), unlimited)
	case dim == dimFee:
		first = g.fees(r)
	case dim == dimRunes:
		first = ints(1)
		add(g.world.Runes[r[dimChain]][r[dimRune]].thresholds()...)
	case dim == dimQuantity:
		first = ints(1)
		method, _, _ := strings.Cut(r[dimStep], " ")
		add(g.world.BRC20[r[dimChain]][r[dimTicker]].Methods[method].thresholds()...)
	case strings.HasPrefix(dim, dimWindow):
		return g.used(strings.TrimPrefix(dim, dimWindow), r)
	}
	for _, text := range base {
		if n, ok := integer(text); ok {
			first = append(first, around(n)...)
		}
	}
	return asText(append(first, around(coin)...))
}

// amounts are around limits, windows, literals and the property's bounds. The first is the largest that no limit and no window
// asks approvals for.
func (g *maker) amounts(r request) []string {
	chain := g.world.Chains[r[dimChain]]
	decimals := chain.Assets[r[dimAsset]].Decimals
	var edges []*big.Int
	var free *big.Int
	take := func(l limit) {
		for _, text := range l.thresholds() {
			n, ok := integer(text)
			if !ok {
				continue
			}
			edges = append(edges, n)
			if free == nil || n.Cmp(free) < 0 {
				free = n
			}
		}
	}
	for _, l := range g.world.Limits[r[dimChain]][r[dimAsset]] {
		take(l)
	}
	for _, id := range g.counting(r) {
		if g.world.Windows[id].Asset != "" {
			take(g.world.Windows[id].limit)
		}
	}
	edges = append(edges, g.world.numbers...)
	for _, n := range g.world.numbers {
		edges = append(edges, new(big.Int).Mul(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(decimals)), nil)))
	}
	var out []*big.Int
	if r[dimWhat] == formCall || r[dimWhat] == formApprove {
		out = ints(0)
	}
	if free != nil {
		out = append(out, free)
	}
	lowest, highest, err := g.bounds(r, decimals)
	if err == nil && lowest != nil {
		edges = append(edges, lowest)
	}
	if err == nil && highest != nil {
		edges = append(edges, highest)
	}
	out = append(append(out, ints(1, 0)...), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(decimals)), nil))
	for _, edge := range edges {
		out = append(out, around(edge)...)
	}
	return asText(slices.DeleteFunc(out, func(n *big.Int) bool {
		return lowest != nil && n.Cmp(lowest) < 0 || highest != nil && n.Cmp(highest) > 0 || chain.Family == "utxo" && n.BitLen() > 50
	}))
}

// bounds are the property's for the amount of a request.
func (g *maker) bounds(r request, decimals int) (lowest, highest *big.Int, err error) {
	if g.given.Amount == nil {
		return nil, nil, nil
	}
	return g.given.Amount.bounds(decimals)
}

func (g *maker) allowances(r request) []string {
	out := ints(1)
	for _, grants := range []map[string]map[string]grant{g.world.Allowances, g.world.Permits} {
		for _, symbol := range sorted(grants) {
			for _, id := range sorted(grants[symbol]) {
				if n, ok := integer(grants[symbol][id].MaxBase); ok {
					out = append(out, around(n)...)
				}
			}
		}
	}
	return asText(out)
}

// fees are small, then those at which the most that data takes is reached. A payment's size is known only when it is built.
func (g *maker) fees(r request) []*big.Int {
	out := ints(300, 1000)
	rules := g.world.UTXO[r[dimChain]]
	if n, ok := integer(number(rules["max_fee_base"])); ok {
		out = append(out, around(n)...)
	}
	if n, ok := integer(number(rules["max_fee_rate_kvb"])); ok {
		for _, size := range []int64{90, 111, 141, 154, 200, 1000} {
			fee := new(big.Int).Mul(n, big.NewInt(size))
			out = append(out, fee.Div(fee, big.NewInt(1000)))
		}
	}
	return out
}

// used are states of a window: empty, and those with which the request comes to a threshold, and to one more.
func (g *maker) used(id string, r request) []string {
	w := g.world.Windows[id]
	adds := big.NewInt(1)
	if w.Asset != "" {
		if n, ok := new(big.Int).SetString(r[dimAmount], 10); ok {
			adds = n
		}
	}
	out := ints(0)
	for _, text := range w.thresholds() {
		if n, ok := integer(text); ok {
			out = append(out, new(big.Int).Sub(n, adds), new(big.Int).Add(new(big.Int).Sub(n, adds), big.NewInt(1)), n)
		}
	}
	return asText(slices.DeleteFunc(out, func(n *big.Int) bool { return n.Sign() < 0 }))
}

func ints(list ...int64) []*big.Int {
	out := make([]*big.Int, len(list))
	for i, n := range list {
		out[i] = big.NewInt(n)
	}
	return out
}

// around is a number, one less and one more, none below zero.
func around(n *big.Int) []*big.Int {
	out := []*big.Int{n, new(big.Int).Add(n, big.NewInt(1))}
	if n.Sign() > 0 {
		out = append(out, new(big.Int).Sub(n, big.NewInt(1)))
	}
	return out
}

func asText(list []*big.Int) []string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = n.String()
	}
	return distinct(out)
}
