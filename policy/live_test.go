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

// proverFunc is a prover in the form of a function.
type proverFunc func(context.Context, *policy.Source) (policy.Proof, error)

func (f proverFunc) Prove(ctx context.Context, s *policy.Source) (policy.Proof, error) {
	return f(ctx, s)
}

// TestReloadKeepsWhatWorks reloads good and bad policies in turn, whoever tests them.
func TestReloadKeepsWhatWorks(t *testing.T) {
	for name, prover := range map[string]policy.Prover{
		"none": nil, "elsewhere": proverFunc(policy.Prove),
		"away": proverFunc(func(context.Context, *policy.Source) (policy.Proof, error) { return policy.Proof{}, policy.ErrNoProver }),
	} {
		t.Run(name, func(t *testing.T) { reloadKeepsWhatWorks(t, prover) })
	}
}

func reloadKeepsWhatWorks(t *testing.T, prover policy.Prover) {
	next := source(t, demoData())
	var readError error
	live, err := policy.NewLive(t.Context(), policy.LiveConfig{Prover: prover, Read: func() (*policy.Source, error) { return next, readError }})
	must(t, err)
	first := live.Engine()

	stricter := demoData()
	stricter["limits"].(object)["ETH"].(object)["USDT_ETH"].([]object)[0]["max"] = "6000"
	next = source(t, stricter)
	second, err := live.Reload(t.Context())
	must(t, err)
	if live.Engine() != second || second == first || second.Revision() == first.Revision() {
		t.Error("the new policy is not live")
	}
	wantAction(t, decide(t, live.Engine(), transfer(second, "7000000000")), policy.Reject, "limit.per_transaction")
	wantAction(t, decide(t, first, transfer(first, "7000000000")), policy.Wait, "approval.required")

	for name, spoil := range map[string]func(){
		"data":   func() { next = source(t, object{"format": "other"}) },
		"module": func() { next = source(t, demoData()); next.Modules["lib.rego"] = []byte("package") },
		"test": func() {
			next = source(t, demoData())
			next.Modules["x_test.rego"] = []byte("package countersign.x_test\n\ntest_x if false\n")
		},
		"reading": func() { readError = errors.New("the disk is gone") },
	} {
		spoil()
		if _, err := live.Reload(t.Context()); err == nil {
			t.Errorf("%s: a spoilt policy was loaded", name)
		}
		if live.Engine() != second {
			t.Fatalf("%s: the policy that worked is gone", name)
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
	live, err := policy.NewLive(t.Context(), policy.LiveConfig{Read: func() (*policy.Source, error) { return source(t, demoData()), nil }})
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for ctx.Err() == nil {
				e := live.Engine()
				d, err := e.Evaluate(context.Background(), transfer(e, "1"))
				if err != nil || d.Action != policy.Approve || d.Revision != e.Revision() {
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
	for name, spoil := range map[string]func(*policy.Proof) error{
		"another revision": func(p *policy.Proof) error { p.Revision = strings.Repeat("0", 64); return nil },
		"no test":          func(p *policy.Proof) error { p.Passed = 0; return nil },
		"a failure":        func(*policy.Proof) error { return errors.New("killed") },
	} {
		live, err := policy.NewLive(t.Context(), policy.LiveConfig{
			Read: func() (*policy.Source, error) { return source(t, demoData()), nil },
			Prover: proverFunc(func(ctx context.Context, s *policy.Source) (policy.Proof, error) {
				p, err := policy.Prove(ctx, s)
				return p, errors.Join(err, spoil(&p))
			}),
		})
		must(t, err)
		first := live.Engine()
		if _, err := live.Reload(t.Context()); err == nil || live.Engine() != first {
			t.Errorf("%s: the policy went live: %v", name, err)
		}
	}
}

// TestReloadShares: an engine with the same modules decides by its own data, and shares nothing but what is compiled.
func TestReloadShares(t *testing.T) {
	next := source(t, demoData())
	live, err := policy.NewLive(t.Context(), policy.LiveConfig{
		Read: func() (*policy.Source, error) { return next, nil }, Prover: proverFunc(policy.Prove),
	})
	must(t, err)
	first := live.Engine()
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
	alone, err := policy.New(t.Context(), policy.Config{Source: next})
	must(t, err)
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
