package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// What --trace may be.
const (
	traceRules = "rules"
	traceFull  = "full"
)

// trial is what `policy eval` shows.
type trial struct {
	*callback.Trial
	Data  string             `json:"data"`
	Trace []policy.RuleTrace `json:"trace,omitempty"`

	engine *policy.Engine
}

func (o *options) policyEval() *cobra.Command {
	var files policyFiles
	node, at, expect, trace := "eval", "", "", ""
	asJSON := false
	var before past
	cmd := &cobra.Command{
		Use: "eval FILE", Short: "Try a policy on the body of one request: the decision, the rules that fired, the evidence, the windows",
		Long: `Evaluate a policy for one request to /check, given as the JSON body that a node sends ("-" reads standard input). No signature
is needed and nothing is recorded. Nobody has approved anything, and windows hold nothing but this request, unless --approved and
--used say otherwise. With a configuration its [[key]] entries count too. The policy has to compile, and to pass the lint; its tests are not run.

--trace shows of every rule whether it fired, and otherwise which of its expressions did not hold, with what the names in it stood
for. --trace=full shows all that the evaluator did.

` + policyHelp,
		Example: `  callback policy eval request.json --data data.json
  callback policy eval request.json --at 2026-01-02T15:04:05Z --trace
  callback policy eval request.json --expect Reject --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := trialSetting(node, at, trace)
			if err != nil {
				return err
			}
			parsed, err := o.readRequest(args[0])
			if err != nil {
				return err
			}
			source, err := files.source(cmd, o.config)
			if err != nil {
				return err
			}
			t := &trial{Data: files.data()}
			if t.engine, err = policy.NewUntested(cmd.Context(), policy.Config{Source: source}); err != nil {
				return refused(err)
			}
			set.Keys = files.keys
			if err := before.fill(t.engine, &set); err != nil {
				return err
			}
			if t.Trial, err = callback.Try(cmd.Context(), t.engine, parsed, set); err != nil {
				return err
			}
			if trace != "" && t.Input != nil {
				if t.Trace, err = t.engine.Trace(cmd.Context(), t.Input, o.fullTrace(trace)); err != nil {
					return err
				}
			}
			if asJSON {
				err = o.printJSON(t)
			} else {
				t.print(o.out)
			}
			if err == nil && expect != "" && !strings.EqualFold(expect, string(t.Decision.Action)) {
				err = &codedError{exitUnexpected, fmt.Errorf("%s was expected, the decision is %s", expect, t.Decision.Action)}
			}
			return err
		},
	}
	files.flags(cmd)
	cmd.Flags().StringVar(&node, "node", node, "name of the node that asks, as the policy sees it")
	cmd.Flags().StringVar(&at, "at", "", "time of the request, RFC 3339 (default: now)")
	before.flags(cmd)
	cmd.Flags().StringVar(&expect, "expect", "", "end with code 4 unless the decision is this: Approve, Reject or Wait")
	cmd.Flags().StringVar(&trace, "trace", "", "say why each rule fired or did not (rules), or all that was evaluated (full, on standard error)")
	cmd.Flags().Lookup("trace").NoOptDefVal = traceRules
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, the whole input included")
	return cmd
}

// trialSetting reads the flags that say under what a request is tried.
func trialSetting(node, at, trace string) (callback.Setting, error) {
	set := callback.Setting{Node: policy.Node{ID: node, Name: node}, Now: time.Now()}
	if trace != "" && trace != traceRules && trace != traceFull {
		return set, fmt.Errorf("--trace=%s: %s and %s are possible", trace, traceRules, traceFull)
	}
	if at == "" {
		return set, nil
	}
	var err error
	if set.Now, err = time.Parse(time.RFC3339, at); err != nil {
		return set, fmt.Errorf("--at: %q is no time such as 2026-01-02T15:04:05Z", at)
	}
	return set, nil
}

// fullTrace is where all that was evaluated is written; nil for nowhere.
func (o *options) fullTrace(trace string) io.Writer {
	if trace == traceFull {
		return o.err
	}
	return nil
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

func (t *trial) print(w io.Writer) {
	fmt.Fprintf(w, "%s\n", t.Decision.Action)
	for _, r := range t.Decision.Reasons {
		fmt.Fprintf(w, "  %-7s  %s: %s\n", r.Severity, r.RuleID, printable(r.Message))
	}
	if r := t.Decision.Requirement; r != nil {
		fmt.Fprintf(w, "needs     %s of group %s within %s\n", counted(r.Threshold, "approval"), r.Group, counted(r.ExpirySeconds, "second"))
	}
	var in struct {
		Evidence policy.Evidence          `json:"evidence"`
		Windows  map[string]policy.Window `json:"windows"`
	}
	if json.Unmarshal(t.Input, &in) == nil {
		t.printSeen(w, in.Evidence, in.Windows)
	}
	fmt.Fprintf(w, "fired     %s\nrevision  %s\n", strings.Join(t.Decision.Fired, " "), t.Decision.Revision)
	if t.Failure != nil {
		fmt.Fprintf(w, "failure   %s\n", printable(t.Failure.Error()))
	}
	for _, r := range t.Trace {
		printTrace(w, r)
	}
	fmt.Fprintf(w, "data      %s\n", t.Data)
}

// printSeen shows what the policy saw of evidence and windows.
func (t *trial) printSeen(w io.Writer, e policy.Evidence, windows map[string]policy.Window) {
	if e.Status != "" {
		fmt.Fprintf(w, "evidence  %s %s\n", e.Status, printable(e.Reason))
	}
	for _, d := range e.Differences {
		fmt.Fprintf(w, "          %s is claimed to be %s, but %s is signed\n", printable(d.Field), printable(d.Claimed), printable(d.Signed))
	}
	for _, name := range slices.Sorted(maps.Keys(windows)) {
		most := "?"
		if n := t.engine.WindowMax(name); n != nil {
			most = n.String()
		}
		fmt.Fprintf(w, "window    %s: %s of %s with this request\n", name, windows[name].After, most)
	}
}

func printTrace(w io.Writer, r policy.RuleTrace) {
	if r.ID == "" {
		r.ID = "(computed)"
	}
	if r.Fired {
		fmt.Fprintf(w, "trace     + %s %s (%s:%d)\n", r.Outcome, r.ID, r.File, r.Row)
		return
	}
	fmt.Fprintf(w, "trace     - %s %s (%s:%d)", r.Outcome, r.ID, r.File, r.Row)
	if r.Stopped > 0 {
		fmt.Fprintf(w, ": line %d does not hold\n%s", r.Stopped, indented(r.Why))
	}
	fmt.Fprintln(w)
}
