package ledgerstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/countersign-mpc/countersign/internal/groupcommit"
	"github.com/countersign-mpc/countersign/ledger"
)

// Defaults of Config.
const (
	DefaultSchema           = "countersign"
	DefaultLockTimeout      = 5 * time.Second
	DefaultStatementTimeout = 5 * time.Second
	DefaultConnections      = 8
)

// Config is what Open and Migrate need.
type Config struct {
	// URL names the database, with the user and what proves it: postgres://user:password@host/database?sslmode=verify-full.
	// It is a secret.
	URL    string
	Schema string // "": DefaultSchema. Lower-case letters, digits and underscores.
	// LockTimeout is how long an update waits for those of other servers, StatementTimeout how long one statement may take;
	// 0: the defaults.
	LockTimeout, StatementTimeout time.Duration
	Connections                   int32 // at most, of this server; 0: DefaultConnections
}

var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

func (c Config) withDefaults() (Config, error) {
	if c.Schema == "" {
		c.Schema = DefaultSchema
	}
	if !schemaName.MatchString(c.Schema) {
		return c, fmt.Errorf("schema %q: a name of lower-case letters, digits and underscores is needed, of at most 63", c.Schema)
	}
	if c.LockTimeout == 0 {
		c.LockTimeout = DefaultLockTimeout
	}
	if c.StatementTimeout == 0 {
		c.StatementTimeout = DefaultStatementTimeout
	}
	if c.Connections == 0 {
		c.Connections = DefaultConnections
	}
	if c.URL == "" || c.LockTimeout < 0 || c.StatementTimeout < 0 || c.Connections < 2 {
		return c, errors.New("a URL, positive time-outs and at least 2 connections are needed")
	}
	return c, nil
}

// lockKey names the advisory lock of all who write the schema.
func (c Config) lockKey() int64 {
	sum := sha256.Sum256([]byte("countersign ledger lock\x00" + c.Schema))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

// Store is a ledger.Store in PostgreSQL. Safe for concurrent use, by several processes too.
type Store struct {
	cfg     Config
	pool    *pgxpool.Pool
	version int
	buckets map[string]bool
	queue   *groupcommit.Queue[func(ledger.Tx) error]

	// doubt is the transaction of which it is not known whether it was committed; "" for none. Owned by who runs a batch.
	doubt string
}

var _ ledger.Store = (*Store)(nil)

// Open connects to a database whose schema Migrate has made. It fails if the schema is of another version, and if the
// server does not write to the disk what it says it has (fsync, full_page_writes).
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("open the ledger's database: %w", err)
	}
	steps, err := migrations()
	if err != nil {
		return nil, fmt.Errorf("open the ledger's database: %w", err)
	}
	pool, err := connect(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open the ledger's database: %w: %w", ledger.ErrUnavailable, connectError(err))
	}
	s := &Store{cfg: cfg, pool: pool, version: len(steps), buckets: make(map[string]bool)}
	for _, name := range ledger.Buckets() {
		s.buckets[name] = true
	}
	s.queue = groupcommit.New(maxBatch, s.commit)
	if err := s.check(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("open the ledger's database: %w", err)
	}
	return s, nil
}

func connect(ctx context.Context, cfg Config) (*pgxpool.Pool, error) {
	c, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, err
	}
	c.MaxConns = cfg.Connections
	for name, value := range map[string]string{
		"search_path":                         cfg.Schema,
		"application_name":                    "countersign",
		"lock_timeout":                        milliseconds(cfg.LockTimeout),
		"statement_timeout":                   milliseconds(max(cfg.StatementTimeout, cfg.LockTimeout)),
		"idle_in_transaction_session_timeout": milliseconds(2 * transactionTime),
		"synchronous_commit":                  "on",
	} {
		c.ConnConfig.RuntimeParams[name] = value
	}
	return pgxpool.NewWithConfig(ctx, c)
}

func milliseconds(d time.Duration) string { return fmt.Sprint(max(1, d.Milliseconds())) }

// check looks at the schema's version and at how the server keeps its promises.
func (s *Store) check(ctx context.Context) error {
	var fsync, pages string
	var there bool
	err := s.pool.QueryRow(ctx, "SELECT current_setting('fsync'), current_setting('full_page_writes'), to_regclass('schema_version') IS NOT NULL").
		Scan(&fsync, &pages, &there)
	if err != nil {
		return fmt.Errorf("%w: %w", ledger.ErrUnavailable, connectError(err))
	}
	if fsync != "on" || pages != "on" {
		return fmt.Errorf("the server has fsync %s and full_page_writes %s: a crash would lose decisions; set both to on", fsync, pages)
	}
	version := 0
	if there {
		if err := s.pool.QueryRow(ctx, "SELECT version FROM schema_version").Scan(&version); err != nil {
			return classify(ctx, err)
		}
	}
	return s.checkVersion(version)
}

func (s *Store) checkVersion(version int) error {
	switch {
	case version < s.version:
		return fmt.Errorf("%w: schema %s has version %d and this program needs %d: run the migration", ledger.ErrUnavailable, s.cfg.Schema, version, s.version)
	case version > s.version:
		return fmt.Errorf("%w: schema %s has version %d and this program knows %d: use the newer program", ledger.ErrUnavailable, s.cfg.Schema, version, s.version)
	}
	return nil
}

// Close waits for running updates and closes all connections. No call may follow or still run.
func (s *Store) Close() error {
	return s.queue.Alone(func() error { s.pool.Close(); return nil })
}

// View implements ledger.Store.
func (s *Store) View(ctx context.Context, fn func(ledger.Reader) error) error {
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return classify(ctx, err)
	}
	defer rollback(tx)
	r := &reader{ctx: ctx, tx: tx, buckets: s.buckets}
	err = fn(r)
	return r.outcome(err)
}

// rollback ends a transaction that is not committed; it does nothing after a commit. A connection that cannot roll back is
// closed by the pool, which ends the transaction too.
func rollback(tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.Background(), transactionTime)
	defer cancel()
	_ = tx.Rollback(ctx)
}

// Update implements ledger.Store.
func (s *Store) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	return s.queue.Do(ctx, fn)
}

// classify gives a database's error the ledger's type. Its details are the server's and hold no values of ours.
func classify(ctx context.Context, err error) error {
	var damaged *damagedError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &damaged), errors.Is(err, ledger.ErrUnavailable):
		return err
	}
	return fmt.Errorf("%w: %w", ledger.ErrUnavailable, connectError(err))
}

// connectError leaves out of an error what it says of the URL, which may hold a password.
func connectError(err error) error {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) {
		return errors.New("the database's URL cannot be read: postgres://user@host/database is its form")
	}
	var refused *pgconn.ConnectError
	if errors.As(err, &refused) {
		text := err.Error()
		if i := strings.LastIndex(text, "): "); i >= 0 {
			text = text[i+3:]
		}
		return fmt.Errorf("the database cannot be reached: %s", text)
	}
	return err
}
