package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
)

func (o *options) policyProposals() *cobra.Command {
	var server admin
	asJSON := false
	cmd := &cobra.Command{
		Use: "proposals [ID]", Short: "List the proposals of policies, or show one: what differs, and what would have been decided otherwise",
		Long: `List the proposals that are kept, newest first. With an ID show that one: the differences of rules, files and data, and its effect on
the recorded log: which decisions flip, by rule, number and amount. What is shown is checked here: that the policies have the
revisions that they are said to have, and that their difference is the one that is voted on.`,
		Example: "  callback policy proposals --config callback.toml\n  callback policy proposals 0190c1d2e3f4a5b6c7d8e9f0a1b2c3d4",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				view, err := o.fetchProposal(cmd.Context(), &server, args[0])
				if err != nil {
					return err
				}
				if asJSON {
					return o.printJSON(view)
				}
				_, err = o.printProposal(cmd, view, true)
				return err
			}
			var list callback.ProposalList
			if err := o.call(cmd.Context(), &server, "GET", "/admin/v1/policy/proposals", nil, &list); err != nil {
				return err
			}
			if asJSON {
				return o.printJSON(list)
			}
			if len(list.Proposals) == 0 {
				fmt.Fprintln(o.out, "no proposals")
			}
			for _, p := range list.Proposals {
				fmt.Fprintf(o.out, "%s\n  %s -> %s  %s\n", proposalLine(p), short(p.From), short(p.To), printable(p.Reason))
			}
			return nil
		},
	}
	server.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (o *options) fetchProposal(ctx context.Context, server *admin, id string) (*callback.ProposalView, error) {
	view := &callback.ProposalView{}
	err := o.call(ctx, server, "GET", "/admin/v1/policy/proposals/"+url.PathEscape(id), nil, view)
	if err == nil && view.ID != id {
		err = refused(errors.New("the server answered with another proposal than the one asked for"))
	}
	return view, err
}

func (o *options) policyApprove() *cobra.Command {
	var server admin
	keyPath := ""
	reject, yes, unseen, asJSON := false, false, false, false
	cmd := &cobra.Command{
		Use: "approve ID --key FILE", Short: "Approve, or reject, a proposed policy: shows it with its effect, checks it, signs here and hands the vote in",
		Long: `Fetch a proposal, show what differs and what its effect is, sign the vote with your own key, on this machine, and hand it in.

The server is not taken at its word: what is signed is a hash that is made here of what is shown here. The revisions of both policies,
their difference and the hashes of the documents are computed anew, and both policies have to pass their tests here; anything that
differs ends the command before something is signed. That the effect is what the log gives is the server's word: "callback policy
backtest" computes it from an exported log.

Of a member of the data in which more than 20000 lines differ, it shows that many and approves only with --unseen.

On a terminal it asks before signing, unless --yes.`,
		Example: `  callback policy approve 0190c1d2e3f4a5b6c7d8e9f0a1b2c3d4 --key ~/keys/alice.pem
  callback policy approve 0190c1d2e3f4a5b6c7d8e9f0a1b2c3d4 --key alice.pem --reject --server 127.0.0.1:9091 --token-file approver.token`,
		Args: cobra.ExactArgs(1),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		key, err := loadApproverKey(keyPath)
		if err != nil {
			return err
		}
		view, err := o.fetchProposal(cmd.Context(), &server, args[0])
		if err != nil {
			return err
		}
		decision := ledger.VoteApprove
		if reject {
			decision = ledger.VoteReject
		}
		show := o.streams
		if asJSON {
			show.out = o.err
		}
		hidden, err := (&options{streams: show}).printProposal(cmd, view, true)
		if err != nil {
			return err
		}
		if hidden > 0 && !reject && !unseen {
			return refused(fmt.Errorf("%d lines of what differs are not shown: nothing was signed; read them by \"callback policy proposals %s --json\", "+
				"then approve with --unseen", hidden, view.ID))
		}
		if view.Requirement == nil {
			return refused(errors.New("the active policy asks for no approvals: the proposal can be activated as it is"))
		}
		approver, err := approverOf(key, *view.Requirement)
		if err != nil {
			return err
		}
		if err := o.confirm(decision, approver, yes); err != nil {
			return err
		}
		signature, err := signVote(key, ledger.PolicyChangeSigningBytes(view.Proposal, decision))
		if err != nil {
			return err
		}
		var after ledger.Proposal
		vote := ledger.Signed{Approver: approver, Decision: decision, Signature: signature}
		if err := o.call(cmd.Context(), &server, "POST", "/admin/v1/policy/proposals/"+url.PathEscape(view.ID)+"/signatures", vote, &after); err != nil {
			return err
		}
		if asJSON {
			return o.printJSON(after)
		}
		fmt.Fprintf(o.out, "%s: %s by %s recorded; %d of %d approvals, state %s\n", after.ID, decision, approver, approvalsIn(after.Votes), view.Requirement.Threshold, after.State)
		return nil
	}
	server.flags(cmd)
	cmd.Flags().StringVar(&keyPath, "key", "", "the approver's private key (PEM, P-256 or Ed25519)")
	cmd.Flags().BoolVar(&reject, "reject", false, "reject instead of approving")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask before signing")
	cmd.Flags().BoolVar(&unseen, "unseen", false, "approve although more lines of data differ than are shown: you have read them elsewhere")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the proposal afterwards as JSON; what is voted on goes to standard error")
	_ = cmd.MarkFlagRequired("key")
	return cmd
}

