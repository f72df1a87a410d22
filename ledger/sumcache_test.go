package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/ledger/memstore"
	"github.com/countersign-mpc/countersign/wire"
)

// TestSumsOfTwoProcesses: what one process remembers of a commit that did not come about does not stand for the commit of the
// other that took its place.
func TestSumsOfTwoProcesses(t *testing.T) {
	shared := memstore.New()
	store := &dying{Store: shared}
	one := ledgertest.MustOpen(t, store, ledgertest.NewClock())
	other := ledgertest.MustOpen(t, shared, ledgertest.NewClock())
	approve := ledgertest.Give(ledgertest.Verdict(wire.Approve, nil))
	ctx := context.Background()
	if _, err := one.Decide(ctx, ledgertest.Spending("cb-0", "a-0", 1), approve, ledgertest.Reply); err != nil {
		t.Fatal(err)
	}
	store.undoes = true
	if _, err := one.Decide(ctx, ledgertest.Spending("cb-1", "a-1", 10), approve, ledgertest.Reply); !errors.Is(err, errUndone) {
		t.Fatal(err)
	}
	store.undoes = false
	if _, err := other.Decide(ctx, ledgertest.Spending("cb-2", "a-2", 100), approve, ledgertest.Reply); err != nil {
		t.Fatal(err)
	}
	_, err := one.Decide(ctx, ledgertest.Spending("cb-3", "a-3", 1000), func(_ context.Context, s ledger.State) (ledger.Verdict, error) {
		for _, w := range s.Windows {
			if w.Reserved.Int64() != 101 || w.After.Int64() != 1101 {
				t.Errorf("window %s shows %s, and %s after this: want 101 and 1101", w.ID, w.Reserved, w.After)
			}
		}
		return ledgertest.Verdict(wire.Approve, nil), nil
	}, ledgertest.Reply)
	if err != nil {
		t.Fatal(err)
	}
	// Its hash goes together with one over the entry of the other.
	if _, err := one.Decide(ctx, ledgertest.Spending("cb-4", "a-4", 1), approve, ledgertest.Reply); err != nil {
		t.Fatal(err)
	}
	if report, err := one.Verify(ctx); err != nil || !report.OK() {
		t.Errorf("%v %q", err, report.Problems)
	}
}

// TestActiveOfTwoProcesses: which policy is active is remembered as long as nobody has changed it, another process above all, and not
// from a change that did not come about.
func TestActiveOfTwoProcesses(t *testing.T) {
	shared := memstore.New()
	store := &dying{Store: shared}
	one := ledgertest.MustOpen(t, store, ledgertest.NewClock())
	other := ledgertest.MustOpen(t, shared, ledgertest.NewClock())
	asked := 0
	by := func(l *ledger.Ledger, revision string, want error) {
		t.Helper()
		asked++
		v := ledgertest.Verdict(wire.Approve, nil)
		v.Revision = revision
		_, err := l.Decide(context.Background(), ledgertest.Ask(fmt.Sprint("cb-", asked), "body"), ledgertest.Give(v), ledgertest.Reply)
		if !errors.Is(err, want) {
			t.Errorf("ask %d, by %s: %v, want %v", asked, revision, err, want)
		}
	}
	twice := func(l *ledger.Ledger, revision, before string) {
		t.Helper()
		by(l, before, ledger.ErrRevision)
		by(l, revision, nil)
		by(l, revision, nil)
		by(l, before, ledger.ErrRevision)
	}
	by(one, "none yet", nil)
	by(one, "and none again", nil)
	ledgertest.MustActivate(t, other, ledgertest.Change(0, "r1"))
	twice(one, "r1", "none yet")
	ledgertest.MustActivate(t, one, ledgertest.Change(1, "r2"))
	twice(one, "r2", "r1")
	twice(other, "r2", "r1")
	by(one, "r2", nil)
	store.undoes = true
	if _, err := one.Activate(context.Background(), ledgertest.Change(2, "r3")); !errors.Is(err, errUndone) {
		t.Fatal(err)
	}
	by(one, "r2", errUndone)
	by(one, "r3", ledger.ErrRevision)
	store.undoes = false
	twice(one, "r2", "r3")
	ledgertest.MustActivate(t, other, ledgertest.Change(2, "r3"))
	twice(one, "r3", "r2")
	if report, err := one.Verify(context.Background()); err != nil || !report.OK() {
		t.Errorf("%v %q", err, report.Problems)
	}
}

