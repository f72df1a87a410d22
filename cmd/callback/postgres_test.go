package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"
)

// urlEnv names a database that tests may make schemas in.
const urlEnv = "COUNTERSIGN_TEST_POSTGRES"

// databaseURL is the database of urlEnv. Without one the test is skipped.
func databaseURL(t *testing.T) string {
	t.Helper()
	url := os.Getenv(urlEnv)
	if url == "" {
		t.Skipf("%s names no database", urlEnv)
	}
	return url
}

func condition(name string) (bool, error) {
	if name != "postgres" {
		return false, fmt.Errorf("unknown condition %q", name)
	}
	return os.Getenv(urlEnv) != "", nil
}

// databaseCommand is `database URL-FILE CONFIG...`: it writes the database's URL into a file, and the name of a schema of the
// script's own into configurations. The schema is dropped at the end.
func databaseCommand(ts *testscript.TestScript, _ bool, args []string) {
	url := os.Getenv(urlEnv)
	schema := fmt.Sprintf("countersign_script_%d", os.Getpid())
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(url+"\n"), 0o600))
	for _, config := range args[1:] {
		text := strings.ReplaceAll(ts.ReadFile(config), "SCHEMA", schema)
		ts.Check(os.WriteFile(ts.MkAbs(config), []byte(text), 0o600))
	}
	conn, err := pgx.Connect(context.Background(), url)
	ts.Check(err)
	ts.Defer(func() {
		_, _ = conn.Exec(context.Background(), "DROP SCHEMA IF EXISTS "+schema+" CASCADE")
		_ = conn.Close(context.Background())
	})
}

// dropSchema removes a test's schema.
func dropSchema(t *testing.T, schema string) {
	conn, err := pgx.Connect(context.Background(), os.Getenv(urlEnv))
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(context.Background(), "DROP SCHEMA IF EXISTS "+schema+" CASCADE"); err != nil {
		t.Error(err)
	}
}

// lockTable keeps everybody else from a schema's values until the function that it returns is called.
func lockTable(t *testing.T, schema string) (release func()) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, os.Getenv(urlEnv))
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{"BEGIN", "LOCK TABLE " + schema + ".kv IN ACCESS EXCLUSIVE MODE"} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if err := conn.Close(ctx); err != nil {
			t.Error(err)
		}
	}
}
