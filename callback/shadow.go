package callback

import (
	"context"
	"encoding/json"
	"math/big"
	"sync/atomic"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

const (
	// shadowQueue is how many decisions may wait for the shadow; one more is dropped.
	shadowQueue = 1024
	// shadowWarm is how many of the newest recorded decisions fill the shadow's windows before it begins; what they come to is
	// not counted. shadowLife is after how many decisions it begins anew, so that its memory has a bound.
	shadowWarm = 5_000
	shadowLife = 50_000
	// shadowFlush is how often what it found out is recorded, shadowBatch how many differences are recorded at one time.
	shadowFlush = time.Second
	shadowBatch = 200
	// shadowEnd is how long a server that ends goes on with what waits for the shadow.
	shadowEnd = 3 * time.Second
)

// shadow is a policy that judges live traffic beside the one that decides, over windows of its own.
type shadow struct {
	queue   chan Past
	engine  atomic.Pointer[policy.Engine] // nil: none
	dropped atomic.Uint64                 // since it was last recorded
	failed  failedBuilds                  // of shadows that were set or configured
}

func newShadow() *shadow { return &shadow{queue: make(chan Past, shadowQueue)} }

func (s *shadow) revision() string {
	if e := s.engine.Load(); e != nil {
		return e.Revision()
	}
	return ""
}

// offer hands a decision to the shadow if there is one, and never waits.
func (s *shadow) offer(ask ledger.Ask, o ledger.Outcome, input json.RawMessage) {
	if s.engine.Load() == nil {
		return
	}
	p := Past{
		ID: o.ID, Time: o.Time, Node: ask.Node, Path: string(ask.Path), CallbackID: ask.CallbackID, Action: o.Action, Rule: rule(o), Revision: o.Revision, Input: input,
	}
	select {
	case s.queue <- p:
	default:
		s.dropped.Add(1)
	}
}

// shadowRun is the shadow's work with one policy.
type shadowRun struct {
	s      *Server
	engine *policy.Engine
	sim    *simulation
	seen   int
	work   ledger.ShadowWork
	sums   map[string]*ledger.ShadowSum
}

// runShadow judges what is offered until ctx ends. What is being judged then is judged to its end.
func (s *Server) runShadow(ending context.Context) {
	ctx := context.WithoutCancel(ending)
	ticker := time.NewTicker(shadowFlush)
	defer ticker.Stop()
	var run *shadowRun
	for {
		select {
		case <-ending.Done():
			s.endShadow(ctx, run)
			return
		case <-ticker.C:
			run.flush(ctx)
		case p := <-s.shadow.queue:
			run = s.judgeShadow(ending, run, p)
		}
	}
}

// judgeShadow judges one decision by the shadow that is set, and returns the work with that. The windows are filled until ctx ends.
func (s *Server) judgeShadow(ctx context.Context, run *shadowRun, p Past) *shadowRun {
	if e := s.shadow.engine.Load(); run == nil || run.engine != e {
		run.flush(context.WithoutCancel(ctx))
		run = s.newShadowRun(ctx, e)
	}
	if run != nil {
		run.judge(ctx, p)
	}
	return run
}

// endShadow judges what still waits, as far as there is time, and records it.
func (s *Server) endShadow(ctx context.Context, run *shadowRun) {
	limited, cancel := context.WithTimeout(ctx, shadowEnd)
	defer cancel()
	for limited.Err() == nil && len(s.shadow.queue) > 0 {
		run = s.judgeShadow(limited, run, <-s.shadow.queue)
	}
	s.shadow.dropped.Add(uint64(len(s.shadow.queue)))
	run.flush(ctx)
}

func (s *Server) newShadowRun(ctx context.Context, e *policy.Engine) *shadowRun {
	if e == nil {
		return nil
	}
	run := &shadowRun{s: s, engine: e, sums: map[string]*ledger.ShadowSum{}}
	run.begin(ctx)
	return run
}

// begin fills the windows of a new simulation with what was decided before.
func (r *shadowRun) begin(ctx context.Context) {
	r.sim, r.seen = newSimulation(r.engine, r.s.cfg.Keys), 0
	past, _, err := PastOfLog(ctx, r.s.cfg.Ledger, shadowWarm)
	if err == nil {
		for p, readErr := range past {
			if err = readErr; err == nil {
				_, err = r.sim.next(ctx, p)
			}
			if err != nil {
				break
			}
		}
	}
	if err != nil && ctx.Err() == nil { // else the server ends, and what is left is judged with what there is
		r.s.log.WarnContext(ctx, "the shadow's windows could not be filled with what was decided before; they begin empty", "error", err)
		r.sim = newSimulation(r.engine, r.s.cfg.Keys)
	}
}

// judge judges one decision and notes what differs.
func (r *shadowRun) judge(ctx context.Context, p Past) {
	if r.seen++; r.seen > shadowLife {
		r.begin(ctx)
	}
	skipped := r.sim.skipped
	flip, err := r.sim.next(context.WithoutCancel(ctx), p)
	if err != nil {
		r.s.log.WarnContext(ctx, "the shadow failed over a decision", "decision", p.ID, "error", err)
		r.work.Skipped++
		return
	}
	switch {
	case p.Path != string(wire.PathCheck):
		return
	case r.sim.skipped > skipped:
		r.work.Skipped++
		return
	}
	r.work.Judged++
	r.s.metrics.shadowJudged.Inc()
	if flip != nil {
		r.note(ctx, flip)
	}
}

func (r *shadowRun) note(ctx context.Context, f *Flip) {
	r.work.Differences++
	r.s.metrics.shadowDifferences.WithLabelValues(string(f.Was), string(f.Now), r.s.metrics.ruleLabels.of(f.rule())).Inc()
	key, err := json.Marshal(FlipSum{Was: f.Was, Now: f.Now, Rule: f.rule(), Chain: f.Chain, Asset: f.Asset, AmountBase: "0"})
	if err != nil {
		return
	}
	sum := r.sums[string(key)]
	if sum == nil {
		sum = &ledger.ShadowSum{Key: string(key), Amount: new(big.Int)}
		r.sums[string(key)] = sum
	}
	sum.Count++
	if amount, ok := new(big.Int).SetString(string(f.AmountBase), 10); ok && amount.Sign() > 0 {
		sum.Amount.Add(sum.Amount, amount)
	}
	if example, err := json.Marshal(f); err == nil {
		r.work.Examples = append(r.work.Examples, example)
	}
	if len(r.work.Examples) >= shadowBatch {
		r.flush(context.WithoutCancel(ctx))
	}
}

// flush records what was found out. What cannot be recorded is forgotten: nothing waits for the shadow.
func (r *shadowRun) flush(ctx context.Context) {
	if r == nil {
		return
	}
	dropped := r.s.shadow.dropped.Swap(0)
	r.work.Dropped = dropped
	r.s.metrics.shadowDropped.Add(float64(dropped))
	if r.work.ShadowCounts == (ledger.ShadowCounts{}) {
		return
	}
	for _, sum := range r.sums {
		r.work.Sums = append(r.work.Sums, *sum)
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if err := r.s.cfg.Ledger.AddShadow(ctx, r.engine.Revision(), r.work); err != nil {
		r.s.log.WarnContext(ctx, "what the shadow would have decided was not recorded", "judged", r.work.Judged, "differences", r.work.Differences, "error", err)
	}
	r.work, r.sums = ledger.ShadowWork{}, map[string]*ledger.ShadowSum{}
}
