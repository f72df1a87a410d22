package ledgerstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/postgres/ledgerstore"
)

// urlEnv names a database that tests may make schemas in; without it they are skipped.
const urlEnv = "COUNTERSIGN_TEST_POSTGRES"

func databaseURL(t testing.TB) string {
	t.Helper()
	url := os.Getenv(urlEnv)
	if url == "" {
		t.Skipf("%s names no database", urlEnv)
	}
	return url
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// admin is a connection of its own to the database.
func admin(t testing.TB) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), databaseURL(t))
	must(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// config is one for a schema of the test's own, which is dropped at its end.
func config(t testing.TB) ledgerstore.Config {
	t.Helper()
	cfg := ledgerstore.Config{URL: databaseURL(t), Schema: fmt.Sprintf("countersign_test_%d_%d", os.Getpid(), time.Now().UnixNano())}
	conn := admin(t)
	t.Cleanup(func() {
		if _, err := conn.Exec(context.Background(), "DROP SCHEMA IF EXISTS "+cfg.Schema+" CASCADE"); err != nil {
			t.Error(err)
		}
	})
	return cfg
}

func migrated(t testing.TB) ledgerstore.Config {
	t.Helper()
	cfg := config(t)
	_, _, err := ledgerstore.Migrate(context.Background(), cfg)
	must(t, err)
	return cfg
}

func mustOpen(t testing.TB, cfg ledgerstore.Config) *ledgerstore.Store {
	t.Helper()
	s, err := ledgerstore.Open(context.Background(), cfg)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func TestSuite(t *testing.T) {
	ledgertest.Run(t, func(t *testing.T) ledger.Store { return mustOpen(t, migrated(t)) })
}

func TestMigrate(t *testing.T) {
	cfg := config(t)
	if _, err := ledgerstore.Open(context.Background(), cfg); !errors.Is(err, ledger.ErrUnavailable) || !strings.Contains(err.Error(), "run the migration") {
		t.Errorf("a database without a schema opens: %v", err)
	}
	from, to, err := ledgerstore.Migrate(context.Background(), cfg)
	if err != nil || from != 0 || to < 1 {
		t.Fatalf("from %d to %d, %v", from, to, err)
	}
	if from, again, err := ledgerstore.Migrate(context.Background(), cfg); err != nil || from != to || again != to {
		t.Errorf("a second migration goes from %d to %d, %v", from, again, err)
	}
	store := mustOpen(t, cfg)
	_, err = admin(t).Exec(context.Background(), "UPDATE "+cfg.Schema+".schema_version SET version = version + 1")
	must(t, err)
	if _, _, err := ledgerstore.Migrate(context.Background(), cfg); err == nil || !strings.Contains(err.Error(), "newer program") {
		t.Errorf("a schema of a newer program is migrated: %v", err)
	}
	if _, err := ledgerstore.Open(context.Background(), cfg); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("a schema of a newer program opens: %v", err)
	}
	ran := false
	err = store.Update(context.Background(), func(ledger.Tx) error { ran = true; return nil })
	if !errors.Is(err, ledger.ErrUnavailable) || ran {
		t.Errorf("a server that was opened before writes to a newer schema: %v", err)
	}
}

// Two migrations at one time make one schema.
func TestMigrateAtOnce(t *testing.T) {
	cfg := config(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, _, err := ledgerstore.Migrate(context.Background(), cfg); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	mustOpen(t, cfg)
}

func TestConfigIsChecked(t *testing.T) {
	for name, cfg := range map[string]ledgerstore.Config{
		"no URL": {}, "schema": {URL: "postgres://localhost/x", Schema: `a"; DROP`}, "time-out": {URL: "postgres://localhost/x", LockTimeout: -1},
		"connections": {URL: "postgres://localhost/x", Connections: 1},
	} {
		if _, err := ledgerstore.Open(context.Background(), cfg); err == nil {
			t.Errorf("%s: opens", name)
		}
		if _, _, err := ledgerstore.Migrate(context.Background(), cfg); err == nil {
			t.Errorf("%s: migrates", name)
		}
	}
}

// A password in the URL is in no error.
func TestErrorsKeepThePassword(t *testing.T) {
	for _, url := range []string{"postgres://user:hunter2@127.0.0.1:1/database", "postgres://user:hunter2@127.0.0.1:notaport/database", "host=127.0.0.1 port=1 password=hunter2 user"} {
		_, err := ledgerstore.Open(context.Background(), ledgerstore.Config{URL: url})
		if !errors.Is(err, ledger.ErrUnavailable) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("open: %v", err)
		}
		_, _, err = ledgerstore.Migrate(context.Background(), ledgerstore.Config{URL: url})
		if !errors.Is(err, ledger.ErrUnavailable) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("migrate: %v", err)
		}
	}
}

var bucket = ledger.Buckets()[0]

func put(key, value string) func(ledger.Tx) error {
	return func(tx ledger.Tx) error { return tx.Put(bucket, []byte(key), []byte(value)) }
}

