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
	parent.AddCommand(o.logVerify(), o.logCheckpoint(), o.logProve(), o.logProveConsistency(), o.logCheckProof(), o.logExport(), o.logCopy(), o.logPrune())
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

func (o *options) logProveConsistency() *cobra.Command {
	var server admin
	out, asJSON := "growth.proof", false
	cmd := &cobra.Command{
		Use: "prove-consistency OLD-CHECKPOINT", Short: "Prove that the log only grew since an older checkpoint: writes a file for check-proof",
		Long: `Prove that the log, as it is now, holds unchanged all that it held when OLD-CHECKPOINT was signed: a file with what "callback log
checkpoint" printed. The proof holds the new checkpoint, and check-proof needs neither server nor log.`,
		Example: "  callback log prove-consistency kept/checkpoint.txt --out growth.proof",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			older, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			var view callback.GrowthView
			in := map[string]string{"checkpoint": string(older)}
			if err := o.call(cmd.Context(), &server, "POST", "/admin/v1/log/growth", in, &view); err != nil {
				return err
			}
			if asJSON {
				return o.printJSON(view)
			}
			if err := os.WriteFile(out, []byte(view.Proof), 0o600); err != nil {
				return err
			}
			fmt.Fprintf(o.out, "wrote %s\npublic key %s\ncheck with: callback log check-proof --public '%s' %s %s\n", out, view.PublicKey, view.PublicKey, args[0], out)
			return nil
		},
	}
	server.flags(cmd)
	cmd.Flags().StringVarP(&out, "out", "o", out, "the file that is written")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON and write no file")
	return cmd
}
