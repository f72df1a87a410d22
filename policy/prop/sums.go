package prop

import (
	"context"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/countersign-mpc/countersign/wire"
)

// steps is the most requests of one sequence.
const steps = 200

// sumHunt tries a bound on what is approved in sum.
type sumHunt struct {
	*hunt
	most *big.Int // base units
}

// approved is one request of a sequence that was approved.
type approved struct {
	*judged
	amount *big.Int
	per    string
}

func (t *Tester) trySums(ctx context.Context, index int, p *Property) (Result, error) {
	r, s := Result{Name: p.Name}, sumHunt{hunt: t.hunt(p, index+1)}
	decimals := t.decimals(p)
	var err error
	if s.most, err = base(p.Never.ApproveOver, decimals); err != nil {
		return r, fmt.Errorf("property %q: never.approve_over: %w", p.Name, err)
	}
	for range max(1, min(t.Cases/4, 1000)/batch) { // requests to make sequences of
		n := 0
		if err := s.step(ctx, batch, func(*judged) { n++ }); err != nil {
			return r, fmt.Errorf("property %q: %w", p.Name, err)
		}
		r.Cases, r.Met = r.Cases+batch, r.Met+n
	}
	r.Vacuous, r.MayBeVacuous = r.Met == 0, p.MayBeVacuous
	start := time.Now()
	for r.Cases < t.Cases && !r.Vacuous && (t.Time == 0 || time.Since(start) < t.Time) {
		sequence := s.sequence()
		if len(sequence) == 0 {
			break // nothing is approved
		}
		over, sum, err := s.run(ctx, sequence)
		if err != nil {
			return r, fmt.Errorf("property %q: %w", p.Name, err)
		}
		r.Cases, r.Met = r.Cases+len(sequence), r.Met+len(sequence)
		if t.Progress != nil {
			t.Progress(min(r.Cases, t.Cases))
		}
		if sum == nil {
			r.Approved += len(over)
			continue
		}
		r.Counterexample, err = s.fewest(ctx, over, decimals)
		return r, err
	}
	return r, nil
}

// sequence are requests in the order of time, made of those that are approved by themselves, with amounts around the
// thresholds: mostly the largest that is approved.
func (s *sumHunt) sequence() []request {
	var pool []*judged
	for _, name := range sorted(s.best) {
		for _, j := range s.best[name] {
			if j.far == 0 && j.score() == 0 && moved(&j.input) != nil {
				pool = append(pool, j)
			}
		}
	}
	if len(pool) == 0 {
		return nil
	}
	slices.SortStableFunc(pool, func(a, b *judged) int { return moved(&b.input).Cmp(moved(&a.input)) })
	g := s.maker
	first := pool[g.rand.IntN(len(pool))]
	at := first.setting.Now
	out := make([]request, 0, steps)
	length := 2 + g.rand.IntN(steps-1)
	pace := g.rand.IntN(4)
	for range length {
		j := first
		switch g.rand.IntN(4) {
		case 0:
			j = pool[g.rand.IntN(len(pool))]
		case 1:
			j = pool[0]
		}
		r := maps.Clone(j.request)
		for dim := range r {
			if strings.HasPrefix(dim, dimWindow) {
				r[dim] = "0" // windows are filled by the sequence itself
			}
		}
		if values := g.values(dimAmount, r); g.rand.IntN(3) == 0 && len(values) > 0 {
			r[dimAmount] = values[g.rand.IntN(len(values))]
		}
		at = at.Add(s.pause(pace, length))
		r[dimTime] = at.UTC().Format(time.RFC3339)
		out = append(out, r)
	}
	return out
}

// pause is how long nobody asks: some sequences are as fast as can be, some are spread over the stretch of time, and some rest
// for nearly as long as it is.
func (s *sumHunt) pause(pace, length int) time.Duration {
	within := time.Duration(s.property.Never.WithinSeconds) * time.Second
	switch {
	case pace == 0:
		return within / time.Duration(length)
	case pace == 1 && s.maker.rand.IntN(16) == 0:
		return max(0, within-time.Second)
	}
	return time.Second
}

