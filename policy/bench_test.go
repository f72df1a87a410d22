package policy_test

import (
	"testing"

	"github.com/countersign-mpc/countersign/policy"
)

// BenchmarkEvaluate times one decision of the shipped policies, from the input's Go form to the decision: with the
// demo's data, and with two address lists of 10 000 entries.
func BenchmarkEvaluate(b *testing.B) {
	for name, data := range map[string]object{"demo": demoData(), "long-lists": longLists(10_000)} {
		e := newEngine(b, data)
		in := transfer(e, "1500000000")
		if name == "long-lists" {
			in.Tx.To = "0x0000000000000000000000000000000000000007"
		}
		wantAction(b, decide(b, e, in), policy.Approve, "address.listed")
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d, err := e.Evaluate(b.Context(), in); err != nil || d.Action != policy.Approve {
					b.Fatal(d, err)
				}
			}
		})
	}
}

// BenchmarkReload times what a reload of 10 000-entry lists costs, tests included.
func BenchmarkReload(b *testing.B) {
	s := source(b, longLists(10_000))
	for b.Loop() {
		if _, err := policy.New(b.Context(), policy.Config{Source: s}); err != nil {
			b.Fatal(err)
		}
	}
}
