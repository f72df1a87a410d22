package callback_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/memstore"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// guardedBy adds policy_changes to the tests' data.
func guardedBy(change func(map[string]any)) func(map[string]any) {
	return func(d map[string]any) {
		d["policy_changes"] = map[string]any{
			"group": "treasury", "threshold": 2, "expiry_seconds": 3600, "not_proposer": false, "rejection_final": true, "backtest_min_entries": 2, "rollback_seconds": 600,
		}
		change(d)
	}
}

// policyVote signs a vote on a proposal with an approver's key.
func (w *world) policyVote(view *callback.ProposalView, name string, kind ledger.VoteKind) ledger.Signed {
	w.t.Helper()
	signature := must[[]byte](w.t)(wire.SignP256(w.people.key(name), ledger.PolicyChangeSigningBytes(view.Proposal, kind)))
	return ledger.Signed{Approver: name, Decision: kind, Signature: signature}
}

// TestChangeByApproval: an active policy that asks for it is changed by what approvers have seen, and by nothing else.
func TestChangeByApproval(t *testing.T) {
	w, files := quickWorld(t, options{}, guardedBy(fewMessages("1")))
	_, err := w.server.ReloadPolicy(context.Background()) // the files' policy becomes the active one
	ok(t, err)
	for n, action := range []wire.Action{wire.Approve, wire.Reject} {
		d, _ := w.ask(hello(n))
		want(t, d, action)
	}
	wider := w.text(guardedBy(fewMessages("2")))
	if a := w.adminJSON("POST", "/admin/v1/policy/activate", callback.PolicyRequest{PolicyText: wider}, nil); a.status != http.StatusForbidden || !strings.Contains(a.body, "propose it") {
		t.Fatal(a)
	}
	*files = fewMessages("9") // also not by files that leave the guard out
	if _, err := w.server.ReloadPolicy(context.Background()); !errors.Is(err, ledger.ErrNeedsApproval) {
		t.Fatal(err)
	}
	var view callback.ProposalView
	if a := w.adminJSON("POST", "/admin/v1/policy/proposals", callback.PolicyRequest{PolicyText: wider, Reason: "ticket"}, &view); a.status != 200 {
		t.Fatal(a)
	}
	var effect callback.Effect
	ok(t, json.Unmarshal([]byte(view.EffectDocument), &effect))
	if view.State != ledger.ProposalPending || effect.Judged != 2 || effect.Flipped != 1 || effect.Sums[0].Now != wire.Approve || effect.Flips[0].CallbackID != "m-1" {
		t.Fatalf("%+v %+v", view.Proposal, effect)
	}
	path := "/admin/v1/policy/proposals/" + view.ID + "/signatures"
	shown := view
	shown.Effect[0]++ // who was shown another effect has voted on nothing
	if a := w.adminJSON("POST", path, w.policyVote(&shown, "alice", ledger.VoteApprove), nil); a.status != http.StatusForbidden {
		t.Fatal(a)
	}
	activate := callback.PolicyRequest{Proposal: view.ID}
	for _, name := range []string{"alice", "bob"} {
		if a := w.adminJSON("POST", "/admin/v1/policy/activate", activate, nil); a.status != http.StatusForbidden {
			t.Fatal(a)
		}
		if a := w.adminJSON("POST", path, w.policyVote(&view, name, ledger.VoteApprove), nil); a.status != 200 {
			t.Fatal(a)
		}
	}
	if a := w.adminJSON("POST", "/admin/v1/policy/activate", activate, nil); a.status != 200 {
		t.Fatal(a)
	}
	d, _ := w.ask(hello(2))
	want(t, d, wire.Approve)
	var history callback.HistoryView
	w.adminJSON("GET", "/admin/v1/policy/history", nil, &history)
	if len(history.Activations) != 2 || history.Activations[0].Proposal != view.ID || len(history.Activations[0].Votes) != 2 {
		t.Fatalf("%+v", history)
	}
	if ready := open(w, "/readyz"); ready.status != 200 || !strings.Contains(ready.body, history.Activations[0].To) {
		t.Fatal(ready)
	}
	if report, err := w.ledger.Verify(context.Background()); err != nil || !report.OK() {
		t.Fatal(err, report.Problems)
	}
}

