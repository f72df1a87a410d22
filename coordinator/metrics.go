package coordinator

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const metricPrefix = "countersign_coordinator_"

// metrics are the coordinator's own; those of the link and of HTTP are with these.
type metrics struct {
	requests *prometheus.CounterVec
	over     *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	sessions *prometheus.CounterVec
	open     prometheus.Gauge
	frames   prometheus.Counter
	bytes    prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, c *Coordinator) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricPrefix + "requests_total", Help: "Requests taken, by type."}, []string{"type"}),
		over: prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricPrefix + "requests_ended_total",
			Help: "Requests that are over, by type, state and cause of failure."}, []string{"type", "state", "cause"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: metricPrefix + "request_seconds",
			Help: "Time from a request to its end, waiting for approvals included.", Buckets: []float64{.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200, 86400}}, []string{"type", "state"}),
		sessions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricPrefix + "sessions_ended_total",
			Help: "Sessions that are over, by type, state and cause of failure."}, []string{"type", "state", "cause"}),
		open:   prometheus.NewGauge(prometheus.GaugeOpts{Name: metricPrefix + "requests_open", Help: "Requests that are not over."}),
		frames: prometheus.NewCounter(prometheus.CounterOpts{Name: metricPrefix + "envelopes_total", Help: "Sealed messages routed."}),
		bytes:  prometheus.NewCounter(prometheus.CounterOpts{Name: metricPrefix + "envelope_bytes_total", Help: "Sealed bytes routed."}),
	}
	if reg == nil {
		return m, nil
	}
	gauge := func(name, help string, read func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: metricPrefix + name, Help: help}, func() float64 {
			c.mu.Lock()
			defer c.mu.Unlock()
			return float64(read())
		})
	}
	online := gauge("nodes_online", "Nodes that are connected.", func() int { return len(c.peers) })
	waiting := gauge("calls_waiting", "Calls that are held for a change.", func() int { return c.waiting })
	for _, collector := range []prometheus.Collector{m.requests, m.over, m.seconds, m.sessions, m.open, m.frames, m.bytes, online, waiting} {
		if err := reg.Register(collector); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) routed(bytes int) {
	m.frames.Inc()
	m.bytes.Add(float64(bytes))
}

func (m *metrics) ended(req *Request, now time.Time) {
	cause := ""
	if req.Failure != nil {
		cause = string(req.Failure.Cause)
	}
	m.over.WithLabelValues(req.Type, string(req.State), cause).Inc()
	m.seconds.WithLabelValues(req.Type, string(req.State)).Observe(now.Sub(req.Created).Seconds())
}
