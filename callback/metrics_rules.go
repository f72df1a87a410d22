package callback

import (
	"math/big"
	"sync"

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

// hit counts each rule that had a say in a decision once, by what it said: what its reasons say, those of the ledger
// included, and Approve for one that fired without any.
func (m *metrics) hit(fired []string, reasons []ledger.Reason) {
	type say struct {
		rule   string
		action wire.Action
	}
	says, spoke := map[say]bool{}, map[string]bool{}
	for _, r := range reasons {
		says[say{r.Rule, r.Severity}], spoke[r.Rule] = true, true
	}
	for _, rule := range fired {
		if !spoke[rule] {
			says[say{rule, wire.Approve}] = true
		}
	}
	for s := range says {
		m.rules.WithLabelValues(m.ruleLabels.of(s.rule), string(s.action)).Inc()
	}
}

// used observes, for each window in which an approved request counts, how full the window is with it.
func (m *metrics) used(e *policy.Engine, windows []ledger.WindowState) {
	for _, w := range windows {
		highest := e.WindowMax(w.ID)
		if highest == nil || highest.Sign() <= 0 || w.After == nil {
			continue
		}
		share, _ := new(big.Rat).SetFrac(w.After, highest).Float64()
		m.windows.WithLabelValues(m.windowLabels.of(w.ID)).Observe(share)
	}
}
