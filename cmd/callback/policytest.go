package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/policy"
)

func (o *options) policyTest() *cobra.Command {
	var files policyFiles
	least, run := 0.0, ""
	asJSON, perFile := false, false
	cmd := &cobra.Command{
		Use: "test", Short: "Run a policy's own tests with coverage; the last line is \"coverage NN.N %\"",
		Long: `Run a policy's own tests. Of one that fails, the expression that did not hold is shown, with what its names stood for. The last line
is the share of the modules' lines that the tests ran through, tests excluded; --coverage shows it of each file, and which lines
are missing. Tests see the data where they do not replace it.

` + policyHelp,
		Example: "  callback policy test --dir policy\n  callback policy test --run frozen\n  callback policy test --data data.json --min-coverage 95 --coverage",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			options := policy.TestOptions{Coverage: true, Why: true}
			if run != "" {
				var err error
				if options.Run, err = regexp.Compile(run); err != nil {
					return fmt.Errorf("--run: %w", err)
				}
			}
			source, err := files.source(cmd, o.config)
			if err != nil {
				return err
			}
			report, err := source.Test(cmd.Context(), options)
			if err != nil {
				return refused(err)
			}
			if asJSON {
				err = o.printTestJSON(report, files)
			} else {
				fmt.Fprintf(o.out, "data %s\n", files.data())
				o.printReport(report, perFile, run == "" || perFile)
			}
			if err != nil {
				return err
			}
			return refusedTests(report, run, least)
		},
	}
	files.flags(cmd)
	cmd.Flags().StringVar(&run, "run", "", "run only the tests whose full name (data.countersign.frozen_test.test_frozen) has a match of this pattern (RE2)")
	cmd.Flags().Float64Var(&least, "min-coverage", 0, "fail if the coverage, in per cent, is less")
	cmd.Flags().BoolVar(&perFile, "coverage", false, "show the coverage of each file")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func refusedTests(r policy.TestReport, run string, least float64) error {
	switch {
	case len(r.Failures) > 0:
		return refused(fmt.Errorf("%s failed", counted(len(r.Failures), "test")))
	case r.Passed == 0 && run != "":
		return refused(fmt.Errorf("no test has a name that matches %q", run))
	case r.Passed == 0:
		return refused(errors.New("the policy has no tests: it would not go live"))
	case r.Coverage < least:
		return refused(fmt.Errorf("the coverage of %.1f %% is below %.1f %%", r.Coverage, least))
	}
	return nil
}

func (o *options) printTestJSON(r policy.TestReport, files policyFiles) error {
	return o.printJSON(map[string]any{
		"data": files.data(), "passed": r.Passed, "failures": append([]string{}, r.Failures...), "why": append([]string{}, r.Why...),
		"coverage": r.Coverage, "files": r.Files, "missed": append([]string{}, r.Missed...),
	})
}

func (o *options) printReport(r policy.TestReport, perFile, missed bool) {
	printFailures(o.out, &r)
	if perFile {
		for _, f := range r.Files {
			fmt.Fprintf(o.out, "%5.1f %%  %4d of %4d lines  %s\n", f.PerCent, f.Covered, f.Lines, f.File)
		}
	}
	for _, m := range r.Missed {
		if !missed {
			break // most lines, where only some tests were run
		}
		fmt.Fprintf(o.out, "not covered: %s\n", m)
	}
	fmt.Fprintf(o.out, "%d passed, %d failed\ncoverage %.1f %%\n", r.Passed, len(r.Failures), r.Coverage)
}

// printFailures shows the tests that failed, each with the expression that did.
func printFailures(w io.Writer, r *policy.TestReport) {
	for i, f := range r.Failures {
		fmt.Fprintf(w, "FAIL %s\n", f)
		if i < len(r.Why) && r.Why[i] != "" {
			fmt.Fprintf(w, "%s\n", indented(r.Why[i]))
		}
	}
}

// indented puts lines of a policy's text under another, without control characters.
func indented(text string) string {
	lines := strings.Split(strings.ReplaceAll(text, "\t", "  "), "\n")
	for i, line := range lines {
		lines[i] = "    " + printable(line)
	}
	return strings.Join(lines, "\n")
}
