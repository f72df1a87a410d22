package ledgertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

func testAskAgain(t *testing.T, s ledger.Store) {
	l := MustOpen(t, s, NewClock())
	first := MustDecide(t, l, Ask("cb", "body"), Verdict(wire.Wait, nil))
	if first.Replayed || first.Action != wire.Wait || len(first.Reply) == 0 {
		t.Fatalf("first: %+v", first)
	}
	never := func(context.Context, ledger.State) (ledger.Verdict, error) {
		t.Error("evaluated again")
		return ledger.Verdict{}, errors.New("evaluated again")
	}
	again, err := l.Decide(context.Background(), Ask("cb", "body"), never, Reply)
	must(t, err)
	if !again.Replayed || !bytes.Equal(again.Reply, first.Reply) || again.ID != first.ID || again.Action != first.Action {
		t.Errorf("again: %+v, want %+v", again, first)
	}
	// The same callback_id of another node, and on another path, is another ask.
	other := Ask("cb", "body")
	other.Node = "node-b"
	if res := MustDecide(t, l, other, Verdict(wire.Reject, nil)); res.Replayed || res.ID == first.ID {
		t.Errorf("another node's ask got %+v", res)
	}
	raw := Ask("cb", "body")
	raw.Path = wire.PathRawdata
	if res := MustDecide(t, l, raw, Verdict(wire.Reject, nil)); res.Replayed {
		t.Errorf("another path's ask got %+v", res)
	}
}

func testOtherBody(t *testing.T, s ledger.Store) {
	l := MustOpen(t, s, NewClock())
	first := MustDecide(t, l, Ask("cb", "body"), Verdict(wire.Approve, nil))
	other := Ask("cb", "body")
	other.BodyHash = sha256.Sum256([]byte("another body"))
	if res, err := l.Decide(context.Background(), other, Give(Verdict(wire.Reject, nil)), Reply); !errors.Is(err, ledger.ErrConflict) || res.Reply != nil {
		t.Errorf("%+v, %v, want ErrConflict and no reply", res, err)
	}
	if res := MustDecide(t, l, Ask("cb", "body"), Verdict(wire.Reject, nil)); !bytes.Equal(res.Reply, first.Reply) {
		t.Errorf("after a conflict the reply is %q, want %q", res.Reply, first.Reply)
	}
}

func testRecord(t *testing.T, s ledger.Store) {
	clock := NewClock()
	l := MustOpen(t, s, clock)
	a := Ask("cb", "body")
	a.Digests = append(a.Digests, []byte("another"))
	a.Requester = "key of who asked"
	v := Verdict(wire.Wait, nil)
	v.WaitSeconds = 77
	var seen ledger.State
	res, err := l.Decide(context.Background(), a, func(_ context.Context, s ledger.State) (ledger.Verdict, error) {
		seen = s
		return v, nil
	}, Reply)
	must(t, err)
	if !seen.Now.Equal(clock.Now()) || seen.ClockJumped || len(seen.Approvals) != 0 {
		t.Errorf("state %+v", seen)
	}
	input := bytes.Clone(v.Input)
	clear(v.Input) // its space is the caller's again
	got, err := l.Decision(context.Background(), res.ID)
	must(t, err)
	want := ledger.Record{
		ID: res.ID, Index: 0, Time: clock.Now(), Ask: a, Action: wire.Wait, Verdict: wire.Wait, Reasons: v.Reasons,
		WaitSeconds: 77, Revision: v.Revision, Fired: v.Fired, Input: input, Reply: res.Reply,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("recorded\n%+v, want\n%+v", got, want)
	}
	if want := fmt.Sprintf("%s Wait 77 rev-1 ", res.ID); string(res.Reply) != want {
		t.Errorf("reply %q, want %q", res.Reply, want)
	}
}

