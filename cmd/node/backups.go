package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/node"
)

func (o *options) backup() *cobra.Command {
	cmd := o.simple("backup", "Write a consistent copy of the running node's store, and its manifest, into backup.directory", http.MethodPost, "/sys/backup")
	cmd.Long = `Write a consistent copy of the running, unsealed node's store, and its manifest, into backup.directory. The copy is sealed with
the password of this moment, which the manifest names as status does. Keep copies off this machine, apart from the password. Of
the complete backups that were asked for the oldest beyond backup.keep are removed; scheduled ones are counted apart.`
	cmd.AddCommand(o.backupVerify(), o.backupList())
	return cmd
}

func (o *options) backupVerify() *cobra.Command {
	return &cobra.Command{
		Use: "verify FILE", Short: "Open every share of a backup and prove it against its public key", Args: cobra.ExactArgs(1),
		Long: `Open every share of a backup with its password, prove it against its public key, and compare the manifest (FILE.json) with what
is there. Needs no running node and no configuration, and writes nothing beside a sealed temporary copy.`,
		Example: "  mpc-node backup verify backups/asset-20261121T041500.000Z.db",
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := o.verify(cmd.Context(), args[0], nil)
			return err
		},
	}
}

func (o *options) backupList() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "list", Short: "List the backups in backup.directory, the oldest first, with what their manifests say", Args: cobra.NoArgs,
		Long: `List the backups in backup.directory, the oldest first: when each was made, by whom, how many keys are in it, the commits up to it,
its size and the name of the password that opens it, which status tells of the present one. Needs no running node. All this is what
manifests say: "backup verify" proves it.`,
		Example: "  mpc-node backup list\n  mpc-node backup list --json",
		RunE: func(*cobra.Command, []string) error {
			c, err := o.loadConfig()
			if err != nil {
				return err
			}
			if c.Backup.Directory == "" {
				return errors.New("no folder for backups: set backup.directory")
			}
			files, err := node.Backups(c.Backup.Directory)
			if err != nil {
				return err
			}
			return o.printBackups(c.Backup.Directory, files, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// backupLine is what is printed of a backup.
type backupLine struct {
	File     string    `json:"file"`
	Created  time.Time `json:"created"`
	Made     string    `json:"made"` // "by schedule" or "on request"
	Bytes    int64     `json:"bytes"`
	Keys     int       `json:"keys"`
	Sequence uint64    `json:"sequence"`
	Password string    `json:"password,omitempty"`
	Segments string    `json:"segments,omitempty"`
	Problem  string    `json:"problem,omitempty"` // why it cannot be restored as it is
}

func (o *options) printBackups(dir string, files []node.BackupFile, asJSON bool) error {
	lines := make([]backupLine, 0, len(files))
	for _, file := range files {
		lines = append(lines, lineOf(file))
	}
	if asJSON {
		return printJSON(o.out, lines)
	}
	if len(lines) == 0 {
		fmt.Fprintf(o.out, "no backups in %s\n", dir)
	}
	for _, l := range lines {
		fmt.Fprintf(o.out, "%s  %s  %s  %d bytes", l.File, l.Created.Format(time.RFC3339), l.Made, l.Bytes)
		if l.Problem == "" {
			fmt.Fprintf(o.out, "  keys %d  sequence %d  password %s", l.Keys, l.Sequence, l.Password)
		} else {
			fmt.Fprintf(o.out, "  %s", l.Problem)
		}
		if l.Segments != "" {
			fmt.Fprintf(o.out, " (%s)", l.Segments)
		}
		fmt.Fprintln(o.out)
	}
	return nil
}

func lineOf(file node.BackupFile) backupLine {
	l := backupLine{File: filepath.Base(file.Path), Created: file.Began, Made: "on request"}
	if file.Scheduled {
		l.Made = "by schedule"
	}
	if info, err := os.Lstat(file.Path); err == nil {
		l.Bytes = info.Size()
	}
	if !file.Complete {
		l.Problem = "no manifest: it was cut off, or is being written"
		return l
	}
	m, err := readManifest(file.Path + ".json")
	if err != nil {
		l.Problem = err.Error()
		return l
	}
	l.Keys, l.Sequence, l.Password, l.Segments = len(m.Keys), m.Sequence, m.Password, m.Segments
	if m.Bytes != l.Bytes {
		l.Problem = fmt.Sprintf("the manifest says %d bytes: it was altered or cut short", m.Bytes)
	}
	return l
}
