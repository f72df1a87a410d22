package ledger_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/ledger/memstore"
	"github.com/countersign-mpc/countersign/wire"
)

// windowModel is a second and simpler account of windows: lists that are searched from end to end.
type windowModel struct {
	now    time.Time
	series map[string]map[string]*modelReservation // series, anchor
	asks   []*modelAsk
	ended  []*modelAsk
}

type modelReservation struct {
	parts              []modelPart
	approved, released int
	signed             bool
}

type modelPart struct {
	at     time.Time
	amount int64
	signed bool
}

// modelAsk is an approved check.
type modelAsk struct {
	node, id string
	anchors  []string
	amounts  map[string]int64  // by series
	at       map[string]string // anchor by series
	unsigned bool              // it was reported as not signed, and as nothing else
	told     ledger.Conclusion // by the first outcome
	signed   bool              // it counts as signed
}

func (r *modelReservation) amount() (n int64) {
	for _, p := range r.parts {
		n += p.amount
	}
	return n
}

func (m *windowModel) reservation(series, anchor string) *modelReservation {
	if m.series[series] == nil {
		m.series[series] = map[string]*modelReservation{}
	}
	if m.series[series][anchor] == nil {
		m.series[series][anchor] = &modelReservation{}
	}
	return m.series[series][anchor]
}

// best is the first anchor at which most is reserved.
func (m *windowModel) best(series string, anchors []string) string {
	best := anchors[0]
	for _, a := range anchors {
		if m.reservation(series, a).amount() > m.reservation(series, best).amount() {
			best = a
		}
	}
	return best
}

func (m *windowModel) sums(series string, p ledger.Period) (used, reserved int64) {
	for _, r := range m.series[series] {
		for _, part := range r.parts {
			in := true
			switch {
			case p.Rolling > 0:
				in = part.at.After(m.now.Add(-p.Rolling))
			case p.Calendar == ledger.CalendarDay:
				in = part.at.In(p.Zone).Format(time.DateOnly) == m.now.In(p.Zone).Format(time.DateOnly)
			case p.Calendar == ledger.CalendarHour:
				in = part.at.Truncate(time.Hour).Equal(m.now.Truncate(time.Hour))
			}
			if in && part.signed {
				used += part.amount
			} else if in {
				reserved += part.amount
			}
		}
	}
	return used, reserved
}

func (m *windowModel) approve(a *modelAsk) {
	for series, amount := range a.amounts {
		anchor := m.best(series, a.anchors)
		r := m.reservation(series, anchor)
		if more := amount - r.amount(); more > 0 {
			r.parts = append(r.parts, modelPart{at: m.now, amount: more})
		}
		r.approved++
		a.at[series] = anchor
	}
	m.asks = append(m.asks, a)
}

func (m *windowModel) conclude(i int, how ledger.Conclusion) {
	a := m.asks[i]
	m.asks = slices.Delete(m.asks, i, i+1)
	m.ended = append(m.ended, a)
	a.told, a.unsigned = how, how == ledger.ConcludedNotSigned
	switch how {
	case ledger.ConcludedSigned:
		m.signed(a)
	case ledger.ConcludedNotSigned:
		for series, anchor := range a.at {
			r := m.reservation(series, anchor)
			if r.released++; r.signed {
				r.use()
			} else if r.released == r.approved {
				delete(m.series[series], anchor)
			}
		}
	}
}

func (r *modelReservation) use() {
	for i := range r.parts {
		r.parts[i].signed = true
	}
}

// signed is a report that something was signed: the first one counts, also after one that it was not.
func (m *windowModel) signed(a *modelAsk) {
	if a.signed {
		return
	}
	for series, anchor := range a.at {
		r := m.reservation(series, anchor)
		if a.unsigned { // what was freed is counted again
			r.approved++
			if more := a.amounts[series] - r.amount(); more > 0 {
				r.parts = append(r.parts, modelPart{at: m.now, amount: more})
			}
		}
		r.signed = true
		r.use()
	}
	a.signed, a.unsigned = true, false
}

