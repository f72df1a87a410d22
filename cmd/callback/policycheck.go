package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/policy"
)

func (o *options) policyCheck() *cobra.Command {
	var files policyFiles
	asJSON, strict, list := false, false, false
	cmd := &cobra.Command{
		Use: "check", Short: "Compile and lint a policy, check its data and run its tests, as the server does before it goes live",
		Long: `Check a policy in every way in which the server does before it goes live, and tell all faults at once, each with its place: what
does not parse or compile, fields that do not exist, the linter's findings, the data, and the policy's own tests. Warnings do not
keep a policy from going live; with --strict they fail the check. --lints lists what the linter looks for.

` + policyHelp,
		Example: "  callback policy check --dir policy\n  callback policy check --data data.json --json\n  callback policy check --strict\n  callback policy check --lints",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if list {
				return o.printLints(asJSON)
			}
			source, err := files.source(cmd, o.config)
			if err != nil {
				return err
			}
			report := source.Check(cmd.Context())
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			if asJSON {
				if err := o.printCheckJSON(report, files); err != nil {
					return err
				}
			} else {
				o.printCheck(report, files)
			}
			return refusedCheck(report, strict)
		},
	}
	files.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&strict, "strict", false, "fail for warnings too")
	cmd.Flags().BoolVar(&list, "lints", false, "list what the linter looks for, and check nothing")
	return cmd
}

// refusedCheck is the error of a check; nil where the policy would go live.
func refusedCheck(r *policy.CheckReport, strict bool) error {
	switch {
	case !r.Passed():
		return refused(fmt.Errorf("the policy would not go live: %s", counted(r.Refused(), "fault")))
	case strict && r.Warnings() > 0:
		return refused(errors.New(counted(r.Warnings(), "warning")))
	}
	return nil
}

func (o *options) printCheck(r *policy.CheckReport, files policyFiles) {
	for _, f := range r.Faults {
		fmt.Fprintf(o.err, "%s\n", f)
	}
	explained := map[string]bool{}
	lints := map[string]policy.Lint{}
	for _, l := range policy.Lints() {
		lints[l.Name] = l
	}
	for _, f := range r.Findings {
		kind := "warning: "
		if f.Refused {
			kind = ""
		}
		fmt.Fprintf(o.err, "%s:%d:%d: %s%s [%s]\n", f.File, f.Row, f.Col, kind, printable(f.Message), f.Lint)
		if l := lints[f.Lint]; !explained[f.Lint] {
			fmt.Fprintf(o.err, "    why:     %s\n    instead: %s\n", l.Why, l.Instead)
			explained[f.Lint] = true
		}
	}
	if r.Tests != nil {
		printFailures(o.err, r.Tests)
	}
	if !r.Passed() {
		return
	}
	tests := 0
	if r.Tests != nil {
		tests = r.Tests.Passed
	}
	fmt.Fprintf(o.out, "ok: %s, %s, %s", counted(r.Rules, "rule"), counted(r.Groups, "group"), counted(tests, "test"))
	if n := r.Warnings(); n > 0 {
		fmt.Fprintf(o.out, ", %s", counted(n, "warning"))
	}
	fmt.Fprintf(o.out, "\ndata %s\nrevision %s\n", files.data(), r.Revision)
}

func (o *options) printCheckJSON(r *policy.CheckReport, files policyFiles) error {
	out := map[string]any{
		"ok": r.Passed(), "data": files.data(), "revision": r.Revision, "rules": r.Rules, "groups": r.Groups, "faults": r.Faults, "findings": r.Findings,
		"tests_passed": 0, "tests_failed": []string{},
	}
	if r.Tests != nil {
		out["tests_passed"] = r.Tests.Passed
		out["tests_failed"] = append([]string{}, r.Tests.Failures...)
	}
	return o.printJSON(out)
}

func (o *options) printLints(asJSON bool) error {
	lints := policy.Lints()
	if asJSON {
		return o.printJSON(lints)
	}
	for _, l := range lints {
		kind := "warning"
		if l.Refused {
			kind = "refused"
		}
		if l.Ignorable {
			kind += ", may be ignored"
		}
		fmt.Fprintf(o.out, "%s (%s)\n    why:     %s\n    instead: %s\n", l.Name, kind, l.Why, l.Instead)
	}
	return nil
}
