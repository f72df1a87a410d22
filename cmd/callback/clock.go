package main

import (
	"fmt"
	"os/user"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/callback"
)

func (o *options) clock() *cobra.Command {
	parent := &cobra.Command{
		Use: "clock", Short: "Confirm the server's clock after it jumped",
		Example: "  callback clock confirm --reason 'time server was wrong until 10:00'",
	}
	parent.AddCommand(o.clockConfirm())
	return parent
}

func (o *options) clockConfirm() *cobra.Command {
	var server admin
	said := callback.ClockConfirmation{}
	asJSON := false
	cmd := &cobra.Command{
		Use: "confirm", Short: "Say that the server's clock is right, so that it approves again; it is recorded in the log",
		Long: `While the server's clock does not agree with the time that it has recorded or measured, whatever would be approved waits
(ledger.clock). It goes on by itself when the clock has agreed for a minute. If it cannot agree, since the time that was
recorded is the wrong one, confirm the clock: look at it first, since approvals expire by it.`,
		Example: "  callback clock confirm --reason 'time server was wrong until 10:00'\n  callback clock confirm --operator alice --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if said.Operator == "" && server.cert == "" && server.tokenFile == "" { // else the server knows, or asks for, the name
				u, err := user.Current()
				if err != nil {
					return fmt.Errorf("who confirms the clock is not known: give --operator (%w)", err)
				}
				said.Operator = u.Username
			}
			var view callback.ClockView
			if err := o.call(cmd.Context(), &server, "POST", "/admin/v1/clock/confirm", said, &view); err != nil {
				return err
			}
			if asJSON {
				return o.printJSON(view)
			}
			fmt.Fprintf(o.out, "clock confirmed: it is %s, by %s (entry %s of the log); the newest time recorded before was %s\n",
				view.Time.UTC().Format(time.RFC3339), printable(view.Operator), view.ID, view.Before.UTC().Format(time.RFC3339))
			if view.Doubted {
				fmt.Fprintln(o.out, "approvals had been waiting for it and go on")
			} else {
				fmt.Fprintln(o.out, "it had not been in doubt")
			}
			return nil
		},
	}
	server.flags(cmd)
	cmd.Flags().StringVar(&said.Operator, "operator", "", "who says so, as it is recorded (default: the name under which the server knows the client; with the configured admin token, that of the user that runs this)")
	cmd.Flags().StringVar(&said.Reason, "reason", "", "why, as it is recorded")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
