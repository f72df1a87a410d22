package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"
)

// TestReport is the outcome of a policy's own tests.
type TestReport struct {
	Passed   int
	Failures []string // "file:line: name: what happened", sorted; a skipped test is a failure
	Coverage float64  // per cent of the modules' lines, tests excluded; 0 where it was not asked for
	Missed   []string // "file:from-to" of what no test covers, sorted
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

// Test runs the policy's own tests with coverage. They see the engine's data where they do not replace it.
func (e *Engine) Test(ctx context.Context) (TestReport, error) { return e.runTests(ctx, true) }

func (e *Engine) runTests(ctx context.Context, coverage bool) (TestReport, error) {
	var report TestReport
	modules, err := e.source.parse()
	if err != nil {
		return report, fmt.Errorf("run the policy's tests: %w", err)
	}
	store, err := e.data.store()
	if err != nil {
		return report, fmt.Errorf("run the policy's tests: %w", err)
	}
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return report, fmt.Errorf("run the policy's tests: %v", err)
	}
	defer store.Abort(ctx, txn)
	var tracer *cover.Cover
	runner := tester.NewRunner().
		SetCompiler(newCompiler().WithEnablePrintStatements(true)).
		SetStore(store).
		SetModules(modules).
		SetTimeout(testTimeout).
		RaiseBuiltinErrors(true).
		SetCoverageRuns(nil).
		SetParallel(e.testsAtOnce)
	if coverage {
		tracer = cover.New()
		runner = runner.SetCoverageQueryTracer(tracer)
	}
	if report, err = collect(ctx, runner, txn); err != nil {
		return report, err
	}
	if coverage {
		report.cover(tracer, modules)
	}
	return report, nil
}

func collect(ctx context.Context, runner *tester.Runner, txn storage.Transaction) (TestReport, error) {
	var report TestReport
	results, err := runner.RunTests(ctx, txn)
	if err != nil {
		var errs ast.Errors
		if errors.As(err, &errs) {
			return report, fmt.Errorf("compile: %w", errs)
		}
		return report, fmt.Errorf("run the policy's tests: %w", err)
	}
	for r := range results {
		switch {
		case r.Pass():
			report.Passed++
		case r.Skip:
			report.failure(r, "is skipped: a policy goes live with all its tests")
		case r.Error != nil:
			report.failure(r, oneLine(r.Error.Error(), MaxMessage))
		default:
			report.failure(r, oneLine("failed "+string(r.Output), MaxMessage))
		}
	}
	slices.Sort(report.Failures)
	return report, ctx.Err()
}

func (r *TestReport) failure(t *tester.Result, what string) {
	r.Failures = append(r.Failures, fmt.Sprintf("%s:%d: %s: %s", t.Location.File, t.Location.Row, t.Name, what))
}

// cover adds how much of the modules, tests excluded, the tests ran through.
func (r *TestReport) cover(tracer *cover.Cover, modules map[string]*ast.Module) {
	all := tracer.Report(modules)
	covered, missed := 0, 0
	for name, file := range all.Files {
		if isTest(name) {
			continue
		}
		covered += file.CoveredLines
		missed += file.NotCoveredLines
		for _, rng := range file.NotCovered {
			r.Missed = append(r.Missed, fmt.Sprintf("%s:%d-%d", name, rng.Start.Row, rng.End.Row))
		}
	}
	slices.Sort(r.Missed)
	if covered+missed > 0 {
		r.Coverage = 100 * float64(covered) / float64(covered+missed)
	}
}
