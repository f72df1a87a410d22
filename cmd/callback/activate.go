package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
)

// changeTimeout is for calls that run a policy's tests, and a backtest, on the server.
const changeTimeout = 10 * time.Minute

// handedInHelp is what the commands that send a policy say of where they find it.
const handedInHelp = `What no flag says of the policy is as the configuration has it, where that is there: with --data alone the modules are those that the
server is configured with. A data.json that stands in --dir is taken with it, as "callback policy check" does, unless --config is given.`

// handedIn is a policy on this machine as it is sent to a server, which compiles, lints and tests it, with its revision. What no flag
// says is as in the configuration: else a server with modules of its own would get the shipped ones by --data alone.
func (o *options) handedIn(cmd *cobra.Command, files *policyFiles) (callback.PolicyText, string, error) {
	if err := files.fill(cmd, o.config); err != nil {
		return callback.PolicyText{}, "", err
	}
	if _, err := os.Stat(o.config); err == nil {
		c, err := loadConfig(o.config)
		if err != nil {
			return callback.PolicyText{}, "", err
		}
		files.configured(cmd, c)
		if flags := cmd.Flags(); flags.Changed("dir") && !flags.Changed("data") && !flags.Changed("config") {
			files.ownData()
		}
	}
	source, err := files.read()
	if err != nil {
		return callback.PolicyText{}, "", refused(err)
	}
	revision, err := source.Revision()
	if err != nil {
		return callback.PolicyText{}, "", refused(err)
	}
	for name, text := range source.Modules {
		if !utf8.Valid(text) {
			return callback.PolicyText{}, "", refused(fmt.Errorf("%s is not UTF-8", name))
		}
	}
	return callback.PolicyTextOf(source), revision, nil
}

func (o *options) policyActivate() *cobra.Command {
	server := admin{timeout: changeTimeout}
	var files policyFiles
	reason, asJSON := "", false
	cmd := &cobra.Command{
		Use: "activate [PROPOSAL]", Short: "Make a policy live on the server: one that is handed in, or a proposal that was approved",
		Long: `Send the policy of --dir and --data, or of --bundle, to the server, which compiles, lints and tests it and makes it live, or take a PROPOSAL that was
approved. It is recorded in the log, with who did it. Where the active policy asks for approvals of its change (policy_changes), only
a proposal is taken. The role "operator" is needed.

With policy.source = "files" it holds until the files of the server change or are reloaded; with "activated" until the next change.

` + handedInHelp,
		Example: `  callback policy activate --config callback.toml --data candidate.json --reason 'limit of wallet 7 raised, ticket 4711'
  callback policy activate 0190c1d2e3f4a5b6c7d8e9f0a1b2c3d4`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request := callback.PolicyRequest{Reason: reason}
			if len(args) == 1 {
				if f := cmd.Flags(); f.Changed("dir") || f.Changed("data") || f.Changed("bundle") {
					return refused(fmt.Errorf("a proposal holds its policy: leave out --dir, --data and --bundle"))
				}
				request.Proposal = args[0]
			} else {
				var err error
				if request.PolicyText, _, err = o.handedIn(cmd, &files); err != nil {
					return err
				}
			}
			return o.change(cmd, &server, "/admin/v1/policy/activate", request, asJSON)
		},
	}
	server.flags(cmd)
	files.flags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, as it is recorded")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (o *options) policyRollback() *cobra.Command {
	server := admin{timeout: changeTimeout}
	var request callback.RollbackRequest
	asJSON := false
	cmd := &cobra.Command{
		Use: "rollback [REVISION]", Short: "Make the policy before live again, or another that was live",
		Long: `Make the policy before the active one live again, or the one with this REVISION, which has to have been live ("callback policy
history" lists them). It is built from what the server has kept of it, so no file is needed. It is recorded in the log. A second
rollback goes one further back. The role "operator" is needed.

Where the active policy asks for approvals of its change, only the policy just before can be taken without them, and only within
policy_changes.rollback_seconds of the change; else propose it: callback policy propose --revision REVISION.`,
		Example: "  callback policy rollback --reason 'rejects payroll'\n  callback policy rollback 5f0c…e1 --json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				request.Revision = args[0]
			}
			return o.change(cmd, &server, "/admin/v1/policy/rollback", request, asJSON)
		},
	}
	server.flags(cmd)
	cmd.Flags().StringVar(&request.Reason, "reason", "", "why, as it is recorded")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// change asks for a change and shows the record of it.
