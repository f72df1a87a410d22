package callback

import (
	"slices"
	"sync"

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
	says := make([]say, 0, 32) // each once; there are a few dozen at most
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
	for _, s := range says {
		m.hits.of(s, func() (prometheus.Counter, bool) {
			return m.rules.WithLabelValues(m.ruleLabels.of(s.rule), string(s.action)), m.ruleLabels.has(s.rule)
		}).Inc()
	}
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