// TestFollows: a server whose policy is not the active one any more loads that before it decides, and decides nothing while it
// cannot.
func TestFollows(t *testing.T) {
	store := memstore.New()
	one, _ := quickWorld(t, options{store: store}, fewMessages("1"))
	_, err := one.server.ReloadPolicy(context.Background())
	ok(t, err)
	two, _ := quickWorld(t, options{store: store}, fewMessages("1"))
	first, _ := two.ask(hello(0))
	want(t, first, wire.Approve)
	var rec ledger.ActivationRecord
	if a := one.adminJSON("POST", "/admin/v1/policy/activate", callback.PolicyRequest{PolicyText: one.text(fewMessages("2"))}, &rec); a.status != 200 {
		t.Fatal(a)
	}
	if ready := open(two, "/readyz"); ready.status != http.StatusServiceUnavailable {
		t.Fatalf("the other server is ready: %v", ready)
	}
	var wg sync.WaitGroup
	for n := 1; n <= 4; n++ {
		wg.Go(func() { two.ask(hello(n)) })
	}
	wg.Wait()
	if two.live.Engine().Revision() != rec.To {
		t.Fatal("the other server has not followed")
	}
	page, err := two.ledger.Decisions(context.Background(), ledger.Filter{}, 0, "")
	ok(t, err)
	for _, d := range page.Decisions[:4] {
		if d.Revision != rec.To {
			t.Fatalf("a decision of %s after %s", d.Revision, rec.To)
		}
	}

	// What is stored is not what was activated: nothing is decided.
	if a := one.adminJSON("POST", "/admin/v1/policy/activate", callback.PolicyRequest{PolicyText: one.text(fewMessages("3"))}, &rec); a.status != 200 {
		t.Fatal(a)
	}
	var intact []byte
	ok(t, store.Update(context.Background(), func(tx ledger.Tx) error {
		v, err := tx.Get("revision", []byte(rec.To))
		intact = bytes.Clone(v)
		return errors.Join(err, tx.Put("revision", []byte(rec.To), []byte(strings.Replace(string(v), `"max":"3"`, `"max":"9"`, 1))))
	}))
	body, signature, err := wire.SealCheck(two.nodeKey, hello(9))
	ok(t, err)
	if a := two.send("/v1/check", string(body), http.Header{"Signature": {signature}}); a.status != http.StatusServiceUnavailable {
		t.Fatal(a)
	}
	if ready := open(two, "/readyz"); ready.status != http.StatusServiceUnavailable {
		t.Fatal(ready)
	}

	// It is not built again for each request, but after a while, and after twice that.
	tried := func() int { return strings.Count(two.logged.String(), "the active policy could not be loaded") }
	again := func() {
		t.Helper()
		if a := two.send("/v1/check", string(body), http.Header{"Signature": {signature}}); a.status != http.StatusServiceUnavailable {
			t.Fatal(a)
		}
	}
	for want, wait := range []time.Duration{0, 10 * time.Second, 20 * time.Second} {
		two.clock.step(wait)
		again()
		again()
		if tried() != want+1 {
			t.Fatalf("%d requests have it built %d times, want %d", 2*want+3, tried(), want+1)
		}
	}
	ok(t, store.Update(context.Background(), func(tx ledger.Tx) error { return tx.Put("revision", []byte(rec.To), intact) }))
	two.clock.step(40 * time.Second)
	if d, _ := two.ask(hello(9)); d.Action != wire.Approve && d.Action != wire.Reject {
		t.Fatal(d)
	}
}

