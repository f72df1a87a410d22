package policy

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"
)

// errUndecided says that a policy has to be looked at the long way, which knows how to say what is wrong.
var errUndecided = errors.New("it is not decided at once whether the policy passes")

// proveAtOnce is Prove for policies that pass the lint and compile: the modules are parsed once, and compiled once both for the
// linter's types and for the tests. Type checks change nothing of what a compiler makes; what they find here refuses nothing, since
// the linter lets some of it pass: errUndecided.
func proveAtOnce(ctx context.Context, s *Source) (Proof, error) {
	data, err := ParseData(s.DataName, s.Data)
	if err != nil {
		return Proof{}, errUndecided
	}
	modules, err := s.parse()
	if err != nil {
		return Proof{}, errUndecided
	}
	found, err := findingsBy(modules, s.Data, nil)
	if err != nil || refusalOf(found) != nil || !compilesAlone(modules) {
		return Proof{}, errUndecided
	}
	schemas, err := schemaSet()
	if err != nil {
		return Proof{}, errUndecided
	}
	e := &Engine{data: data, source: s, revision: s.revision(data)}
	run := testRun{place: map[string]string{}}
	err = e.withRunnerOf(ctx, newCompiler().WithSchemas(schemas), modules, func(r *tester.Runner, _ map[string]*ast.Module, txn storage.Transaction) error {
		return run.collect(ctx, r, txn)
	})
	var compiling ast.Errors
	switch {
	case errors.As(err, &compiling):
		return Proof{}, errUndecided
	case err == nil:
		err = run.report.err()
	}
	if err != nil {
		return Proof{Revision: e.revision, Passed: run.report.Passed}, fmt.Errorf("build policy engine: %w", err)
	}
	return Proof{Revision: e.revision, Passed: run.report.Passed}, nil
}

// compilesAlone says that modules declare their rules as they should and compile without the tests among them, as what decides does.
func compilesAlone(modules map[string]*ast.Module) bool {
	alone := maps.Clone(modules)
	maps.DeleteFunc(alone, func(name string, _ *ast.Module) bool { return isTest(name) })
	if _, err := declaredRules(alone); err != nil {
		return false
	}
	c := newCompiler()
	c.Compile(copyOf(alone))
	return !c.Failed()
}
