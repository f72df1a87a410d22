package policy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/countersign-mpc/countersign/internal/pace"
)

// entrypoint is the one thing that is asked of a policy.
const entrypoint = "data.countersign.decision"

var ruleIDPattern = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)+$`)

// DefaultTimeout bounds one evaluation.
const DefaultTimeout = 2 * time.Second

// testTimeout bounds each of a policy's own tests, which run side by side and on a busy machine.
const testTimeout = 30 * time.Second

// Config is what New needs.
type Config struct {
	Source  *Source
	Timeout time.Duration // of one evaluation; 0 is DefaultTimeout

	testsAtOnce int         // 0: one for each core
	onlyTested  bool        // nothing will be decided by the engine: its rules are not taken apart
	proven      bool        // by another process: it is not linted again
	pace        *pace.Pacer // nil: requests do not wait for it
	like        *Engine     // of a proven policy: the one that it follows, whose compiled modules it shares where it has the same ones
}

func (c Config) validate() error {
	switch {
	case c.Source == nil:
		return errors.New("no policy is given")
	case c.Timeout < 0:
		return fmt.Errorf("the time-out %v is negative", c.Timeout)
	}
	return nil
}

// Engine is a compiled policy. It does not change; all its methods are safe for concurrent use.
type Engine struct {
	revision  string
	timeout   time.Duration
	data      *Data
	source    *Source
	rules     map[string]RuleInfo
	compiler  *ast.Compiler          // of the policy as a whole, and of its parts
	query     rego.PreparedEvalQuery // of the entrypoint, over the data
	parts     *parts                 // nil: it cannot be taken apart
	concluded *conclusions           // decisions that it came to

	testsAtOnce int
}

// RuleInfo describes a rule that may have a say in a decision.
type RuleInfo struct {
	ID    string
	Title string
	File  string

	unsaid []string // titles of its rules that allow without a message
}

// New checks the data, lints and compiles the modules and runs their tests. A policy that fails in any of these is
// refused with an error that names file and line, or the place in data.json; there is no engine that did not pass.
func New(ctx context.Context, cfg Config) (*Engine, error) {
	e, err := NewUntested(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if _, err := e.passed(ctx); err != nil {
		return nil, err
	}
	return e, nil
}

// NewUntested is New without the policy's own tests: for tools that try a policy while it is written. What decides for a
// node comes from New.
func NewUntested(ctx context.Context, cfg Config) (*Engine, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("build policy engine: %w", err)
	}
	data, err := parseData(cfg.Source.DataName, cfg.Source.Data, cfg.pace)
	if err != nil {
		return nil, fmt.Errorf("build policy engine: %w", err)
	}
	e := &Engine{
		timeout: cfg.Timeout, data: data, source: cfg.Source.clone(), revision: cfg.Source.revision(data),
		testsAtOnce: cfg.testsAtOnce, concluded: newConclusions(),
	}
	if e.timeout == 0 {
		e.timeout = DefaultTimeout
	}
	if err := e.compile(ctx, cfg); err != nil {
		return nil, fmt.Errorf("build policy engine: %w", err)
	}
	return e, nil
}

// compile prepares the query over everything but the tests.
func (e *Engine) compile(ctx context.Context, cfg Config) error {
	base, err := e.data.documents(cfg.pace)
	if err != nil {
		return err
	}
	if like := cfg.like; cfg.proven && like != nil && maps.EqualFunc(like.source.Modules, e.source.Modules, bytes.Equal) {
		e.rules, e.compiler, e.parts = like.rules, like.compiler, like.parts.over(base)
		cfg.pace.Pause()
	} else if err := e.compileModules(base, cfg); err != nil {
		return err
	}
	e.query, err = prepare(ctx, e.compiler, base.store, entrypoint)
	return err
}

func (e *Engine) compileModules(base documents, cfg Config) error {
	modules, err := e.source.parse()
	if err != nil {
		return err
	}
	if !cfg.proven {
		if err := lint(modules, e.source.Data); err != nil {
			return fmt.Errorf("lint:\n%w", err)
		}
	}
	maps.DeleteFunc(modules, func(name string, _ *ast.Module) bool { return isTest(name) })
	if e.rules, err = declaredRules(modules); err != nil {
		return err
	}
	e.compiler = newCompiler()
	if e.compiler.Compile(modules); e.compiler.Failed() {
		return fmt.Errorf("compile: %w", e.compiler.Errors)
	}
	if !cfg.onlyTested {
		e.parts = newParts(modules, e.compiler, base)
	}
	return nil
}

// prepare makes a query that gives one value, as Rego has it.
func prepare(ctx context.Context, c *ast.Compiler, store storage.Store, query string) (rego.PreparedEvalQuery, error) {
	q, err := rego.New(
		rego.Query(query),
		rego.Compiler(c),
		rego.Store(store),
		rego.StrictBuiltinErrors(true),
		rego.GenerateJSON(func(t *ast.Term, _ *rego.EvalContext) (any, error) { return t.Value, nil }),
	).PrepareForEval(ctx)
	if err != nil {
		return q, fmt.Errorf("prepare %s: %w", query, err)
	}
	return q, nil
}

func copyOf(modules map[string]*ast.Module) map[string]*ast.Module {
	out := make(map[string]*ast.Module, len(modules))
	for name, m := range modules {
		out[name] = m.Copy()
	}
	return out
}

func newCompiler() *ast.Compiler {
	return ast.NewCompiler().WithStrict(true).WithCapabilities(capabilities())
}

// parse parses every module anew: a compiler changes what it is given.
func (s *Source) parse() (map[string]*ast.Module, error) {
	modules := make(map[string]*ast.Module, len(s.Modules))
	for _, name := range sortedKeys(s.Modules) {
		m, err := ast.ParseModuleWithOpts(name, string(s.Modules[name]), ast.ParserOptions{
			ProcessAnnotation: true,
			RegoVersion:       ast.RegoV1,
			Capabilities:      capabilities(),
		})
		if err != nil {
			return nil, fmt.Errorf("parse: %w", err)
		}
		modules[name] = m
	}
	return modules, nil
}

// declaredRules collects the ids that METADATA labels declare.
func declaredRules(modules map[string]*ast.Module) (map[string]RuleInfo, error) {
	rules := map[string]RuleInfo{}
	for _, name := range sortedKeys(modules) {
		for _, r := range modules[name].Rules {
			id := annotatedID(r)
			if id == "" {
				continue
			}
			if !ruleIDPattern.MatchString(id) || strings.HasPrefix(id, "engine.") {
				return nil, fmt.Errorf("%s:%d: rule id %q: ids are lower-case words joined by points, such as limit.per_transaction, and engine. is the engine's own", name, r.Location.Row, id)
			}
			known, ok := rules[id]
			if ok && known.File != name {
				return nil, fmt.Errorf("%s:%d: rule id %s is already that of a rule in %s", name, r.Location.Row, id, known.File)
			}
			rules[id] = known.declared(r, id, name)
		}
	}
	return rules, nil
}

func title(r *ast.Rule) string {
	for _, a := range r.Annotations {
		if a.Title != "" {
			return a.Title
		}
	}
	return "allowed"
}

// Evaluate decides about in. The decision always can be used: when the error is not nil, it is a Reject under one of
// the engine's own rules, and the error says the same in more detail for the log.
func (e *Engine) Evaluate(ctx context.Context, in Input) (Decision, error) {
	d, _, err := e.Judge(ctx, in)
	return d, err
}

// Judge is Evaluate that also returns the input as it was evaluated and is to be recorded: its canonical form, nil where it
// has none.
func (e *Engine) Judge(ctx context.Context, in Input) (Decision, []byte, error) {
	b, doc, err := in.canonical(e.spans())
	if err != nil {
		return e.rejection(RuleEngineInput, "the request cannot be judged"), nil, err
	}
	d, err := e.evaluate(ctx, &doc)
	return d, b, err
}

// Replay decides about an input recorded as Input.Canonical wrote it. It gives the decision that Evaluate gave.
func (e *Engine) Replay(ctx context.Context, recorded []byte) (Decision, error) {
	doc, err := readRecorded(recorded, e.spans())
	if err != nil {
		err = fmt.Errorf("replay: %w", err)
		return e.rejection(RuleEngineInput, "the recorded input cannot be judged"), err
	}
	return e.evaluate(ctx, &doc)
}

// spans are the parts of the input that this policy looks at.
func (e *Engine) spans() *spanTable {
	if e.parts == nil {
		return nil
	}
	return e.parts.spans
}

// evaluate turns whatever happens to the evaluation into a Reject, a panic in the evaluator included.
func (e *Engine) evaluate(ctx context.Context, input *inputDoc) (d Decision, err error) {
	defer func() {
		if p := recover(); p != nil {
			d, err = e.rejection(RuleEngineError, "the policy failed"), fmt.Errorf("evaluate policy: panic: %v", p)
		}
	}()
	limited := limitTime(ctx, e.timeout)
	defer limited.release()
	d, err = e.ask(limited, input)
	var shape *shapeError
	switch {
	case ctx.Err() != nil: // also where the evaluation was faster: nobody waits for it any more
		return e.rejection(RuleEngineError, "the evaluation was broken off"), fmt.Errorf("evaluate policy: %w", ctx.Err())
	case err != nil && (topdown.IsCancel(err) || limited.Err() != nil):
		return e.rejection(RuleEngineTimeout, "the policy took too long"), fmt.Errorf("evaluate policy within %v: %w", e.timeout, err)
	case errors.Is(err, errUndefined):
		return e.rejection(RuleEngineUndefined, "the policy gave no result"), fmt.Errorf("evaluate policy: %s is undefined", entrypoint)
	case errors.As(err, &shape):
		return e.rejection(RuleEngineShape, "the policy's result cannot be read"), fmt.Errorf("evaluate policy: result of %s: %w", entrypoint, err)
	case err != nil:
		return e.rejection(RuleEngineError, "the policy failed"), fmt.Errorf("evaluate policy: %w", err)
	}
	return d, nil
}

var errUndefined = errors.New("it gave no result")

// shapeError says that the result is not one that can be merged.
type shapeError struct{ err error }

func (e *shapeError) Error() string { return e.err.Error() }

// ask evaluates the policy, checks what it says and merges it.
func (e *Engine) ask(ctx context.Context, input *inputDoc) (Decision, error) {
	if e.parts != nil {
		d, err := e.askParts(ctx, input)
		if err == nil || ctx.Err() != nil {
			return d, err
		}
	}
	value, err := input.whole()
	if err != nil {
		return Decision{}, err
	}
	result, err := run(ctx, e.query, value)
	if err != nil {
		return Decision{}, err
	}
	v, err := readVerdict(result)
	if err == nil {
		err = e.check(v)
	}
	if err != nil {
		return Decision{}, &shapeError{err}
	}
	return e.decide(v), nil
}

// askParts is ask rule by rule.
func (e *Engine) askParts(ctx context.Context, input *inputDoc) (Decision, error) {
	a := asks.Get().(*asked)
	if err := e.parts.evaluate(ctx, input, a); err != nil {
		return Decision{}, err // a is not used again: nobody knows how far it came
	}
	defer a.release()
	if a.concluded != nil {
		return a.concluded.decision, nil
	}
	d, err := e.conclude(a)
	if err == nil && len(a.key) > 0 {
		a.conclude(d)
	}
	return d, err
}

// conclude decides by a verdict.
func (e *Engine) conclude(a *asked) (Decision, error) {
	key := a.verdict.key(a.key[:0])
	a.key = key
	if d, known := e.concluded.of(key); known {
		return d, nil
	}
	if err := e.check(a.verdict); err != nil {
		return Decision{}, err
	}
	d := e.decide(a.verdict)
	e.concluded.keep(key, d)
	return d, nil
}

// run evaluates a prepared query, errUndefined if it is.
func run(ctx context.Context, query rego.PreparedEvalQuery, input ast.Value) (ast.Value, error) {
	ctx = waitedFor(ctx)
	cancel := topdown.NewCancel()
	defer context.AfterFunc(ctx, cancel.Cancel)()
	results, err := query.Eval(ctx, rego.EvalParsedInput(input), rego.EvalCopyMaps(false), rego.EvalExternalCancel(cancel))
	if err != nil {
		return nil, err
	}
	if len(results) != 1 || len(results[0].Expressions) != 1 {
		return nil, errUndefined
	}
	value, isValue := results[0].Expressions[0].Value.(ast.Value)
	if !isValue {
		return nil, errUndefined
	}
	return value, nil
}

// Revision is the hex SHA-256 over the canonical content of modules and data (docs/FORMATS.md, "policy").
func (e *Engine) Revision() string { return e.revision }

// Chain returns what data.json says about the chain with this symbol, matched exactly.
func (e *Engine) Chain(symbol string) (Chain, bool) {
	c, ok := e.data.chains[symbol]
	c.Assets = maps.Clone(c.Assets)
	return c, ok
}

// Group returns the approver group of this name.
func (e *Engine) Group(name string) (Group, bool) {
	g, ok := e.data.groups[name]
	g.Approvers = slices.Clone(g.Approvers)
	return g, ok
}

// Groups returns the approver groups, sorted by name.
func (e *Engine) Groups() []Group {
	out := make([]Group, 0, len(e.data.groups))
	for _, name := range sortedKeys(e.data.groups) {
		g, _ := e.Group(name)
		out = append(out, g)
	}
	return out
}

// Rules lists the rules of the policy, sorted by id.
func (e *Engine) Rules() []RuleInfo {
	out := make([]RuleInfo, 0, len(e.rules))
	for _, id := range sortedKeys(e.rules) {
		out = append(out, e.rules[id])
	}
	return out
}