// testSameAskAtOnce: parallel asks of one name are evaluated once and get the same bytes; with two bodies one of them
// wins, and all of the other are conflicts.
func testSameAskAtOnce(t *testing.T, s ledger.Store) {
	l := MustOpen(t, s, NewClock())
	const n = 24
	var evaluated atomic.Int32
	evaluate := func(context.Context, ledger.State) (ledger.Verdict, error) {
		evaluated.Add(1)
		return Verdict(wire.Approve, nil), nil
	}
	type outcome struct {
		body  int
		reply string
		err   error
	}
	results := make([]outcome, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			a := Ask("same", "body")
			a.BodyHash = sha256.Sum256([]byte{byte(i % 2)})
			res, err := l.Decide(context.Background(), a, evaluate, Reply)
			results[i] = outcome{i % 2, string(res.Reply), err}
		})
	}
	close(start)
	wg.Wait()
	if evaluated.Load() != 1 {
		t.Errorf("evaluated %d times", evaluated.Load())
	}
	winner, reply := -1, ""
	for _, r := range results {
		if r.err == nil && winner < 0 {
			winner, reply = r.body, r.reply
		}
	}
	for i, r := range results {
		if r.body == winner && (r.err != nil || r.reply != reply) || r.body != winner && !errors.Is(r.err, ledger.ErrConflict) {
			t.Errorf("ask %d with body %d: %q, %v; body %d got %q", i, r.body, r.reply, r.err, winner, reply)
		}
	}
}

func testManyAsksAtOnce(t *testing.T, s ledger.Store) {
	l := MustOpen(t, s, NewClock())
	const workers, each = 8, 25
	var wg sync.WaitGroup
	replies := make([][]string, workers)
	for w := range workers {
		replies[w] = make([]string, each)
		wg.Go(func() {
			for i := range each {
				res, err := l.Decide(context.Background(), Ask(fmt.Sprintf("cb-%d-%d", w, i), "body"), Give(Verdict(wire.Approve, nil)), Reply)
				if err != nil {
					t.Error(err)
				}
				replies[w][i] = string(res.Reply)
			}
		})
	}
	wg.Wait()
	for w := range workers {
		for i := range each {
			if res := MustDecide(t, l, Ask(fmt.Sprintf("cb-%d-%d", w, i), "body"), Verdict(wire.Reject, nil)); string(res.Reply) != replies[w][i] {
				t.Errorf("ask %d-%d: %q, want %q", w, i, res.Reply, replies[w][i])
			}
		}
	}
	report, err := l.Verify(context.Background())
	must(t, err)
	if !report.OK() || report.Size != workers*each {
		t.Errorf("log of %d, problems %v; want %d and none", report.Size, report.Problems, workers*each)
	}
}

// testNothingRecorded: where no decision can be made, none is recorded, and the ask is free.
func testNothingRecorded(t *testing.T, s ledger.Store) {
	l := MustOpen(t, s, NewClock())
	boom := errors.New("boom")
	ctx, cancel := context.WithCancel(context.Background())
	approve := Give(Verdict(wire.Approve, nil))
	tests := map[string]struct {
		ctx      context.Context
		ask      ledger.Ask
		evaluate ledger.EvaluateFunc
		reply    ledger.ReplyFunc
		want     error
	}{
		"evaluation fails": {evaluate: func(context.Context, ledger.State) (ledger.Verdict, error) { return ledger.Verdict{}, boom }, want: boom},
		"evaluation panics": {evaluate: func(context.Context, ledger.State) (ledger.Verdict, error) {
			panic(boom)
		}},
		"no action":      {evaluate: Give(ledger.Verdict{}), want: ledger.ErrInvalid},
		"unknown action": {evaluate: Give(ledger.Verdict{Action: "APPROVE"}), want: ledger.ErrInvalid},
		"reply fails":    {evaluate: approve, reply: func(ledger.Outcome) ([]byte, error) { return []byte("x"), boom }, want: boom},
		"reply panics":   {evaluate: approve, reply: func(ledger.Outcome) ([]byte, error) { panic(boom) }},
		"no reply":       {evaluate: approve, reply: func(ledger.Outcome) ([]byte, error) { return nil, nil }, want: ledger.ErrInvalid},
		"canceled during": {ctx: ctx, evaluate: func(context.Context, ledger.State) (ledger.Verdict, error) {
			cancel()
			return Verdict(wire.Approve, nil), nil
		}, want: context.Canceled},
		"no callback_id": {ask: Ask("", "body"), evaluate: approve, want: ledger.ErrInvalid},
		"unknown path":   {ask: ledger.Ask{Node: "n", CallbackID: "c", Path: "/v1/check"}, evaluate: approve, want: ledger.ErrInvalid},
	}
	for name, test := range tests {
		if test.ctx == nil {
			test.ctx = context.Background()
		}
		if test.ask.Path == "" {
			test.ask = Ask("cb", "body")
		}
		if test.reply == nil {
			test.reply = Reply
		}
		res, err := l.Decide(test.ctx, test.ask, test.evaluate, test.reply)
		if err == nil || test.want != nil && !errors.Is(err, test.want) || res.Reply != nil {
			t.Errorf("%s: %q, %v; want no reply and %v", name, res.Reply, err, test.want)
		}
	}
	sum, err := l.Summary(context.Background())
	must(t, err)
	if sum.LogSize != 0 {
		t.Errorf("%d entries were recorded", sum.LogSize)
	}
	if res := MustDecide(t, l, Ask("cb", "body"), Verdict(wire.Reject, nil)); res.Replayed || res.Action != wire.Reject {
		t.Errorf("afterwards: %+v", res)
	}
}