// run judges a sequence. It returns what was approved and, where that is over the bound within the stretch of time, only
// the requests that make up the sum, which is then not nil.
func (s *sumHunt) run(ctx context.Context, sequence []request) ([]approved, *big.Int, error) {
	at, err := time.Parse(time.RFC3339, sequence[0][dimTime])
	if err != nil {
		return nil, nil, err
	}
	rehearsal, err := s.Rehearse(ctx, at)
	if err != nil {
		return nil, nil, err
	}
	var list []approved
	for i, r := range sequence {
		j := &judged{request: r}
		if j.body, j.setting, err = s.maker.build(r, serial(i)); err != nil {
			return nil, nil, err
		}
		if j.outcome, err = rehearsal.Judge(ctx, j.body, j.setting); err == nil {
			err = j.read()
		}
		if err != nil {
			return nil, nil, err
		}
		if j.outcome.Decision.Action != wire.Approve || !s.world.meets(&s.property.Given, j) {
			continue
		}
		list = append(list, approved{j, moved(&j.input), s.per(j)})
		if over, sum := s.over(list); sum != nil {
			return over, sum, nil
		}
	}
	return list, nil, nil
}

// over looks at what was approved within the stretch of time that ends with the last request, for the same ones as it.
func (s *sumHunt) over(list []approved) ([]approved, *big.Int) {
	last := list[len(list)-1]
	within := time.Duration(s.property.Never.WithinSeconds) * time.Second
	sum := new(big.Int)
	var over []approved
	for _, a := range list {
		if a.per == last.per && (within == 0 || last.setting.Now.Sub(a.setting.Now) < within) {
			over = append(over, a)
			sum.Add(sum, a.amount)
		}
	}
	if sum.Cmp(s.most) <= 0 {
		return nil, nil
	}
	return over, sum
}

func (s *sumHunt) per(j *judged) string {
	in := &j.input
	requester := ""
	if in.Requester != nil {
		requester = in.Requester.KeyID
	}
	of := map[string]string{
		"recipient": in.Tx.To, "wallet": in.Tx.WalletID, "vault": in.Tx.VaultID, "requester": requester, "key": in.Request.PublicKey,
	}
	var out []string
	for _, scope := range s.property.Never.Per {
		out = append(out, of[scope])
	}
	return strings.Join(out, "\n")
}

// fewest leaves out what a sequence can do without.
func (s *sumHunt) fewest(ctx context.Context, over []approved, decimals int) (*Counterexample, error) {
	requests := func(list []approved) []request {
		out := make([]request, len(list))
		for i, a := range list {
			out[i] = a.request
		}
		return out
	}
	sum := total(over)
	for size := len(over) / 2; size > 0; size /= 2 {
		for from := 0; from+size <= len(over) && len(over) > 1; {
			shorter := slices.Delete(slices.Clone(over), from, from+size)
			if len(shorter) == 0 {
				break
			}
			list, smaller, err := s.run(ctx, requests(shorter))
			if err != nil {
				return nil, err
			}
			if smaller == nil {
				from += size
				continue
			}
			over, sum = list, smaller
		}
	}
	c := &Counterexample{Sum: coins(sum, decimals)}
	for _, a := range over {
		c.Requests = append(c.Requests, a.example())
	}
	last := over[len(over)-1].request
	c.Differs = []Difference{{dimWhat, last[dimWhat]}}
	for _, dim := range append(slices.Clone(telling), dimWallet, dimVault, dimRequester) {
		if last[dim] != "" {
			c.Differs = append(c.Differs, Difference{dim, last[dim]})
		}
	}
	return c, nil
}

func total(list []approved) *big.Int {
	sum := new(big.Int)
	for _, a := range list {
		sum.Add(sum, a.amount)
	}
	return sum
}
