package keystore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/countersign-mpc/countersign/internal/killtest"
	"github.com/countersign-mpc/countersign/keystore"
)

// TestKilledAtEachWrite kills the process before each call by which it changes a file, one after the other: whatever it was
// doing, what is left is the state before or the state after, complete, with the old or the new password, and it goes on.
func TestKilledAtEachWrite(t *testing.T) {
	for _, what := range []string{"once-init", "once-update", "once-change", "once-rekey"} {
		t.Run(what, func(t *testing.T) {
			before, after, unfinished, stayed := 0, 0, 0, 0
			for n := 1; ; n++ {
				path := newPath(t)
				if what != "once-init" {
					s := mustOpen(t, config(path))
					must(t, s.Init(context.Background(), numbered(0)))
					must(t, s.Update(func(tx *keystore.Tx) error { return writeRound(tx, 0) }))
					must(t, s.Close())
				}
				old := []byte(nil)
				if what == "once-change" {
					old = partOf(t, path, "seal")
				}
				call := killtest.At(t, []string{childMode + "=" + what, childPath + "=" + path}, n)
				unfinished += len(temporary(t, path))
				s := mustOpen(t, config(path))
				if left := temporary(t, path); len(left) > 0 {
					t.Errorf("killed before call %d, %s: %v is still there", n, call, left)
				}
				if s.State() == keystore.Uninitialised {
					if what != "once-init" {
						t.Fatalf("killed before call %d, %s: the store is uninitialised", n, call)
					}
					must(t, s.InitWith(context.Background(), keystore.Password(numbered(0))))
					s.Seal()
				}
				left := bytes.Contains(mustRead(t, path), old)
				if mustBeWhole(t, s, what, fmt.Sprintf("killed before call %d, %s", n, call)) {
					after++
					if what == "once-change" && left {
						stayed++
					}
					if what == "once-change" && bytes.Contains(mustRead(t, path), old) {
						t.Errorf("killed before call %d, %s, and unsealed since: what wrapped the master key before is still in the file", n, call)
					}
				} else {
					before++
				}
				if call == "" {
					break
				}
			}
			t.Logf("%d times the state before, %d times the state after", before, after)
			if what == "once-change" && stayed == 0 {
				t.Error("no kill was between the change and the end of overwriting")
			}
			if what == "once-init" && unfinished == 0 {
				t.Error("no kill left an unfinished file: there was nothing to clean up")
			}
			if what != "once-init" && (before < 3 || after < 1) {
				t.Errorf("%d times the state before and %d times the state after: the kills missed the writes", before, after)
			}
		})
	}
}

// temporary lists the unfinished files beside a store.
func temporary(t *testing.T, path string) []string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*.new"))
	must(t, err)
	return left
}

// mustBeWhole demands one of the two states, and that the store can be written and opened again. It tells which one it is.
func mustBeWhole(t *testing.T, s *keystore.Store, what, when string) (after bool) {
	t.Helper()
	ctx, password := context.Background(), numbered(0)
	err := s.Unseal(ctx, password)
	if errors.Is(err, keystore.ErrWrongPassword) && (what == "once-change" || what == "once-rekey") {
		after, password = true, numbered(1)
		err = s.Unseal(ctx, password)
	}
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	if what != "once-init" {
		round, err := s.Get("state", "round")
		must(t, err)
		n, err := strconv.Atoi(string(round))
		must(t, err)
		for i := range 12 {
			mustGet(t, s, "left", strconv.Itoa(i), value(i*7+n))
		}
		after = after || n == 1
	}
	must(t, s.Put("b", "afterwards", nil))
	must(t, s.Close())
	path := keystore.PathOf(s)
	again := mustOpen(t, config(path))
	if err := again.Unseal(ctx, password); err != nil {
		t.Fatalf("%s, and opened again: %v", when, err)
	}
	must(t, again.Close())
	return after
}
