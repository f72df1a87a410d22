package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/ledger"
)

// proofSource is who has checkpoints and proofs: a running server, or with db a file.
type proofSource struct {
	server admin
	db     string // "": the server
}

// storedProofs is what the commands say of --db.
const storedProofs = `With --db it is read from a ledger's file, such as a copy, and no server is asked. The log's key is not in reach then, so that what
came after the newest stored checkpoint is not covered; servers sign one at most every second while they decide, and when they stop.`

func (p *proofSource) flags(cmd *cobra.Command) {
	p.server.flags(cmd)
	cmd.Flags().StringVar(&p.db, "db", "", "a ledger's file, such as a copy, in place of a server: a running server has its own to itself, and callback log copy makes a copy of it")
	for _, name := range []string{"server", "token-file", "ca-file", "client-cert", "client-key"} {
		cmd.MarkFlagsMutuallyExclusive("db", name)
	}
}

// stored calls fn with what the file has recorded. What is not there, does not fit or is damaged is refused, as by a server.
func (p *proofSource) stored(ctx context.Context, fn func(*ledger.History) error) error {
	s, err := openCopy(p.db)
	if err != nil {
		return damaged(err)
	}
	h, err := ledger.ReadHistory(ctx, s)
	if err == nil {
		err = fn(h)
	}
	if errors.Is(err, ledger.ErrNotFound) || errors.Is(err, ledger.ErrExpired) || errors.Is(err, ledger.ErrInvalid) {
		err = refused(err)
	}
	return errors.Join(damaged(err), s.Close())
}

func (o *options) logCheckpoint() *cobra.Command {
	var source proofSource
	asJSON := false
	cmd := &cobra.Command{
		Use: "checkpoint", Short: "Sign the log as it is now, and print the checkpoint: keep it on another machine",
		Long:    "Sign the log as it is now, and print the checkpoint: keep it on another machine, for \"log verify\" and \"log prove-consistency\".\n\n" + storedProofs,
		Example: "  callback log checkpoint > checkpoint.txt\n  callback log checkpoint --db copy-of-callback.db --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var view callback.CheckpointView
			if err := o.checkpoint(cmd.Context(), &source, &view); err != nil {
				return err
			}
			if asJSON {
				return o.printJSON(view)
			}
			fmt.Fprint(o.out, view.Checkpoint)
			return nil
		},
	}
	source.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: the checkpoint and the log's public key")
	return cmd
}

func (o *options) checkpoint(ctx context.Context, source *proofSource, view *callback.CheckpointView) error {
	if source.db == "" {
		return o.call(ctx, &source.server, "GET", "/admin/v1/log/checkpoint", nil, view)
	}
	return source.stored(ctx, func(h *ledger.History) error {
		signed, err := h.Checkpoint(ctx)
		view.Checkpoint, view.PublicKey = string(signed), h.LogPublic()
		return err
	})
}

func (o *options) logProve() *cobra.Command {
	var source proofSource
	out, asJSON := "", false
	cmd := &cobra.Command{
		Use: "prove ID", Short: "Prove that a decision is in the log: writes OUT.entry and OUT.proof for check-proof",
		Long: "Prove that a decision, or another entry of the log, is in it. Writes OUT.entry and OUT.proof, which check-proof needs and nothing else but\n" +
			"the log's public key.\n\n" + storedProofs,
		Example: "  callback log prove 0190c1d2e3f4a5b6c7d8e9f0a1b2c3d4 --out proof\n  callback log prove 0190c1d2e3f4a5b6c7d8e9f0a1b2c3d4 --db copy-of-callback.db",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var view callback.ProofView
			if err := o.entryProof(cmd.Context(), &source, args[0], &view); err != nil {
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
	source.flags(cmd)
	cmd.Flags().StringVarP(&out, "out", "o", "", "name of the files without suffix (default: the ID)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON and write no file")
	return cmd
}

func (o *options) entryProof(ctx context.Context, source *proofSource, id string, view *callback.ProofView) error {
	if source.db == "" {
		return o.call(ctx, &source.server, "GET", "/admin/v1/log/proofs/"+url.PathEscape(id), nil, view)
	}
	return source.stored(ctx, func(h *ledger.History) error {
		entry, proof, err := h.Prove(ctx, id)
		*view = callback.ProofView{Entry: base64.StdEncoding.EncodeToString(entry), Proof: string(proof), PublicKey: h.LogPublic()}
		return err
	})
}

func (o *options) logProveConsistency() *cobra.Command {
	var source proofSource
	out, asJSON := "growth.proof", false
	cmd := &cobra.Command{
		Use: "prove-consistency OLD-CHECKPOINT", Short: "Prove that the log only grew since an older checkpoint: writes a file for check-proof",
		Long: `Prove that the log, as it is now, holds unchanged all that it held when OLD-CHECKPOINT was signed: a file with what "callback log
checkpoint" printed. The proof holds the new checkpoint, and check-proof needs neither server nor log.

` + storedProofs,
		Example: "  callback log prove-consistency kept/checkpoint.txt --out growth.proof\n  callback log prove-consistency kept/checkpoint.txt --db copy-of-callback.db",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			older, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			var view callback.GrowthView
			if err := o.growthProof(cmd.Context(), &source, older, &view); err != nil {
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
	source.flags(cmd)
	cmd.Flags().StringVarP(&out, "out", "o", out, "the file that is written")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON and write no file")
	return cmd
}

func (o *options) growthProof(ctx context.Context, source *proofSource, older []byte, view *callback.GrowthView) error {
	if source.db == "" {
		return o.call(ctx, &source.server, "POST", "/admin/v1/log/growth", map[string]string{"checkpoint": string(older)}, view)
	}
	return source.stored(ctx, func(h *ledger.History) error {
		proof, err := h.ProveGrowth(ctx, older)
		*view = callback.GrowthView{Proof: string(proof), PublicKey: h.LogPublic()}
		return err
	})
}