// most is the largest sum of amounts of executions that can all happen: no two of them share an anchor.
func (m *windowModel) most(series string) int64 {
	all := append(slices.Clone(m.asks), m.ended...)
	var rest func(from int, taken map[string]bool) int64
	rest = func(from int, taken map[string]bool) int64 {
		if from == len(all) {
			return 0
		}
		a := all[from]
		best := rest(from+1, taken)
		if a.unsigned || a.amounts[series] == 0 || slices.ContainsFunc(a.anchors, func(x string) bool { return taken[x] }) {
			return best
		}
		for _, x := range a.anchors {
			taken[x] = true
		}
		best = max(best, a.amounts[series]+rest(from+1, taken))
		for _, x := range a.anchors {
			delete(taken, x)
		}
		return best
	}
	return rest(0, map[string]bool{})
}

var kathmandu = time.FixedZone("+0545", 5*3600+45*60)

// modelWindows are those through which each series is looked at.
var modelWindows = []ledger.Window{
	{ID: "ever"},
	{ID: "rolling-90s", Period: ledger.Period{Rolling: 90 * time.Second}},
	{ID: "rolling-1h", Period: ledger.Period{Rolling: time.Hour}},
	{ID: "rolling-30h", Period: ledger.Period{Rolling: 30 * time.Hour}},
	{ID: "hour", Period: ledger.Period{Calendar: ledger.CalendarHour}},
	{ID: "day", Period: ledger.Period{Calendar: ledger.CalendarDay, Zone: kathmandu}},
}

func anchorHash(name string) ledger.Hash { return sha256.Sum256([]byte(name)) }

func (a *modelAsk) execution() *ledger.Execution {
	x := &ledger.Execution{}
	for _, name := range a.anchors {
		x.Anchors = append(x.Anchors, anchorHash(name))
	}
	for _, series := range []string{"s1", "s2"} {
		if amount, ok := a.amounts[series]; ok {
			x.Charges = append(x.Charges, ledger.Charge{Series: series, Amount: big.NewInt(amount), Windows: modelWindows})
		}
	}
	return x
}

// dying is a store that fails when it is told to: its process ends after the next commit and before anybody hears of it, or the
// next commit does not come about.
type dying struct {
	ledger.Store
	dies, undoes bool
}

var (
	errDied   = errors.New("the process has ended")
	errUndone = errors.New("the disk is full")
)

func (d *dying) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	dies, undoes := d.dies, d.undoes
	err := d.Store.Update(ctx, func(tx ledger.Tx) error {
		if err := fn(tx); err != nil || !undoes {
			return err
		}
		return errUndone
	})
	if err == nil && dies {
		err = errDied
	}
	return err
}

func (d *dying) View(ctx context.Context, fn func(ledger.Reader) error) error {
	if d.dies {
		return errDied
	}
	return d.Store.View(ctx, fn)
}

// TestWindowsModel drives a ledger and the model with the same random asks, refusals, approvals by people, outcomes and results
// in any order, ends of the process between commit and reply, and passing of time. At any time every window shows what the model
// shows, and what is counted since ever covers whatever can still happen; in the end the log explains all that is counted.
func TestWindowsModel(t *testing.T) {
	alice := ledgertest.NewEd25519Approver(t, "alice")
	rapid.Check(t, func(rt *rapid.T) {
		r := &modelRun{t: t, alice: alice, clock: ledgertest.NewClock(), store: &dying{Store: memstore.New()}}
		r.l = ledgertest.MustOpen(t, r.store, r.clock)
		r.m = &windowModel{now: r.clock.Now(), series: map[string]map[string]*modelReservation{}}
		rt.Repeat(map[string]func(*rapid.T){
			"ask": r.ask, "ask more": r.ask, "outcome": r.outcome, "late": r.late, "wait": r.wait, "": r.holds,
		})
		if report, err := r.l.Verify(rt.Context()); err != nil || !report.OK() {
			rt.Fatalf("%v %v", err, report.Problems)
		}
	})
}

// modelRun is a ledger beside its model.
type modelRun struct {
	t     *testing.T
	alice *ledgertest.Approver
	clock *ledgertest.Clock
	store *dying
	l     *ledger.Ledger
	m     *windowModel
	asks  int
}

