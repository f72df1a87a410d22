package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// buildEngine compiles, lints and tests a policy.
func buildEngine(ctx context.Context, files policyFiles) (*policy.Engine, error) {
	source, err := files.read()
	if err != nil {
		return nil, err
	}
	return policy.New(ctx, policy.Config{Source: source})
}

func (f *policyFiles) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.dir, "dir", "", "folder of the policy (default: as configured, or the policy shipped in this program)")
	cmd.Flags().StringVar(&f.dataPath, "data", "", "its data (default: as configured, or data.json in the same place)")
}

// policyHelp is what the commands that read a policy say of where they find it.
const policyHelp = `The policy and its data are those of --dir and --data. With --config, or without either flag where callback.toml is there,
they are those that the configuration names, and a flag replaces its own part. Which data was used is said.`

// fill takes from the configuration what no flag says: from one that was named, or, where no flag says anything, from the
// one that is there.
func (f *policyFiles) fill(cmd *cobra.Command, configPath string) error {
	flags := cmd.Flags()
	if !flags.Changed("config") {
		if flags.Changed("dir") || flags.Changed("data") {
			return nil
		}
		if _, err := os.Stat(configPath); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	c, err := loadConfig(configPath)
	if err != nil {
		return err
	}
	if f.keys, err = c.known(); err != nil {
		return refused(err)
	}
	if !flags.Changed("dir") {
		f.dir = c.Policy.Dir
	}
	if !flags.Changed("data") {
		f.dataPath = c.Policy.DataPath
	}
	return nil
}

// build compiles, lints and tests the policy of a command.
func (f *policyFiles) build(cmd *cobra.Command, configPath string) (*policy.Engine, error) {
	if err := f.fill(cmd, configPath); err != nil {
		return nil, err
	}
	engine, err := buildEngine(cmd.Context(), *f)
	return engine, refused(err)
}

func (o *options) policy() *cobra.Command {
	parent := &cobra.Command{
		Use: "policy", Short: "Check, test, try and reload policies",
		Example: "  callback policy check --dir policy\n  callback policy test --data data.json\n  callback policy eval request.json --data data.json",
	}
	parent.AddCommand(o.policyCheck(), o.policyTest(), o.policyEval(), o.policyDiff(), o.policyBacktest(), o.policyReload())
	return parent
}

func (o *options) policyCheck() *cobra.Command {
	var files policyFiles
	asJSON := false
	cmd := &cobra.Command{
		Use: "check", Short: "Compile and lint a policy, check its data and run its tests, as the server does before it goes live",
		Long:    policyHelp,
		Example: "  callback policy check --dir policy\n  callback policy check --data data.json --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			engine, err := files.build(cmd, o.config)
			if err != nil {
				return err
			}
			if asJSON {
				return o.printJSON(map[string]any{"data": files.data(), "revision": engine.Revision(), "rules": len(engine.Rules()), "groups": len(engine.Groups())})
			}
			fmt.Fprintf(o.out, "ok: %d rules, %d groups\ndata %s\nrevision %s\n", len(engine.Rules()), len(engine.Groups()), files.data(), engine.Revision())
			return nil
		},
	}
	files.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (o *options) policyTest() *cobra.Command {
	var files policyFiles
	least := 0.0
	asJSON := false
	cmd := &cobra.Command{
		Use: "test", Short: "Run a policy's own tests with coverage; the last line is \"coverage NN.N %\"",
		Long:    policyHelp,
		Example: "  callback policy test --dir policy\n  callback policy test --data data.json --min-coverage 95",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			engine, err := files.build(cmd, o.config)
			if err != nil {
				return err
			}
			report, err := engine.Test(cmd.Context())
			if err != nil {
				return refused(err)
			}
			if asJSON {
				err = o.printJSON(map[string]any{"data": files.data(), "passed": report.Passed, "failures": report.Failures, "coverage": report.Coverage, "missed": report.Missed})
			} else {
				fmt.Fprintf(o.out, "data %s\n", files.data())
				o.printReport(report)
			}
			if report.Coverage < least {
				err = refused(fmt.Errorf("the coverage of %.1f %% is below %.1f %%", report.Coverage, least))
			}
			return err
		},
	}
	files.flags(cmd)
	cmd.Flags().Float64Var(&least, "min-coverage", 0, "fail if the coverage, in per cent, is less")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (o *options) printReport(report policy.TestReport) {
	for _, f := range report.Failures {
		fmt.Fprintf(o.out, "FAIL %s\n", f)
	}
	for _, m := range report.Missed {
		fmt.Fprintf(o.out, "not covered: %s\n", m)
	}
	fmt.Fprintf(o.out, "%d passed, %d failed\ncoverage %.1f %%\n", report.Passed, len(report.Failures), report.Coverage)
}

func (o *options) policyEval() *cobra.Command {
	var files policyFiles
	node, at, expect := "eval", "", ""
	asJSON := false
	cmd := &cobra.Command{
		Use: "eval FILE", Short: "Try a policy on the body of one request: the decision, the rules that fired, the evidence",
		Long: `Evaluate a policy for one request to /check, given as the JSON body that a node sends ("-" reads standard input). No signature
is needed and nothing is recorded. Approvals are as if nobody had approved. With a configuration its [[key]] entries count too.

` + policyHelp,
		Example: "  callback policy eval request.json --data data.json\n  callback policy eval request.json --expect Reject --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			now := time.Now()
			if at != "" {
				var err error
				if now, err = time.Parse(time.RFC3339, at); err != nil {
					return fmt.Errorf("--at: %q is no time such as 2026-01-02T15:04:05Z", at)
				}
			}
			parsed, err := o.readRequest(args[0])
			if err != nil {
				return err
			}
			engine, err := files.build(cmd, o.config)
			if err != nil {
				return err
			}
			result, err := callback.Try(cmd.Context(), engine, parsed, callback.Setting{Node: policy.Node{ID: node, Name: node}, Now: now, Keys: files.keys})
			if err != nil {
				return err
			}
			if asJSON {
				err = o.printJSON(struct {
					*callback.Trial
					Data string `json:"data"`
				}{result, files.data()})
			} else {
				printTrial(o.out, result)
				fmt.Fprintf(o.out, "data      %s\n", files.data())
			}
			if err == nil && expect != "" && !strings.EqualFold(expect, string(result.Decision.Action)) {
				err = &codedError{exitUnexpected, fmt.Errorf("%s was expected, the decision is %s", expect, result.Decision.Action)}
			}
			return err
		},
	}
	files.flags(cmd)
	cmd.Flags().StringVar(&node, "node", node, "name of the node that asks, as the policy sees it")
	cmd.Flags().StringVar(&at, "at", "", "time of the request, RFC 3339 (default: now)")
	cmd.Flags().StringVar(&expect, "expect", "", "end with code 4 unless the decision is this: Approve, Reject or Wait")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, the whole input included")
	return cmd
}