// A value that was changed, moved or cut by hand is never given out, and a transaction that met it does not succeed.
func TestDamage(t *testing.T) {
	for name, statement := range map[string]string{
		"value":    "UPDATE %[1]s.kv SET value = 'other' WHERE key = 'b'",
		"emptied":  "UPDATE %[1]s.kv SET value = '' WHERE key = 'b'",
		"checksum": "UPDATE %[1]s.kv SET sum = decode(repeat('00', 16), 'hex') WHERE key = 'b'",
		"moved":    "UPDATE %[1]s.kv SET value = a.value, sum = a.sum FROM %[1]s.kv a WHERE kv.key = 'b' AND a.key = 'a'",
	} {
		t.Run(name, func(t *testing.T) {
			cfg := migrated(t)
			store := mustOpen(t, cfg)
			must(t, store.Update(context.Background(), put("a", "1")))
			must(t, store.Update(context.Background(), put("b", "2")))
			tag, err := admin(t).Exec(context.Background(), fmt.Sprintf(statement, cfg.Schema))
			if err != nil || tag.RowsAffected() != 1 {
				t.Fatal(tag, err)
			}
			err = store.View(context.Background(), func(r ledger.Reader) error { _, err := r.Get(bucket, []byte("b")); return err })
			if !errors.Is(err, ledger.ErrDamaged) {
				t.Errorf("get: %v", err)
			}
			err = store.View(context.Background(), func(r ledger.Reader) error {
				return r.Scan(bucket, nil, nil, false, func(_, _ []byte) (bool, error) { return true, nil })
			})
			if !errors.Is(err, ledger.ErrDamaged) {
				t.Errorf("scan: %v", err)
			}
			err = store.Update(context.Background(), func(tx ledger.Tx) error {
				_, _ = tx.Get(bucket, []byte("b")) // goes on over it
				return tx.Put(bucket, []byte("c"), []byte("3"))
			})
			if !errors.Is(err, ledger.ErrDamaged) {
				t.Errorf("an update that met the damage: %v", err)
			}
			must(t, store.View(context.Background(), func(r ledger.Reader) error {
				if v, err := r.Get(bucket, []byte("c")); v != nil || err != nil {
					t.Errorf("it has written: %q, %v", v, err)
				}
				return nil
			}))
		})
	}
}

// An update that waits too long for another server's is refused, and works again when that is over.
func TestLockTimeout(t *testing.T) {
	cfg := migrated(t)
	cfg.LockTimeout = 50 * time.Millisecond
	one, other := mustOpen(t, cfg), mustOpen(t, cfg)
	holds, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := one.Update(context.Background(), func(tx ledger.Tx) error {
			close(holds)
			<-release
			return put("a", "1")(tx)
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-holds
	if err := other.Update(context.Background(), put("a", "2")); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("an update during another server's: %v", err)
	}
	close(release)
	wg.Wait()
	must(t, other.Update(context.Background(), put("a", "3")))
}

// A scan over more rows than a page sees every one once, in both directions, also those just written.
func TestScanOverPages(t *testing.T) {
	store := mustOpen(t, migrated(t))
	const n = 300
	must(t, store.Update(context.Background(), func(tx ledger.Tx) error {
		for i := range n {
			if err := tx.Put(bucket, fmt.Appendf(nil, "%03d", i), nil); err != nil {
				return err
			}
		}
		for _, reverse := range []bool{false, true} {
			next := 0
			err := tx.Scan(bucket, nil, nil, reverse, func(key, _ []byte) (bool, error) {
				want := next
				if reverse {
					want = n - 1 - next
				}
				if string(key) != fmt.Sprintf("%03d", want) {
					t.Errorf("key %d is %s", next, key)
				}
				next++
				return true, nil
			})
			if err != nil || next != n {
				t.Errorf("%d keys, %v", next, err)
			}
		}
		return nil
	}))
}

// A function that fails or panics fails alone, also after a scan has sent what it wrote to the database.
func TestFailuresInABatch(t *testing.T) {
	store := mustOpen(t, migrated(t))
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			err := store.Update(context.Background(), func(tx ledger.Tx) error {
				must(t, put(fmt.Sprint("key-", i), "value")(tx))
				if i%2 == 0 {
					must(t, tx.Scan(bucket, nil, nil, false, func(_, _ []byte) (bool, error) { return false, nil }))
				}
				switch i % 8 {
				case 0, 1:
					panic("boom")
				case 2, 3:
					return errors.New("boom")
				}
				return nil
			})
			if (err != nil) != (i%8 < 4) {
				t.Errorf("update %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	must(t, store.View(context.Background(), func(r ledger.Reader) error {
		for i := range 32 {
			if v, err := r.Get(bucket, fmt.Append(nil, "key-", i)); err != nil || (v != nil) != (i%8 >= 4) {
				t.Errorf("key %d: %q, %v", i, v, err)
			}
		}
		return nil
	}))
}
