package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/ledger/memstore"
	"github.com/countersign-mpc/countersign/wire"
)

// asker asks under a new name each time with a policy that approves, and gives what came of it.
type asker struct {
	t *testing.T
	n int
}

func (a *asker) ask(l *ledger.Ledger) ledger.Record {
	a.t.Helper()
	a.n++
	var jumped bool
	res, err := l.Decide(context.Background(), ledgertest.Ask(fmt.Sprint("clock-", a.n), "body"), func(_ context.Context, s ledger.State) (ledger.Verdict, error) {
		jumped = s.ClockJumped
		return ledgertest.Verdict(wire.Approve, nil), nil
	}, ledgertest.Reply)
	must(a.t, err)
	rec, err := l.Decision(context.Background(), res.ID)
	must(a.t, err)
	if jumped != rec.ClockJumped {
		a.t.Errorf("the evaluation was told %v, and recorded is %v", jumped, rec.ClockJumped)
	}
	return rec
}

func (a *asker) wantApprove(l *ledger.Ledger, at time.Time) {
	a.t.Helper()
	if rec := a.ask(l); rec.Action != wire.Approve || rec.ClockJumped || !rec.Time.Equal(at) {
		a.t.Errorf("%s at %s (jumped %v), want Approve at %s", rec.Action, rec.Time, rec.ClockJumped, at)
	}
}

func (a *asker) wantWait(l *ledger.Ledger, at time.Time) {
	a.t.Helper()
	rec := a.ask(l)
	if rec.Action != wire.Wait || rec.Verdict != wire.Approve || !rec.ClockJumped || rec.WaitSeconds != 60 || rec.Reasons[0].Rule != ledger.RuleClock || !rec.Time.Equal(at) {
		a.t.Errorf("%+v, want Wait because of the clock at %s", rec, at)
	}
}

const second, minute = time.Second, time.Minute

func TestClockWithinTolerance(t *testing.T) {
	clock := ledgertest.NewClock()
	l := ledgertest.MustOpen(t, memstore.New(), clock)
	a := asker{t: t}
	a.wantApprove(l, ledgertest.Epoch)
	clock.Jump(-30 * second) // time is the greater of clock and record
	a.wantApprove(l, ledgertest.Epoch)
	clock.Advance(40 * second)
	a.wantApprove(l, ledgertest.Epoch.Add(10*second))
	clock.Jump(50 * second)
	a.wantApprove(l, ledgertest.Epoch.Add(60*second))
	for range 30 { // it drifts by half a thousandth, as one that is being adjusted
		clock.Advance(24 * time.Hour)
		clock.Jump(43 * second)
		if rec := a.ask(l); rec.ClockJumped {
			t.Fatalf("a drift is taken for a jump at %s", rec.Time)
		}
	}
}

func TestClockJumps(t *testing.T) {
	for _, jump := range []time.Duration{-2 * minute, 2 * minute, 30 * 24 * time.Hour, -30 * 24 * time.Hour} {
		clock := ledgertest.NewClock()
		l := ledgertest.MustOpen(t, memstore.New(), clock)
		a := asker{t: t}
		a.wantApprove(l, ledgertest.Epoch)
		clock.Jump(jump)
		a.wantWait(l, ledgertest.Epoch) // a jump is not recorded
		clock.Advance(10 * minute)
		a.wantWait(l, ledgertest.Epoch.Add(10*minute)) // and time goes on
		clock.Jump(-jump)
		a.wantWait(l, ledgertest.Epoch.Add(10*minute)) // it agrees, not for a minute yet
		clock.Advance(59 * second)
		a.wantWait(l, ledgertest.Epoch.Add(10*minute+59*second))
		clock.Advance(1 * second)
		a.wantApprove(l, ledgertest.Epoch.Add(11*minute))
	}
}

