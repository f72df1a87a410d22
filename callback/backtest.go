package callback

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/big"
	"slices"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/memstore"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// Past is a recorded decision, as far as a backtest needs it.
type Past struct {
	ID         string          `json:"id"`
	Time       time.Time       `json:"time"`
	Node       string          `json:"node"` // id
	Path       string          `json:"path"`
	CallbackID string          `json:"callback_id"`
	Action     wire.Action     `json:"action"`
	Rule       string          `json:"rule"`
	Revision   string          `json:"revision"`
	Input      json.RawMessage `json:"input,omitempty"`
}

// PastOf is a record as a backtest takes it.
func PastOf(r ledger.Record) Past {
	s := summarise(r)
	return Past{ID: r.ID, Time: r.Time, Node: r.Ask.Node, Path: string(r.Ask.Path), CallbackID: r.Ask.CallbackID, Action: r.Action, Rule: s.Rule, Revision: r.Revision, Input: r.Input}
}

// Records is where recorded decisions are read from: a ledger.Ledger or a ledger.History.
type Records interface {
	Decisions(ctx context.Context, f ledger.Filter, limit int, cursor string) (ledger.Page, error)
	Decision(ctx context.Context, decision string) (ledger.Record, error)
}

// PastOfLog is what is recorded, oldest first, with its number: the newest most decisions, or all of them where most is 0. Decisions
// that retention removes while they are read are left out.
func PastOfLog(ctx context.Context, from Records, most int) (iter.Seq2[Past, error], int, error) {
	var ids []string
	for cursor := ""; ; {
		limit := ledger.MaxPage
		if most > 0 {
			limit = min(limit, most-len(ids))
		}
		page, err := from.Decisions(ctx, ledger.Filter{}, limit, cursor)
		if err != nil {
			return nil, 0, err
		}
		for _, d := range page.Decisions {
			ids = append(ids, d.ID)
		}
		if cursor = page.Next; cursor == "" || most > 0 && len(ids) >= most {
			break
		}
	}
	slices.Reverse(ids)
	return func(yield func(Past, error) bool) {
		for _, id := range ids {
			rec, err := from.Decision(ctx, id)
			if errors.Is(err, ledger.ErrExpired) {
				continue
			}
			if !yield(PastOf(rec), err) || err != nil {
				return
			}
		}
	}, len(ids), nil
}

// Flip is a decision that would have been another.
type Flip struct {
	ID          string      `json:"id"`
	Time        time.Time   `json:"time"`
	CallbackID  string      `json:"callback_id"`
	RequestType string      `json:"request_type"`
	Chain       string      `json:"chain,omitempty"`
	Asset       string      `json:"asset,omitempty"`
	AmountBase  json.Number `json:"amount_base,omitempty"`
	Was         wire.Action `json:"was"`
	WasRule     string      `json:"was_rule"`
	Now         wire.Action `json:"now"`
	NowRule     string      `json:"now_rule"`
	NowError    string      `json:"now_error,omitempty"`
}

// rule is the one that the flip is counted under: the one that decides now, or of an Approve the one that decided before.
func (f *Flip) rule() string {
	if f.Now == wire.Approve {
		return f.WasRule
	}
	return f.NowRule
}

// FlipSum is what flips for one rule and one asset.
type FlipSum struct {
	Was        wire.Action `json:"was"`
	Now        wire.Action `json:"now"`
	Rule       string      `json:"rule"` // that decides now, or of an Approve the one that decided before
	Chain      string      `json:"chain,omitempty"`
	Asset      string      `json:"asset,omitempty"`
	Count      int         `json:"count"`
	AmountBase json.Number `json:"amount_base"`
}

// Backtest is what a policy would have decided about the past.
type Backtest struct {
	Revision string `json:"revision"`
	Judged   int    `json:"judged"` // requests to /check
	Reports  int    `json:"reports"`
	Skipped  int    `json:"skipped"` // recorded without an input that can be judged again
	// Untaken are decisions and reports that do not go with what the candidate has decided before, such as a second word about a
	// request that freed nothing under it: they have no effect here. UntakenIDs names the first of them.
	Untaken    int       `json:"untaken"`
	UntakenIDs []string  `json:"untaken_ids"`
	Flips      []Flip    `json:"flips"`
	Sums       []FlipSum `json:"sums"`
}

// pastClock stands at the time of the record that is judged.
type pastClock struct{ start, now time.Time }

func (c *pastClock) Now() time.Time         { return c.now }
func (c *pastClock) Elapsed() time.Duration { return c.now.Sub(c.start) }

