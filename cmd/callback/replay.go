package main

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/callback"
)

func (o *options) replay() *cobra.Command {
	var server admin
	asJSON := false
	cmd := &cobra.Command{
		Use: "replay ID", Short: "Make a recorded decision again: the recorded input has to give it, and the outcome its reply, byte for byte",
		Long: `Judge the recorded input of a decision again, by the policy that decided, and make its reply again. The server keeps every policy
that was live; the reply, which is signed deterministically, comes out as long as the node's entry has its key. The exit code is 2 if
anything comes out otherwise.`,
		Example: "  callback replay 0190c1d2e3f4a5b6c7d8e9f0a1b2c3d4",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var view callback.ReplayView
			if err := o.call(cmd.Context(), &server, "GET", "/admin/v1/decisions/"+url.PathEscape(args[0])+"/replay", nil, &view); err != nil {
				return err
			}
			var err error
			if asJSON {
				err = o.printJSON(view)
			} else {
				o.printReplay(view)
			}
			if len(view.Differences) > 0 {
				err = errors.Join(err, refused(fmt.Errorf("decision %s does not come out as recorded", view.ID)))
			}
			return err
		},
	}
	server.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (o *options) printReplay(view callback.ReplayView) {
	for _, d := range view.Differences {
		fmt.Fprintln(o.out, printable(d))
	}
	if view.Judged && len(view.Differences) == 0 {
		fmt.Fprintln(o.out, "the recorded input gives the recorded decision")
	} else if !view.Judged {
		fmt.Fprintf(o.out, "the input was not judged again: it is a report, or the policy %s was not kept\n", printable(view.Revision))
	}
	if view.Reply {
		fmt.Fprintln(o.out, "the outcome gives the recorded reply, byte for byte")
	}
}
