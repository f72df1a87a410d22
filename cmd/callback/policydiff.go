package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/policy"
)

func (o *options) policyDiff() *cobra.Command {
	var files, other policyFiles
	asJSON := false
	cmd := &cobra.Command{
		Use: "diff", Short: "Show what a candidate policy changes: rules, modules and values of the data",
		Long: `Compare the policy of --dir and --data with a candidate, of --to-dir (or --to-bundle) and --to-data; what a candidate's flag does not say
is as in the first. Shown are rules by their ids, rules without one by their names, files, and values of the data, as rules see them.
Both have to pass what a policy has to pass before it goes live.

` + policyHelp,
		Example: `  callback policy diff --config callback.toml --to-data candidate.json
  callback policy diff --dir policy --to-dir candidate --json
  callback policy diff --bundle policy-7.tar.gz --to-bundle policy-8.tar.gz`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			engine, err := files.build(cmd, o.config)
			if err != nil {
				return err
			}
			if other.dir == "" && other.bundle == "" {
				other.dir, other.bundle = files.dir, files.bundle
			}
			other.keyPaths = files.keyPaths
			if other.dataPath == "" && !cmd.Flags().Changed("to-bundle") {
				other.dataPath = files.dataPath
			}
			candidate, err := buildEngine(cmd.Context(), other)
			if err != nil {
				return refused(fmt.Errorf("the candidate: %w", err))
			}
			d, err := engine.Compare(candidate)
			if err != nil {
				return err
			}
			if asJSON {
				return o.printJSON(d)
			}
			o.printDiff(d)
			return nil
		},
	}
	files.flags(cmd)
	cmd.Flags().StringVar(&other.dir, "to-dir", "", "folder of the candidate (default: the same policy)")
	cmd.Flags().StringVar(&other.bundle, "to-bundle", "", "bundle of the candidate, in place of a folder")
	cmd.MarkFlagsMutuallyExclusive("to-dir", "to-bundle")
	cmd.Flags().StringVar(&other.dataPath, "to-data", "", "data of the candidate (default: the same data)")
	cmd.MarkFlagsOneRequired("to-dir", "to-bundle", "to-data") // or it would be compared with itself
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// printDiff shows what differs, and returns how many lines of it are not shown.
func (o *options) printDiff(d policy.Diff) (unseen int) {
	fmt.Fprintf(o.out, "from %s\nto   %s\n", d.From, d.To)
	for _, group := range []struct {
		sign, what string
		names      []string
	}{
		{"+", "rule", d.RulesAdded}, {"-", "rule", d.RulesRemoved}, {"~", "rule", d.RulesChanged}, {"~", "helper", d.HelpersChanged},
		{"+", "module", d.ModulesAdded}, {"-", "module", d.ModulesRemoved}, {"~", "module", d.ModulesChanged},
	} {
		for _, name := range group.names {
			fmt.Fprintf(o.out, "%s %s %s\n", group.sign, group.what, printable(name))
		}
	}
	data := dataDiff{out: o.out}
	for _, c := range d.Data {
		data.print(c)
	}
	unseen = data.end()
	if d.More {
		fmt.Fprintln(o.out, "and more that this difference does not list: make a new one")
		unseen++
	}
	if d.From == d.To {
		fmt.Fprintln(o.out, "nothing differs")
	}
	return unseen
}
