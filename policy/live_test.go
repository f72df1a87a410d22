package policy_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/countersign-mpc/countersign/policy"
)

// stricterData is the demo's with a limit at which what waits there is rejected.
func stricterData() object {
	return set(demoData(), "limits.ETH.USDT_ETH", []object{{"max": "6000"}})
}

// proverFunc is a prover in the form of a function.
type proverFunc func(context.Context, *policy.Source) (policy.Proof, error)

func (f proverFunc) Prove(ctx context.Context, s *policy.Source) (policy.Proof, error) {
	return f(ctx, s)
}

// TestReloadKeepsWhatWorks reloads good and bad policies in turn, whoever tests them.
func TestReloadKeepsWhatWorks(t *testing.T) {
	live, err := policy.NewLive(t.Context(), policy.LiveConfig{Read: func() (*policy.Source, error) { return source(t, demoData()), nil }})
	must(t, err)
	for name, prover := range map[string]policy.Prover{
		"none": nil, "elsewhere": proverFunc(policy.Prove),
		"away": proverFunc(func(context.Context, *policy.Source) (policy.Proof, error) { return policy.Proof{}, policy.ErrNoProver }),
	} {
		t.Run(name, func(t *testing.T) { reloadKeepsWhatWorks(t, live.Engine(), prover) })
	}
}

func reloadKeepsWhatWorks(t *testing.T, first *policy.Engine, prover policy.Prover) {
	next, readError := source(t, stricterData()), error(nil)
	live, err := policy.NewLiveOf(first, policy.LiveConfig{Prover: prover, Read: func() (*policy.Source, error) { return next, readError }})
	must(t, err)
	second, err := live.Reload(t.Context())
	must(t, err)
	if live.Engine() != second || second == first || second.Revision() == first.Revision() {
		t.Error("the new policy is not live")
	}
	wantAction(t, decide(t, live.Engine(), transfer(second, "7000000000")), policy.Reject, "limit.per_transaction")
	wantAction(t, decide(t, first, transfer(first, "7000000000")), policy.Wait, "approval.required")

	for says, spoil := range map[string]func(){
		"/format":               func() { next = source(t, object{"format": "other"}) },
		"parse":                 func() { next.Modules["lib.rego"] = []byte("package") },
		"x_test.rego:3: test_x": func() { next.Modules["x_test.rego"] = []byte("package countersign.x_test\n\ntest_x if false\n") },
		"the disk is gone":      func() { readError = errors.New("the disk is gone") },
	} {
		next, readError = source(t, demoData()), nil
		next.Modules = map[string][]byte{"own.rego": []byte(verdict(none, none, none, none))} // is soon compiled
		spoil()
		_, err := live.Reload(t.Context())
		wantError(t, err, says)
		if live.Engine() != second {
			t.Fatalf("%s: the policy that worked is gone", says)
		}
	}
}

func TestNothingIsLiveWithoutAPolicy(t *testing.T) {
	_, err := policy.NewLive(t.Context(), policy.LiveConfig{})
	wantError(t, err, "where the policy is read from")
	_, err = policy.NewLive(t.Context(), policy.LiveConfig{Read: func() (*policy.Source, error) { return source(t, object{}), nil }})
	wantError(t, err, "/format")
	_, err = policy.NewLive(t.Context(), policy.LiveConfig{
		Read:   func() (*policy.Source, error) { return source(t, demoData()), nil },
		Engine: policy.Config{Source: source(t, demoData()), Timeout: unhurried},
	})
	wantError(t, err, "read anew")
}

// TestReloadUnderLoad swaps engines while others evaluate: none of them sees anything but a whole engine.
func TestReloadUnderLoad(t *testing.T) {
	sources := []*policy.Source{source(t, stricterData()), source(t, demoData())}
	actions := map[string]policy.Action{}
	for i, action := range []policy.Action{policy.Reject, policy.Wait} {
		revision, err := sources[i].Revision()
		must(t, err)
		actions[revision] = action
	}
	reads := 0
	live, err := policy.NewLiveOf(newEngine(t, demoData()), policy.LiveConfig{Read: func() (*policy.Source, error) {
		reads++
		return sources[(reads-1)%len(sources)], nil
	}})
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for ctx.Err() == nil {
				e := live.Engine()
				d, err := e.Evaluate(context.Background(), transfer(e, "7000000000"))
				if err != nil || d.Revision != e.Revision() || d.Action != actions[d.Revision] {
					t.Errorf("got %+v, %v", d, err)
					return
				}
			}
		})
	}
	for range 3 {
		_, err := live.Reload(t.Context())
		must(t, err)
	}
	stop()
	group.Wait()
}

