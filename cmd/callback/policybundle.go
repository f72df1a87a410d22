package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/policy/bundle"
)

func (o *options) policyBundle() *cobra.Command {
	var files policyFiles
	number, out := uint64(0), ""
	asJSON := false
	cmd := &cobra.Command{
		Use: "bundle", Short: "Put a policy into one file with a number, which a server can load and stock opa can read",
		Long: `Write a policy, its tests and its data into an OPA bundle (.tar.gz). It has to pass what a policy has to pass before it goes live. The
same policy and number give the same bytes. --revision is a number that has to be higher than that of every bundle that servers
have accepted before. An existing file is not overwritten. "callback policy sign" signs it; "bundle show" says what is in one.

` + policyHelp,
		Example: "  callback policy bundle --dir policy --revision 7 --out policy-7.tar.gz\n  callback policy bundle show policy-7.tar.gz --key policy-signer_public.pem",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if number == 0 || out == "" {
				return errors.New("--revision, a number from 1, and --out are needed")
			}
			source, err := files.source(cmd, o.config)
			if err != nil {
				return err
			}
			if _, err := policy.New(cmd.Context(), policy.Config{Source: source}); err != nil {
				return refused(err)
			}
			b := &bundle.Bundle{Source: source, Number: number}
			if err := writeBundle(out, b); err != nil {
				return err
			}
			return o.printBundle(out, b, asJSON)
		},
	}
	files.flags(cmd)
	cmd.Flags().Uint64Var(&number, "revision", 0, "number of the bundle, higher than of those before")
	cmd.Flags().StringVarP(&out, "out", "o", "", "file to write, such as policy-7.tar.gz")
	cmd.PersistentFlags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.AddCommand(o.policyBundleShow(&asJSON))
	return cmd
}

func (o *options) policyBundleShow(asJSON *bool) *cobra.Command {
	var keyPaths []string
	cmd := &cobra.Command{
		Use: "show FILE", Short: "Say what a bundle is: its number, its policy's revision, and who signed it",
		Long: `Read a bundle as a server does, and say its number, the revision that its policy has when it is live, and who signed it. With --key it
has to be signed by one of these keys; without, a signature is not verified.`,
		Example: "  callback policy bundle show policy-7.tar.gz\n  callback policy bundle show policy-7.tar.gz --key policy-signer_public.pem --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			keys, err := readBundleKeys(keyPaths)
			if err != nil {
				return refused(err)
			}
			b, err := bundle.ReadFile(args[0], keys)
			if err != nil {
				return refused(err)
			}
			return o.printBundle(args[0], b, *asJSON)
		},
	}
	cmd.Flags().StringArrayVar(&keyPaths, "key", nil, "PEM file of a public key by which it has to be signed (may be repeated)")
	return cmd
}

func (o *options) policySign() *cobra.Command {
	keyPath, out := "", ""
	asJSON := false
	cmd := &cobra.Command{
		Use: "sign FILE", Short: "Sign a bundle, so that servers know who made it",
		Long: `Sign a bundle with a private key of P-256, as "callback keys generate" makes it, or of Ed25519 (PKCS #8), in PEM. Servers whose
configuration lists the public key (policy.bundle-key-paths) take no other bundle, and stock opa verifies the same signature under
the id of the key that is printed. The file is replaced at once, or --out is written.`,
		Example: "  callback policy sign policy-7.tar.gz --key policy-signer.pem\n  callback policy sign policy-7.tar.gz --key policy-signer.pem --out signed.tar.gz",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if keyPath == "" {
				return errors.New("--key is needed: the private key (callback keys generate)")
			}
			b, err := bundle.ReadFile(args[0], nil)
			if err != nil {
				return refused(err)
			}
			if err := signWith(b, keyPath); err != nil {
				return refused(fmt.Errorf("%s: %w", keyPath, err))
			}
			to := args[0]
			if out == "" {
				err = overwrite(to, b)
			} else {
				to = out
				err = writeBundle(to, b)
			}
			if err != nil {
				return err
			}
			return o.printBundle(to, b, asJSON)
		},
	}
	cmd.Flags().StringVar(&keyPath, "key", "", "PEM file of the private key")
	cmd.Flags().StringVarP(&out, "out", "o", "", "file to write (default: the bundle itself is replaced)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// signWith signs with a key from a file that nobody else may read.
func signWith(b *bundle.Bundle, keyPath string) error {
	if err := private(keyPath); err != nil {
		return err
	}
	text, err := readSmall(keyPath)
	if err != nil {
		return err
	}
	defer clear(text) // what the key's own value holds stays until it is collected
	signer, err := bundle.ParseSigner(text)
	if err != nil {
		return err
	}
	_, err = b.Sign(signer)
	return err
}

// writeBundle writes a bundle to a file that is not there yet.
func writeBundle(path string, b *bundle.Bundle) error {
	text, err := b.Bytes()
	if err != nil {
		return err
	}
	err = writeNew(path, text, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: choose another name", path)
	}
	return err
}

func overwrite(path string, b *bundle.Bundle) error {
	text, err := b.Bytes()
	if err != nil {
		return err
	}
	return replaceFile(filepath.Clean(path), text)
}

func (o *options) printBundle(path string, b *bundle.Bundle, asJSON bool) error {
	revision, err := b.Source.Revision()
	if err != nil {
		return refused(fmt.Errorf("%s: %w", path, err))
	}
	if asJSON {
		return o.printJSON(map[string]any{
			"file": path, "number": b.Number, "revision": revision, "digest": b.Digest(), "signed": b.Signed, "signed_by": b.SignedBy, "modules": len(b.Source.Modules),
		})
	}
	signed := "not signed"
	switch {
	case b.SignedBy != "":
		signed = "signed by " + b.SignedBy
	case b.Signed:
		signed = "signed, which was not verified (--key)"
	}
	fmt.Fprintf(o.out, "%s\nnumber    %d\nrevision  %s\ndigest    %s\n%s\n", printable(path), b.Number, revision, b.Digest(), signed)
	return nil
}
