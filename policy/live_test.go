package policy_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/countersign-mpc/countersign/policy"
)

// TestReloadKeepsWhatWorks reloads good and bad policies in turn.
func TestReloadKeepsWhatWorks(t *testing.T) {
	next := source(t, demoData())
	var readError error
	live, err := policy.NewLive(t.Context(), policy.LiveConfig{Read: func() (*policy.Source, error) { return next, readError }})
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
