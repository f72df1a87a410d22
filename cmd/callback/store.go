package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	boltstore "github.com/countersign-mpc/countersign/bolt/ledgerstore"
	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/ledger"
	pgstore "github.com/countersign-mpc/countersign/postgres/ledgerstore"
)

// store is where the ledger is kept.
type store interface {
	ledger.Store
	Close() error
}

// openStore opens the configured one: a database where one is named, and else the file.
func (c *config) openStore(ctx context.Context) (store, error) {
	if c.Postgres.URLPath == "" {
		return boltstore.Open(boltstore.Config{Path: c.DBPath})
	}
	cfg, err := c.postgres()
	if err != nil {
		return nil, err
	}
	return pgstore.Open(ctx, cfg)
}

// storeBytes tells how large the ledger's file is; nil where it is in a database.
func (c *config) storeBytes() func() (int64, error) {
	if c.Postgres.URLPath != "" {
		return nil
	}
	return func() (int64, error) {
		info, err := os.Stat(c.DBPath)
		if err != nil {
			return 0, err
		}
		return info.Size(), nil
	}
}

// copier copies the ledger's file while it is used, until the server stops; nil where it is in a database.
func (b *books) copier(stopping context.Context) func(context.Context, func(context.Context, int64) (io.Writer, error)) error {
	s, ok := b.store.(*boltstore.Store)
	if !ok {
		return nil
	}
	return func(ctx context.Context, to func(context.Context, int64) (io.Writer, error)) error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(stopping, func() { cancel(errors.New("the server stops")) })()
		return s.Copy(ctx, to)
	}
}

// postgres reads the database's URL, which may hold a password.
func (c *config) postgres() (pgstore.Config, error) {
	if err := private(c.Postgres.URLPath); err != nil {
		return pgstore.Config{}, fmt.Errorf("postgres.url-path: %w", err)
	}
	data, err := os.ReadFile(c.Postgres.URLPath)
	if err != nil {
		return pgstore.Config{}, fmt.Errorf("postgres.url-path: %w", err)
	}
	defer secret.Wipe(data)
	return pgstore.Config{URL: strings.TrimSpace(string(data)), Schema: c.Postgres.Schema}, nil
}

func (o *options) migrate() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "migrate", Short: "Make the ledger's schema in the configured PostgreSQL database, or bring it to this program's version",
		Long: `Make the schema that postgres.schema names, or bring it to the version that this program needs, in one transaction. Servers of an
older version that still run refuse to decide from then on, and this program refuses a schema of a newer one. Back up the database
before. With the ledger in a file (db-path) there is nothing to do.`,
		Example: "  callback migrate --config /etc/countersign/callback.toml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(o.config)
			if err != nil {
				return err
			}
			if c.Postgres.URLPath == "" {
				return refused(fmt.Errorf("%s names no database (postgres.url-path): a ledger in a file needs no migration", o.config))
			}
			cfg, err := c.postgres()
			if err != nil {
				return refused(err)
			}
			from, to, err := pgstore.Migrate(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			if asJSON {
				return o.printJSON(map[string]any{"schema": c.Postgres.Schema, "from": from, "to": to})
			}
			if from == to {
				fmt.Fprintf(o.out, "schema %s has version %d already\n", c.Postgres.Schema, to)
			} else {
				fmt.Fprintf(o.out, "schema %s: version %d -> %d\n", c.Postgres.Schema, from, to)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
