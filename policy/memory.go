package policy

import "sync"

// Bounds on what is remembered for each of allow, reject, wait and require of a package.
const (
	maxRemembered = 1024 // answers; beyond it all are forgotten
	maxKey        = 1024 // bytes of input that an answer belongs to; with more it is not remembered
)

// memory keeps answers by all the parts of the input that they could depend on. Safe for concurrent use.
type memory struct {
	reads []read

	mu      sync.Mutex          // guards answers
	answers map[string]*verdict // what is kept does not change
}

// read is a part of the input by its index in a document's spans.
type read struct {
	span int
	kind readKind
}

func newMemory(r reads, index map[inputPath]int) *memory {
	m := &memory{answers: map[string]*verdict{}}
	for path, kind := range r {
		m.reads = append(m.reads, read{index[path], kind})
	}
	return m
}

// look returns what is remembered, nil for nothing, and the key to keep it under; "" where it is not to be kept.
func (m *memory) look(d inputDoc) (*verdict, string) {
	var buffer [maxKey]byte
	key := buffer[:0]
	for _, r := range m.reads {
		span := d.spans[r.span]
		if r.kind == readsType {
			span = span[:min(len(span), 1)] // the first byte of a JSON value tells its type
			if len(span) > 0 && (span[0] == '-' || span[0] >= '0' && span[0] <= '9') {
				span = zero
			}
		}
		if len(key)+len(span)+1 > maxKey {
			return nil, ""
		}
		key = append(append(key, span...), 0) // JSON holds no NUL
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if answer, known := m.answers[string(key)]; known {
		return answer, ""
	}
	return nil, string(key)
}

var zero = []byte{'0'}

func (m *memory) keep(key string, answer *verdict) {
	if key == "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.answers) >= maxRemembered {
		clear(m.answers)
	}
	m.answers[key] = answer
}
