package main

import (
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/policy/prover"
)

// proveCommand is how a server starts this program again to test a policy.
const proveCommand = "prove-policy"

func (o *options) prove() *cobra.Command {
	return &cobra.Command{
		Use: proveCommand, Short: "Test a policy for a server that runs", Hidden: true,
		Long: `Read a policy's archive from standard input, lint, compile and test it at a low priority, and write what came of it to
standard output. "callback serve" starts this before a policy follows another one; for tests by hand there is "callback policy check".`,
		Example: "  callback prove-policy <archive >answer",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return prover.Serve(cmd.Context(), o.in, o.out) },
	}
}

// prover is what tests policies beside a server; nil where this process is not the program.
func (o *options) prover(log *slog.Logger) (policy.Prover, error) {
	if !o.again {
		return nil, nil
	}
	return prover.New(prover.Config{Args: []string{proveCommand}, Log: log})
}
