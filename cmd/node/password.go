package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/keystore/segment"
)

// password is the parent of the commands that make passwords.
func (o *options) password() *cobra.Command {
	parent := &cobra.Command{Use: "password", Short: "Make the segments of a t-of-n password"}
	parent.AddCommand(o.passwordGenerate())
	return parent
}

func (o *options) passwordGenerate() *cobra.Command {
	var g generation
	cmd := &cobra.Command{
		Use: "generate", Short: "Make a password of n segments of which t open the node, and their manifest", Args: cobra.NoArgs,
		Long: `Make a password of n segments of which t open the node, for as many people, and the manifest by which the node checks each of
them. The segments are printed once, one a line, or written to n files (--output-dir) that only their owner can read. They are
kept nowhere else. The manifest is not secret: storage.segments-path names it. With --age-recipient, n times, segment i is
encrypted to the i-th recipient (https://age-encryption.org) as segment-i.txt.age, and never stands anywhere in the clear.

Set storage.t and storage.n in the configuration, then run init t times with one segment each; so too unseal after each start.`,
		Example: "  mpc-node password generate -t 2 -n 3\n  mpc-node password generate -t 2 -n 3 --output-dir /mnt/usb\n" +
			"  mpc-node password generate -t 2 -n 3 --output-dir out --age-recipient age1... --age-recipient age1... --age-recipient age1...",
		RunE: func(*cobra.Command, []string) error {
			if g.manifest == "" {
				c, err := o.loadConfig()
				if err != nil {
					return fmt.Errorf("where does the manifest go? give --manifest FILE (%w)", err)
				}
				g.manifest = c.Storage.SegmentsPath
			}
			return o.generate(g)
		},
	}
	cmd.Flags().IntVarP(&g.t, "threshold", "t", 0, "segments that are needed to open the node")
	cmd.Flags().IntVarP(&g.n, "segments", "n", 0, "segments that are made")
	cmd.Flags().StringVar(&g.dir, "output-dir", "", "folder for the files segment-1.txt to segment-n.txt (default: print the segments)")
	cmd.Flags().StringVar(&g.manifest, "manifest", "", "file for the manifest, which must not exist (default: storage.segments-path)")
	cmd.Flags().StringArrayVar(&g.recipients, "age-recipient", nil, "age public key of the one who gets the next segment; n times, with --output-dir")
	return cmd
}

// generation is what password generate is asked for.
type generation struct {
	t, n          int
	dir, manifest string
	recipients    []string
}

