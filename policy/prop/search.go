package prop

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/countersign-mpc/countersign/policy"
)

// Judge judges one request as a server would. It is called from several goroutines at once.
type Judge func(ctx context.Context, body []byte, set Setting) (Outcome, error)

// Rehearsal judges requests one after the other, each knowing what was approved before it.
type Rehearsal interface {
	Judge(ctx context.Context, body []byte, set Setting) (Outcome, error)
}

// Config is what New needs.
type Config struct {
	Engine *policy.Engine
	Judge  Judge
	// Rehearse starts with empty windows at a time.
	Rehearse func(ctx context.Context, at time.Time) (Rehearsal, error)
	Seed     uint64
	Cases    int           // requests that are tried for each property; 0 is DefaultCases
	Time     time.Duration // for each property; 0 is no bound
	// Discovery is how many requests are tried before any property, to find what is approved; 0 is DefaultDiscovery.
	Discovery int
	Progress  func(done int)
}

// DefaultCases is how many requests are tried for a property.
const DefaultCases = 5000

// Result is what came of one property.
type Result struct {
	Name  string `json:"name"`
	Cases int    `json:"cases"` // requests that were tried
	// Systematic counts those of Cases that were not drawn: they differ from a good request in one field, each value in turn.
	Systematic int `json:"systematic"`
	Met        int `json:"met"` // those of Cases within the property's bounds
	// Approved counts those of Met that were approved. Where it is 0 a property that forbids approvals says little.
	Approved       int             `json:"approved"`
	Vacuous        bool            `json:"vacuous"`                  // nothing was within the bounds
	MayBeVacuous   bool            `json:"may_be_vacuous,omitempty"` // the property says that this is no fault
	Counterexample *Counterexample `json:"counterexample,omitempty"`
}

// Holds says that something was within the bounds, or may not have been, and nothing spoke against the property.
func (r Result) Holds() bool { return (!r.Vacuous || r.MayBeVacuous) && r.Counterexample == nil }

// Tester tries the properties of one policy.
type Tester struct {
	Config
	world  *world
	corpus []*judged // the best requests of each form that were found without bounds
	fits   int       // how many requests approved, in all
}

// DefaultDiscovery is how many requests are tried before any property.
const DefaultDiscovery = 1024

// batch is how many requests are judged side by side; more would know less of those before them.
const batch = 32

// New reads what the policy's data and rules know, and looks for requests of every form that it approves.
func New(ctx context.Context, cfg Config) (*Tester, error) {
	if cfg.Engine == nil || cfg.Judge == nil || cfg.Rehearse == nil {
		return nil, errors.New("try properties: engine, judge and rehearsals have to be given")
	}
	if cfg.Cases == 0 {
		cfg.Cases = DefaultCases
	}
	if cfg.Discovery == 0 {
		cfg.Discovery = DefaultDiscovery
	}
	t := &Tester{Config: cfg}
	var err error
	if t.world, err = newWorld(cfg.Engine); err != nil {
		return nil, fmt.Errorf("try properties: %w", err)
	}
	h := t.hunt(&Property{}, 0)
	for range max(1, cfg.Discovery/batch) {
		if err := h.step(ctx, batch, nil); err != nil {
			return nil, fmt.Errorf("try properties: %w", err)
		}
	}
	for _, name := range sorted(h.best) {
		t.corpus = append(t.corpus, h.best[name]...)
	}
	for _, j := range t.corpus {
		if j.score() == 0 {
			t.fits++
		}
	}
	return t, nil
}

// Approves says how many different requests were found, without any property's bounds, that the policy approves.
func (t *Tester) Approves() int { return t.fits }

