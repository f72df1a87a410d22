package ledgerstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
)

// activateEnv makes the test binary a server that makes a long policy active and is killed on the way. Its value is after how many
// steps, and the path of the file.
const activateEnv = "LEDGERSTORE_TEST_ACTIVATE"

// longPolicy is the change after some others to a policy that is stored in pieces.
func longPolicy(base uint64) ledger.Change {
	c := ledgertest.Change(base, fmt.Sprint("r", base+1))
	c.Content = bytes.Repeat([]byte(c.Revision+" "), 70_000)
	return c
}

// mortal kills its process after some steps: each update has one before it is committed and one after it.
type mortal struct {
	ledger.Store
	steps int
}

func (s *mortal) step() {
	if s.steps--; s.steps == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
}

func (s *mortal) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	err := s.Store.Update(ctx, func(tx ledger.Tx) error {
		err := fn(tx)
		s.step()
		return err
	})
	s.step()
	return err
}

// activateUntilKilled is the server that TestKillActivating kills.
func activateUntilKilled(spec string) error {
	after, path, _ := strings.Cut(spec, "|")
	steps, err := strconv.Atoi(after)
	if err != nil {
		return err
	}
	store, err := openNamed(path)
	if err != nil {
		return err
	}
	dying := &mortal{Store: store}
	l, err := ledger.New(context.Background(), ledger.Config{Store: dying, Origin: ledgertest.Origin})
	if err != nil {
		return err
	}
	active, err := l.Active(context.Background())
	if err != nil {
		return err
	}
	dying.steps = steps
	_, err = l.Activate(context.Background(), longPolicy(active.Number))
	return errors.Join(err, store.Close())
}

// TestKillActivating kills a server with SIGKILL at each step of making a long policy active. It is active or it is not, what is
// active is whole, and the next one gets there.
func TestKillActivating(t *testing.T) {
	for _, name := range []string{"ledger.db", turningName + "ledger.db"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			for steps := 1; ; steps++ {
				before := activeIn(t, path)
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d|%s", activateEnv, steps, path))
				out, err := cmd.CombinedOutput()
				after := activeIn(t, path)
				if err == nil { // it has fewer steps
					if after != before+1 || steps < 10 {
						t.Errorf("from %d to %d, killed %d times", before, after, steps-1)
					}
					return
				}
				if after != before && after != before+1 || len(out) > 0 {
					t.Fatalf("killed after %d steps: from %d to %d: %s", steps, before, after, out)
				}
			}
		})
	}
}

// activeIn is the number of the active policy, after a look at all that a file says of policies.
func activeIn(t *testing.T, path string) uint64 {
	t.Helper()
	ctx := t.Context()
	store, err := openNamed(path)
	must(t, err)
	l := ledgertest.MustOpen(t, store, nil)
	active, err := l.Active(ctx)
	must(t, err)
	for base := range active.Number {
		want := longPolicy(base)
		if got, err := l.Revision(ctx, want.Revision); err != nil || !bytes.Equal(got, want.Content) {
			t.Fatalf("policy %s has %d bytes: %v", want.Revision, len(got), err)
		}
	}
	if report, err := l.Verify(ctx); err != nil || !report.OK() {
		t.Fatalf("%v %v", err, report.Problems)
	}
	must(t, errors.Join(store.Check(ctx), store.Close()))
	return active.Number
}
