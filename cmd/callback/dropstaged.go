package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/ledger"
)

func (o *options) policyDropStaged() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "drop-staged", Short: "Remove what is stored of a policy that never went live, where \"log verify\" names damage in it",
		Long: `A long policy is stored in pieces before it goes live, and what is left of a change that came to nothing is removed by the next one.
Where a disk has damaged such a piece, or the note of which policy is being stored, a policy may not go live any more: that fails with
"the ledger is damaged", and "callback log verify" names what is damaged and this command. It removes these pieces and the note, of the
configured ledger. No decision needs them; the policies that were live, the log and what was counted stay as they are.

With the ledger in a file stop the server before, and copy the file if the damage is to be looked into. With PostgreSQL servers may run.
If a policy that was live cannot be read, nothing is removed and the exit code is 2: restore a backup. It is 2 too where damage hides what
else there is: the error says whether to do it again, or to restore a backup.`,
		Example: "  callback policy drop-staged --config /etc/countersign/callback.toml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dropped, err := o.dropStaged(cmd.Context())
			if err != nil && len(dropped) == 0 {
				return err
			}
			if asJSON {
				return errors.Join(o.printJSON(map[string]any{"removed": append([]string{}, dropped...)}), err)
			}
			for _, revision := range dropped {
				fmt.Fprintf(o.out, "removed what was stored of policy %s\n", printable(revision))
			}
			if len(dropped) == 0 {
				fmt.Fprintln(o.out, "nothing was stored of a policy that never went live")
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (o *options) dropStaged(ctx context.Context) (dropped []string, err error) {
	c, err := loadConfig(o.config)
	if err != nil {
		return nil, err
	}
	if c.Postgres.URLPath == "" {
		if _, err := os.Stat(c.DBPath); err != nil { // opening it would make one
			return nil, fmt.Errorf("read the ledger: %w", err)
		}
	}
	s, err := c.openStore(ctx)
	if err != nil {
		return nil, damaged(err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	dropped, err = ledger.DropStaged(ctx, s)
	return dropped, damaged(err)
}
