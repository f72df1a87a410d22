package node_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/countersign-mpc/countersign/wire"
)

// TestMetricsAreNamedByTheRules: the rules that promtool checks, and this project's own prefix.
func TestMetricsAreNamedByTheRules(t *testing.T) {
	t.Parallel()
	r := newTold(t)
	r.mustSign(r.signing())
	r.server.mustHear(0, wire.OutcomeSigned)
	s := r.offer(r.signing())
	r.mustBeSigned(t, s)
	text := metricsOf(t, r.a.node)
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	must(t, err)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	series := make(map[string]int)
	for line := range strings.Lines(text) {
		if help, ok := strings.CutPrefix(line, "# HELP "); ok && !strings.HasSuffix(help, ".\n") {
			t.Errorf("no sentence: %s", help)
		}
		if name, _, _ := strings.Cut(line, "{"); !strings.HasPrefix(line, "#") {
			name, _, _ = strings.Cut(name, " ")
			series[name]++
		}
		for _, id := range []string{string(r.a.id), r.keyID, s.id, s.sino, r.host} {
			if strings.Contains(line, id) {
				t.Errorf("an id is told: %s", line)
			}
		}
	}
	for name, n := range series {
		if !strings.HasPrefix(name, "countersign_node_") || n > 200 {
			t.Errorf("%s has %d series", name, n)
		}
	}
	for _, name := range []string{"requests_total", "session_seconds_count", "stage_seconds_count", "callback_answers_total", "callback_seconds_count", "outcomes_total",
		"unsealed", "link_up", "link_connections_total", "link_backlog_frames", "store_bytes", "store_writable", "queue_length", "running_sessions", "open_requests",
		"unacknowledged_reports", "unacknowledged_outcomes"} {
		if series["countersign_node_"+name] == 0 {
			t.Errorf("there is no countersign_node_%s", name)
		}
	}
}