// readRequest reads the body of a request to /check.
func (o *options) readRequest(path string) (*wire.Parsed, error) {
	body, err := o.readFile(path)
	if err != nil {
		return nil, err
	}
	parsed, err := wire.ParseCheck(wire.PathCheck, bytes.TrimSpace(body)) // a file ends with a line break, a body does not
	if err != nil {
		return nil, refused(fmt.Errorf("%s: %w", path, err))
	}
	return parsed, nil
}

// readFile reads a file, or standard input for "-".
func (o *options) readFile(path string) ([]byte, error) {
	in := o.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, callback.MaxBodyLimit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(data) > callback.MaxBodyLimit {
		return nil, refused(errors.New(path + " is longer than any body that a server takes"))
	}
	return data, nil
}

func printTrial(w io.Writer, t *callback.Trial) {
	fmt.Fprintf(w, "%s\n", t.Decision.Action)
	for _, r := range t.Decision.Reasons {
		fmt.Fprintf(w, "  %-7s  %s: %s\n", r.Severity, r.RuleID, printable(r.Message))
	}
	if r := t.Decision.Requirement; r != nil {
		fmt.Fprintf(w, "needs     %d approvals of group %s within %d seconds\n", r.Threshold, r.Group, r.ExpirySeconds)
	}
	var in struct {
		Evidence policy.Evidence `json:"evidence"`
	}
	if json.Unmarshal(t.Input, &in) == nil && in.Evidence.Status != "" {
		fmt.Fprintf(w, "evidence  %s %s\n", in.Evidence.Status, printable(in.Evidence.Reason))
	}
	fmt.Fprintf(w, "fired     %s\nrevision  %s\n", strings.Join(t.Decision.Fired, " "), t.Decision.Revision)
	if t.Failure != nil {
		fmt.Fprintf(w, "failure   %s\n", printable(t.Failure.Error()))
	}
}

func (o *options) policyReload() *cobra.Command {
	var server admin
	asJSON := false
	cmd := &cobra.Command{
		Use: "reload", Short: "Make a running server read its policy anew; one that does not pass is refused and the old one stays",
		Example: "  callback policy reload --config callback.toml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var view callback.PolicyView
			if err := o.call(cmd.Context(), &server, "POST", "/admin/v1/policy/reload", nil, &view); err != nil {
				return err
			}
			if asJSON {
				return o.printJSON(view)
			}
			fmt.Fprintf(o.out, "loaded, revision %s\n", view.Revision)
			return nil
		},
	}
	server.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
