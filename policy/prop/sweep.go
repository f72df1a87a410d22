package prop

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// foremost are the dimensions in which a sweep looks first.
var foremost = []string{dimAmount, dimTo, dimTime, dimWindow, dimRequester, dimWallet, dimVault, dimEvery}

// dimEvery stands for whatever is not named.
const dimEvery = ""

// sweep lists requests that differ in one field alone from the best of each form: every value at which something may change,
// one after the other, the fields that matter most first. It is of at most so many, and the same for the same corpus.
func (h *hunt) sweep(most int) []request {
	var out []request
	bases := h.bases()
	for rank := range foremost {
		for _, base := range bases {
			for _, dim := range h.maker.dimensions(base)[1:] {
				if rankOf(dim) != rank {
					continue
				}
				for _, value := range h.maker.values(dim, base) {
					if len(out) == most {
						return out
					}
					if r := h.beside(base, dim, value); r != nil {
						out = append(out, r)
					}
				}
			}
		}
	}
	return out
}

// rankOf is a dimension's place in foremost.
func rankOf(dim string) int {
	return slices.IndexFunc(foremost, func(f string) bool {
		return f == dim || f == dimWindow && strings.HasPrefix(dim, dimWindow) || f == dimEvery
	})
}

// beside is a request that has another value in a dimension, and in those that depend on it what fits; nil for the same.
func (h *hunt) beside(base request, dim, value string) request {
	if base[dim] == value {
		return nil
	}
	r := maps.Clone(base)
	r[dim] = value
	return h.maker.completed(r, plainest)
}

// plainest is the first of a dimension's values.
func plainest(values []string) string { return values[0] }

// bases are the best requests of each form, chain and asset that were found without bounds, brought within those of the
// property.
func (h *hunt) bases() []request {
	var out []request
	best := map[string]*judged{}
	for _, j := range h.corpus { // of a name the best comes first
		if name := nicheOf(j.request); best[name] == nil {
			best[name] = j
		}
	}
	names := sorted(best)
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(best[a].score(), best[b].score()) })
	for _, name := range names {
		r := best[name].request
		if !slices.Contains(h.maker.values(dimWhat, r), r[dimWhat]) {
			continue
		}
		if r = h.maker.completed(maps.Clone(r), plainest); r != nil {
			out = append(out, r)
		}
	}
	return out
}