// RunBacktest judges recorded decisions anew, in the order they were made: each request is read again by the candidate's
// own data, its windows are filled anew by what the candidate approves, and outcomes conclude that. Approvals are those that
// were there. Nothing is recorded. done, if not nil, is called after each record.
func RunBacktest(ctx context.Context, e *policy.Engine, keys *Keys, past iter.Seq2[Past, error], done func()) (*Backtest, error) {
	b := &Backtest{Revision: e.Revision(), Flips: []Flip{}, Sums: []FlipSum{}}
	run := newSimulation(e, keys)
	for p, err := range past {
		if err != nil {
			return nil, fmt.Errorf("backtest: %w", err)
		}
		flip, err := run.next(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("backtest: decision %s: %w", p.ID, err)
		}
		if flip != nil {
			b.Flips = append(b.Flips, *flip)
		}
		if done != nil {
			done()
		}
	}
	b.Judged, b.Reports, b.Skipped, b.Untaken, b.UntakenIDs = run.judged, run.reports, run.skipped, run.untaken, run.untakenIDs
	b.sum()
	return b, nil
}

// simulation is a policy that decides, over windows of its own in memory, about what was decided by another.
type simulation struct {
	engine *policy.Engine
	keys   *Keys
	clock  *pastClock
	ledger *ledger.Ledger // nil before the first

	judged, reports, skipped, untaken int
	untakenIDs                        []string // the first maxUntakenIDs
}

const maxUntakenIDs = 20

func newSimulation(e *policy.Engine, keys *Keys) *simulation {
	return &simulation{engine: e, keys: keys, clock: &pastClock{}, untakenIDs: []string{}}
}

// next judges one decision and returns what flips; nil if it comes out the same, or cannot be judged again. One that does not go
// with what the candidate's ledger holds is counted as untaken, and is no error: the log before it went another way.
func (r *simulation) next(ctx context.Context, p Past) (*Flip, error) {
	if r.ledger == nil {
		r.clock.start, r.clock.now = p.Time, p.Time
		l, err := ledger.New(ctx, ledger.Config{Store: memstore.New(), Clock: r.clock, Origin: "backtest"})
		if err != nil {
			return nil, err
		}
		r.ledger = l
	}
	if p.Time.After(r.clock.now) {
		r.clock.now = p.Time
	}
	ask := ledger.Ask{Node: p.Node, Path: wire.Path(p.Path), CallbackID: p.CallbackID, BodyHash: sha256.Sum256([]byte(p.ID))}
	flip, err := r.take(ctx, ask, p)
	if errors.Is(err, ledger.ErrConflict) || errors.Is(err, ledger.ErrInvalid) {
		r.untaken++
		if len(r.untakenIDs) < maxUntakenIDs {
			r.untakenIDs = append(r.untakenIDs, p.ID)
		}
		return nil, nil
	}
	return flip, err
}

func (r *simulation) take(ctx context.Context, ask ledger.Ask, p Past) (*Flip, error) {
	if ask.Path == wire.PathCheck {
		return r.check(ctx, ask, p)
	}
	r.reports++
	return nil, r.report(ctx, ask, p)
}

// report concludes what the candidate approved as the report concluded what was approved.
func (r *simulation) report(ctx context.Context, ask ledger.Ask, p Past) error {
	var rec reportRecord
	if err := json.Unmarshal(p.Input, &rec); err != nil || p.Action != wire.Approve {
		return nil // it concluded nothing
	}
	v := ledger.Verdict{Action: wire.Approve, Input: json.RawMessage("{}"), Concluded: rec.concluded(wire.Approve)}
	ask.Amends = amends(ask.Path, rec.Message)
	_, err := r.ledger.Decide(ctx, ask, func(context.Context, ledger.State) (ledger.Verdict, error) { return v, nil }, anyReply)
	return err
}

func anyReply(ledger.Outcome) ([]byte, error) { return []byte{0}, nil }

