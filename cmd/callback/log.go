package main

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/auditlog"
	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/ledger"
)

func (o *options) log() *cobra.Command {
	parent := &cobra.Command{
		Use: "log", Short: "Verify the log of all decisions, and prove what is in it",
		Example: "  callback log verify --config callback.toml\n  callback log prove ID --out proof\n  callback log check-proof --public KEY proof.entry proof.txt",
	}
	parent.AddCommand(o.logVerify(), o.logCheckpoint(), o.logProve(), o.logCheckProof(), o.logExport(), o.logPrune())
	return parent
}

func (o *options) logCheckpoint() *cobra.Command {
	var server admin
	asJSON := false
	cmd := &cobra.Command{
		Use: "checkpoint", Short: "Sign the log as it is now, and print the checkpoint: keep it on another machine",
		Example: "  callback log checkpoint > checkpoint.txt",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var view callback.CheckpointView
			if err := o.call(cmd.Context(), &server, "GET", "/admin/v1/log/checkpoint", nil, &view); err != nil {
				return err
			}
			if asJSON {
				return o.printJSON(view)
			}
			fmt.Fprint(o.out, view.Checkpoint)
			return nil
		},
	}
	server.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: the checkpoint and the log's public key")
	return cmd
}

func (o *options) logProve() *cobra.Command {
	var server admin
	out, asJSON := "", false
	cmd := &cobra.Command{
		Use: "prove ID", Short: "Prove that a decision is in the log: writes OUT.entry and OUT.proof for check-proof",
		Example: "  callback log prove 0190c1d2e3f4a5b6c7d8e9f0a1b2c3d4 --out proof",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var view callback.ProofView
			if err := o.call(cmd.Context(), &server, "GET", "/admin/v1/log/proofs/"+url.PathEscape(args[0]), nil, &view); err != nil {
				return err
			}
			if asJSON {
				return o.printJSON(view)
			}
			if out == "" {
				out = args[0]
			}
			entry, err := base64.StdEncoding.DecodeString(view.Entry)
			if err != nil {
				return fmt.Errorf("read the server's answer: %w", err)
			}
			for suffix, data := range map[string][]byte{".entry": entry, ".proof": []byte(view.Proof)} {
				if err := os.WriteFile(out+suffix, data, 0o600); err != nil {
					return err
				}
			}
			fmt.Fprintf(o.out, "wrote %s.entry and %s.proof\npublic key %s\ncheck with: callback log check-proof --public '%s' %s.entry %s.proof\n", out, out, view.PublicKey, view.PublicKey, out, out)
			return nil
		},
	}
	server.flags(cmd)
	cmd.Flags().StringVarP(&out, "out", "o", "", "name of the files without suffix (default: the ID)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON and write no file")
	return cmd
}

func (o *options) logCheckProof() *cobra.Command {
	public, asJSON := "", false
	cmd := &cobra.Command{
		Use: "check-proof ENTRY PROOF --public KEY", Short: "Check, offline, that an entry is in the log that a public key stands for",
		Example: "  callback log check-proof --public 'countersign/callback+1a2b3c4d+A…' proof.entry proof.proof",
		Args:    cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			entry, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			proof, err := os.ReadFile(args[1])
			if err != nil {
				return err
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
			fmt.Fprintf(o.out, "%s is entry %d of the log of %d entries\n", e.ID(), index, size)
			return nil
		},
	}
	cmd.Flags().StringVar(&public, "public", "", "the log's public key, from a source that you trust")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	_ = cmd.MarkFlagRequired("public")
	return cmd
}