// TestOpenPolicy: which policy a server begins with.
func TestOpenPolicy(t *testing.T) {
	ctx := context.Background()
	l := must[*ledger.Ledger](t)(ledger.New(ctx, ledger.Config{Store: memstore.New(), Clock: newClock(), Origin: "test/callback"}))
	var logged lockedBuffer
	begin := func(source callback.PolicySource, change func(map[string]any)) (string, error) {
		t.Helper()
		live, err := callback.OpenPolicy(ctx, callback.PolicyStart{
			Ledger: l, Source: source, Log: slog.New(slog.NewTextHandler(&logged, nil)),
			Live: policy.LiveConfig{Read: func() (*policy.Source, error) { return quick(change) }},
		})
		if err != nil {
			return "", err
		}
		return live.Engine().Revision(), nil
	}
	started := func(source callback.PolicySource, change func(map[string]any), activation uint64) string {
		t.Helper()
		revision := must[string](t)(begin(source, change))
		if active := must[ledger.Active](t)(l.Active(ctx)); active.Number != activation || active.Revision != revision {
			t.Fatalf("it begins with %s, and the active one is %s, activation %d, want %d\n%s", revision, active.Revision, active.Number, activation, logged.String())
		}
		return revision
	}
	first := started(callback.PolicyActivated, fewMessages("1"), 1) // the first start
	if started(callback.PolicyActivated, fewMessages("2"), 1) != first || !strings.Contains(logged.String(), "so they are not read") {
		t.Fatal("files count after the first start")
	}
	second := started(callback.PolicyFiles, fewMessages("2"), 2)
	started(callback.PolicyFiles, fewMessages("2"), 2)
	_, err := l.Activate(ctx, ledger.Change{Base: 2, Revision: first, How: ledger.ActivatedRollback, Operator: "olga"})
	ok(t, err)
	if started(callback.PolicyFiles, fewMessages("2"), 3) != first || !strings.Contains(logged.String(), "have not changed since") {
		t.Fatal("a rollback does not hold over a restart")
	}
	third := started(callback.PolicyFiles, guardedBy(fewMessages("3")), 4)
	if started(callback.PolicyFiles, fewMessages("4"), 4) != third || second == third || !strings.Contains(logged.String(), "propose them") {
		t.Fatal("files change a policy that asks for approvals")
	}
}

// TestGuardTakenAway: who removes, in the store alone, what a change of the policy has to pass, is found out by a server that
// runs, and at the next start.
func TestGuardTakenAway(t *testing.T) {
	ctx := context.Background()
	store := memstore.New()
	w, _ := quickWorld(t, options{store: store}, guardedBy(fewMessages("1")))
	_, err := w.server.ReloadPolicy(ctx)
	ok(t, err)
	active := must[ledger.Active](t)(w.ledger.Active(ctx))
	ok(t, store.Update(ctx, func(tx ledger.Tx) error {
		v, err := tx.Get("meta", []byte("active"))
		end := 1 + 8 + 4 + len(active.Revision) + 16 + 8 + 4 + len(active.Files)
		return errors.Join(err, tx.Put("meta", []byte("active"), append(append([]byte{}, v[:end]...), 0)))
	}))
	if stripped := must[ledger.Active](t)(w.ledger.Active(ctx)); stripped.Guard != nil || stripped.Revision != active.Revision {
		t.Fatalf("%+v", stripped)
	}
	loose := callback.PolicyRequest{PolicyText: w.text(fewMessages("9"))}
	for path, body := range map[string]any{"activate": loose, "proposals": loose, "reload": nil} {
		if a := w.adminJSON("POST", "/admin/v1/policy/"+path, body, nil); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "verify the log") {
			t.Errorf("%s: %v", path, a)
		}
	}
	if now := must[ledger.Active](t)(w.ledger.Active(ctx)); now.Revision != active.Revision {
		t.Fatal("the policy was changed")
	}
	_, err = callback.OpenPolicy(ctx, callback.PolicyStart{
		Ledger: w.ledger, Source: callback.PolicyActivated, Log: slog.New(slog.DiscardHandler), Live: policy.LiveConfig{Read: func() (*policy.Source, error) { return nil, errors.New("not read") }},
	})
	if !errors.Is(err, ledger.ErrDamaged) {
		t.Fatal(err)
	}
}

