package policy_test

import (
	"testing"

	"github.com/countersign-mpc/countersign/policy"
)

// TestTitles: an approval is explained by the sentence of the rule that fired, though others share its id.
func TestTitles(t *testing.T) {
	e := demoEngine(t)
	said := map[string]string{}
	for _, r := range decide(t, e, transfer(e, "1500000000")).Reasons {
		said[r.RuleID] = r.Message
	}
	for id, want := range map[string]string{
		"gas.max":    "Gas price, gas limit and fee are within data.json gas",
		"hours.open": "no hours of data.json hold for it",
	} {
		if said[id] != want {
			t.Errorf("%s says %q, want %q", id, said[id], want)
		}
	}
}

// TestSharedTitles: where the result of an evaluation does not tell rules apart, all of their titles are said, and no other's.
func TestSharedTitles(t *testing.T) {
	const own = `package countersign.rules.own

# METADATA
# title: A reject
# labels:
#   id: own.rule
reject contains {"id": "own.rule", "message": "no"} if input.tx.amount_base < 0

# METADATA
# title: One
# labels:
#   id: own.rule
allow contains {"id": "own.rule"} if input.tx.amount_base > 0

# METADATA
# title: Two
# labels:
#   id: own.rule
allow contains {"id": "own.rule"} if input.tx.amount_base > 1000000000000

# METADATA
# title: Three
# labels:
#   id: own.rule
allow contains {"id": "own.rule", "message": "three"} if input.tx.amount_base > 0
`
	s := source(t, demoData())
	s.Modules["own.rego"] = []byte(own)
	e, err := policy.NewUntested(t.Context(), policy.Config{Source: s, Timeout: unhurried})
	must(t, err)
	var said []string
	for _, r := range decide(t, e, transfer(e, "1500000000")).Reasons {
		if r.RuleID == "own.rule" {
			said = append(said, r.Message)
		}
	}
	if len(said) != 2 || said[0] != "One; or: Two" || said[1] != "three" {
		t.Errorf("said %q", said)
	}
}