// TestApprovalsOfTwoProcesses: that no approval was ever opened is remembered, and looks for none of the next ask are left out, only
// as long as it is so: not beyond one that another process opens, and neither from one of its own that did not come about.
func TestApprovalsOfTwoProcesses(t *testing.T) {
	shared := &scanned{Store: memstore.New(), bucket: "execution"}
	store := &dying{Store: shared}
	clock := ledgertest.NewClock()
	one := ledgertest.MustOpen(t, store, clock)
	alice := ledgertest.NewApprover(t, "alice")
	r := ledgertest.Require(1, alice)
	asked := 0
	ask := func(l *ledger.Ledger, about string, want ...ledger.ApprovalState) (ledger.Result, error) {
		t.Helper()
		asked++
		return l.Decide(context.Background(), ledgertest.Ask(fmt.Sprint("cb-", asked), about), func(_ context.Context, s ledger.State) (ledger.Verdict, error) {
			var got []ledger.ApprovalState
			for _, a := range s.Approvals {
				got = append(got, a.State)
			}
			if !slices.Equal(got, want) {
				t.Errorf("ask %d sees the approvals %q, want %q", asked, got, want)
			}
			if about == "plain" {
				return ledgertest.Verdict(wire.Approve, nil), nil
			}
			return ledgertest.Verdict(wire.Approve, r), nil // on condition of an approval
		}, ledgertest.Reply)
	}
	decide := func(l *ledger.Ledger, about string, action wire.Action, want ...ledger.ApprovalState) {
		t.Helper()
		res, err := ask(l, about, want...)
		must(t, err)
		if res.Action != action {
			t.Errorf("ask %d is answered %s, want %s", asked, res.Action, action)
		}
	}
	for range 5 {
		decide(one, "plain", wire.Approve)
	}
	if shared.scans != 1 {
		t.Errorf("five asks looked %d times for approvals, of which there are none: want once", shared.scans)
	}
	store.undoes = true
	if _, err := ask(one, "held"); !errors.Is(err, errUndone) {
		t.Fatal(err)
	}
	store.undoes = false
	decide(one, "held", wire.Wait) // and opens one
	decide(one, "plain", wire.Approve)
	decide(one, "held", wire.Wait, ledger.ApprovalPending)

	fresh := ledgertest.MustOpen(t, store, clock)
	decide(fresh, "held", wire.Wait, ledger.ApprovalPending)

	// One that knows of none, and another process that opens one.
	shared.Store = memstore.New()
	one = ledgertest.MustOpen(t, store, clock)
	other := ledgertest.MustOpen(t, shared.Store, clock)
	for range 3 {
		decide(one, "plain", wire.Approve)
	}
	decide(other, "held", wire.Wait)
	decide(one, "held", wire.Wait, ledger.ApprovalPending)
	decide(one, "plain", wire.Approve)
	opened, err := other.Approvals(context.Background(), true)
	must(t, err)
	if len(opened) != 1 {
		t.Fatalf("%d approvals were opened, want 1", len(opened))
	}
	_, err = other.SubmitApproval(context.Background(), opened[0].ID, alice.Sign(t, opened[0], ledger.VoteApprove))
	must(t, err)
	decide(one, "held", wire.Approve, ledger.ApprovalApproved)
	if report, err := one.Verify(context.Background()); err != nil || !report.OK() {
		t.Errorf("%v %q", err, report.Problems)
	}
}