func TestClockBehindAtStart(t *testing.T) {
	clock := ledgertest.NewClock()
	store := memstore.New()
	a := asker{t: t}
	a.wantApprove(ledgertest.MustOpen(t, store, clock), ledgertest.Epoch)

	clock.Advance(72 * time.Hour) // the server is down, which is no jump
	now := ledgertest.Epoch.Add(72 * time.Hour)
	l := ledgertest.MustOpen(t, store, clock)
	a.wantApprove(l, now)

	clock.Jump(-time.Hour)
	l = ledgertest.MustOpen(t, store, clock)
	a.wantWait(l, now)
	clock.Advance(2 * minute)
	a.wantWait(l, now) // time stands still
	clock.Jump(time.Hour)
	a.wantWait(l, now.Add(2*minute)) // it was set right, not a minute ago
	clock.Advance(minute)
	a.wantApprove(l, now.Add(3*minute))
}

func TestConfirmClock(t *testing.T) {
	clock := ledgertest.NewClock()
	l := ledgertest.MustOpen(t, memstore.New(), clock)
	ctx := context.Background()
	a := asker{t: t}
	a.wantApprove(l, ledgertest.Epoch)
	clock.Jump(-24 * time.Hour) // it was a day ahead until now
	a.wantWait(l, ledgertest.Epoch)
	if s, err := l.Summary(ctx); err != nil || !s.ClockJumped {
		t.Errorf("summary %+v, %v", s, err)
	}
	if _, err := l.ConfirmClock(ctx, "", "no name"); !errors.Is(err, ledger.ErrInvalid) {
		t.Errorf("without a name: %v", err)
	}
	if _, err := l.ConfirmClock(ctx, "op", strings.Repeat("x", 2000)); !errors.Is(err, ledger.ErrInvalid) {
		t.Errorf("with a long reason: %v", err)
	}
	rec, err := l.ConfirmClock(ctx, "operator", "set by mistake")
	must(t, err)
	if rec.Operator != "operator" || rec.Reason != "set by mistake" || !rec.Before.Equal(ledgertest.Epoch) || !rec.Time.Equal(ledgertest.Epoch.Add(-24*time.Hour)) {
		t.Errorf("recorded is %+v", rec)
	}
	a.wantApprove(l, ledgertest.Epoch.Add(-24*time.Hour))
	report, err := l.Verify(ctx)
	must(t, err)
	if !report.OK() || report.Size != 4 { // two approved, one waiting, one confirmation
		t.Errorf("log %+v", report)
	}
}

// TestReportsWhileTheClockIsInDoubt: how an approved check ended is answered once, so that it counts also then; nothing is freed by
// another word about it afterwards.
func TestReportsWhileTheClockIsInDoubt(t *testing.T) {
	ctx := context.Background()
	clock := ledgertest.NewClock()
	l := ledgertest.MustOpen(t, memstore.New(), clock)
	for _, name := range []string{"signed", "not-signed"} {
		_, err := l.Decide(ctx, ledgertest.Spending(name, name, 10), ledgertest.Within(20), ledgertest.Reply)
		must(t, err)
	}
	clock.Jump(time.Hour)
	report := func(check string, path wire.Path, how ledger.Conclusion) {
		t.Helper()
		a, v := ledgertest.Ask(check, string(path)+" of "+check), ledgertest.Verdict(wire.Approve, nil)
		a.Path, v.Concluded = path, how
		if res := ledgertest.MustDecide(t, l, a, v); res.Action != wire.Approve {
			t.Errorf("a report about %s is answered with %s", check, res.Action)
		}
	}
	report("signed", wire.PathRawdata, ledger.ConcludedSigned)
	report("signed", wire.PathOutcome, ledger.ConcludedNotSigned)
	report("not-signed", wire.PathOutcome, ledger.ConcludedNotSigned)
	clock.Jump(-time.Hour)
	_, err := l.Decide(ctx, ledgertest.Spending("look", "look", 0), func(_ context.Context, s ledger.State) (ledger.Verdict, error) {
		if w := s.Windows[0]; w.Used.Int64() != 10 || w.Reserved.Sign() != 0 {
			t.Errorf("%s are used and %s reserved, want 10 and none", w.Used, w.Reserved)
		}
		return ledgertest.Verdict(wire.Reject, nil), nil
	}, ledgertest.Reply)
	must(t, err)
}

func TestSystemClock(t *testing.T) {
	c := ledger.SystemClock()
	if c.Now().IsZero() || c.Elapsed() < 0 || c.Elapsed() > time.Hour {
		t.Errorf("%s, %s", c.Now(), c.Elapsed())
	}
}