func (r *simulation) check(ctx context.Context, ask ledger.Ask, p Past) (*Flip, error) {
	c, recorded, err := r.again(p)
	if err != nil {
		r.skipped++
		return nil, nil
	}
	ask.IntentHash, ask.Digests, ask.Requester, ask.Execution = c.Intent, c.Digests, c.Requester, c.Execution
	j := judgement{engine: r.engine, Case: c}
	var outcome ledger.Outcome
	result, err := r.ledger.Decide(ctx, ask, func(ctx context.Context, state ledger.State) (ledger.Verdict, error) {
		state.Approvals = nil
		v, err := j.evaluate(ctx, state)
		if v.Action == wire.Approve { // the approvals that were there were held to their requirement then
			v.Requirement = nil
		}
		v.Input = json.RawMessage("{}") // it is not looked at again
		return v, err
	}, func(o ledger.Outcome) ([]byte, error) { outcome = o; return anyReply(o) })
	if err == nil && result.Replayed { // it was among those that filled the windows
		var rec ledger.Record
		rec, err = r.ledger.Decision(ctx, result.ID)
		outcome = ledger.Outcome{ID: rec.ID, Action: rec.Action, Reasons: rec.Reasons, Revision: rec.Revision}
	}
	if err != nil {
		return nil, err
	}
	r.judged++
	if result.Action == p.Action {
		return nil, nil
	}
	f := &Flip{
		ID: p.ID, Time: p.Time.UTC(), CallbackID: p.CallbackID, RequestType: recorded.Request.RequestType, Was: p.Action, WasRule: p.Rule,
		Now: result.Action, NowRule: rule(outcome), NowError: ErrorText(outcome),
	}
	if t := c.Input.Tx; t != nil {
		f.Chain, f.Asset, f.AmountBase = t.Chain, t.Asset, t.AmountBase
	}
	return f, nil
}

// again makes the case of a recorded input by the candidate's data.
func (r *simulation) again(p Past) (*Case, *policy.Input, error) {
	var recorded policy.Input
	if err := json.Unmarshal(p.Input, &recorded); err != nil {
		return nil, nil, err
	}
	parsed, err := recordedRequest(&recorded)
	if err != nil {
		return nil, nil, err
	}
	c, err := NewCase(r.engine, parsed, r.keys)
	if err != nil {
		return nil, nil, err
	}
	c.Input.Node, c.Input.UnknownFields, c.Input.Approvals = recorded.Node, recorded.UnknownFields, recorded.Approvals
	for _, problem := range recorded.Problems { // those of the body as it came
		if problem.Rule != policy.RuleWindowScope && !slices.Contains(c.Input.Problems, problem) {
			c.Input.Problems = append(c.Input.Problems, problem)
		}
	}
	return c, &recorded, nil
}

// recordedRequest makes the body again that an input was made of, but for what the protocol does not know.
func recordedRequest(in *policy.Input) (*wire.Parsed, error) {
	q := &in.Request
	check := &wire.Check{
		CallbackID: q.CallbackID, RequestType: q.RequestType, ExtraInfo: wire.ExtraInfo{SinoID: q.SinoID, RequestID: q.RequestID},
		RequestDetail: wire.RequestDetail{
			T: q.T, N: q.N, Cryptography: q.Cryptography, PartyIDs: q.PartyIDs, SignType: q.SignType, PublicKey: q.PublicKey, Path: q.Path,
			Message: q.Message, Coin: q.Coin, FromAddress: q.FromAddress, ToAddress: q.ToAddress, Amount: q.Amount, Fee: q.Fee,
			GasPrice: q.GasPrice, GasLimit: q.GasLimit,
		},
	}
	if len(in.TxInfo) > 0 && string(in.TxInfo) != "null" {
		check.RequestDetail.TxInfo = in.TxInfo
	}
	body, err := check.Marshal()
	if err != nil {
		return nil, err
	}
	return wire.ParseCheck(wire.PathCheck, body)
}

// sum adds the flips up by what they flip from and to, by rule and by asset, largest number first.
func (b *Backtest) sum() {
	type key struct {
		was, now           wire.Action
		rule, chain, asset string
	}
	counts, amounts := map[key]int{}, map[key]*big.Int{}
	var order []key
	for _, f := range b.Flips {
		k := key{f.Was, f.Now, f.rule(), f.Chain, f.Asset}
		if counts[k]++; counts[k] == 1 {
			order, amounts[k] = append(order, k), new(big.Int)
		}
		if amount, ok := new(big.Int).SetString(string(f.AmountBase), 10); ok {
			amounts[k].Add(amounts[k], amount)
		}
	}
	slices.SortStableFunc(order, func(x, y key) int { return counts[y] - counts[x] })
	for _, k := range order {
		b.Sums = append(b.Sums, FlipSum{
			Was: k.was, Now: k.now, Rule: k.rule, Chain: k.chain, Asset: k.asset, Count: counts[k], AmountBase: json.Number(amounts[k].String()),
		})
	}
}
