package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/policy"
)

// patience bounds one evaluation of a command for whose answer no signature waits: what it says is about the policy, and not about how
// busy the machine is.
const patience = 30 * time.Second

// buildEngine compiles, lints and tests a policy, for a command.
func buildEngine(ctx context.Context, files policyFiles) (*policy.Engine, error) {
	source, err := files.read()
	if err != nil {
		return nil, err
	}
	return policy.New(ctx, policy.Config{Source: source, Timeout: patience})
}

// policyHelp is what the commands that read a policy say of where they find it.
const policyHelp = `The policy and its data are those of --dir and --data, or of --bundle. With --config, or without either flag where callback.toml is there,
they are those that the configuration names, and a flag replaces its own part. Which data was used is said.`

// fill takes from the configuration what no flag says: from one that was named, or, where no flag says anything, from the
// one that is there.
func (f *policyFiles) fill(cmd *cobra.Command, configPath string) error {
	flags := cmd.Flags()
	if !flags.Changed("config") {
		if flags.Changed("dir") || flags.Changed("data") || flags.Changed("bundle") {
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
	f.configured(cmd, c)
	return nil
}

// source reads the policy of a command, and checks nothing yet.
func (f *policyFiles) source(cmd *cobra.Command, configPath string) (*policy.Source, error) {
	if err := f.fill(cmd, configPath); err != nil {
		return nil, err
	}
	source, err := f.read()
	return source, refused(err)
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
		Use: "policy", Short: "Check, test, try and change policies",
		Example: "  callback policy check --dir policy\n  callback policy test --data data.json\n  callback policy eval request.json --data data.json",
	}
	parent.AddCommand(o.policyCheck(), o.policyTest(), o.policyProp(), o.policyEval(), o.policyFmt(), o.policySchema(), o.policyBundle(), o.policySign(), o.policyDiff(), o.policyBacktest(), o.policyReload())
	parent.AddCommand(o.policyHistory(), o.policyActivate(), o.policyRollback(), o.policyPropose(), o.policyProposals(), o.policyApprove(), o.policyShadow(), o.policyDropStaged())
	return parent
}

func (o *options) policyReload() *cobra.Command {
	server := admin{timeout: changeTimeout}
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
