package policy_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/countersign-mpc/countersign/policy"
)

// saying has rules that allow what they are asked to, in the words that they are asked for.
const saying = `package countersign.rules.saying

# METADATA
# title: says so
# labels:
#   id: test.said
allow contains {"id": "test.said", "message": input.tx.to_tag} if input.tx.to_tag != ""

# METADATA
# title: says more
# labels:
#   id: test.more
allow contains {"id": "test.more", "message": input.tx.input_id} if input.tx.input_id != ""

# METADATA
# title: always says the same
# labels:
#   id: test.same
allow contains {"id": "test.same", "message": "flagged"} if input.tx.request_id == "flagged"
`

// TestConclusionsAreKept holds that a verdict that was come to before gives the decision that it would give, whatever was concluded in
// between, and that no more are kept than there is room for.
func TestConclusionsAreKept(t *testing.T) {
	s := source(t, demoData())
	s.Modules["saying.rego"] = []byte(saying)
	e, err := policy.NewUntested(t.Context(), policy.Config{Source: s})
	must(t, err)
	whole, in := e.Whole(), transfer(e, "1500000000")
	check := func(tag, id string) policy.Decision {
		t.Helper()
		in.Tx.ToTag, in.Tx.InputID = tag, id
		got, want := decide(t, e, in), decide(t, whole, in)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("of %q and %q: %+v, and as a whole %+v", tag, id, got, want)
		}
		return got
	}
	for range 2 {
		for _, said := range [][2]string{
			{"", ""}, {"a", ""}, {"", "a"}, {"a", "b"}, {"b", "a"}, {"ab", ""}, {"", "ab"}, {"a\x01b", ""}, {"test.more", "test.said"}, {"\x09test.more\x01a", ""},
		} {
			check(said[0], said[1])
		}
	}
	for i := range 2 * policy.MaxConclusions {
		check(fmt.Sprint(i), "")
		if n := e.Conclusions(); n == 0 || n > policy.MaxConclusions {
			t.Fatalf("%d decisions are kept", n)
		}
	}
	for range 3 { // what is always said, said and unsaid, of inputs that are alike
		in.Tx.RequestID = "flagged"
		flagged := check("", "")
		in.Tx.RequestID = "other"
		if other := check("", ""); !slices.Contains(flagged.Fired, "test.same") || slices.Contains(other.Fired, "test.same") {
			t.Errorf("flagged: %v, and not: %v", flagged.Fired, other.Fired)
		}
	}
	first := check("a", "")
	one, other := append(first.Fired, "one.rule"), append(check("a", "").Fired, "other.rule")
	if slices.Equal(one, other) {
		t.Error("who appended to a decision's list wrote into that of another")
	}
	if len(first.Fired) != cap(first.Fired) || len(first.Reasons) != cap(first.Reasons) {
		t.Error("who appends to a decision's lists could write into those of others")
	}
}
