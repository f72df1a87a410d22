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
	"time"

	"github.com/spf13/cobra"

	boltstore "github.com/countersign-mpc/countersign/bolt/ledgerstore"
	"github.com/countersign-mpc/countersign/ledger"
)

// copyStall is for how long the server may send nothing of a copy.
const copyStall = time.Minute

// copied is what `log copy` made.
type copied struct {
	File   string `json:"file"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

func (o *options) logCopy() *cobra.Command {
	var server admin
	asJSON := false
	cmd := &cobra.Command{
		Use: "copy FILE", Short: "Copy the ledger's file out of a running server, which goes on deciding",
		Long: `Copy the ledger's file (db-path) as it is at one moment out of a running server, which goes on deciding meanwhile: for backups, and
for the commands that read a ledger with --db. FILE is made with mode 0600 and appears only when it is whole, checked and on disk; what
is there already is never overwritten. It needs an operator with the role "backup", or the admin token: the copy holds every recorded
request. A ledger in PostgreSQL needs no copy to be read, and is backed up with the database's tools.`,
		Example: "  callback log copy copy.db\n  callback log copy backups/callback-$(date -u +%Y%m%dT%H%M%SZ).db --token-file backup.token --server 127.0.0.1:9091 --json\n" +
			"  callback log verify --db copy.db",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			made, err := o.copyLog(cmd.Context(), &server, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return o.printJSON(made)
			}
			fmt.Fprintf(o.out, "wrote %s: %d bytes, SHA-256 %s\n", made.File, made.Bytes, made.SHA256)
			return nil
		},
	}
	server.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// copyLog fetches a copy into a file beside the one that is asked for, and gives it that name when it is known to be whole.
func (o *options) copyLog(ctx context.Context, server *admin, path string) (made *copied, err error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, refused(fmt.Errorf("%s is there already: give another name", path))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	part, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".part-*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("make the copy: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(part.Name())) }()
	made, err = o.fetchLog(ctx, server, part)
	if err = errors.Join(err, part.Close()); err != nil {
		return nil, err
	}
	made.File = path
	if err := checkCopy(ctx, part.Name()); err != nil {
		return nil, fmt.Errorf("the copy is not whole, and was thrown away: %w", damaged(err))
	}
	if err := os.Link(part.Name(), path); err != nil {
		return nil, fmt.Errorf("give the copy its name: %w", err)
	}
	return made, syncFolder(filepath.Dir(path))
}

// fetchLog writes what the server sends to a file, and the file to the disk.
func (o *options) fetchLog(ctx context.Context, server *admin, to *os.File) (*copied, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := time.AfterFunc(copyStall, func() { cancel(fmt.Errorf("the server sent nothing for %v", copyStall)) })
	defer stall.Stop()
	response, err := o.send(ctx, server, http.MethodGet, "/admin/v1/log/copy", nil)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.ContentLength <= 0 {
		return nil, errors.New("the server does not say how long the copy is: is it a callback server?")
	}
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(to, hash, progressOf(func() { stall.Reset(copyStall) })), response.Body)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("the copy ended after %d bytes of %d (%w): the server's log says why, if it was the server; run it again", n, response.ContentLength, err)
	}
	if err := to.Sync(); err != nil {
		return nil, fmt.Errorf("write the copy: %w", err)
	}
	return &copied{Bytes: n, SHA256: hex.EncodeToString(hash.Sum(nil))}, nil
}

// progressOf is a writer that calls a function at each Write.
type progressOf func()

func (p progressOf) Write(b []byte) (int, error) {
	p()
	return len(b), nil
}

// checkCopy reads a copy whole: every page and the checksum of every value.
func checkCopy(ctx context.Context, path string) (err error) {
	s, err := boltstore.Open(boltstore.Config{Path: path, ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.Check(ctx); err != nil {
		return err
	}
	_, err = ledger.ReadHistory(ctx, s)
	return err
}

// syncFolder sees a new name in a folder onto the disk.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