// TestReloadDoubts: what a prover says has to be about the policy that is compiled here.
func TestReloadDoubts(t *testing.T) {
	first := newEngine(t, demoData())
	right, err := policy.Prove(t.Context(), source(t, demoData()))
	must(t, err)
	for name, spoil := range map[string]func(*policy.Proof) error{
		"nothing":          func(*policy.Proof) error { return nil },
		"another revision": func(p *policy.Proof) error { p.Revision = strings.Repeat("0", 64); return nil },
		"no test":          func(p *policy.Proof) error { p.Passed = 0; return nil },
		"a failure":        func(*policy.Proof) error { return errors.New("killed") },
	} {
		live, err := policy.NewLiveOf(first, policy.LiveConfig{
			Read: func() (*policy.Source, error) { return source(t, demoData()), nil },
			Prover: proverFunc(func(context.Context, *policy.Source) (policy.Proof, error) {
				p := right
				err := spoil(&p)
				return p, err
			}),
		})
		must(t, err)
		_, err = live.Reload(t.Context())
		if spoilt := name != "nothing"; (err != nil) != spoilt || (live.Engine() == first) != spoilt {
			t.Errorf("spoilt is %s: the policy went live: %t, %v", name, live.Engine() != first, err)
		}
	}
}

// TestReloadShares: an engine with the same modules decides by its own data, and shares nothing but what is compiled.
func TestReloadShares(t *testing.T) {
	var next *policy.Source
	first := newEngine(t, demoData())
	live, err := policy.NewLiveOf(first, policy.LiveConfig{
		Read: func() (*policy.Source, error) { return next, nil }, Prover: proverFunc(policy.Prove),
	})
	must(t, err)
	recorded := make([][]byte, 0, 20)
	for _, in := range traffic(t, first, cap(recorded)) {
		_, b, err := first.Judge(t.Context(), in)
		must(t, err)
		recorded = append(recorded, b)
	}
	stricter := demoData()
	stricter["limits"].(object)["ETH"].(object)["USDT_ETH"] = []object{{"max": "1.000009"}}
	next = source(t, stricter)
	second, err := live.Reload(t.Context())
	must(t, err)
	if !second.SharesModules(first) || second.Remembered() > 0 {
		t.Errorf("modules are compiled anew: %t; %d answers are remembered", !second.SharesModules(first), second.Remembered())
	}
	alone := freshEngine(t, next)
	second.Warm(t.Context(), append([][]byte{[]byte("no input")}, recorded...))
	warm := second.Remembered()
	changed := 0
	for _, b := range recorded {
		before, err := first.Replay(t.Context(), b)
		must(t, err)
		got, err := second.Replay(t.Context(), b)
		must(t, err)
		want, err := alone.Replay(t.Context(), b)
		must(t, err)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("the reloaded policy says\n%+v\nand the same built anew\n%+v", got, want)
		}
		if !reflect.DeepEqual(got.Reasons, before.Reasons) {
			changed++
		}
	}
	if changed == 0 || changed == len(recorded) {
		t.Errorf("the new limit changed %d of %d decisions", changed, len(recorded))
	}
	if now := second.Remembered(); warm == 0 || now != warm {
		t.Errorf("%d answers were remembered, and %d behind the requests", warm, now)
	}
	next = source(t, stricter)
	next.Modules["own.rego"] = []byte("package countersign.own\n\nx := 1\n")
	third, err := live.Reload(t.Context())
	must(t, err)
	if third.SharesModules(second) {
		t.Error("other modules were not compiled")
	}
}