// TestReread: what nobody asked for in particular leaves a change by hand standing until the files change; a reload does not.
func TestReread(t *testing.T) {
	ctx := context.Background()
	w, files := quickWorld(t, options{}, fewMessages("1"))
	first := must[string](t)(w.server.ReloadPolicy(ctx))
	var rec ledger.ActivationRecord
	if a := w.adminJSON("POST", "/admin/v1/policy/activate", callback.PolicyRequest{PolicyText: w.text(fewMessages("0"))}, &rec); a.status != 200 {
		t.Fatal(a)
	}
	if got := must[string](t)(w.server.RereadPolicy(ctx)); got != rec.To || !strings.Contains(w.logged.String(), "have not changed since") {
		t.Fatalf("the files undo what was handed in\n%s", w.logged.String())
	}
	d, _ := w.ask(hello(0))
	want(t, d, wire.Reject)
	if got := must[string](t)(w.server.ReloadPolicy(ctx)); got != first {
		t.Fatal("a reload that was asked for does nothing")
	}
	*files = fewMessages("2")
	if got := must[string](t)(w.server.RereadPolicy(ctx)); got == first || got != must[ledger.Active](t)(w.ledger.Active(ctx)).Revision {
		t.Fatal("files that have changed do nothing")
	}
}

// TestWaitsForNobody: who has gone does not wait until another has loaded a policy.
func TestWaitsForNobody(t *testing.T) {
	w, _ := quickWorld(t, options{}, fewMessages("1"))
	defer w.server.HoldPolicy()()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := w.server.ReloadPolicy(ctx)
	if caught := w.server.CatchUp(ctx); !errors.Is(caught, context.Canceled) || !errors.Is(err, context.Canceled) {
		t.Fatal(caught, err)
	}
}

// slowProver proves nothing until the time for that is over.
type slowProver struct{ began chan struct{} }

func (p slowProver) Prove(ctx context.Context, _ *policy.Source) (policy.Proof, error) {
	close(p.began)
	<-ctx.Done()
	return policy.Proof{}, ctx.Err()
}

// TestOvertaken: a request that was overtaken by a reload does not wait for the one after it.
func TestOvertaken(t *testing.T) {
	p := slowProver{make(chan struct{})}
	live := must[*policy.Live](t)(policy.NewLive(t.Context(), policy.LiveConfig{
		Read: func() (*policy.Source, error) { return quick(fewMessages("1")) }, Engine: policy.Config{Timeout: 30 * time.Second}, Prover: p,
	}))
	w := newWorld(t, options{live: live})
	_, err := w.ledger.Activate(t.Context(), ledger.Change{
		Revision: live.Engine().Revision(), Content: []byte("it is not read here"), How: ledger.ActivatedFiles, Operator: "olga",
	})
	ok(t, err)
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := w.server.ReloadPolicy(ctx)
		ended <- err
	}()
	<-p.began
	waiting, leave := context.WithTimeout(t.Context(), 10*time.Second)
	defer leave()
	ok(t, w.server.CatchUp(waiting))
	end()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// TestEndsWhileFollowing: a server that is told to end does not go on building the policy that it follows to.
func TestEndsWhileFollowing(t *testing.T) {
	store := memstore.New()
	one, _ := quickWorld(t, options{store: store}, fewMessages("1"))
	_, err := one.server.ReloadPolicy(t.Context())
	ok(t, err)
	p := slowProver{make(chan struct{})}
	live := must[*policy.Live](t)(policy.NewLive(t.Context(), policy.LiveConfig{
		Read: func() (*policy.Source, error) { return quick(fewMessages("1")) }, Engine: policy.Config{Timeout: 30 * time.Second}, Prover: p,
	}))
	two := newWorld(t, options{store: store, live: live})
	if a := one.adminJSON("POST", "/admin/v1/policy/activate", callback.PolicyRequest{PolicyText: one.text(fewMessages("2"))}, nil); a.status != 200 {
		t.Fatal(a)
	}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		two.server.Keep(ctx)
		close(ended)
	}()
	<-p.began
	end()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("it goes on for a minute")
	}
}
