package policy

import (
	"encoding/binary"
	"sync"
)

// Bounds on what is kept of decisions.
const (
	maxConclusions = 256  // decisions; beyond it all are forgotten
	maxKeptKey     = 4096 // bytes of a verdict
)

// conclusions keep the decisions that checked verdicts came to. Most requests are approved by the same rules, which say the same. Safe for
// concurrent use.
type conclusions struct {
	mu        sync.RWMutex // guards decisions
	decisions map[string]Decision
}

func newConclusions() *conclusions { return &conclusions{decisions: map[string]Decision{}} }

func (m *conclusions) of(key []byte) (Decision, bool) {
	if len(key) == 0 {
		return Decision{}, false
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	d, known := m.decisions[string(key)]
	return d, known
}

// keep keeps a decision under its verdict's key, if it has one.
func (m *conclusions) keep(key []byte, d Decision) {
	if len(key) == 0 || len(key) > maxKeptKey {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.decisions) >= maxConclusions {
		clear(m.decisions)
	}
	m.decisions[string(key)] = d
}

// key appends all of a verdict, so that no two have the same key. Nothing is appended for one that rejects or waits: these speak of
// the request at hand.
func (v *verdict) key(b []byte) []byte {
	if len(v.Reject)+len(v.Wait) > 0 {
		return b
	}
	b = binary.AppendUvarint(b, uint64(len(v.Require)))
	for _, id := range v.Require {
		b = append(binary.AppendUvarint(b, uint64(len(id))), id...)
	}
	for i := range v.Allow {
		s := &v.Allow[i]
		if s.Seconds != 0 || s.Requirement != nil {
			return b[:0] // it does not pass the check
		}
		b = append(binary.AppendUvarint(b, uint64(len(s.ID))), s.ID...)
		b = append(binary.AppendUvarint(b, uint64(len(s.Message))), s.Message...)
	}
	return b
}
