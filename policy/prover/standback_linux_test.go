package prover_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/countersign-mpc/countersign/policy/prover"
)

// atEnd calls a function when everything was read.
type atEnd struct {
	io.Reader
	do func() error
}

func (r atEnd) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if err == io.EOF {
		if failed := r.do(); failed != nil {
			return n, failed
		}
	}
	return n, err
}

// polite proves, and fails where a thread has another priority than it should when that begins.
func polite(mode string) error {
	want := unix.SchedAttr{Policy: unix.SCHED_NORMAL, Nice: 10}
	if mode == "idle" {
		want = unix.SchedAttr{Policy: unix.SCHED_IDLE}
	}
	return prover.Serve(context.Background(), atEnd{os.Stdin, func() error { return standsBack(want) }}, os.Stdout)
}

func standsBack(want unix.SchedAttr) error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if a, err := unix.SchedGetAttr(id, 0); err != nil || a.Policy != want.Policy || a.Nice != want.Nice {
			return fmt.Errorf("thread %d has the priority %+v, %v", id, a, err)
		}
	}
	return nil
}

// TestStandsBack: it runs only where nobody else does, and, where that came to nothing, at a low priority.
func TestStandsBack(t *testing.T) {
	for mode, cfg := range map[string]prover.Config{"idle": {}, "polite": {Patience: time.Nanosecond}} {
		if _, err := newProver(t, mode, cfg).Prove(t.Context(), small(t)); err != nil {
			t.Error(mode, err)
		}
	}
}
