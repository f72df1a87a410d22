package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/callback"
)

// shadowConfig is [policy.shadow].
type shadowConfig struct {
	Dir      string `toml:"dir"`
	DataPath string `toml:"data-path"`
}

func (s shadowConfig) on() bool { return s != shadowConfig{} }

// shadowFiles is where the configured shadow is read from: what it does not say is as in the policy.
func (c *config) shadowFiles() policyFiles {
	f := c.policyFiles()
	if c.Policy.Shadow.Dir != "" {
		f = policyFiles{dir: c.Policy.Shadow.Dir}
	}
	if c.Policy.Shadow.DataPath != "" {
		f.dataPath = c.Policy.Shadow.DataPath
	}
	return f
}

func (o *options) policyShadow() *cobra.Command {
	parent := &cobra.Command{
		Use: "shadow", Short: "Run a policy beside the live one: it sees what is asked, decides nothing, and is recorded where it differs",
		Long: `A shadow judges the live traffic beside the policy that decides, over windows of its own, which are filled with the newest recorded
decisions when it begins. No reply waits for it: where it falls behind, it skips decisions and counts them. What it would have decided
otherwise is kept in the ledger's store, the newest 10000 one by one and all in sums, until another shadow is set.`,
		Example: "  callback policy shadow set --data candidate.json\n  callback policy shadow report\n  callback policy shadow clear",
	}
	parent.AddCommand(o.shadowSet(), o.shadowShow(), o.shadowReport(), o.shadowClear())
	return parent
}

func (o *options) shadowSet() *cobra.Command {
	server := admin{timeout: changeTimeout}
	var files policyFiles
	request := callback.PolicyRequest{}
	asJSON := false
	cmd := &cobra.Command{
		Use: "set", Short: "Set the shadow, in the place of the one before and of what that has found out",
		Long: `Send the policy of --dir and --data to the server, or name the --revision of one that was live, to run beside the live one. The role
"operator" is needed. Where the configuration names a shadow (policy.shadow), it is changed there.

` + handedInHelp,
		Example: "  callback policy shadow set --config callback.toml --data candidate.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if request.Revision == "" {
				var err error
				if request.PolicyText, _, err = o.handedIn(cmd, &files); err != nil {
					return err
				}
			}
			return o.askShadow(cmd.Context(), &server, "POST", "/admin/v1/policy/shadow", request, asJSON)
		},
	}
	server.flags(cmd)
	files.flags(cmd)
	cmd.Flags().StringVar(&request.Revision, "revision", "", "a policy that was live, in place of --dir and --data")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (o *options) shadowShow() *cobra.Command {
	return o.shadowCall("show", "Show which policy is the shadow, how much it has seen, and how often it differed by rule", "GET", "/admin/v1/policy/shadow?limit=0", false)
}

func (o *options) shadowClear() *cobra.Command {
	return o.shadowCall("clear", "End the shadow, and forget what it has found out", "POST", "/admin/v1/policy/shadow/clear", false)
}

func (o *options) shadowReport() *cobra.Command {
	return o.shadowCall("report", "List what the shadow would have decided otherwise: by rule, number and amount, with the newest examples", "GET", "/admin/v1/policy/shadow", true)
}

// shadowCall is a command that asks for the state of the shadow, or ends it.
func (o *options) shadowCall(use, what, method, path string, list bool) *cobra.Command {
	var server admin
	asJSON, most := false, 20
	cmd := &cobra.Command{
		Use: use, Short: what, Args: cobra.NoArgs, Example: "  callback policy shadow " + use + " --config callback.toml\n  callback policy shadow " + use + " --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if list {
				path = fmt.Sprintf("/admin/v1/policy/shadow?limit=%d", most)
			}
			return o.askShadow(cmd.Context(), &server, method, path, nil, asJSON)
		},
	}
	server.flags(cmd)
	if list {
		cmd.Flags().IntVar(&most, "list", most, "how many examples are listed, at most 10000")
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// askShadow does one call about the shadow, and shows what it is then.
func (o *options) askShadow(ctx context.Context, server *admin, method, path string, in any, asJSON bool) error {
	var view callback.ShadowView
	if err := o.call(ctx, server, method, path, in, &view); err != nil {
		return err
	}
	if asJSON {
		return o.printJSON(view)
	}
	o.printShadow(&view)
	return nil
}

func (o *options) printShadow(v *callback.ShadowView) {
	if v.Revision == "" {
		fmt.Fprintln(o.out, "no shadow is set")
		return
	}
	fmt.Fprintf(o.out, "shadow %s, set by %s at %s\n", v.Revision, printable(v.Operator), v.Since.UTC().Format(time.RFC3339))
	fmt.Fprintf(o.out, "%s judged, %d would be decided otherwise; %d not seen, %d could not be judged\n", counted(v.Judged, "request"), v.Differences, v.Dropped, v.Skipped)
	for _, s := range v.Sums {
		o.printSum(s)
	}
	for _, f := range v.Examples {
		o.printFlip(f)
	}
}
