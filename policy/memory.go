package policy

import (
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Bounds on what is remembered for each set of parts of the input.
const (
	maxRemembered = 4096 // answers; beyond it all are forgotten
	maxKey        = 1024 // bytes of input that an answer belongs to; with more it is not remembered
)

// remembered is what is known by a set of parts of the input. It does not change.
type remembered struct {
	says   verdict     // of rules
	holds  marks       // the rules that are left whose condition holds
	terms  []*ast.Term // values of documents and conditions of helpers, by their place; nil for what is undefined
	values *ast.Term   // the same as an object, by name
	odd    bool        // they hold numbers that are written in an odd way (direct.PlainNumbers)
}

// memory keeps what is known by all the parts of the input that it could depend on. Safe for concurrent use.
type memory[T any] struct {
	reads []read
	named int // how many values an answer has

	mu      sync.Mutex // guards answers
	answers map[string]*T
}

// read is a part of the input by its index in a spanTable.
type read struct {
	span int
	kind readKind
}

func newMemory[T any](r reads, index map[inputPath]int) *memory[T] {
	m := &memory[T]{answers: map[string]*T{}}
	for path, kind := range r {
		m.reads = append(m.reads, read{index[path], kind})
	}
	return m
}

// key is what an answer about an input is kept under, nil where it is not to be kept. It uses the buffer.
func (m *memory[T]) key(d *inputDoc, buffer *[maxKey]byte) []byte {
	key := append(buffer[:0], 0)
	for _, r := range m.reads {
		span := d.span(r.span)
		if r.kind == readsType {
			span = span[:min(len(span), 1)] // the first byte of a JSON value tells its type
			if len(span) > 0 && (span[0] == '-' || span[0] >= '0' && span[0] <= '9') {
				span = zero
			}
		}
		if len(key)+len(span)+1 > maxKey {
			return nil
		}
		key = append(append(key, span...), 0) // JSON holds no NUL
	}
	return key
}

// look returns what is remembered, nil for nothing.
func (m *memory[T]) look(d *inputDoc) *T {
	var buffer [maxKey]byte
	key := m.key(d, &buffer)
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.answers[string(key)]
}

var zero = []byte{'0'}

func (m *memory[T]) keep(d *inputDoc, answer *T) {
	var buffer [maxKey]byte
	key := m.key(d, &buffer)
	if key == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.answers) >= maxRemembered {
		clear(m.answers)
	}
	m.answers[string(key)] = answer
}
