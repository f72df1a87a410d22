package policy_test

import (
	"bytes"
	"testing"

	"github.com/countersign-mpc/countersign/policy"
)

// TestArchive: what is stored of a policy is the policy.
func TestArchive(t *testing.T) {
	s := source(t, demoData())
	b := s.Archive()
	again, err := policy.ParseArchive(b)
	must(t, err)
	want, err := s.Revision()
	must(t, err)
	e, err := policy.New(t.Context(), policy.Config{Source: again, Timeout: unhurried})
	must(t, err)
	if e.Revision() != want || !bytes.Equal(e.Source().Archive(), b) {
		t.Errorf("the revision is %s, want %s", e.Revision(), want)
	}
	for n := range len(b) {
		if n > 100 && n < len(b)-100 && n%997 != 0 {
			continue
		}
		if _, err := policy.ParseArchive(b[:n]); err == nil {
			t.Fatalf("it is read although it is cut off at %d of %d", n, len(b))
		}
	}
}

func FuzzParseArchive(f *testing.F) {
	f.Add((&policy.Source{Modules: map[string][]byte{"a.rego": []byte("package a"), "b.rego": nil}, DataName: "data.json", Data: []byte("{}")}).Archive())
	f.Add([]byte("CSPA\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := policy.ParseArchive(b)
		if err == nil && !bytes.Equal(s.Archive(), b) {
			t.Errorf("%x became %x", b, s.Archive())
		}
	})
}

// TestPolicyChanges: what a policy asks of its change, and what is refused at load.
func TestPolicyChanges(t *testing.T) {
	changes := func(change func(object)) object {
		d := demoData()
		c := object{"group": "treasury", "threshold": 1, "expiry_seconds": 3600, "not_proposer": true, "backtest_min_entries": 10, "rollback_seconds": 60}
		change(c)
		d["policy_changes"] = c
		return d
	}
	e, err := policy.New(t.Context(), policy.Config{Source: source(t, changes(func(object) {})), Timeout: unhurried})
	must(t, err)
	if c := e.PolicyChanges(); c == nil || c.Requirement.Group != "treasury" || c.Requirement.Threshold != 1 || !c.Requirement.NotRequester ||
		c.BacktestMinEntries != 10 || c.RollbackSeconds != 60 || c.Requirement.RuleID != policy.RulePolicyChange {
		t.Errorf("%+v", c)
	}
	for _, said := range []struct {
		value any
		want  bool
	}{{nil, true}, {true, true}, {false, false}} {
		e, err := policy.New(t.Context(), policy.Config{Source: source(t, changes(func(c object) {
			if delete(c, "not_proposer"); said.value != nil {
				c["not_proposer"] = said.value
			}
		})), Timeout: unhurried})
		must(t, err)
		if got := e.PolicyChanges().Requirement.NotRequester; got != said.want {
			t.Errorf("not_proposer %v: the proposer's own approval is left out: %v", said.value, got)
		}
	}
	without, err := source(t, demoData()).Revision()
	must(t, err)
	if e.Revision() == without {
		t.Error("the revision does not tell who may change the policy")
	}
	for at, change := range map[string]func(object){
		"/policy_changes/group":                func(c object) { c["group"] = "nobody" },
		"/policy_changes/threshold":            func(c object) { c["threshold"] = 99 },
		"/policy_changes/expiry_seconds":       func(c object) { c["expiry_seconds"] = 0 },
		"/policy_changes/backtest_min_entries": func(c object) { c["backtest_min_entries"] = -1 },
		"/policy_changes/rollback_seconds":     func(c object) { c["rollback_seconds"] = 1 << 40 },
		"/policy_changes/other":                func(c object) { c["other"] = 1 },
	} {
		_, err := source(t, changes(change)).Revision()
		wantError(t, err, at)
	}
}
