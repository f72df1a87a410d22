package node

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/node/asking"
	"github.com/countersign-mpc/countersign/wire"
)

// Metrics counts what a node does, for Prometheus. No label holds an address, an id or an amount.
type Metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	sessions  *prometheus.HistogramVec
	stages    *prometheus.HistogramVec
	callbacks *prometheus.CounterVec
	calls     *prometheus.HistogramVec
	outcomes  *prometheus.CounterVec
	links     prometheus.Counter
}

// NewMetrics makes the metrics and their registry.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "countersign_node_requests_total",
			Help: "State changes of requests, by type and the state they came to."}, []string{"type", "state"}),
		sessions: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "countersign_node_session_seconds",
			Help:    "Length of sessions at this node in seconds, by type and result.",
			Buckets: []float64{0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600}, NativeHistogramBucketFactor: 1.1}, []string{"type", "result"}),
		stages: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "countersign_node_stage_seconds",
			Help: "Length of the stages of requests and their sessions in seconds, by type: approval (until the callback's Approve or " +
				"Reject), gather (until all parties have contributed), protocol, result (verified and stored).",
			Buckets: []float64{0.01, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600}, NativeHistogramBucketFactor: 1.1}, []string{"type", "stage"}),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "countersign_node_callback_seconds",
			Help: "Length of calls of callback servers in seconds, by call (check, report, outcome) and result: an action or no-answer " +
				"of a check, acknowledged or failed of the others.",
			Buckets: []float64{0.005, 0.02, 0.1, 0.5, 1, 5, 30}, NativeHistogramBucketFactor: 1.1}, []string{"call", "result"}),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "countersign_node_outcomes_total",
			Help: "Final words stored for callback servers about approved requests, by word."}, []string{"word"}),
		callbacks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "countersign_node_callback_answers_total",
			Help: "Answers of callback servers, by action; no-answer counts tries that brought no answer that counts."}, []string{"action"}),
		links: prometheus.NewCounter(prometheus.CounterOpts{Name: "countersign_node_link_connections_total",
			Help: "Connections made to the coordinator."}),
	}
	m.registry.MustRegister(m.requests, m.sessions, m.stages, m.callbacks, m.calls, m.outcomes, m.links)
	return m
}

// Registry is where the metrics are gathered from.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// watch adds what is read from the node at each scrape.
func (m *Metrics) watch(n *Node) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "countersign_node_unsealed",
			Help: "1 while the node is unsealed."}, func() float64 { return truth(n.State() == keystore.Unsealed.String()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "countersign_node_link_up",
			Help: "1 while the node is connected to the coordinator."}, func() float64 { return truth(n.Linked()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "countersign_node_store_bytes",
			Help: "Size of the sealed store in bytes."}, func() float64 {
			stat, err := n.cfg.Store.Stat()
			if err != nil {
				return 0
			}
			return float64(stat.Bytes)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "countersign_node_store_writable",
			Help: "0 once a write to the store was not made, as on a full disk, until one is made."}, func() float64 { return truth(n.cfg.Store.Unwritten() == nil) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "countersign_node_last_backup_timestamp_seconds",
			Help: "When the newest complete backup in backup.directory was made; 0 if there is none."}, n.lastBackupSeconds),
		n.workGauge("queue_length", "Sessions that wait for their turn to compute.", func(p *party) int { return p.turns.queue() }),
		n.workGauge("running_sessions", "Sessions that run, those that wait for their turn included.", func(p *party) int {
			p.mu.Lock()
			defer p.mu.Unlock()
			return len(p.sessions)
		}),
		n.workGauge("open_requests", "Requests for which something goes on: asked about, with a place in an offered session, or in one.", func(p *party) int {
			p.mu.Lock()
			defer p.mu.Unlock()
			return len(p.requests)
		}),
		n.workGauge("unconfirmed_shares", "Shares from a backup that sign once the other parties say that they are the newest.", func(p *party) int {
			unconfirmed, _ := p.epochs.count()
			return unconfirmed
		}),
		n.workGauge("stale_shares", "Shares from a backup that is too old: they never sign.", func(p *party) int {
			_, stale := p.epochs.count()
			return stale
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "countersign_node_link_backlog_frames",
			Help: "Frames that the coordinator has not acknowledged yet."}, func() float64 {
			if link := n.current.Load(); link != nil {
				return float64(link.State().Backlog)
			}
			return 0
		}),
		n.recordsGauge(bucketReport, "Signature reports that no callback server has acknowledged yet."),
		n.recordsGauge(bucketOutcome, "Outcomes of approved requests that no callback server has acknowledged yet."),
	)
}

// workGauge is read from the party; 0 while the node is sealed.
func (n *Node) workGauge(name, help string, read func(*party) int) prometheus.GaugeFunc {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "countersign_node_" + name, Help: help}, func() float64 {
		if p := n.working.Load(); p != nil {
			return float64(read(p))
		}
		return 0
	})
}

// recordsGauge counts the records of a bucket; 0 while the node is sealed.
func (n *Node) recordsGauge(bucket, help string) prometheus.GaugeFunc {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "countersign_node_unacknowledged_" + bucket + "s", Help: help}, func() float64 {
		stat, err := n.cfg.Store.Stat()
		if err != nil {
			return 0
		}
		return float64(stat.Records[bucket])
	})
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// requestTypes bounds the label: a type comes from outside.
var requestTypes = map[string]bool{wire.TypeKeygen: true, wire.TypeSign: true, wire.TypeBIP340SchnorrSign: true,
	wire.TypeTaprootSign: true, wire.TypeRefresh: true, wire.TypeReshare: true, wire.TypePreSign: true, wire.TypePreSignOnline: true}

func typeLabel(t string) string {
	if requestTypes[t] {
		return t
	}
	return "other"
}

func (m *Metrics) request(kind string, state State) {
	m.requests.WithLabelValues(typeLabel(kind), string(state)).Inc()
}

func (m *Metrics) session(kind string, completed bool, took time.Duration) {
	result := "failed"
	if completed {
		result = "completed"
	}
	m.sessions.WithLabelValues(typeLabel(kind), result).Observe(took.Seconds())
}

// The stages of a request.
const (
	stageApproval = "approval"
	stageGather   = "gather"
	stageProtocol = "protocol"
	stageResult   = "result"
)

func (m *Metrics) stage(kind, stage string, took time.Duration) {
	m.stages.WithLabelValues(typeLabel(kind), stage).Observe(took.Seconds())
}

// sessionStages counts how long a session that has ended gathered and computed.
func (m *Metrics) sessionStages(s *session, started, ended time.Time) {
	if s.bound.IsZero() {
		m.stage(s.manifest.Type, stageGather, ended.Sub(started))
		return
	}
	m.stage(s.manifest.Type, stageGather, s.bound.Sub(started))
	m.stage(s.manifest.Type, stageProtocol, ended.Sub(s.bound))
}

// tried counts one try of a check.
func (m *Metrics) tried(try asking.Try) {
	result := string(try.Action)
	if try.Err != nil {
		result = "no-answer"
	}
	m.callbacks.WithLabelValues(result).Inc()
	m.calls.WithLabelValues("check", result).Observe(try.Took.Seconds())
}

// delivered counts one try to deliver a report or an outcome.
func (m *Metrics) delivered(call string, acknowledged bool, took time.Duration) {
	result := "failed"
	if acknowledged {
		result = "acknowledged"
	}
	m.calls.WithLabelValues(call, result).Observe(took.Seconds())
}

func (m *Metrics) outcome(word string) { m.outcomes.WithLabelValues(word).Inc() }

func (m *Metrics) connected() { m.links.Inc() }
