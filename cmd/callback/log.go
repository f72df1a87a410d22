package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/auditlog"
	"github.com/countersign-mpc/countersign/ledger"
)

func (o *options) log() *cobra.Command {
	parent := &cobra.Command{
		Use: "log", Short: "Verify the log of all decisions, and prove what is in it",
		Example: "  callback log verify --config callback.toml\n  callback log prove ID --out proof\n  callback log check-proof --public KEY proof.entry proof.proof",
	}
	parent.AddCommand(o.logVerify(), o.logCheckpoint(), o.logProve(), o.logProveConsistency(), o.logCheckProof(), o.logExport(), o.logCopy(), o.logPrune())
	return parent
}

func (o *options) logCheckProof() *cobra.Command {
	public, asJSON := "", false
	cmd := &cobra.Command{
		Use: "check-proof ENTRY|OLD-CHECKPOINT PROOF --public KEY", Short: "Check, offline, that an entry is in the log, or that the log grew out of an older checkpoint",
		Long: `Check, offline and with nothing but the log's public key, what "callback log prove" or "callback log prove-consistency" wrote: that an
entry is in the log, or that a log holds, unchanged and in the same places, all that it held when the older checkpoint was signed.`,
		Example: "  callback log check-proof --public 'countersign/callback+1a2b3c4d+A…' proof.entry proof.proof\n" +
			"  callback log check-proof --public 'countersign/callback+1a2b3c4d+A…' kept/checkpoint.txt growth.proof",
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			entry, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			proof, err := os.ReadFile(args[1])
			if err != nil {
				return err
			}
			if _, err := auditlog.ParseConsistency(proof); err == nil {
				return o.checkGrowth(strings.TrimSpace(public), entry, proof, asJSON)
			}
			index, size, err := auditlog.CheckInclusion(strings.TrimSpace(public), entry, proof)
			if err != nil {
				return refused(err)
			}
			e, err := ledger.ParseEntry(entry)
			if err != nil {
				return refused(err)
			}
			if asJSON {
				return o.printJSON(map[string]any{"id": e.ID(), "time": e.Time(), "index": index, "size": size})
			}
			fmt.Fprintf(o.out, "%s is entry %d of the log of %s\n", e.ID(), index, counted(size, "entry"))
			return nil
		},
	}
	cmd.Flags().StringVar(&public, "public", "", "the log's public key, from a source that you trust")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	_ = cmd.MarkFlagRequired("public")
	return cmd
}

func (o *options) checkGrowth(public string, older, proof []byte, asJSON bool) error {
	from, to, err := auditlog.CheckConsistency(public, older, proof)
	if err != nil {
		return refused(err)
	}
	if asJSON {
		return o.printJSON(map[string]any{"old_size": from, "size": to})
	}
	fmt.Fprintf(o.out, "the log of %s grew out of the checkpoint over %d\n", counted(to, "entry"), from)
	return nil
}