func testLists(t *testing.T, s ledger.Store) {
	clock := NewClock()
	l := MustOpen(t, s, clock)
	ctx := context.Background()
	for i := range 10 {
		MustDecide(t, l, Ask(fmt.Sprint("cb-", i), fmt.Sprint("body-", i%2)), Verdict(wire.Approve, nil))
		clock.Advance(time.Second)
	}
	collect := func(f ledger.Filter, limit int) (got []string, pages int) {
		for cursor := ""; ; pages++ {
			page, err := l.Decisions(ctx, f, limit, cursor)
			must(t, err)
			for _, d := range page.Decisions {
				got = append(got, d.Ask.CallbackID)
			}
			if cursor = page.Next; cursor == "" {
				return got, pages
			}
		}
	}
	tests := []struct {
		filter ledger.Filter
		limit  int
		want   string
	}{
		{ledger.Filter{}, 0, "[cb-9 cb-8 cb-7 cb-6 cb-5 cb-4 cb-3 cb-2 cb-1 cb-0]"},
		{ledger.Filter{}, 3, "[cb-9 cb-8 cb-7 cb-6 cb-5 cb-4 cb-3 cb-2 cb-1 cb-0]"},
		{ledger.Filter{RequestID: "request-body-1"}, 2, "[cb-9 cb-7 cb-5 cb-3 cb-1]"},
		{ledger.Filter{CallbackID: "cb-4"}, 2, "[cb-4]"},
		{ledger.Filter{CallbackID: "none"}, 2, "[]"},
	}
	for _, test := range tests {
		if got, _ := collect(test.filter, test.limit); fmt.Sprint(got) != test.want {
			t.Errorf("%+v by %d: %v, want %s", test.filter, test.limit, got, test.want)
		}
	}
	for _, cursor := range []string{"x", "-1"} {
		if _, err := l.Decisions(ctx, ledger.Filter{}, 1, cursor); !errors.Is(err, ledger.ErrInvalid) {
			t.Errorf("cursor %q: %v", cursor, err)
		}
	}
	for _, name := range []string{"", "zz", "00000000000000000000000000000000"} {
		if _, err := l.Decision(ctx, name); !errors.Is(err, ledger.ErrNotFound) && !errors.Is(err, ledger.ErrInvalid) {
			t.Errorf("decision %q: %v", name, err)
		}
	}
}

func testRawdata(t *testing.T, s ledger.Store) {
	l := MustOpen(t, s, NewClock())
	ctx := context.Background()
	approved := MustDecide(t, l, Ask("yes", "body"), Verdict(wire.Approve, nil))
	MustDecide(t, l, Ask("no", "body"), Verdict(wire.Reject, nil))
	rec, ok, err := l.ApprovedCheck(ctx, "node-a", "yes")
	must(t, err)
	if !ok || rec.ID != approved.ID || !reflect.DeepEqual(rec.Ask, Ask("yes", "body")) {
		t.Errorf("approved check: %v, %+v", ok, rec)
	}
	for _, other := range [][2]string{{"node-a", "no"}, {"node-b", "yes"}, {"node-a", "never"}} {
		if _, ok, err := l.ApprovedCheck(ctx, other[0], other[1]); err != nil || ok {
			t.Errorf("check of %v: %v, %v; want not approved", other, ok, err)
		}
	}
	// What is answered on another path under the same callback_id approves nothing.
	raw := Ask("no", "result")
	raw.Path = wire.PathRawdata
	MustDecide(t, l, raw, Verdict(wire.Approve, nil))
	if _, ok, err := l.ApprovedCheck(ctx, "node-a", "no"); err != nil || ok {
		t.Errorf("after a result: %v, %v; want not approved", ok, err)
	}
}

