package policy

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// RuleTrace says what became of one rule of a policy in one evaluation.
type RuleTrace struct {
	ID      string `json:"rule"`    // "" of a require whose ids are computed
	Outcome string `json:"outcome"` // allow, reject, wait or require
	File    string `json:"file"`
	Row     int    `json:"row"`
	Fired   bool   `json:"fired"`
	Stopped int    `json:"stopped,omitempty"` // the row of the expression that did not hold; 0 where it fired
	Why     string `json:"why,omitempty"`     // that expression, and below it what its names stood for
}

// Trace evaluates a recorded input (see [Input.Canonical]) once more, and says of each rule that has a say whether it fired, and
// otherwise which of its expressions did not hold. Where full is not nil, all that the evaluator did is written to it. It is
// slow, and for people.
func (e *Engine) Trace(ctx context.Context, recorded []byte, full io.Writer) ([]RuleTrace, error) {
	doc, err := readRecorded(recorded, nil)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	modules, err := e.source.parse()
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	maps.DeleteFunc(modules, func(name string, _ *ast.Module) bool { return isTest(name) })
	c := newCompiler()
	if c.Compile(modules); c.Failed() {
		return nil, fmt.Errorf("trace: %w", c.Errors)
	}
	store, err := e.data.store()
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	q, err := prepare(ctx, c, store, entrypoint)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, traceFactor*e.timeout)
	defer cancel()
	stop := topdown.NewCancel()
	defer context.AfterFunc(limited, stop.Cancel)()
	t := &ruleTracer{full: full != nil, fired: map[uint64]bool{}, failed: map[uint64]*topdown.Event{}}
	// Without the index every rule is looked at, so that each can say where it stopped.
	_, err = q.Eval(limited, rego.EvalParsedInput(doc.value), rego.EvalQueryTracer(t), rego.EvalRuleIndexing(false), rego.EvalExternalCancel(stop))
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	if full != nil {
		topdown.PrettyTraceWithLocation(full, t.events)
	}
	return t.rules(), nil
}

// traceFactor is how many times as long as an evaluation its trace may take.
const traceFactor = 10

// ruleTracer notes which rules were entered and where they stopped.
type ruleTracer struct {
	full    bool
	events  []*topdown.Event
	entered []*topdown.Event // of rules that have a say
	fired   map[uint64]bool
	failed  map[uint64]*topdown.Event // the last failure, by query
}

// Enabled implements topdown.QueryTracer.
func (t *ruleTracer) Enabled() bool { return true }

// Config implements topdown.QueryTracer.
func (t *ruleTracer) Config() topdown.TraceConfig { return topdown.TraceConfig{PlugLocalVars: true} }

// TraceEvent implements topdown.QueryTracer.
func (t *ruleTracer) TraceEvent(e topdown.Event) {
	if t.full && len(t.events) < maxTraceEvents {
		t.events = append(t.events, &e)
	}
	switch rule, isRule := e.Node.(*ast.Rule); {
	case isRule && e.Op == topdown.EnterOp && hasSay(rule):
		t.entered = append(t.entered, &e)
	case isRule && e.Op == topdown.ExitOp:
		t.fired[e.QueryID] = true
	case e.Op == topdown.FailOp && e.HasExpr():
		t.failed[e.QueryID] = &e
	}
}

// maxTraceEvents bounds a full trace.
const maxTraceEvents = 1_000_000

// hasSay says that a rule stands where it is collected.
func hasSay(r *ast.Rule) bool {
	return r.Module != nil && strings.HasPrefix(r.Module.Package.Path.String(), rulesPackage+".") && slices.Contains(outcomes, ruleName(r))
}

// requiredID is what a rule of require demands, where that is written out.
func requiredID(r *ast.Rule) (string, bool) {
	if ruleName(r) != "require" || r.Head.Key == nil {
		return "", false
	}
	id, isText := r.Head.Key.Value.(ast.String)
	return string(id), isText
}

func (t *ruleTracer) rules() []RuleTrace {
	out := []RuleTrace{}
	for _, e := range t.entered {
		rule := e.Node.(*ast.Rule)
		r := RuleTrace{ID: annotatedID(rule), Outcome: ruleName(rule), File: e.Location.File, Row: e.Location.Row, Fired: t.fired[e.QueryID]}
		if id, isText := requiredID(rule); isText {
			r.ID = id
		}
		if failed := t.failed[e.QueryID]; !r.Fired && failed != nil && failed.Location != nil {
			r.Stopped = failed.Location.Row
			r.Why = explained(failed)
		}
		out = append(out, r)
	}
	slices.SortStableFunc(out, func(a, b RuleTrace) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		return a.Row - b.Row
	})
	return slices.CompactFunc(out, func(a, b RuleTrace) bool { return a.File == b.File && a.Row == b.Row && a.Fired == b.Fired })
}