// keys checks what was asked for before anything is made, and returns the recipients' keys, none or n.
func (g generation) keys() ([]age.Recipient, error) {
	if err := segment.CheckNumbers(g.t, g.n); err != nil {
		return nil, fmt.Errorf("%w; with t = 1 any good password will do", err)
	}
	if len(g.recipients) == 0 {
		return nil, nil
	}
	if len(g.recipients) != g.n || g.dir == "" {
		return nil, fmt.Errorf("%d --age-recipient for %d segments: give one for each segment, and --output-dir", len(g.recipients), g.n)
	}
	var keys []age.Recipient
	for i, text := range g.recipients {
		if slices.Contains(g.recipients[:i], text) {
			return nil, fmt.Errorf("--age-recipient number %d is there twice: nobody gets two segments", i+1)
		}
		key, err := age.ParseX25519Recipient(text)
		if err != nil {
			return nil, fmt.Errorf("--age-recipient number %d: %w", i+1, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// generate writes the manifest first: segments without one are of no use.
func (o *options) generate(g generation) error {
	keys, err := g.keys()
	if err != nil {
		return err
	}
	if info, err := os.Stat(g.dir); g.dir != "" && (err != nil || !info.IsDir()) {
		return fmt.Errorf("--output-dir %s is no folder: make it first; nothing was written", g.dir)
	}
	m, texts, err := segment.Generate(g.t, g.n)
	if err != nil {
		return err
	}
	defer func() {
		for _, text := range texts {
			text.Wipe()
		}
	}()
	if err := writeNew(g.manifest, 0o644, m.Encode()); err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	for i, text := range texts {
		line := append(bytes.Clone(text.Expose()), '\n')
		path := filepath.Join(g.dir, fmt.Sprintf("segment-%d.txt", i+1))
		switch {
		case keys != nil:
			err = writeEncrypted(path+".age", keys[i], line)
		case g.dir != "":
			err = writeNew(path, 0o600, line)
		default:
			_, err = o.out.Write(line)
		}
		secret.Wipe(line)
		if err != nil {
			return fmt.Errorf("write segment %d: %w: the set is incomplete, remove %s and what was written", i+1, err, g.manifest)
		}
	}
	fmt.Fprintf(o.err, "set %x: any %d of these %d segments open the node; manifest: %s\n", m.ID, g.t, g.n, g.manifest)
	return nil
}

// writeEncrypted writes a file that one recipient can read.
func writeEncrypted(path string, to age.Recipient, data []byte) error {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return writeNew(path, 0o600, out.Bytes())
}

// writeNew writes a file that must not exist, durably.
func writeNew(path string, mode os.FileMode, data []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// loadSegments reads the manifest that the configuration names; nil where t is 1.
func (c *config) loadSegments() (*segment.Manifest, error) {
	if c.Storage.T == 1 {
		return nil, nil
	}
	f, err := os.Open(c.Storage.SegmentsPath)
	if err != nil {
		return nil, fmt.Errorf("storage.segments-path: %w: make it with `mpc-node password generate -t %d -n %d`", err, c.Storage.T, c.Storage.N)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("storage.segments-path: %w", err)
	}
	if info.Mode()&0o002 != 0 { // it says which segments will open the node, and may have come after the look at the start
		return nil, fmt.Errorf("storage.segments-path: everybody can write %s, mode %v: chmod go-w %s", f.Name(), info.Mode(), f.Name())
	}
	data, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return nil, fmt.Errorf("storage.segments-path: %w", err)
	}
	m, err := segment.ParseManifest(data)
	if err != nil {
		return nil, fmt.Errorf("storage.segments-path: %s: %w", c.Storage.SegmentsPath, err)
	}
	if m.T != c.Storage.T || m.N != c.Storage.N {
		return nil, fmt.Errorf("storage.segments-path: %s is of %d of %d segments, and storage.t and storage.n say %d of %d",
			c.Storage.SegmentsPath, m.T, m.N, c.Storage.T, c.Storage.N)
	}
	return m, nil
}

// entry is a command that sends a password or one segment to a call of the admin interface.
func (o *options) entry(cmd *cobra.Command, path string, read func() (secret.Bytes, error)) *cobra.Command {
	cancel := false
	cmd.Args = noPassword
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if cancel {
			return o.post(cmd.Context(), "/sys/cancel-bkey", nil)
		}
		password, err := read()
		if err != nil {
			return err
		}
		return o.sendPassword(cmd.Context(), path, password)
	}
	cmd.Flags().BoolVar(&cancel, "cancel", false, "forget the segments that were entered, and a change of the password that has begun")
	return cmd
}

// noPassword refuses arguments without repeating them: who gives one to these commands gives a password.
func noPassword(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return errors.New("it takes no arguments: a password is asked for, or read from standard input; what was typed here may be in the history of your shell, so choose another")
	}
	return nil
}

// currentPrompt is the guide's.
const currentPrompt = "? Enter current password: "

func (o *options) present() (secret.Bytes, error) { return o.readPassword(currentPrompt) }

func (o *options) init() *cobra.Command {
	return o.entry(&cobra.Command{
		Use: "init", Short: "Set the password of a new node and make its identity",
		Long: `Set the password that seals this node, and make its identity key. Done once; prints the node id and the public key.

A password has at least 12 characters with upper and lower case, a digit and a special character. It is read twice from the
terminal, or once from the first line of standard input when that is not a terminal. It cannot be recovered. Where storage.t is
more than 1, run init t times, each time with one segment of "password generate".`,
		Example: "  mpc-node init\n  mpc-node init < password.txt",
	}, "/sys/init", o.newPassword)
}

func (o *options) unseal() *cobra.Command {
	return o.entry(&cobra.Command{
		Use: "unseal", Short: "Open the sealed store with the password; the node then connects and works",
		Long: `Open the sealed store with the password; the node then connects and works. A node that is sealed with t-of-n segments takes
t of them, one call each, within ten minutes of each other; info shows which have been entered.`,
		Example: "  mpc-node unseal\n  mpc-node unseal < password.txt",
	}, "/sys/in-bkey", o.present)
}

func (o *options) reset() *cobra.Command {
	cmd := o.entry(&cobra.Command{
		Use: "reset", Short: "Begin to change the password: give the present one, and the new one; then run cmreset",
		Long: `Begin to change the password, or all segments, of a node that is unsealed: give the present password and, twice, the new one; or
t segments in one call each. Then run cmreset within ten minutes, with the same new password or with segments of the new set: only
cmreset changes anything. From standard input the present password is the first line and the new one the second. Without a second
line, cmreset takes any new password, from whoever reaches the admin interface.

Copies of asset.db that were made before still open with the old password: where that has leaked, run rekey, and destroy the copies.`,
		Example: "  mpc-node reset\n  mpc-node reset --cancel",
	}, "/sys/re-bkey-init", o.present)
	send := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if cancel, err := cmd.Flags().GetBool("cancel"); err != nil || cancel {
			return send(cmd, args)
		}
		present, err := o.present()
		if err != nil {
			return err
		}
		next, err := o.promised(present)
		if err != nil {
			present.Wipe()
			return err
		}
		return o.sendPasswords(cmd.Context(), "/sys/re-bkey-init", present, next)
	}
	return cmd
}

// promised reads the new password where reset asks for one: not beside a segment, and not where the next seal is of segments.
func (o *options) promised(present secret.Bytes) (secret.Bytes, error) {
	if c, err := loadConfig(o.config, true); bytes.HasPrefix(present.Expose(), []byte("segment-")) || err == nil && c.Storage.T > 1 {
		return secret.Bytes{}, nil
	}
	next, err := o.newPassword()
	if errors.Is(err, errNoPassword) { // standard input has one line
		return secret.Bytes{}, nil
	}
	return next, err
}

func (o *options) cmreset() *cobra.Command {
	return o.entry(&cobra.Command{
		Use: "cmreset", Short: "End the change of the password that reset began: give the new one",
		Long: `End the change of the password that reset began: give the new password, or, where storage.t is more than 1, t segments of the
set that storage.segments-path describes now, in one call each. Until the last one the old password holds.`,
		Example: "  mpc-node cmreset\n  mpc-node cmreset --cancel",
	}, "/sys/re-bkey", o.newPassword)
}