func testVerify(t *testing.T, s ledger.Store) {
	clock := NewClock()
	l := MustOpen(t, s, clock)
	ctx := context.Background()
	report, err := l.Verify(ctx)
	must(t, err)
	if !report.OK() || report.Size != 0 {
		t.Errorf("empty: %+v", report)
	}
	for i := range 20 {
		MustDecide(t, l, Ask(fmt.Sprint("cb-", i), "body"), Verdict(wire.Approve, nil))
	}
	_, err = l.Checkpoint(ctx)
	must(t, err)
	report, err = l.Verify(ctx)
	must(t, err)
	if !report.OK() || report.Size != 20 || report.Covered != 20 || report.Err() != nil {
		t.Errorf("whole: %+v", report)
	}
}

func testRetention(t *testing.T, s ledger.Store) {
	clock := NewClock()
	l := MustOpen(t, s, clock)
	ctx := context.Background()
	const n = 300
	var ids []string
	for i := range n {
		ids = append(ids, MustDecide(t, l, Ask(fmt.Sprint("cb-", i), "body"), Verdict(wire.Approve, nil)).ID)
		clock.Advance(time.Second)
	}
	older, err := l.Checkpoint(ctx)
	must(t, err)
	removed, err := l.Prune(ctx, Epoch.Add(200*time.Second))
	must(t, err)
	if removed != 200 {
		t.Errorf("removed %d, want 200", removed)
	}
	if removed, err := l.Prune(ctx, Epoch.Add(200*time.Second)); err != nil || removed != 0 {
		t.Errorf("again: removed %d, %v", removed, err)
	}
	for _, i := range []int{0, 199} {
		if res, err := l.Decide(ctx, Ask(fmt.Sprint("cb-", i), "body"), Give(Verdict(wire.Reject, nil)), Reply); !errors.Is(err, ledger.ErrExpired) || res.Reply != nil {
			t.Errorf("ask %d: %q, %v; want ErrExpired", i, res.Reply, err)
		}
		if _, err := l.Decide(ctx, Ask(fmt.Sprint("cb-", i), "other"), Give(Verdict(wire.Reject, nil)), Reply); !errors.Is(err, ledger.ErrConflict) {
			t.Errorf("other body under ask %d: %v; want ErrConflict", i, err)
		}
		if _, _, err := l.ApprovedCheck(ctx, "node-a", fmt.Sprint("cb-", i)); !errors.Is(err, ledger.ErrExpired) {
			t.Errorf("check %d: %v; want ErrExpired", i, err)
		}
		if _, err := l.Decision(ctx, ids[i]); !errors.Is(err, ledger.ErrExpired) {
			t.Errorf("decision %d: %v; want ErrExpired", i, err)
		}
	}
	if res := MustDecide(t, l, Ask("cb-200", "body"), Verdict(wire.Reject, nil)); !res.Replayed || res.ID != ids[200] {
		t.Errorf("what was kept: %+v", res)
	}
	page, err := l.Decisions(ctx, ledger.Filter{}, 1000, "")
	must(t, err)
	if len(page.Decisions) != 100 {
		t.Errorf("%d decisions are listed, want 100", len(page.Decisions))
	}
	report, err := l.Verify(ctx)
	must(t, err)
	if !report.OK() || report.Removed != 200 || report.Size != n {
		t.Errorf("verify: %+v", report)
	}
	if _, err := l.ProveGrowth(ctx, older); err != nil {
		t.Errorf("growth over what was removed: %v", err)
	}
}