// TestTimeOfTwoProcesses: no decision is dated before another that stands in the log, whichever process made that, and a time that was
// not recorded in the end is no bound.
func TestTimeOfTwoProcesses(t *testing.T) {
	shared := memstore.New()
	store := &dying{Store: shared}
	behind, ahead := ledgertest.NewClock(), ledgertest.NewClock()
	one, other := ledgertest.MustOpen(t, store, behind), ledgertest.MustOpen(t, shared, ahead)
	asked := 0
	at := func(l *ledger.Ledger, want time.Duration, fails error) {
		t.Helper()
		asked++
		_, err := l.Decide(context.Background(), ledgertest.Ask(fmt.Sprint("cb-", asked), "body"), func(_ context.Context, s ledger.State) (ledger.Verdict, error) {
			if got := s.Now.Sub(ledgertest.Epoch); got != want {
				t.Errorf("ask %d is decided %s after the beginning, want %s", asked, got, want)
			}
			return ledgertest.Verdict(wire.Approve, nil), nil
		}, ledgertest.Reply)
		if !errors.Is(err, fails) {
			t.Fatal(err)
		}
	}
	at(one, 0, nil)
	at(one, 0, nil)
	ahead.Advance(30 * time.Second)
	at(other, 30*time.Second, nil)
	at(one, 30*time.Second, nil)
	at(one, 30*time.Second, nil)
	behind.Advance(40 * time.Second)
	store.undoes = true
	at(one, 40*time.Second, errUndone)
	store.undoes = false
	behind.Jump(-5 * time.Second)
	at(one, 35*time.Second, nil)
	at(other, 35*time.Second, nil)
	_, err := other.ConfirmClock(context.Background(), "olga", "it is right") // which is earlier than what is recorded
	must(t, err)
	behind.Jump(-3 * time.Second)
	at(one, 32*time.Second, nil)
	at(one, 32*time.Second, nil)
}

// scanned counts the scans of a bucket.
type scanned struct {
	ledger.Store
	bucket string
	scans  int
}

func (s *scanned) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	return s.Store.Update(ctx, func(tx ledger.Tx) error { return fn(scannedTx{tx, s}) })
}

type scannedTx struct {
	ledger.Tx
	of *scanned
}

func (t scannedTx) Scan(bucket string, from, to []byte, reverse bool, fn func(key, value []byte) (bool, error)) error {
	if bucket == t.of.bucket {
		t.of.scans++
	}
	return t.Tx.Scan(bucket, from, to, reverse, fn)
}

// TestSumsOverAReload: a policy that is read anew brings its zones anew, and its windows are still those of the policy before: they
// are not summed up again, and what is remembered of a series does not grow with each reload.
func TestSumsOverAReload(t *testing.T) {
	store := &scanned{Store: memstore.New(), bucket: "window"}
	l := ledgertest.MustOpen(t, store, ledgertest.NewClock())
	for i := range 5 {
		zone, err := time.LoadLocation("Europe/Zurich")
		must(t, err)
		a := ledgertest.Spending(fmt.Sprint("cb-", i), fmt.Sprint("a-", i), 1)
		a.Execution.Charges[0].Windows = []ledger.Window{
			{ID: "day", Period: ledger.Period{Calendar: ledger.CalendarDay, Zone: zone}}, {ID: "utc", Period: ledger.Period{Calendar: ledger.CalendarDay}},
		}
		before := store.scans
		_, err = l.Decide(context.Background(), a, func(_ context.Context, s ledger.State) (ledger.Verdict, error) {
			for _, w := range s.Windows {
				if w.Reserved.Int64() != int64(i) {
					t.Errorf("window %s shows %s, want %d", w.ID, w.Reserved, i)
				}
			}
			return ledgertest.Verdict(wire.Approve, nil), nil
		}, ledgertest.Reply)
		must(t, err)
		if n := store.scans - before; (n > 0) != (i == 0) {
			t.Errorf("decision %d scanned windows %d times", i, n)
		}
	}
}
