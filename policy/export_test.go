package policy

import (
	"context"

	"github.com/open-policy-agent/opa/v1/ast"
)

// InputValue reads a recorded input as a policy sees it that looks at all of it.
func InputValue(b []byte) (ast.Value, error) {
	d, err := readDocument(b, nil)
	return d.value, err
}

// CheckInput is the check that reading has to be as strict as.
func CheckInput(b []byte) error { return checkJSON(b, maxInputSize, false, false) }

// InParts reports whether the engine asks its policy package by package.
func (e *Engine) InParts() bool { return e.parts != nil }

// Whole returns the engine that asks the same policy as a whole.
func (e *Engine) Whole(ctx context.Context) (*Engine, error) {
	whole := *e
	whole.parts = nil
	modules, err := e.source.parse()
	if err != nil {
		return nil, err
	}
	for name := range modules {
		if isTest(name) {
			delete(modules, name)
		}
	}
	c := newCompiler()
	if c.Compile(modules); c.Failed() {
		return nil, c.Errors
	}
	store, err := e.data.store()
	if err != nil {
		return nil, err
	}
	whole.query, err = prepare(ctx, c, store, entrypoint)
	return &whole, err
}

// Remembered is how many answers the engine remembers.
func (e *Engine) Remembered() int {
	n := 0
	for _, u := range e.parts.units {
		if u.memory != nil {
			n += len(u.memory.answers)
		}
	}
	return n
}