// Try tries one property.
func (t *Tester) Try(ctx context.Context, index int, p *Property) (Result, error) {
	if err := t.known(p); err != nil {
		return Result{}, fmt.Errorf("property %q: %w", p.Name, err)
	}
	if p.Never != nil {
		return t.trySums(ctx, index, p)
	}
	r, h := Result{Name: p.Name}, t.hunt(p, index+1)
	start := time.Now()
	var found *judged
	show := func(j *judged) {
		r.count(j)
		if found == nil && p.violates(j) {
			found = j
		}
	}
	edges := h.sweep(t.Cases / 4)
	for r.Cases < t.Cases && found == nil && (t.Time == 0 || time.Since(start) < t.Time) {
		n := min(batch, t.Cases-r.Cases)
		var err error
		if len(edges) > 0 {
			n = min(n, len(edges))
			err = h.run(ctx, edges[:n], show)
			edges, r.Systematic = edges[n:], r.Systematic+n
		} else {
			err = h.step(ctx, n, show)
		}
		if err != nil {
			return r, fmt.Errorf("property %q: %w", p.Name, err)
		}
		r.Cases += n
		if t.Progress != nil {
			t.Progress(r.Cases)
		}
	}
	r.Vacuous, r.MayBeVacuous = r.Met == 0, p.MayBeVacuous
	if found == nil {
		return r, nil
	}
	var err error
	r.Counterexample, err = h.shrink(ctx, found)
	return r, err
}

func (r *Result) count(j *judged) {
	r.Met++
	if j.score() == 0 {
		r.Approved++
	}
}

// known refuses bounds that name what data does not.
func (t *Tester) known(p *Property) error {
	for _, symbol := range p.Given.Chain {
		chain, known := t.world.Chains[symbol]
		if !known {
			return fmt.Errorf("given.chain: %q is not a chain of data.json", symbol)
		}
		for _, asset := range p.Given.Asset {
			if _, known := chain.Assets[asset]; !known && len(p.Given.Chain) == 1 {
				return fmt.Errorf("given.asset: %q is not an asset of data.json /chains/%s/assets", asset, symbol)
			}
		}
	}
	if r := p.Given.Amount; r != nil {
		if _, _, err := r.bounds(t.decimals(p)); err != nil {
			return fmt.Errorf("given.amount: %w", err)
		}
	}
	if p.By == "" {
		return nil
	}
	if !strings.HasPrefix(p.By, "engine.") && !slices.ContainsFunc(t.Engine.Rules(), func(r policy.RuleInfo) bool { return r.ID == p.By }) {
		return fmt.Errorf("by: %q is not a rule of the policy", p.By)
	}
	return nil
}

// decimals are those of the property's one asset.
func (t *Tester) decimals(p *Property) int {
	for _, symbol := range sorted(t.world.Chains) {
		if asset, known := t.world.Chains[symbol].Assets[p.Given.Asset[0]]; known && p.Given.Chain.allow(symbol) {
			return asset.Decimals
		}
	}
	return 0
}

// hunt is the search for requests within the bounds of one property.
type hunt struct {
	*Tester
	property *Property
	maker    *maker
	best     map[string][]*judged // by form, chain and asset: those nearest to the bounds, then with the lowest score
}

// keep is how many of the best requests of a form are remembered.
const keep = 8

func (t *Tester) hunt(p *Property, index int) *hunt {
	return &hunt{
		Tester: t, property: p, best: map[string][]*judged{},
		maker: &maker{world: t.world, given: &p.Given, rand: rand.New(rand.NewPCG(t.Seed, uint64(index)))},
	}
}

// step generates and judges n requests.
func (h *hunt) step(ctx context.Context, n int, show func(*judged)) error {
	list := make([]request, 0, n)
	for range n {
		if r := h.generate(); r != nil {
			list = append(list, r)
		}
	}
	return h.run(ctx, list, show)
}

// run judges requests, remembers the best and shows those that are within the bounds.
func (h *hunt) run(ctx context.Context, requests []request, show func(*judged)) error {
	list := make([]*judged, len(requests))
	for i, r := range requests {
		list[i] = &judged{request: r}
	}
	if err := h.judge(ctx, list); err != nil {
		return err
	}
	for _, j := range list {
		if j.body == nil {
			continue
		}
		if j.far = h.world.distance(&h.property.Given, j); j.far == 0 && show != nil {
			show(j)
		}
		h.remember(j)
	}
	return nil
}

// judge builds and judges requests side by side. One that cannot be built keeps no body.
func (h *hunt) judge(ctx context.Context, list []*judged) error {
	errs := make([]error, len(list))
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(len(list), runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for i := range next {
				errs[i] = h.judgeOne(ctx, list[i], 0)
			}
		})
	}
	for i := range list {
		next <- i
	}
	close(next)
	workers.Wait()
	return errors.Join(errs...)
}

