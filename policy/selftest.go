package policy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// TestReport is the outcome of a policy's own tests.
type TestReport struct {
	Passed   int
	Failures []string       // "file:line: name: what happened", sorted; a skipped test is a failure
	Why      []string       // for each of Failures, the expression that failed and what its names stand for; "" where it is not known
	Coverage float64        // per cent of the modules' lines, tests excluded; 0 where it was not asked for
	Files    []FileCoverage // the same of each module, by name
	Missed   []string       // "file:from-to" of what no test covers, sorted
}

// FileCoverage is how many of a module's lines the tests ran through.
type FileCoverage struct {
	File    string  `json:"file"`
	Covered int     `json:"covered"`
	Lines   int     `json:"lines"`   // that can be run through
	PerCent float64 `json:"percent"` // 100 where there are none
}

// TestOptions says which tests are run, and what is told of them.
type TestOptions struct {
	Run      *regexp.Regexp // of the tests' names, such as data.countersign.frozen_test.test_frozen; nil: all
	Coverage bool
	Why      bool // run the tests that failed once more, with a trace
}

func (r TestReport) err() error {
	switch {
	case len(r.Failures) > 0:
		return fmt.Errorf("%d of the policy's own tests failed:\n%s", len(r.Failures), strings.Join(r.Failures, "\n"))
	case r.Passed == 0:
		return fmt.Errorf("the policy has no tests: write at least one rule test_... in a file *%s", testSuffix)
	}
	return nil
}

// Proof says that a policy passes everything that [New] asks of it.
type Proof struct {
	Revision string
	Passed   int // tests; all that there are, and at least one
}

// Prove lints, compiles and tests a policy as New does, and keeps nothing of it.
func Prove(ctx context.Context, s *Source) (Proof, error) {
	if proof, err := proveAtOnce(ctx, s); !errors.Is(err, errUndecided) {
		return proof, err
	}
	e, err := NewUntested(ctx, Config{Source: s, onlyTested: true})
	if err != nil {
		return Proof{}, err
	}
	report, err := e.passed(ctx)
	return Proof{Revision: e.revision, Passed: report.Passed}, err
}

// passed runs the policy's own tests; an error says that they do not all pass, or that there are none.
func (e *Engine) passed(ctx context.Context) (TestReport, error) {
	report, err := e.runTests(ctx, TestOptions{})
	if err == nil {
		err = report.err()
	}
	if err != nil {
		return report, fmt.Errorf("build policy engine: %w", err)
	}
	return report, nil
}

// Test runs the policy's own tests with coverage. They see the engine's data where they do not replace it.
func (e *Engine) Test(ctx context.Context) (TestReport, error) {
	return e.runTests(ctx, TestOptions{Coverage: true})
}

// Test runs a policy's own tests, whether it passes the lint or not. An error says that they could not be run: for a module
// or data that cannot be read or compiled.
func (s *Source) Test(ctx context.Context, o TestOptions) (TestReport, error) {
	data, err := ParseData(s.DataName, s.Data)
	if err != nil {
		return TestReport{}, err
	}
	return (&Engine{data: data, source: s}).runTests(ctx, o)
}

func (e *Engine) runTests(ctx context.Context, o TestOptions) (TestReport, error) {
	run := testRun{options: o, place: map[string]string{}}
	var tracer *cover.Cover
	if o.Coverage {
		tracer = cover.New()
	}
	err := e.withRunner(ctx, func(r *tester.Runner, modules map[string]*ast.Module, txn storage.Transaction) error {
		if o.Run != nil {
			r = r.Filter(o.Run.String())
		}
		if tracer != nil {
			r = r.SetCoverageQueryTracer(tracer)
		}
		if err := run.collect(ctx, r, txn); err != nil {
			return err
		}
		if tracer != nil {
			run.report.cover(tracer, modules)
		}
		return nil
	})
	if err == nil && o.Why && len(run.failed) > 0 {
		err = e.withRunner(ctx, func(r *tester.Runner, _ map[string]*ast.Module, txn storage.Transaction) error {
			return run.explain(ctx, r.EnableTracing(true).Filter(run.failedPattern()), txn)
		})
	}
	run.report.Why = make([]string, len(run.report.Failures))
	for i, failure := range run.report.Failures {
		run.report.Why[i] = run.place[failure]
	}
	return run.report, err
}

// newRunner makes what runs the tests of modules, which the compiler changes.
func (e *Engine) newRunner(c *ast.Compiler, modules map[string]*ast.Module, store storage.Store) *tester.Runner {
	return tester.NewRunner().
		SetCompiler(c.WithEnablePrintStatements(true)).
		SetStore(store).
		SetModules(modules).
		SetTimeout(testTimeout).
		RaiseBuiltinErrors(true).
		SetCoverageRuns(nil).
		SetParallel(e.testsAtOnce)
}

// withRunner makes what runs the tests: modules parsed anew, since a compiler changes what it is given.
func (e *Engine) withRunner(ctx context.Context, use func(*tester.Runner, map[string]*ast.Module, storage.Transaction) error) error {
	modules, err := e.source.parse()
	if err != nil {
		return fmt.Errorf("run the policy's tests: %w", err)
	}
	return e.withRunnerOf(ctx, newCompiler(), modules, use)
}

