package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/keystore/segment"
	"github.com/countersign-mpc/countersign/node"
)

func (o *options) rekey() *cobra.Command {
	return &cobra.Command{
		Use: "rekey", Short: "Make a new master key in a new file, verify it, and replace the old file; the node is stopped",
		Long: `Make a new master key in a new file under a new password (or the old one again), copy everything into it, verify the copy
record by record, and put it in the place of the old file. Do this where a password has leaked: reset alone leaves the master
key as it was. Stop the node first. Copies of the old file, backups among them, still open with the old password and hold the
shares of then: destroy them, and make a new backup.

The present password, or t segments, are read first, then the new ones; from a terminal or, a line each, from standard input.`,
		Example: "  mpc-node rekey", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(o.config)
			if err != nil {
				return err
			}
			return o.doRekey(cmd.Context(), c)
		},
	}
}

func (o *options) doRekey(ctx context.Context, c config) (err error) {
	set, err := c.loadSegments()
	if err != nil {
		return err
	}
	if _, err := os.Lstat(c.Storage.Path); err != nil {
		return fmt.Errorf("no store to rekey: %w", err)
	}
	store, err := keystore.Open(keystore.Config{Path: c.Storage.Path})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closed(store)) }()
	before, err := store.Stat()
	if err != nil {
		return err
	}
	if err := o.open(ctx, store); err != nil {
		return err
	}
	next, err := o.nextCredential(set)
	if err != nil {
		return err
	}
	defer next.Wipe()
	after, err := store.Rekey(ctx, next)
	if err != nil {
		return err
	}
	fmt.Fprintf(o.out, "new master key: store %s is now store %s, all records verified\n", before.ID, after.ID)
	return nil
}

// closed closes a store that Rekey may have closed already.
func closed(store *keystore.Store) error {
	if err := store.Close(); !errors.Is(err, keystore.ErrClosed) {
		return err
	}
	return nil
}

// open reads the present password, or t segments, and unseals.
func (o *options) open(ctx context.Context, store *keystore.Store) error {
	set, err := store.SegmentSet()
	if err != nil {
		return err
	}
	present, err := o.credential(set, "Enter current password: ", false)
	if err != nil {
		return err
	}
	defer present.Wipe()
	if err := store.UnsealWith(ctx, present); err != nil {
		return &codedError{exitRefused, err}
	}
	return nil
}

func (o *options) nextCredential(set *segment.Manifest) (keystore.Credential, error) {
	return o.credential(set, "New password: ", true)
}

// credential reads a password, or the t segments of a set. At a terminal a refused segment may be entered again.
func (o *options) credential(set *segment.Manifest, prompt string, isNew bool) (keystore.Credential, error) {
	if set == nil {
		read := func() (keystore.Credential, error) {
			p, err := o.readPassword(prompt)
			return keystore.Password(p), err
		}
		if isNew {
			read = func() (keystore.Credential, error) {
				p, err := o.newPassword()
				return keystore.Password(p), err
			}
		}
		return read()
	}
	segments := segment.Collect(set)
	defer segments.Wipe()
	for !segments.Complete() {
		text, err := o.readPassword(fmt.Sprintf("Enter a segment of set %x (%d of %d are there): ", set.ID, len(segments.Numbers()), set.T))
		if err != nil {
			return keystore.Credential{}, err
		}
		err = segments.Add(text)
		text.Wipe()
		if err != nil && !o.isTerminal() {
			return keystore.Credential{}, &codedError{exitRefused, err}
		}
		if err != nil {
			fmt.Fprintf(o.err, "%v\n", err)
		}
	}
	return keystore.Segments(segments)
}