// decide is a Decide during which the process may end: then it is asked again, and gets what was decided.
func (r *modelRun) decide(rt *rapid.T, a ledger.Ask, evaluate ledger.EvaluateFunc) (ledger.Result, error) {
	fault := rapid.IntRange(0, 8).Draw(rt, "fault")
	if fault == 2 { // a policy that fails: nothing is decided
		fail := func(context.Context, ledger.State) (ledger.Verdict, error) { return ledger.Verdict{}, errUndone }
		if res, err := r.l.Decide(rt.Context(), a, fail, ledgertest.Reply); !res.Replayed && !errors.Is(err, errUndone) && !errors.Is(err, ledger.ErrConflict) {
			rt.Fatalf("without a verdict: %v", err)
		}
	}
	if r.store.dies, r.store.undoes = fault == 0, fault == 1; fault < 2 {
		res, err := r.l.Decide(rt.Context(), a, evaluate, ledgertest.Reply)
		switch r.store.dies, r.store.undoes = false, false; {
		case errors.Is(err, errDied):
			r.l = ledgertest.MustOpen(r.t, r.store, r.clock)
		case err == nil && !res.Replayed:
			rt.Fatal("a reply left that was not recorded, or not yet")
		}
	}
	return r.l.Decide(rt.Context(), a, evaluate, ledgertest.Reply)
}

// approved has people approve what is asked for, and returns what asks for that.
func (r *modelRun) approved(rt *rapid.T, request ledger.Ask) *ledger.Requirement {
	requirement := ledgertest.Require(1, r.alice)
	first := request
	first.CallbackID += " before"
	res, err := r.decide(rt, first, ledgertest.Give(ledgertest.Verdict(wire.Approve, requirement)))
	if err != nil || res.Action != wire.Wait { // it counts nothing
		rt.Fatalf("%s, %v; want Wait", res.Action, err)
	}
	rec, err := r.l.Decision(rt.Context(), res.ID)
	if err != nil {
		rt.Fatal(err)
	}
	pending, err := r.l.Approval(rt.Context(), rec.Approval)
	if err != nil {
		rt.Fatal(err)
	}
	if _, err := r.l.SubmitApproval(rt.Context(), pending.ID, r.alice.Sign(r.t, pending, ledger.VoteApprove)); err != nil {
		rt.Fatal(err)
	}
	return requirement
}

// ask asks for something new, which may need an approval.
func (r *modelRun) ask(rt *rapid.T) {
	if len(r.m.asks)+len(r.m.ended) >= 12 {
		rt.Skip("enough for the model's search")
	}
	r.asks++
	a := &modelAsk{
		node: rapid.SampledFrom([]string{"node-a", "node-b"}).Draw(rt, "node"), id: fmt.Sprint("cb-", r.asks),
		anchors: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"A", "B", "C", "D"}), 1, 3, rapid.ID).Draw(rt, "anchors"),
		amounts: rapid.MapOfN(rapid.SampledFrom([]string{"s1", "s2"}), rapid.Int64Range(0, 50), 1, 2).Draw(rt, "amounts"),
		at:      map[string]string{},
	}
	action := rapid.SampledFrom([]wire.Action{wire.Approve, wire.Approve, wire.Approve, wire.Reject, wire.Wait}).Draw(rt, "action")
	request := ledgertest.Ask(a.id, "body of "+a.id)
	request.Node, request.Execution = a.node, a.execution()
	var requirement *ledger.Requirement
	if action == wire.Approve && rapid.IntRange(0, 3).Draw(rt, "tier") == 0 { // large enough for people to approve it
		requirement = r.approved(rt, request)
	}
	evaluate := func(_ context.Context, s ledger.State) (ledger.Verdict, error) {
		r.m.check(rt, a, s.Windows)
		return ledgertest.Verdict(action, requirement), nil
	}
	res, err := r.decide(rt, request, evaluate)
	if err != nil || res.Action != action {
		rt.Fatalf("%s, %v; want %s", res.Action, err, action)
	}
	if action == wire.Approve {
		r.m.approve(a)
	}
	again, err := r.l.Decide(rt.Context(), request, evaluate, ledgertest.Reply) // counts nothing
	if err != nil || !again.Replayed {
		rt.Fatalf("asked again: %v", err)
	}
}

