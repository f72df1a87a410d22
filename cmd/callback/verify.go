package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/auditlog"
	boltstore "github.com/countersign-mpc/countersign/bolt/ledgerstore"
	"github.com/countersign-mpc/countersign/callback/witness"
	"github.com/countersign-mpc/countersign/ledger"
)

// verification is what `log verify` is told.
type verification struct {
	db          string   // "": from the configuration
	public      string   // the log's public key; "": from the configuration, or as the file says
	checkpoints []string // files with checkpoints kept elsewhere
	configured  bool     // the configuration was named, or has to say which file
}

func (o *options) logVerify() *cobra.Command {
	var v verification
	asJSON := false
	cmd := &cobra.Command{
		Use: "verify", Short: "Read the whole log and name every entry that was changed, is missing or stands in another's place",
		Long: `Read the whole log, hash every entry anew and compare it with the tree and its signed checkpoints; then follow what the entries
counted, and compare it with the windows, reservations and bindings that are stored, and look whether each is found by its
callback_id and request_id, and nothing else by those. A log in PostgreSQL is verified
while servers run. A server has its file (db-path) to itself: make a copy of it ("callback log copy"), and verify that with --db, for
which no configuration is needed.

Who has the server's keys can sign another log as a whole. --checkpoint finds that: FILE is what "callback log checkpoint" printed
at some time and what was kept on another machine since, and the log must have grown out of it, entry by entry. --public does too.`,
		Example: `  callback log verify --config callback.toml
  callback log verify --db copy-of-callback.db --checkpoint kept/checkpoint.txt --public 'countersign/callback+1a2b3c4d+A…'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v.configured = v.db == "" || cmd.Flags().Changed("config")
			report, public, err := o.verifyLog(cmd.Context(), v)
			if err != nil {
				return err
			}
			if asJSON { // lists of nothing are lists
				report.Kept, report.Problems, report.Notes = append([]int64{}, report.Kept...), append([]auditlog.Problem{}, report.Problems...), append([]string{}, report.Notes...)
				err = o.printJSON(report)
			} else {
				o.printVerified(report, public)
			}
			if !report.OK() { // each has been named
				err = errors.Join(err, refused(fmt.Errorf("%w: %s", auditlog.ErrDamaged, counted(len(report.Problems), "problem"))))
			}
			return err
		},
	}
	cmd.Flags().StringVar(&v.db, "db", "", "another file than the configured db-path, such as a copy")
	cmd.Flags().StringVar(&v.public, "public", "", "the log's public key, from a source that you trust")
	cmd.Flags().StringArrayVar(&v.checkpoints, "checkpoint", nil, "file with a checkpoint kept elsewhere, or all those that a witness kept, out of which the log must have grown; may be given several times")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (o *options) printVerified(report auditlog.Report, public string) {
	for _, p := range report.Problems {
		fmt.Fprintln(o.out, p)
	}
	if report.More {
		fmt.Fprintln(o.out, "and more")
	}
	for _, note := range report.Notes {
		fmt.Fprintln(o.out, "not checked: "+note)
	}
	if report.OK() {
		for _, size := range report.Kept {
			fmt.Fprintf(o.out, "the log grew out of the checkpoint over %s that was kept elsewhere\n", counted(size, "entry"))
		}
	}
	fmt.Fprintf(o.out, "log key %s\n%s, %d of them below the newest of %s, %s\n", printable(public), counted(report.Size, "entry"), report.Covered,
		counted(report.Checkpoints+len(report.Kept), "checkpoint"), counted(len(report.Problems), "problem"))
}

// verifyLog verifies a log under the key that is expected, as far as one is known, and returns the key that it has.
func (o *options) verifyLog(ctx context.Context, v verification) (report auditlog.Report, public string, err error) {
	i := ledger.Inspection{Public: strings.TrimSpace(v.public)}
	open := func() (store, error) { return openCopy(v.db) }
	if v.configured {
		c, err := loadConfig(o.config)
		if err != nil {
			return report, "", err
		}
		if v.db == "" && c.Postgres.URLPath != "" {
			open = func() (store, error) { return c.openStore(ctx) }
		} else if v.db == "" {
			v.db = c.DBPath
		}
		if i.Public == "" {
			if i.Public, err = c.logPublic(); err != nil {
				return report, "", err
			}
		}
	}
	for _, path := range v.checkpoints {
		kept, err := os.ReadFile(path)
		if err != nil {
			return report, "", fmt.Errorf("read the checkpoint: %w", err)
		}
		all, err := witness.Split(kept)
		if err != nil { // then it is reported as none
			all = [][]byte{kept}
		}
		i.Kept = append(i.Kept, all...)
	}
	store, err := open()
	if err != nil {
		return report, "", damaged(err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	i.Store = store
	report, public, err = ledger.Inspect(ctx, i)
	return report, public, damaged(err)
}

// openCopy opens a file that must be there, opening another would make an empty log, and leaves it as it is: it may be evidence.
func openCopy(path string) (store, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	s, err := boltstore.Open(boltstore.Config{Path: path, ReadOnly: true, OpenTimeout: time.Second})
	if errors.Is(err, boltstore.ErrHeld) {
		return nil, fmt.Errorf("%s: a server that runs has it to itself: copy it, which disturbs nobody, and read the copy: callback log copy copy.db, and then --db copy.db", path)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// damaged gives an error over a damaged log the exit code of a refusal.
func damaged(err error) error {
	if errors.Is(err, ledger.ErrDamaged) {
		return refused(err)
	}
	return err
}
