package callback_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// TestRulesAndWindowsAreCounted: each decision counts its rules once, and an approval how full it makes its windows; an
// answer that is given again counts nothing.
func TestRulesAndWindowsAreCounted(t *testing.T) {
	w := newWorld(t, options{data: windowed, cfg: func(c *callback.Config) { c.StoreBytes = func() (int64, error) { return 65536, nil } }})
	pay := func(id string, amount, nonce int64, action wire.Action) {
		d, _ := w.ask(payment{callbackID: id, requestID: "r-" + id, amount: amount, nonce: nonce}.check(t))
		want(t, d, action)
	}
	pay("a", 6_000, 1, wire.Approve) // 60 %
	pay("b", 3_500, 2, wire.Approve) // 95 %
	pay("c", 600, 3, wire.Reject)
	pay("c", 600, 3, wire.Reject) // again
	text := metricsText(w)
	for _, line := range []string{
		`countersign_callback_store_bytes 65536`,
		`countersign_callback_rule_hits_total{action="Reject",rule="window.max"} 1`,
		`countersign_callback_rule_hits_total{action="Approve",rule="window.max"} 2`,
		`countersign_callback_window_use_ratio_bucket{window="usdt-day",le="0.5"} 0`,
		`countersign_callback_window_use_ratio_bucket{window="usdt-day",le="0.75"} 1`,
		`countersign_callback_window_use_ratio_bucket{window="usdt-day",le="0.95"} 2`,
		`countersign_callback_window_use_ratio_count{window="usdt-day"} 2`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("the metrics do not have %s", line)
		}
	}
	if t.Failed() {
		for line := range strings.Lines(text) {
			if strings.Contains(line, "rule_hits") || strings.Contains(line, "window_use") {
				t.Log(line)
			}
		}
	}
	hits := strings.Count(text, "rule_hits_total{")
	if hits == 0 || hits > 100 {
		t.Errorf("%d rules are counted", hits)
	}
}

// TestRulesAreCountedWhateverIsRemembered: decisions beside each other, of more sets of rules than are remembered, some of which say
// the same in another order or with other messages, are each counted once.
func TestRulesAreCountedWhateverIsRemembered(t *testing.T) {
	w := newWorld(t, options{})
	const rounds = 20
	want := map[string]int{}
	var wg sync.WaitGroup
	for n := range 3 * callback.KeptHits {
		fired := []string{"shared", fmt.Sprint("rule-", n)}
		reasons := []ledger.Reason{{Rule: fmt.Sprint("rule-", n), Severity: wire.Reject}, {Rule: fmt.Sprint("own-", n%3), Severity: wire.Wait}}
		want[`action="Approve",rule="shared"`] += rounds
		want[fmt.Sprintf(`action="Reject",rule="rule-%d"`, n)] += rounds
		want[fmt.Sprintf(`action="Wait",rule="own-%d"`, n%3)] += rounds
		wg.Go(func() {
			for round := range rounds {
				said := slices.Clone(reasons)
				if round%2 > 0 {
					slices.Reverse(said)
				}
				said[0].Message = fmt.Sprint("of round ", round)
				w.server.Hit(fired, append(said, said[0])) // twice in one decision, which counts once
			}
		})
	}
	wg.Wait()
	text := metricsText(w)
	for labels, n := range want {
		if line := fmt.Sprintf("countersign_callback_rule_hits_total{%s} %d\n", labels, n); !strings.Contains(text, line) {
			t.Errorf("the metrics do not have %s", line)
		}
	}
	if hits := strings.Count(text, "rule_hits_total{"); hits != len(want) {
		t.Errorf("%d series, want %d", hits, len(want))
	}
}
