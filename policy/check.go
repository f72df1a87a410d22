package policy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// CheckReport is everything that is wrong with a policy. It goes live only if Passed.
type CheckReport struct {
	Revision string      `json:"revision,omitempty"` // "" where the data cannot be read
	Rules    int         `json:"rules"`
	Groups   int         `json:"groups"`
	Faults   []string    `json:"faults"`   // what does not parse or compile, and what is wrong in the data; each names its place
	Findings []Finding   `json:"findings"` // of the linter, warnings among them
	Tests    *TestReport `json:"-"`        // nil where the tests could not be run
}

// Refused is how many faults, findings and failed tests keep the policy from going live.
func (r *CheckReport) Refused() int {
	n := 0
	for _, f := range r.Faults {
		if !strings.HasSuffix(f, ":") { // the file, above what is wrong in it
			n++
		}
	}
	for _, f := range r.Findings {
		if f.Refused {
			n++
		}
	}
	if r.Tests != nil {
		n += len(r.Tests.Failures)
	}
	return n
}

// Warnings is how many findings do not keep it from going live.
func (r *CheckReport) Warnings() int {
	n := 0
	for _, f := range r.Findings {
		if !f.Refused {
			n++
		}
	}
	return n
}

// Passed says that [New] would take the policy.
func (r *CheckReport) Passed() bool { return len(r.Faults) == 0 && r.Refused() == 0 && r.Tests != nil }

// Check reads, lints, compiles and tests a policy as [New] does, and goes on after a fault, so that all are told at once.
func (s *Source) Check(ctx context.Context) *CheckReport {
	r := &CheckReport{Faults: []string{}, Findings: []Finding{}}
	r.checkData(s)
	modules := r.parse(s)
	if modules == nil {
		return r
	}
	found, err := findings(modules, s.Data)
	if err != nil {
		r.Faults = append(r.Faults, err.Error())
	}
	r.Findings = append(r.Findings, found...)
	if !r.compile(modules) || r.Revision == "" {
		return r
	}
	tests, err := s.Test(ctx, TestOptions{Why: true})
	if err == nil {
		r.Tests = &tests
		if len(tests.Failures) == 0 {
			err = tests.err() // that there are none
		}
	}
	if err != nil {
		r.Faults = append(r.Faults, err.Error())
	}
	return r
}

func (r *CheckReport) checkData(s *Source) {
	data, err := ParseData(s.DataName, s.Data)
	if err != nil {
		r.Faults = append(r.Faults, strings.Split(err.Error(), "\n")...)
		return
	}
	r.Revision, r.Groups = s.revision(data), len(data.groups)
}

// parse reads each module by itself; nil where one does not parse.
func (r *CheckReport) parse(s *Source) map[string]*ast.Module {
	all := map[string]*ast.Module{}
	for _, name := range sortedKeys(s.Modules) {
		one, err := (&Source{Modules: map[string][]byte{name: s.Modules[name]}}).parse()
		if err != nil {
			r.add(errors.Unwrap(err))
			continue
		}
		maps.Copy(all, one)
	}
	if len(all) < len(s.Modules) {
		return nil
	}
	return all
}

func (r *CheckReport) add(err error) {
	var errs ast.Errors
	if !errors.As(err, &errs) {
		r.Faults = append(r.Faults, err.Error())
		return
	}
	for _, e := range errs {
		r.Faults = append(r.Faults, e.Error())
	}
}

// compile notes what does not compile, but for lines for which the linter has refused the policy already.
func (r *CheckReport) compile(modules map[string]*ast.Module) bool {
	told := map[string]bool{}
	for _, f := range r.Findings {
		if f.Refused {
			told[fmt.Sprintf("%s:%d", f.File, f.Row)] = true
		}
	}
	c := newCompiler()
	c.SetErrorLimit(0)
	c.Compile(copyOf(modules))
	for _, e := range c.Errors {
		if e.Location == nil || !told[fmt.Sprintf("%s:%d", e.Location.File, e.Location.Row)] {
			r.Faults = append(r.Faults, e.Error())
		}
	}
	maps.DeleteFunc(modules, func(name string, _ *ast.Module) bool { return isTest(name) })
	rules, err := declaredRules(modules)
	if err != nil {
		r.Faults = append(r.Faults, err.Error())
	}
	r.Rules = len(rules)
	return !c.Failed() && err == nil
}
