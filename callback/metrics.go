package callback

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/countersign-mpc/countersign/wire"
)

const metricPrefix = "countersign_callback_"

// metrics counts what the server does. No label takes what a client chose: no address, no id, no ticker.
type metrics struct {
	clock                    interface{ Elapsed() time.Duration }
	registry                 *prometheus.Registry
	decisions                *prometheus.CounterVec
	replays                  prometheus.Counter
	shed                     prometheus.Counter
	refusals                 *prometheus.CounterVec
	signatures               *prometheus.CounterVec
	stages                   *prometheus.HistogramVec
	votes                    *prometheus.CounterVec
	results                  *prometheus.CounterVec
	reloads                  *prometheus.CounterVec
	shadowJudged             prometheus.Counter
	shadowDropped            prometheus.Counter
	shadowDifferences        *prometheus.CounterVec
	pruned                   prometheus.Counter
	witnessFailures          *prometheus.CounterVec
	rules                    *prometheus.CounterVec
	windows                  *prometheus.HistogramVec
	ruleLabels, windowLabels labels
	hits                     hits                                   // of rules
	uses                     children[string, prometheus.Observer]  // of windows
	made                     children[decision, prometheus.Counter] // of decisions
	times                    [len(stageNames)]prometheus.Observer   // of stages
}