// withRunnerOf is withRunner for modules that nobody else needs.
func (e *Engine) withRunnerOf(ctx context.Context, c *ast.Compiler, modules map[string]*ast.Module, use func(*tester.Runner, map[string]*ast.Module, storage.Transaction) error) error {
	store, err := e.data.store()
	if err != nil {
		return fmt.Errorf("run the policy's tests: %w", err)
	}
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return fmt.Errorf("run the policy's tests: %v", err)
	}
	defer store.Abort(ctx, txn)
	return use(e.newRunner(c, modules, store), modules, txn)
}

// testRun collects what comes of tests.
type testRun struct {
	options TestOptions
	report  TestReport
	failed  map[string]string // the line in Failures by the test's full name
	place   map[string]string // why, by that line
}

func (t *testRun) results(ctx context.Context, runner *tester.Runner, txn storage.Transaction, each func(*tester.Result)) error {
	results, err := runner.RunTests(ctx, txn)
	if err != nil {
		var errs ast.Errors
		if errors.As(err, &errs) {
			return fmt.Errorf("compile: %w", errs)
		}
		return fmt.Errorf("run the policy's tests: %w", err)
	}
	for r := range results {
		each(r)
	}
	return ctx.Err()
}

func (t *testRun) collect(ctx context.Context, runner *tester.Runner, txn storage.Transaction) error {
	t.failed = map[string]string{}
	err := t.results(ctx, runner, txn, func(r *tester.Result) {
		switch {
		case r.Pass():
			t.report.Passed++
		case r.Skip:
			t.failure(r, "is skipped: a policy goes live with all its tests")
		case r.Error != nil:
			t.failure(r, oneLine(r.Error.Error(), MaxMessage))
		default:
			t.failure(r, oneLine(strings.TrimSpace("failed "+string(r.Output)), MaxMessage))
		}
	})
	slices.Sort(t.report.Failures)
	return err
}

func (t *testRun) failure(r *tester.Result, what string) {
	line := fmt.Sprintf("%s:%d: %s: %s", r.Location.File, r.Location.Row, r.Name, what)
	t.report.Failures = append(t.report.Failures, line)
	t.failed[r.Package+"."+r.Name] = line
}

// failedPattern matches the names of the tests that failed.
func (t *testRun) failedPattern() string {
	names := sortedKeys(t.failed)
	for i, name := range names {
		names[i] = regexp.QuoteMeta(name)
	}
	return "^(" + strings.Join(names, "|") + ")$"
}

// explain notes of each test that failed where it did.
func (t *testRun) explain(ctx context.Context, runner *tester.Runner, txn storage.Transaction) error {
	return t.results(ctx, runner, txn, func(r *tester.Result) {
		if line, known := t.failed[r.Package+"."+r.Name]; known {
			t.place[line] = lastFailure(r.Trace)
		}
	})
}

// lastFailure says which expression of a test's own body failed last, and what its names stood for.
func lastFailure(trace []*topdown.Event) string {
	var of uint64
	var last *topdown.Event
	for _, e := range trace {
		_, isRule := e.Node.(*ast.Rule)
		switch {
		case of == 0 && e.Op == topdown.EnterOp && isRule && e.Location != nil && isTest(e.Location.File):
			of = e.QueryID
		case of != 0 && e.QueryID == of && e.Op == topdown.FailOp && e.HasExpr():
			last = e
		}
	}
	if last == nil {
		return ""
	}
	return fmt.Sprintf("%s:%d: this failed:\n%s", last.Location.File, last.Location.Row, explained(last))
}

// bareUndefined is a line that says of a name by itself that it stands for nothing, such as a variable that was not reached.
var bareUndefined = regexp.MustCompile(`^\s*[A-Za-z_0-9]+: undefined$`)

// explained is an expression with what its names stood for when it failed.
func explained(e *topdown.Event) string {
	var b bytes.Buffer
	if topdown.PrettyEvent(&b, e, topdown.PrettyEventOpts{PrettyVars: true}) != nil {
		return ""
	}
	var lines []string
	for _, line := range strings.Split(b.String(), "\n") {
		if strings.TrimSpace(line) != "" && line != "Where:" && !bareUndefined.MatchString(line) {
			lines = append(lines, oneLine(strings.ReplaceAll(line, "\t", "  "), MaxMessage))
		}
	}
	return strings.Join(lines, "\n")
}

// cover adds how much of the modules, tests excluded, the tests ran through.
func (r *TestReport) cover(tracer *cover.Cover, modules map[string]*ast.Module) {
	all := tracer.Report(modules)
	covered, lines := 0, 0
	for name, file := range all.Files {
		if isTest(name) {
			continue
		}
		f := FileCoverage{File: name, Covered: file.CoveredLines, Lines: file.CoveredLines + file.NotCoveredLines, PerCent: 100}
		if f.Lines > 0 {
			f.PerCent = 100 * float64(f.Covered) / float64(f.Lines)
		}
		r.Files = append(r.Files, f)
		covered += f.Covered
		lines += f.Lines
		for _, rng := range file.NotCovered {
			r.Missed = append(r.Missed, fmt.Sprintf("%s:%d-%d", name, rng.Start.Row, rng.End.Row))
		}
	}
	slices.Sort(r.Missed)
	slices.SortFunc(r.Files, func(a, b FileCoverage) int { return strings.Compare(a.File, b.File) })
	if lines > 0 {
		r.Coverage = 100 * float64(covered) / float64(lines)
	}
}