func (o *options) backup() *cobra.Command {
	cmd := o.simple("backup", "Write a consistent copy of the running node's store, and its manifest, into backup.directory", http.MethodPost, "/sys/backup")
	cmd.Long = `Write a consistent copy of the running, unsealed node's store, and its manifest, into backup.directory. The copy is sealed with
the password of this moment, which the manifest names as status does. Keep copies off this machine, apart from the password.`
	cmd.AddCommand(&cobra.Command{
		Use: "verify FILE", Short: "Open every share of a backup and prove it against its public key", Args: cobra.ExactArgs(1),
		Long: `Open every share of a backup with its password, prove it against its public key, and compare the manifest (FILE.json) with what
is there. Needs no running node and no configuration, and writes nothing beside a sealed temporary copy.`,
		Example: "  mpc-node backup verify backups/asset-20261121T041500.000Z.db",
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := o.verify(cmd.Context(), args[0], nil)
			return err
		},
	})
	return cmd
}

func (o *options) restore() *cobra.Command {
	return &cobra.Command{
		Use: "restore FILE", Short: "Verify a backup and put it in the place of storage.db-file-path, which must be empty", Args: cobra.ExactArgs(1),
		Long: `Verify a backup as "backup verify" does and put it at storage.db-file-path, the node's identity included. A store that is there
already is never overwritten: move it away first. Never run two nodes on copies of one store.`,
		Example: "  mpc-node restore /mnt/usb/asset-20261121T041500.000Z.db",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := loadConfig(o.config)
			if err != nil {
				return err
			}
			return o.doRestore(cmd.Context(), c.Storage.Path, args[0])
		},
	}
}

func (o *options) doRestore(ctx context.Context, to, from string) error {
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is a store at %s already: it is never overwritten; move it away, or give another storage.db-file-path", to)
	}
	_, err := o.verify(ctx, from, func(store *keystore.Store, copied string) error {
		// The node may have gone on after the backup: of what the backup has as merely approved it must not say that it was not signed.
		if err := node.AfterRestore(store); err != nil {
			return err
		}
		if err := store.Close(); err != nil {
			return err
		}
		err := keystore.WriteFile(to, func(w io.Writer) error { _, err := copyFile(w, copied); return err })
		if err != nil {
			return fmt.Errorf("restore to %s: %w", to, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(o.out, "restored to %s; next: mpc-node start, mpc-node unseal\n", to)
	return nil
}

// verify proves a backup over a temporary copy of its sealed bytes, so that nothing is written beside the backup. It returns
// the hash of the file. then, if not nil, gets the unsealed copy and its path once all is proven, and may close it.
func (o *options) verify(ctx context.Context, path string, then func(store *keystore.Store, copied string) error) (sum string, err error) {
	manifest, err := readManifest(path + ".json")
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "mpc-node-verify-*") // mode 0700
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	copied := filepath.Join(dir, "asset.db")
	err = keystore.WriteFile(copied, func(w io.Writer) (err error) { sum, err = copyFile(w, path); return err })
	if err != nil {
		return "", fmt.Errorf("read backup: %w", err)
	}
	if sum != manifest.SHA256 {
		return "", fmt.Errorf("backup %s has SHA-256 %s, its manifest says %s: it was altered or cut short; take another copy", path, sum, manifest.SHA256)
	}
	store, err := keystore.Open(keystore.Config{Path: copied})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, closed(store)) }()
	if err := o.open(ctx, store); err != nil {
		return "", err
	}
	id, keys, err := node.CheckStore(store, node.Threshold{}.CheckShare)
	if err != nil {
		return "", err
	}
	stat, err := store.Stat()
	if err != nil {
		return "", err
	}
	if err := manifest.Compare(id, keys, stat); err != nil {
		return "", err
	}
	fmt.Fprintf(o.out, "%s: ok: node %s, %d keys, every share proven against its public key, sequence %d\n", path, id, len(keys), stat.Sequence)
	if then != nil {
		return sum, then(store, copied)
	}
	return sum, nil
}

func readManifest(path string) (node.BackupManifest, error) {
	f, err := os.Open(path)
	if err != nil {
		return node.BackupManifest{}, fmt.Errorf("manifest of the backup: %w: a backup without one was cut off, or its manifest was left behind", err)
	}
	defer f.Close()
	return node.ParseBackupManifest(f)
}

// copyFile copies a file to w and returns its SHA-256 in hex.
func copyFile(w io.Writer, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(io.MultiWriter(w, hash), f); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