// outcome reports how something that was approved ended.
func (r *modelRun) outcome(rt *rapid.T) {
	if len(r.m.asks) == 0 {
		rt.Skip("nothing was approved")
	}
	i := rapid.IntRange(0, len(r.m.asks)-1).Draw(rt, "ask")
	how := rapid.SampledFrom([]ledger.Conclusion{ledger.ConcludedSigned, ledger.ConcludedNotSigned, ledger.ConcludedNotSigned, ledger.ConcludedUnknown}).Draw(rt, "outcome")
	report := ledgertest.Ask(r.m.asks[i].id, "outcome")
	report.Node, report.Path = r.m.asks[i].node, wire.PathOutcome
	v := ledgertest.Verdict(wire.Approve, nil)
	v.Concluded = how
	if _, err := r.decide(rt, report, ledgertest.Give(v)); err != nil {
		rt.Fatal(err)
	}
	ledgertest.MustDecide(r.t, r.l, report, v) // the same report again changes nothing
	r.m.conclude(i, how)
}

// late is a signature of which a node had said something else, or nothing final: by its result, or by a second outcome.
func (r *modelRun) late(rt *rapid.T) {
	if len(r.m.ended) == 0 {
		rt.Skip("nothing was reported")
	}
	a := rapid.SampledFrom(r.m.ended).Draw(rt, "ask")
	report := ledgertest.Ask(a.id, "signed")
	report.Node, report.Path = a.node, wire.PathRawdata
	if report.Amends = rapid.Bool().Draw(rt, "outcome"); report.Amends {
		report.Path = wire.PathOutcome
	}
	v := ledgertest.Verdict(wire.Approve, nil)
	v.Concluded = ledger.ConcludedSigned
	_, err := r.decide(rt, report, ledgertest.Give(v))
	if refused := report.Amends && a.told != ledger.ConcludedNotSigned; refused != errors.Is(err, ledger.ErrConflict) || err != nil && !refused {
		rt.Fatalf("signed after %s: %v", a.told, err)
	} else if !refused {
		r.m.signed(a)
	}
}

// wait lets time pass.
func (r *modelRun) wait(rt *rapid.T) {
	d := time.Duration(rapid.SampledFrom([]int{1, 59, 60, 61, 600, 3599, 3600, 7000, 40000, 86400}).Draw(rt, "seconds")) * time.Second
	r.clock.Advance(d)
	r.m.now = r.m.now.Add(d)
}

// holds sees that no less is counted than can happen.
func (r *modelRun) holds(rt *rapid.T) {
	for _, series := range []string{"s1", "s2"} {
		used, reserved := r.m.sums(series, ledger.Period{})
		if used+reserved < r.m.most(series) {
			rt.Fatalf("%d are counted in %s, and %d can happen", used+reserved, series, r.m.most(series))
		}
	}
}

// check compares the windows of an ask with the model's.
func (m *windowModel) check(rt *rapid.T, a *modelAsk, got []ledger.WindowState) {
	i := 0
	for _, c := range a.execution().Charges {
		more := max(0, c.Amount.Int64()-m.reservation(c.Series, m.best(c.Series, a.anchors)).amount())
		for _, w := range c.Windows {
			used, reserved := m.sums(c.Series, w.Period)
			want := fmt.Sprint(c.Series, w.ID, used, reserved, used+reserved+more)
			if i >= len(got) {
				rt.Fatalf("there are %d windows", len(got))
			}
			if g := got[i]; fmt.Sprint(g.Series, g.ID, g.Used, g.Reserved, g.After) != want {
				rt.Fatalf("window is %+v (used %s, reserved %s, after %s), want %s", g, g.Used, g.Reserved, g.After, want)
			}
			i++
		}
	}
	if i != len(got) {
		rt.Fatalf("there are %d windows, want %d", len(got), i)
	}
}
