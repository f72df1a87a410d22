package ledgerstore

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/countersign-mpc/countersign/ledger"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrations are the schema's changes, in their order: number n makes version n.
func migrations() ([]string, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	out := make([]string, 0, len(names))
	for i, name := range names {
		if !strings.HasPrefix(path.Base(name), fmt.Sprintf("%04d_", i+1)) {
			return nil, fmt.Errorf("migration %s is not number %d", name, i+1)
		}
		text, err := fs.ReadFile(migrationFiles, name)
		if err != nil {
			return nil, err
		}
		out = append(out, string(text))
	}
	return out, nil
}

// Migrate brings the schema to this program's version, making it if it is not there, in one transaction while no server
// writes. It returns the versions before and after; a schema of a newer program is an error and stays as it is. Servers of
// an older version that still run refuse to write from then on.
func Migrate(ctx context.Context, cfg Config) (from, to int, err error) {
	cfg, err = cfg.withDefaults()
	if err != nil {
		return 0, 0, fmt.Errorf("migrate the ledger's database: %w", err)
	}
	steps, err := migrations()
	if err != nil {
		return 0, 0, fmt.Errorf("migrate the ledger's database: %w", err)
	}
	conn, err := pgx.Connect(ctx, cfg.URL)
	if err != nil {
		return 0, 0, fmt.Errorf("migrate the ledger's database: %w: %w", ledger.ErrUnavailable, connectError(err))
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		from, err = prepareSchema(ctx, tx, cfg)
		if err != nil {
			return err
		}
		if from > len(steps) {
			return fmt.Errorf("schema %s has version %d, and this program knows %d: use the newer program", cfg.Schema, from, len(steps))
		}
		for i, step := range steps[from:] {
			if _, err := tx.Exec(ctx, step); err != nil {
				return fmt.Errorf("make version %d: %w", from+i+1, err)
			}
		}
		_, err = tx.Exec(ctx, "UPDATE schema_version SET version = $1", len(steps))
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("migrate the ledger's database: %w", err)
	}
	return from, len(steps), nil
}

// prepareSchema takes the lock of the writers, makes the schema with version 0 if it is not there, and returns the version.
func prepareSchema(ctx context.Context, tx pgx.Tx, cfg Config) (version int, err error) {
	schema := pgx.Identifier{cfg.Schema}.Sanitize()
	for _, statement := range []string{
		fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", cfg.lockKey()),
		"CREATE SCHEMA IF NOT EXISTS " + schema,
		"SET LOCAL search_path = " + schema,
		"CREATE TABLE IF NOT EXISTS schema_version (one boolean PRIMARY KEY DEFAULT true CHECK (one), version integer NOT NULL)",
		"INSERT INTO schema_version (version) VALUES (0) ON CONFLICT DO NOTHING",
	} {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return 0, err
		}
	}
	err = tx.QueryRow(ctx, "SELECT version FROM schema_version").Scan(&version)
	return version, err
}