var errOtherProposal = errors.New("what the server shows of the proposal is not what would be voted on: nothing was signed; tell the security team")

// checkProposal computes anew what a vote stands for, of what is shown.
func checkProposal(ctx context.Context, view *callback.ProposalView) error {
	var engines [2]*policy.Engine
	for i, side := range []struct {
		text     callback.PolicyText
		revision string
	}{{view.FromPolicy, view.From}, {view.ToPolicy, view.To}} {
		e, err := policy.New(ctx, policy.Config{Source: side.text.Source()})
		if err != nil {
			return refused(fmt.Errorf("%w (the policy %s does not pass here: %v)", errOtherProposal, short(side.revision), err))
		}
		if e.Revision() != side.revision {
			return refused(fmt.Errorf("%w (the policy shown as %s is %s)", errOtherProposal, short(side.revision), short(e.Revision())))
		}
		engines[i] = e
	}
	document, err := callback.DiffDocument(engines[0], engines[1])
	if err != nil {
		return err
	}
	for what, same := range map[string]bool{
		"the policy's bytes":         sha256.Sum256(view.ToPolicy.Source().Archive()) == view.Content,
		"the difference":             string(document) == view.DiffDocument,
		"the hash of the difference": sha256.Sum256(document) == view.Diff,
		"the hash of the effect":     sha256.Sum256([]byte(view.EffectDocument)) == view.Effect,
	} {
		if !same {
			return refused(fmt.Errorf("%w (%s differs)", errOtherProposal, what))
		}
	}
	_, effect, err := effectOf(view)
	if err == nil && (effect.From != view.From || effect.Revision != view.To || effect.Judged != int(view.Judged)) {
		return refused(fmt.Errorf("%w (the effect is that of another change)", errOtherProposal))
	}
	return err
}

// printProposal shows what is proposed, with its effect, and, where check is set, checks it first. It returns how many lines of what
// differs are not shown.
func (o *options) printProposal(cmd *cobra.Command, view *callback.ProposalView, check bool) (unseen int, err error) {
	if check {
		if err := checkProposal(cmd.Context(), view); err != nil {
			return 0, err
		}
	}
	d, effect, err := effectOf(view)
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(o.out, "proposal %s\n", proposalLine(view.Proposal))
	if view.Reason != "" {
		fmt.Fprintf(o.out, "why: %s\n", printable(view.Reason))
	}
	fmt.Fprintln(o.out, "what differs")
	unseen = o.printDiff(d)
	printFiles(o.out, view.FromPolicy, view.ToPolicy)
	fmt.Fprintf(o.out, "effect on the recorded log, decisions %s to %s\n", effect.First, effect.Last)
	o.printEmptyBefore(&effect)
	o.printBacktest(&effect.Backtest, 10)
	if effect.Flipped > len(effect.Flips) {
		fmt.Fprintf(o.out, "%d decisions flip in all: the first %d are in the proposal one by one, the sums are over all\n", effect.Flipped, len(effect.Flips))
	}
	for _, v := range view.Votes {
		fmt.Fprintf(o.out, "vote: %s by %s\n", v.Decision, printable(v.Approver))
	}
	return unseen, nil
}

// printEmptyBefore tells approvers what the effect cannot show.
func (o *options) printEmptyBefore(e *callback.Effect) {
	if e.Since.IsZero() {
		return
	}
	older := ""
	if e.Older {
		older = "older decisions were not judged; "
	}
	fmt.Fprintf(o.out, "%swindows begin empty at %s: what was approved before counts in none, so lifetime and long ones are judged too mildly\n",
		older, e.Since.Format(time.RFC3339))
}

// printFiles shows the lines that differ in Rego files.
func printFiles(w io.Writer, from, to callback.PolicyText) {
	names := slices.Sorted(maps.Keys(from.Modules))
	for name := range to.Modules {
		if _, both := from.Modules[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		text := diff.Diff("from/"+name, []byte(from.Modules[name]), "to/"+name, []byte(to.Modules[name]))
		for line := range strings.Lines(string(text)) {
			fmt.Fprintln(w, printable(strings.ReplaceAll(strings.TrimRight(line, "\n"), "\t", "    ")))
		}
	}
}
