package callback

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// maxLabels bounds how many rules, or windows, have a series of their own in the life of a server; further ones share the
// label "other". Their names come from the policy and its data, and never from a request.
const maxLabels = 500

// otherLabel stands for everything beyond maxLabels.
const otherLabel = "other"

// labels admits names to a label.
type labels struct {
	mu    sync.Mutex // guards known
	known map[string]bool
}

func (l *labels) of(name string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil {
		l.known = map[string]bool{}
	}
	if !l.known[name] {
		if len(l.known) >= maxLabels {
			return otherLabel
		}
		l.known[name] = true
	}
	return name
}

// has reports whether a name has a series of its own.
func (l *labels) has(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known[name]
}

// children keeps the series of a metric by what they count: to look one up by its labels takes longer than to count. The zero
// value is ready. Safe for concurrent use.
type children[K comparable, S any] struct {
	mu    sync.RWMutex // guards known
	known map[K]S
}

// of returns the series of a key. find says what it is where it is not known, and whether to keep it: as many may be kept as
// there are series.
func (c *children[K, S]) of(key K, find func() (series S, keep bool)) S {
	c.mu.RLock()
	series, known := c.known[key]
	c.mu.RUnlock()
	if known {
		return series
	}
	series, keep := find()
	if !keep {
		return series
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = map[K]S{}
	}
	c.known[key] = series
	return series
}

// hit counts each rule that had a say in a decision once, by what it said: what its reasons say, those of the ledger
// included, and Approve for one that fired without any.
func (m *metrics) hit(fired []string, reasons []ledger.Reason) {
	for _, counter := range m.hits.of(fired, reasons, m.counters) {
		counter.Inc()
	}
}

// counters are the series that a decision with these rules counts in.
func (m *metrics) counters(fired []string, reasons []ledger.Reason) []prometheus.Counter {
	says := make([]say, 0, len(reasons)+len(fired))
	add := func(s say) {
		if !slices.Contains(says, s) {
			says = append(says, s)
		}
	}
	for _, r := range reasons {
		add(say{r.Rule, r.Severity})
	}
	for _, rule := range fired {
		if !slices.ContainsFunc(reasons, func(r ledger.Reason) bool { return r.Rule == rule }) {
			add(say{rule, wire.Approve})
		}
	}
	out := make([]prometheus.Counter, len(says))
	for i, s := range says {
		out[i] = m.rules.WithLabelValues(m.ruleLabels.of(s.rule), string(s.action))
	}
	return out
}

// keptHits is how many sets of rules are remembered, with what they count in: a policy says the same few again and again.
const keptHits = 16

// hits remembers the series of the last sets of rules that were not known yet. The zero value is ready. Safe for concurrent use.
type hits struct {
	known [keptHits]atomic.Pointer[ruleHits]
	next  atomic.Uint32 // whose place is taken next
}

// ruleHits are the rules of a decision, in its order, and what they count in. It does not change.
type ruleHits struct {
	fired    []string
	said     []say // reasons without their messages
	counters []prometheus.Counter
}

func (h *ruleHits) is(fired []string, reasons []ledger.Reason) bool {
	return slices.Equal(h.fired, fired) && slices.EqualFunc(h.said, reasons, func(s say, r ledger.Reason) bool {
		return s.rule == r.Rule && s.action == r.Severity
	})
}

// of returns the series of a decision's rules; find says what they are where that is not known.
func (h *hits) of(fired []string, reasons []ledger.Reason, find func([]string, []ledger.Reason) []prometheus.Counter) []prometheus.Counter {
	for i := range h.known {
		if known := h.known[i].Load(); known != nil && known.is(fired, reasons) {
			return known.counters
		}
	}
	found := &ruleHits{fired: slices.Clone(fired), said: make([]say, len(reasons)), counters: find(fired, reasons)}
	for i, r := range reasons {
		found.said[i] = say{r.Rule, r.Severity}
	}
	h.known[h.next.Add(1)%keptHits].Store(found)
	return found.counters
}

// say is what a rule said.
type say struct {
	rule   string
	action wire.Action
}

// used observes, for each window in which an approved request counts, how full the window is with it.
func (m *metrics) used(e *policy.Engine, windows []ledger.WindowState) {
	for _, w := range windows {
		highest := e.WindowMax(w.ID)
		if highest == nil || highest.Sign() <= 0 || w.After == nil {
			continue
		}
		after, _ := w.After.Float64()
		most, _ := highest.Float64()
		m.uses.of(w.ID, func() (prometheus.Observer, bool) {
			return m.windows.WithLabelValues(m.windowLabels.of(w.ID)), m.windowLabels.has(w.ID)
		}).Observe(after / most)
	}
}
