package callback_test

import (
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/callback"
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
