package prop

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/countersign-mpc/countersign/policy"
)

// Counterexample is what speaks against a property, made as plain as it still does: one request, or for a bound on sums one
// after the other.
type Counterexample struct {
	Requests []Example `json:"requests"`
	// Differs are the fields in which the last request differs from a plain one of its form, with their values.
	Differs []Difference `json:"differs"`
	// Sum is what the requests come to, in coins, for a bound on sums.
	Sum string `json:"sum,omitempty"`
}

// Example is one request.
type Example struct {
	Body     json.RawMessage       `json:"body"` // that `callback policy eval` takes
	Time     time.Time             `json:"time"`
	Used     map[string]*big.Int   `json:"used,omitempty"` // of windows, before it
	Approved bool                  `json:"approved"`       // everybody who may approve it has
	Decision policy.Decision       `json:"decision"`
	Evidence policy.EvidenceStatus `json:"evidence"`
}

// Difference is one field.
type Difference struct {
	Field string `json:"field"`
	Value string `json:"value"`
}

func (j *judged) example() Example {
	return Example{
		Body: j.body, Time: j.setting.Now, Used: j.setting.Used, Approved: j.setting.Approved, Decision: j.outcome.Decision, Evidence: j.input.Evidence.Status,
	}
}

// shrink sets every dimension back to its plainest value, and every number to the smallest, with which the request still
// speaks against the property.
func (h *hunt) shrink(ctx context.Context, found *judged) (*Counterexample, error) {
	s := &shrinker{hunt: h, ctx: ctx, found: found}
	for again := true; again && s.err == nil; {
		again = false
		for _, dim := range h.maker.dimensions(s.found.request)[1:] {
			again = s.plain(dim) || again
		}
	}
	for _, dim := range h.maker.dimensions(s.found.request) {
		s.smallest(dim)
	}
	if s.err != nil {
		return nil, s.err
	}
	c := &Counterexample{Requests: []Example{s.found.example()}}
	r := s.found.request
	c.Differs = []Difference{{dimWhat, r[dimWhat]}}
	for _, dim := range h.maker.dimensions(r)[1:] {
		if values := h.maker.values(dim, r); r[dim] != "" && (len(values) == 0 || r[dim] != values[0]) || slices.Contains(telling, dim) && r[dim] != "" {
			c.Differs = append(c.Differs, Difference{dim, r[dim]})
		}
	}
	return c, nil
}

// telling dimensions are told of every request that has them.
var telling = []string{dimChain, dimAsset, dimTo, dimAmount}

type shrinker struct {
	*hunt
	ctx   context.Context
	found *judged
	err   error
}

// still takes a request if it speaks against the property too.
func (s *shrinker) still(r request) bool {
	if s.err != nil || maps.Equal(r, s.found.request) {
		return false
	}
	j := &judged{request: r}
	if s.err = s.judgeOne(s.ctx, j, 0); s.err != nil || j.body == nil {
		return false
	}
	if !s.world.meets(&s.property.Given, j) || !s.property.violates(j) {
		return false
	}
	s.found = j
	return true
}

func (s *shrinker) with(dim, value string) request {
	r := maps.Clone(s.found.request)
	r[dim] = value
	return r
}

// plain tries a dimension's plainest value.
func (s *shrinker) plain(dim string) bool {
	values := s.maker.values(dim, s.found.request)
	return len(values) > 0 && s.still(s.with(dim, values[0]))
}

// smallest looks for the smallest number by halving: where more is worse, that is the edge.
func (s *shrinker) smallest(dim string) {
	high, ok := new(big.Int).SetString(s.found.request[dim], 10)
	if !ok || !strings.HasSuffix(dim, "(base units)") && !strings.HasPrefix(dim, dimWindow) && dim != dimGasPrice && dim != dimGasLimit {
		return
	}
	if values := s.maker.values(dim, s.found.request); dim != dimAmount && len(values) > 0 && values[0] == s.found.request[dim] {
		return // plain as it is
	}
	low := big.NewInt(-1) // does not speak against it, as far as is known
	for step := 0; step < 300; step++ {
		middle := new(big.Int).Rsh(new(big.Int).Add(low, high), 1)
		if new(big.Int).Sub(high, low).Cmp(big.NewInt(1)) <= 0 {
			return
		}
		if step == 0 {
			middle.SetInt64(0)
		}
		if s.still(s.with(dim, middle.String())) {
			high = middle
		} else {
			low = middle
		}
	}
}

// String tells a difference on one line.
func (d Difference) String() string { return fmt.Sprintf("%s %s", d.Field, d.Value) }
