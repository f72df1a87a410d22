package sgx_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/countersign-mpc/countersign/internal/killtest"
	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/keystore/sgx"
)

// childDir, where it is set, makes this test binary a process that writes to the store in that folder once.
const childDir = "SGX_TEST_CHILD"

func TestMain(m *testing.M) {
	dir := os.Getenv(childDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := childWrite(machineIn(nil, dir)); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

func childWrite(m machine) error {
	s, err := sgx.OpenAt(m.config(), m.device)
	if err != nil {
		return err
	}
	if err := s.Unseal(context.Background(), secret.New([]byte(password))); err != nil {
		return err
	}
	if err := s.Put("b", "k", []byte("after")); err != nil {
		return err
	}
	return s.Close()
}

// TestKilledAtEachWrite kills the process before each call by which it changes a file: what is left is the text before or the text
// after, complete, and the next opener removes what was not finished.
func TestKilledAtEachWrite(t *testing.T) {
	t.Parallel()
	found := map[string]int{}
	for n := 1; ; n++ {
		m := newMachine(t)
		s := m.initialised()
		m.must(s.Put("b", "k", []byte("before")))
		m.must(s.Close())
		other := filepath.Join(filepath.Dir(m.path), ".asset.db.kept.new") // no name that a store gives
		m.must(os.WriteFile(other, nil, 0o600))
		call := killtest.At(t, []string{childDir + "=" + filepath.Dir(m.path)}, n)
		found["unfinished"] += len(m.unfinished()) - 1
		s = m.unsealed()
		value, err := s.Get("b", "k")
		m.must(err)
		if string(value) != "before" && (string(value) != "after" || n == 1) {
			t.Errorf("killed before call %d, %s: k is %q", n, call, value)
		}
		found[string(value)]++
		if left := m.unfinished(); len(left) != 1 || left[0] != other {
			t.Errorf("killed before call %d, %s: there are %v", n, call, left)
		}
		m.must(s.Put("b", "k", []byte("afterwards")))
		m.must(s.Close())
		m.wantRecord(m.unsealed(), "k", "afterwards")
		if call == "" {
			break
		}
	}
	t.Logf("%v", found)
	if found["unfinished"] == 0 || found["before"] < 3 || found["after"] == 0 {
		t.Errorf("the kills missed the writes: %v", found)
	}
}

func (m machine) unfinished() []string {
	m.t.Helper()
	left, err := filepath.Glob(filepath.Join(filepath.Dir(m.path), ".asset.db.*.new"))
	m.must(err)
	return left
}