func (h *hunt) judgeOne(ctx context.Context, j *judged, n serial) error {
	body, set, err := h.maker.build(j.request, n)
	if errors.Is(err, errUnbuildable) {
		return nil
	}
	if err == nil {
		j.body, j.setting = body, set
		j.outcome, err = h.Judge(ctx, body, set)
	}
	if err == nil {
		err = j.read()
	}
	if err != nil {
		return fmt.Errorf("judge a generated request: %w", err)
	}
	return nil
}

func (h *hunt) remember(j *judged) {
	name := nicheOf(j.request)
	list := h.best[name]
	for _, other := range list {
		if maps.Equal(other.request, j.request) {
			return
		}
	}
	list = append(list, j)
	slices.SortStableFunc(list, func(a, b *judged) int { return cmp.Or(cmp.Compare(a.far, b.far), cmp.Compare(a.score(), b.score())) })
	h.best[name] = list[:min(len(list), keep)]
}

// nicheOf names what requests are compared within: form, type, chain and asset.
func nicheOf(r request) string {
	return strings.Join([]string{r[dimWhat], r[dimType], r[dimChain], r[dimAsset]}, " ")
}

// niches are the forms of which requests are remembered; the nearest are those that came nearest to the property's bounds.
func (h *hunt) niches(nearest bool) []string {
	names := sorted(h.best)
	if !nearest || len(names) == 0 {
		return names
	}
	far := func(name string) int { return h.best[name][0].far }
	least := far(slices.MinFunc(names, func(a, b string) int { return cmp.Compare(far(a), far(b)) }))
	return slices.DeleteFunc(names, func(name string) bool { return far(name) > least })
}

// generate makes a new request: out of nothing, or out of a good one in a few of whose dimensions it differs. nil if the
// property's bounds leave none.
func (h *hunt) generate() request {
	g := h.maker
	r := request{}
	if names := h.niches(g.rand.IntN(4) > 0); len(names) > 0 && g.rand.IntN(4) > 0 {
		list := h.best[names[g.rand.IntN(len(names))]]
		maps.Copy(r, list[g.rand.IntN(len(list))].request)
	} else if len(h.corpus) > 0 && g.rand.IntN(2) > 0 {
		maps.Copy(r, h.corpus[g.rand.IntN(len(h.corpus))].request)
	}
	if dims := g.dimensions(r); len(r) > 0 {
		for range 1 + g.rand.IntN(3) {
			dim := dims[1+g.rand.IntN(len(dims)-1)]
			if values := g.values(dim, r); len(values) > 0 {
				r[dim] = g.any(values)
			}
		}
	}
	return g.complete(r)
}

// any is one of a dimension's values, mostly of the first few, which matter more.
func (g *maker) any(values []string) string {
	n := len(values)
	if g.rand.IntN(4) > 0 {
		n = min(n, 6)
	}
	return values[g.rand.IntN(n)]
}

// complete gives every dimension of a request's form a value that fits those before it, mostly the first one.
func (g *maker) complete(r request) request {
	return g.completed(r, func(values []string) string {
		if g.rand.IntN(3) > 0 {
			return values[0]
		}
		return g.any(values)
	})
}

// completed is complete with another choice.
func (g *maker) completed(r request, choose func(values []string) string) request {
	out := request{}
	if what := g.values(dimWhat, r); len(what) == 0 {
		return nil
	} else if out[dimWhat] = r[dimWhat]; !slices.Contains(what, out[dimWhat]) {
		out[dimWhat] = what[g.rand.IntN(len(what))]
	}
	dims := g.dimensions(out)
	for i := 1; i < len(dims); i++ {
		dim := dims[i]
		values := g.values(dim, out)
		switch had, there := r[dim]; {
		case there && slices.Contains(values, had):
			out[dim] = had
		case len(values) == 0:
			if dim == dimChain || dim == dimAsset || dim == dimAmount || dim == dimTo || dim == dimTime {
				return nil
			}
			out[dim] = ""
		default:
			out[dim] = choose(values)
		}
		if dim == dimAsset {
			dims = g.dimensions(out) // now it is known which windows count
		}
	}
	return out
}
