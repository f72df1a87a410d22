package policy

import (
	"context"
	"errors"
	"time"
)

// DefaultTimeout bounds one evaluation.
const DefaultTimeout = time.Second

// Config is what New needs.
type Config struct {
	Source  *Source
	Timeout time.Duration // of one evaluation; 0 is DefaultTimeout
}

// Engine is a compiled policy. It does not change; all its methods are safe for concurrent use.
type Engine struct {
	revision string
	data     *Data
}

// New checks the data, lints and compiles the modules and runs their tests. A policy that fails in any of these is
// refused with an error that names file and line, or the place in data.json; there is no engine that did not pass.
func New(ctx context.Context, cfg Config) (*Engine, error) { return nil, errors.New("not built") }

// Evaluate decides about in. The decision always can be used: when the error is not nil, it is a Reject under one of
// the engine's own rules, and the error says the same in more detail for the log.
func (e *Engine) Evaluate(ctx context.Context, in Input) (Decision, error) {
	return Decision{Action: Reject}, errors.New("not built")
}

// Replay decides about an input recorded as Input.Canonical wrote it. It gives the decision that Evaluate gave.
func (e *Engine) Replay(ctx context.Context, recorded []byte) (Decision, error) {
	return Decision{Action: Reject}, errors.New("not built")
}

// Revision is the hex SHA-256 over the canonical content of modules and data (docs/FORMATS.md).
func (e *Engine) Revision() string { return e.revision }

// Chain returns what data.json says about the chain with this symbol, matched exactly.
func (e *Engine) Chain(symbol string) (Chain, bool) { return Chain{}, false }

// Groups returns the approver groups, sorted by name.
func (e *Engine) Groups() []Group { return nil }

// Group returns the approver group of this name.
func (e *Engine) Group(name string) (Group, bool) { return Group{}, false }

// TestReport is the outcome of a policy's own tests.
type TestReport struct {
	Passed   int
	Failures []string // "file:line: name: output", sorted
	Coverage float64  // per cent of the modules' expressions, tests excluded
	Missed   []string // "file:from-to" of what no test covers, sorted
}

// Test runs the policy's own tests with coverage.
func (e *Engine) Test(ctx context.Context) (TestReport, error) {
	return TestReport{}, errors.New("not built")
}

// RuleInfo describes a rule that may have a say in a decision.
type RuleInfo struct {
	ID    string
	Title string
	File  string
}

// Rules lists the rules of the policy, sorted by id.
func (e *Engine) Rules() []RuleInfo { return nil }
