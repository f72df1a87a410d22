package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

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
		Example: "  mpc-node rekey", Args: noPassword,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.loadConfig()
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
	store, err := c.openStore()
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
	present, err := o.credential(set, currentPrompt, false)
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

func (o *options) restore() *cobra.Command {
	var r restoration
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "Verify a backup and put it in the place of storage.db-file-path, which must be empty", Args: cobra.ExactArgs(1),
		Long: `Verify a backup as "backup verify" does and put it at storage.db-file-path, the node's identity included. A store that is there
already is never overwritten: move it away first. Never run two nodes on copies of one store.

It becomes the node that was backed up: what is printed says which; with --node-id any other is refused. Restored shares are unconfirmed, and sign nothing, until the other parties of each key have said that they are the newest; the
node asks them by itself once it is unsealed, and "mpc-node keys" shows what they say. A share that turns out to be too old is
stale and never signs. Where parties that would have to answer are lost for good, compare epoch and public key with
"mpc-node keys" at the parties that are left, and restore with --accept-epochs.

Auto-unseal is off in what is restored: it may have been disabled since the backup. The password, or t segments, open it.`,
		Example: "  mpc-node restore /mnt/usb/asset-20261121T041500.000Z.db",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.loadConfig()
			if err != nil {
				return err
			}
			r.to, r.from, r.place = c.Storage.Path, args[0], c.placeStore
			return o.doRestore(cmd.Context(), r)
		},
	}
	cmd.Flags().StringVar(&r.nodeID, "node-id", "", "refuse a backup of any other node than this")
	cmd.Flags().BoolVar(&r.accept, "accept-epochs", false, "use the shares without asking the other parties: only where these are lost, and you have compared the epochs")
	return cmd
}

// restoration is what restore is asked for.
type restoration struct {
	to, from string
	nodeID   string // empty: any
	accept   bool   // the epochs
	place    func(contents func(io.Writer) error) error
}

func (o *options) doRestore(ctx context.Context, r restoration) error {
	if _, err := os.Lstat(r.to); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is a store at %s already: it is never overwritten; move it away, or give another storage.db-file-path", r.to)
	}
	if _, err := os.Stat(r.from); err != nil {
		return fmt.Errorf("read backup: %w", err)
	}
	manifest, err := readManifest(r.from + ".json") // verify proves it
	if err != nil {
		return err
	}
	if r.nodeID != "" && r.nodeID != string(manifest.NodeID) {
		return fmt.Errorf("%s is a backup of node %s, not of %s", r.from, manifest.NodeID, r.nodeID)
	}
	auto := false
	_, err = o.verify(ctx, r.from, func(store *keystore.Store, copied string) error {
		err := store.DisableAuto(ctx)
		if auto = err == nil; err != nil && !errors.Is(err, keystore.ErrNoAuto) {
			return err
		}
		if err := node.AfterRestore(store, time.Now()); err != nil {
			return err
		}
		if r.accept {
			if err := node.AcceptEpochs(store); err != nil {
				return err
			}
		}
		if err := store.Close(); err != nil {
			return err
		}
		err = r.place(func(w io.Writer) error { return copyFile(w, copied) })
		if err != nil {
			return fmt.Errorf("restore to %s: %w", r.to, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(o.out, "restored to %s; next: mpc-node start, mpc-node unseal\n", r.to)
	if auto {
		fmt.Fprintln(o.out, "auto-unseal was on in the backup and is off now: mpc-node reset, mpc-node auto-unseal enable, if this machine shall have it")
	}
	if !r.accept {
		fmt.Fprintln(o.out, "the shares sign once the other parties have confirmed that they are the newest: see mpc-node keys")
	}
	return nil
}

// verify proves a backup over a temporary copy of its sealed bytes, so that nothing is written beside the backup. It returns
// the hash of the file. then, if not nil, gets the unsealed copy and its path once all is proven, and may close it.
func (o *options) verify(ctx context.Context, path string, then func(store *keystore.Store, copied string) error) (sum string, err error) {
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("read backup: %w", err)
	}
	manifest, err := readManifest(path + ".json")
	if err != nil {
		return "", err
	}
	if err := removeForgotten(os.TempDir(), time.Now()); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", verifyFolder) // mode 0700
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	copied := filepath.Join(dir, "asset.db")
	err = keystore.WriteFile(copied, func(w io.Writer) (err error) { sum, err = copyBackup(w, path); return err })
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
	if err := o.open(ctx, store); errors.Is(err, keystore.ErrWrongPassword) { // the copy's path says nothing to anybody
		return "", &codedError{exitRefused, fmt.Errorf("backup %s: %w", path, keystore.ErrWrongPassword)}
	} else if err != nil {
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

// verifyFolder is what verify copies a backup into; a process that was killed leaves it, with a sealed copy of all shares.
const verifyFolder = "mpc-node-verify-*"

// forgotten is how old such a folder must be that nobody types segments for it any more.
const forgotten = time.Hour

// forgottenFolders are the folders of verify in a folder of temporary files that are this user's and that no process uses any more.
func forgottenFolders(temp string, now time.Time) []string {
	found, _ := filepath.Glob(filepath.Join(temp, verifyFolder)) // the pattern is well formed
	return slices.DeleteFunc(found, func(dir string) bool {
		info, err := os.Lstat(dir)
		return err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 || !ownedBy(info, os.Getuid()) || now.Sub(info.ModTime()) < forgotten
	})
}

// removeForgotten removes what earlier ones that were killed have left.
func removeForgotten(temp string, now time.Time) error {
	for _, dir := range forgottenFolders(temp, now) {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove what an earlier verify has left: %w", err)
		}
	}
	return nil
}

func readManifest(path string) (node.BackupManifest, error) {
	f, err := os.Open(path)
	if err != nil {
		return node.BackupManifest{}, fmt.Errorf("manifest of the backup: %w: a backup without one was cut off, or its manifest was left behind", err)
	}
	defer f.Close()
	return node.ParseBackupManifest(f)
}

// copyBackup copies the store in a backup to w, and returns the SHA-256 of the backup's file in hex.
func copyBackup(w io.Writer, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	if err := keystore.CopyBackup(w, io.TeeReader(f, hash)); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func copyFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}