func newMetrics(s *Server) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricPrefix + name, Help: help}, labels)
	}
	m := &metrics{
		clock: s.clock, registry: prometheus.NewRegistry(),
		decisions: counter("decisions_total", "Decisions made and recorded, by action and request type.", "action", "request_type"),
		replays: prometheus.NewCounter(prometheus.CounterOpts{
			Name: metricPrefix + "replays_total", Help: "Requests that were decided before and got their recorded reply again.",
		}),
		shed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: metricPrefix + "shed_total", Help: "Requests turned away with 503 because too many others were being answered.",
		}),
		refusals:   counter("refusals_total", "Requests that got an error instead of a decision, by the protocol's code.", "code"),
		signatures: counter("signature_failures_total", "Requests whose signature was missing, malformed or of no configured node, or came without the node's client certificate.", "reason"),
		stages: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: metricPrefix + "stage_duration_seconds", Help: "Time that one stage of a request took.",
			Buckets: prometheus.ExponentialBuckets(0.00005, 2, 16), NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
		}, []string{"stage"}),
		votes: counter("votes_total", "Votes that approvers handed in, by decision; refused ones count as refused.", "decision"),
		results: counter("results_total", "Signature results that nodes reported, by what was found. "+
			"unmatched, invalid, malformed, conflict and undecryptable want somebody to look.", "status"),
		pruned:          prometheus.NewCounter(prometheus.CounterOpts{Name: metricPrefix + "log_pruned_entries_total", Help: "Old entries of the log that were removed; their hashes stay."}),
		witnessFailures: counter("witness_failures_total", "Checkpoints of the log that a witness did not take, by witness.", "witness"),
		rules:           counter("rule_hits_total", "Decisions in which a rule had a say, by rule and by what it said.", "rule", "action"),
		windows: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: metricPrefix + "window_use_ratio", Help: "How full a window is with each request that was approved in it, as a share of its maximum.",
			Buckets: []float64{0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1},
		}, []string{"window"}),
		shadowJudged:      prometheus.NewCounter(prometheus.CounterOpts{Name: metricPrefix + "shadow_judged_total", Help: "Requests that the shadow policy judged."}),
		shadowDropped:     prometheus.NewCounter(prometheus.CounterOpts{Name: metricPrefix + "shadow_dropped_total", Help: "Decisions that the shadow policy did not see, since it was behind."}),
		shadowDifferences: counter("shadow_differences_total", "Requests that the shadow policy would have decided otherwise, by what was decided, what would have been, and the rule.", "was", "now", "rule"),
		reloads:           counter("policy_reloads_total", "Reloads of the policy, by result.", "result"),
	}
	for _, status := range append(slices.Clone(keptStatuses), ResultMalformed, resultConflict, resultUndecryptable) { // so that the first of each is a rise
		m.results.WithLabelValues(status)
	}
	for stage, name := range stageNames {
		m.times[stage] = m.stages.WithLabelValues(name)
	}
	for _, w := range s.cfg.Witnesses {
		m.witnessFailures.WithLabelValues(w.Name())
	}
	m.registry.MustRegister(m.shadowJudged, m.shadowDropped, m.shadowDifferences, m.rules, m.windows, m.pruned, m.witnessFailures, m.decisions, m.replays, m.shed, m.refusals, m.signatures, m.stages, m.votes, m.results, m.reloads, &stateCollector{s},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

// stage is a stretch of what a request takes.
type stage int

// The stages.
const (
	stageRequest stage = iota
	stageOpen
	stageEvidence
	stageEvaluate
	stageDecide
	stageReply
)

var stageNames = [...]string{stageRequest: "request", stageOpen: "open", stageEvidence: "evidence", stageEvaluate: "evaluate", stageDecide: "decide", stageReply: "reply"}

// stopwatch measures a stage.
type stopwatch struct {
	m       *metrics
	stage   stage
	started time.Duration
}

// begin measures from now until stop is called.
func (m *metrics) begin(s stage) stopwatch { return stopwatch{m, s, m.clock.Elapsed()} }

func (w stopwatch) stop() { w.m.times[w.stage].Observe((w.m.clock.Elapsed() - w.started).Seconds()) }

// decision is by what decisions are counted.
type decision struct {
	action      wire.Action
	requestType string // one of a closed list
}

func (m *metrics) decided(a *asked, action wire.Action) {
	d := decision{action, requestType(a)}
	m.made.of(d, func() (prometheus.Counter, bool) {
		return m.decisions.WithLabelValues(string(d.action), d.requestType), true
	}).Inc()
}
func (m *metrics) replayed()                  { m.replays.Inc() }
func (m *metrics) refused(code string)        { m.refusals.WithLabelValues(code).Inc() }
func (m *metrics) badSignature(reason string) { m.signatures.WithLabelValues(reason).Inc() }
func (m *metrics) voted(decision string)      { m.votes.WithLabelValues(decision).Inc() }
func (m *metrics) result(status string)       { m.results.WithLabelValues(status).Inc() }
func (m *metrics) reloaded(result string)     { m.reloads.WithLabelValues(result).Inc() }

var knownTypes = []string{
	wire.TypeKeygen, wire.TypeRefresh, wire.TypeReshare, wire.TypeSign, wire.TypeBIP340SchnorrSign, wire.TypeTaprootSign,
	wire.TypePreSign, wire.TypePreSignOnline, wire.TypeOutcome,
}

// requestType is the type of a request as metrics and logs name it: one of a closed list.
func requestType(a *asked) string {
	switch {
	case a.Path == wire.PathRawdata:
		return strings.TrimPrefix(string(wire.PathRawdata), "/")
	case slices.Contains(knownTypes, a.Check.RequestType):
		return a.Check.RequestType
	}
	return "other"
}

// stateCollector reads the state of policy and ledger when it is asked for.
type stateCollector struct{ s *Server }

var (
	descPolicy     = prometheus.NewDesc(metricPrefix+"policy_info", "The policy that decides now, always 1.", []string{"revision"}, nil)
	descLoaded     = prometheus.NewDesc(metricPrefix+"policy_loaded_timestamp_seconds", "When the policy that decides now was loaded.", nil, nil)
	descReload     = prometheus.NewDesc(metricPrefix+"policy_last_reload_successful", "Whether the last reload took effect.", nil, nil)
	descUp         = prometheus.NewDesc(metricPrefix+"ledger_up", "Whether the ledger could be read, and written when it last was.", nil, nil)
	descPending    = prometheus.NewDesc(metricPrefix+"approvals_pending", "Approvals that are waited for.", nil, nil)
	descLog        = prometheus.NewDesc(metricPrefix+"log_entries", "Entries of the log.", nil, nil)
	descCheckpoint = prometheus.NewDesc(metricPrefix+"log_checkpointed_entries", "Entries below the log's newest checkpoint.", nil, nil)
	descClock      = prometheus.NewDesc(metricPrefix+"clock_trusted", "Whether the clock is trusted; while it is not, nothing is approved.", nil, nil)
	descBusy       = prometheus.NewDesc(metricPrefix+"requests_in_progress", "Requests that are being verified and decided.", nil, nil)
	descExpiry     = prometheus.NewDesc(metricPrefix+"certificate_expiry_timestamp_seconds", "When the TLS certificate of a listener runs out.", []string{"listener"}, nil)
	descSigned     = prometheus.NewDesc(metricPrefix+"log_checkpoint_timestamp_seconds", "When a checkpoint over the whole log was last seen; absent before the first.", nil, nil)
	descRetained   = prometheus.NewDesc(metricPrefix+"log_retention_timestamp_seconds", "When retention last came to its end; absent before, and without retention.", nil, nil)
	descWitnessUp  = prometheus.NewDesc(metricPrefix+"witness_up", "Whether a witness took what it was last sent.", []string{"witness"}, nil)
	descWitnessed  = prometheus.NewDesc(metricPrefix+"witness_entries", "Entries below the newest checkpoint that a witness keeps.", []string{"witness"}, nil)
	descWitnessAt  = prometheus.NewDesc(metricPrefix+"witness_timestamp_seconds", "When a witness last took a checkpoint; absent before the first.", []string{"witness"}, nil)
	descBytes      = prometheus.NewDesc(metricPrefix+"store_bytes", "Room that the ledger's file takes; absent where it is in a database.", nil, nil)
	descShadow     = prometheus.NewDesc(metricPrefix+"shadow_info", "The policy that runs beside the live one, always 1; absent where there is none.", []string{"revision"}, nil)
	descBehind     = prometheus.NewDesc(metricPrefix+"policy_behind", "Whether this server does not have the active policy yet; it decides nothing then.", nil, nil)
	descNumber     = prometheus.NewDesc(metricPrefix+"policy_activation", "Number of the activation by which the active policy became that.", nil, nil)
	descBuild      = prometheus.NewDesc(metricPrefix+"build_info", "The software, always 1.", []string{"version"}, nil)
)

// Describe implements prometheus.Collector.
func (c *stateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descPolicy, descLoaded, descReload, descUp, descPending, descLog, descCheckpoint, descClock, descBusy, descBytes, descExpiry, descSigned, descRetained, descWitnessUp, descWitnessed, descWitnessAt, descShadow, descBehind, descNumber, descBuild,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *stateCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(descBuild, 1, c.s.cfg.Version)
	if c.s.cfg.StoreBytes != nil {
		if n, err := c.s.cfg.StoreBytes(); err == nil {
			gauge(descBytes, float64(n))
		}
	}
	c.upkeep(gauge)
	for name, expires := range c.s.cfg.Certificates {
		gauge(descExpiry, float64(expires().Unix()), name)
	}
	gauge(descBusy, float64(c.s.throttle.busy()))
	if e := c.s.cfg.Policy.Engine(); e != nil {
		gauge(descPolicy, 1, e.Revision())
	}
	state := c.s.reload.read()
	gauge(descLoaded, float64(state.loaded.Unix()))
	gauge(descReload, truth(state.failure == ""))
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	sum, err := c.s.cfg.Ledger.Summary(ctx)
	gauge(descUp, truth(err == nil && c.s.writable.failures.Load() == 0))
	if err != nil {
		return
	}
	if active, err := c.s.cfg.Ledger.Active(ctx); err == nil {
		gauge(descNumber, float64(active.Number))
		gauge(descBehind, truth(c.s.behind(active) != ""))
	}
	if revision := c.s.shadow.revision(); revision != "" {
		gauge(descShadow, 1, revision)
	}
	gauge(descPending, float64(sum.Pending))
	gauge(descLog, float64(sum.LogSize))
	gauge(descCheckpoint, float64(sum.Checkpointed))
	gauge(descClock, truth(!sum.ClockJumped))
}

// upkeep shows what has come of the log's upkeep.
func (c *stateCollector) upkeep(gauge func(d *prometheus.Desc, v float64, labels ...string)) {
	signed, retained, witnesses := c.s.upkeep.read()
	for d, at := range map[*prometheus.Desc]time.Time{descSigned: signed, descRetained: retained} {
		if !at.IsZero() {
			gauge(d, float64(at.Unix()))
		}
	}
	for name, w := range witnesses {
		gauge(descWitnessUp, truth(!w.failing), name)
		gauge(descWitnessed, float64(w.entries), name)
		if !w.at.IsZero() {
			gauge(descWitnessAt, float64(w.at.Unix()), name)
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
