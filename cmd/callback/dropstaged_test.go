package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	boltstore "github.com/countersign-mpc/countersign/bolt/ledgerstore"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
)

// endsAfter is a store whose process ends after so many updates.
type endsAfter struct {
	ledger.Store
	updates int
}

func (e *endsAfter) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	if e.updates--; e.updates < 0 {
		return errors.New("the process has ended")
	}
	return e.Store.Update(ctx, fn)
}

// TestDropStaged: what is left of a policy that never went live is removed from the configured file, once and with nothing else.
func TestDropStaged(t *testing.T) {
	dir := t.TempDir()
	path, config := filepath.Join(dir, "callback.db"), filepath.Join(dir, "callback.toml")
	if err := os.WriteFile(config, []byte(`db-path = "`+path+`"`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := func(code int, text string, args ...string) {
		t.Helper()
		if got, out := runHere(t, append([]string{"policy", "drop-staged", "--config", config}, args...)...); got != code || !strings.Contains(out, text) {
			t.Errorf("exit code %d, %q; want %d, %q", got, out, code, text)
		}
	}
	want(exitFailed, "no such file")
	if _, err := os.Stat(path); err == nil {
		t.Error("a ledger was made")
	}
	store, err := boltstore.Open(boltstore.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	l := ledgertest.MustOpen(t, &endsAfter{store, 3}, ledgertest.NewClock())
	c := ledgertest.Change(0, "never-live")
	c.Content = bytes.Repeat([]byte("policy"), 50_000)
	if _, err := l.Activate(context.Background(), c); err == nil {
		t.Fatal("it is live")
	}
	want(exitFailed, "another process holds it: stop that one")
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	want(exitOK, "removed what was stored of policy never-live")
	want(exitOK, "nothing was stored of a policy that never went live")
	want(exitOK, `"removed": []`, "--json")
	if code, out := runHere(t, "log", "verify", "--db", path); code != exitOK {
		t.Errorf("afterwards: %d, %s", code, out)
	}
}