func (o *options) change(cmd *cobra.Command, server *admin, path string, request any, asJSON bool) error {
	var rec ledger.ActivationRecord
	if err := o.call(cmd.Context(), server, "POST", path, request, &rec); err != nil {
		return err
	}
	if asJSON {
		return o.printJSON(rec)
	}
	fmt.Fprintf(o.out, "live: %s\nbefore: %s\nactivation %d, entry %s of the log\n", rec.To, rec.From, rec.Number, rec.ID)
	return nil
}

func (o *options) policyPropose() *cobra.Command {
	server := admin{timeout: changeTimeout}
	var files policyFiles
	request := callback.PolicyRequest{}
	asJSON := false
	cmd := &cobra.Command{
		Use: "propose", Short: "Propose a policy: the server judges the recorded log by it, and approvers vote on it with that effect",
		Long: `Send the policy of --dir and --data to the server, or name the --revision of one that was live. The server compiles, lints and tests
it, judges the newest 20000 recorded decisions again by it, windows filled anew, and keeps all of that as a proposal: it is not live.
"callback policy approve" votes on it and "callback policy activate ID" makes it live once enough have approved, before it expires
and unless another policy was made live meanwhile. The role "operator" is needed.

` + handedInHelp,
		Example: `  callback policy propose --config callback.toml --data candidate.json --reason 'ticket 4711'
  callback policy propose --revision 5f0c…e1 --reason 'back to the policy of March'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sent := request.Revision
			if request.Revision == "" {
				var err error
				if request.PolicyText, sent, err = o.handedIn(cmd, &files); err != nil {
					return err
				}
			}
			var view callback.ProposalView
			if err := o.call(cmd.Context(), &server, "POST", "/admin/v1/policy/proposals", request, &view); err != nil {
				return err
			}
			if view.To != sent {
				return refused(fmt.Errorf("the server has made the proposal %s of another policy (%s) than the one that was sent (%s): do not approve it", view.ID, view.To, sent))
			}
			if asJSON {
				return o.printJSON(view)
			}
			_, err := o.printProposal(cmd, &view, false)
			return err
		},
	}
	server.flags(cmd)
	files.flags(cmd)
	cmd.Flags().StringVar(&request.Revision, "revision", "", "a policy that was live, in place of --dir and --data")
	cmd.Flags().StringVar(&request.Reason, "reason", "", "why, as approvers see it and as it is recorded")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// proposalLine says in one line what has come of a proposal.
func proposalLine(p ledger.Proposal) string {
	need := "needs no approval"
	if r := p.Requirement; r != nil {
		need = fmt.Sprintf("%d of %d of group %s", approvalsIn(p.Votes), r.Threshold, r.Group)
	}
	return fmt.Sprintf("%s  %s  %s  by %s  expires %s", p.ID, p.State, need, printable(p.Proposer), p.Expires.UTC().Format(time.RFC3339))
}

// effectOf reads the documents of a proposal as they are hashed.
func effectOf(view *callback.ProposalView) (d policy.Diff, e callback.Effect, err error) {
	if err = json.Unmarshal([]byte(view.DiffDocument), &d); err == nil {
		err = json.Unmarshal([]byte(view.EffectDocument), &e)
	}
	if err != nil {
		return d, e, refused(fmt.Errorf("read the proposal's documents: %w", err))
	}
	return d, e, nil
}
