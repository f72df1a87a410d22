package ledgertest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/big"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// Spend is an execution at one anchor that counts an amount in the series "spent", looked at since ever ("ever") and over
// the last hour ("hour").
func Spend(anchor string, amount int64) *ledger.Execution {
	return &ledger.Execution{
		Anchors: []ledger.Hash{sha256.Sum256([]byte(anchor))},
		Charges: []ledger.Charge{{Series: "spent", Amount: big.NewInt(amount), Windows: []ledger.Window{
			{ID: "ever"}, {ID: "hour", Period: ledger.Period{Rolling: time.Hour}},
		}}},
	}
}

// Within is an evaluation that approves while no window comes to more than most.
func Within(most int64) ledger.EvaluateFunc {
	return func(_ context.Context, s ledger.State) (ledger.Verdict, error) {
		for _, w := range s.Windows {
			if w.After.Cmp(big.NewInt(most)) > 0 {
				return Verdict(wire.Reject, nil), nil
			}
		}
		return Verdict(wire.Approve, nil), nil
	}
}

// Spending is an ask of its own that spends at an anchor.
func Spending(callbackID, anchor string, amount int64) ledger.Ask {
	a := Ask(callbackID, callbackID)
	a.Execution = Spend(anchor, amount)
	return a
}

func mustSpend(t testing.TB, l *ledger.Ledger, a ledger.Ask, most int64, want wire.Action) {
	t.Helper()
	res, err := l.Decide(context.Background(), a, Within(most), Reply)
	if err != nil || res.Action != want {
		t.Fatalf("%s: %s, %v; want %s", a.CallbackID, res.Action, err, want)
	}
}

func conclude(t testing.TB, l *ledger.Ledger, callbackID string, how ledger.Conclusion) {
	t.Helper()
	report := Ask(callbackID, "outcome of "+callbackID)
	report.Path = wire.PathOutcome
	v := Verdict(wire.Approve, nil)
	v.Concluded = how
	MustDecide(t, l, report, v)
}

// testWindowAtOnce: of many at one time as many are approved as there is room for, and no more.
func testWindowAtOnce(t *testing.T, s ledger.Store) {
	l := MustOpen(t, s, nil)
	const asks, room = 60, 17
	var approved atomic.Int64
	var wg sync.WaitGroup
	for i := range asks {
		wg.Go(func() {
			name := fmt.Sprint("cb-", i)
			res, err := l.Decide(context.Background(), Spending(name, name, 10), Within(room*10+9), Reply)
			if err != nil {
				t.Error(err)
			} else if res.Action == wire.Approve {
				approved.Add(1)
			}
		})
	}
	wg.Wait()
	if n := approved.Load(); n != room {
		t.Errorf("%d of %d are approved with room for %d", n, asks, room)
	}
}

// testWindowOutcomes: only a report that nothing was signed, from everybody who was told Approve, gives room again.
func testWindowOutcomes(t *testing.T, s ledger.Store) {
	clock := NewClock()
	l := MustOpen(t, s, clock)
	mustSpend(t, l, Spending("a1", "A", 60), 100, wire.Approve)
	mustSpend(t, l, Spending("a2", "A", 60), 100, wire.Approve) // the same again, by another node
	mustSpend(t, l, Spending("b1", "B", 60), 100, wire.Reject)
	conclude(t, l, "a1", ledger.ConcludedNotSigned)
	mustSpend(t, l, Spending("b2", "B", 60), 100, wire.Reject)
	conclude(t, l, "a2", ledger.ConcludedNotSigned)
	mustSpend(t, l, Spending("b3", "B", 60), 100, wire.Approve)
	conclude(t, l, "b3", ledger.ConcludedUnknown)
	mustSpend(t, l, Spending("c1", "C", 60), 100, wire.Reject)
	mustSpend(t, l, Spending("b4", "B", 100), 100, wire.Approve) // a replacement adds the difference
	conclude(t, l, "b4", ledger.ConcludedSigned)
	mustSpend(t, l, Spending("c2", "C", 1), 100, wire.Reject)
	clock.Advance(time.Hour)
	mustSpend(t, l, Spending("c3", "C", 1), 100, wire.Reject) // the hour is over, and what was spent ever is not
	mustSpend(t, l, Spending("c4", "C", 1), 101, wire.Approve)
}

// testBindings: a name that was approved with one content is rejected with any other; what was not approved binds nothing.
func testBindings(t *testing.T, s ledger.Store) {
	l := MustOpen(t, s, nil)
	payment := func(callbackID, content string) ledger.Ask {
		a := Spending(callbackID, callbackID, 1)
		a.Execution.Bindings = []ledger.Binding{{What: "payment 7", Name: sha256.Sum256([]byte("payment 7")), Value: sha256.Sum256([]byte(content))}}
		return a
	}
	mustSpend(t, l, payment("p1", "other"), 0, wire.Reject)
	mustSpend(t, l, payment("p2", "content"), 100, wire.Approve)
	mustSpend(t, l, payment("p3", "content"), 100, wire.Approve)
	a := payment("p4", "other")
	mustSpend(t, l, a, 100, wire.Reject)
	page, err := l.Decisions(context.Background(), ledger.Filter{CallbackID: "p4"}, 1, "")
	must(t, err)
	if len(page.Decisions) != 1 || page.Decisions[0].Verdict != wire.Approve || page.Decisions[0].Reasons[0].Rule != ledger.RuleExecution {
		t.Errorf("the decision is %+v", page.Decisions)
	}
}

// testBadExecutions: what cannot be counted exactly is refused before anything is decided.
func testBadExecutions(t *testing.T, s ledger.Store) {
	l := MustOpen(t, s, nil)
	for name, edit := range map[string]func(*ledger.Execution){
		"no anchor":       func(x *ledger.Execution) { x.Anchors = nil },
		"negative amount": func(x *ledger.Execution) { x.Charges[0].Amount = big.NewInt(-1) },
		"no amount":       func(x *ledger.Execution) { x.Charges[0].Amount = nil },
		"huge amount":     func(x *ledger.Execution) { x.Charges[0].Amount = new(big.Int).Lsh(big.NewInt(1), 600) },
		"no series":       func(x *ledger.Execution) { x.Charges[0].Series = "" },
		"series twice":    func(x *ledger.Execution) { x.Charges = append(x.Charges, x.Charges[0]) },
		"two periods": func(x *ledger.Execution) {
			x.Charges[0].Windows[0].Period = ledger.Period{Rolling: time.Hour, Calendar: ledger.CalendarDay}
		},
		"unknown unit":    func(x *ledger.Execution) { x.Charges[0].Windows[0].Period.Calendar = "year" },
		"negative length": func(x *ledger.Execution) { x.Charges[0].Windows[0].Period.Rolling = -1 },
		"too long":        func(x *ledger.Execution) { x.Charges[0].Windows[0].Period.Rolling = ledger.MaxRolling + 1 },
	} {
		a := Spending(name, name, 1)
		edit(a.Execution)
		if res, err := l.Decide(context.Background(), a, Within(100), Reply); err == nil {
			t.Errorf("%s: decided as %s", name, res.Action)
		}
	}
	mustSpend(t, l, Spending("after", "A", 100), 100, wire.Approve)
}
