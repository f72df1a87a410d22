package prover_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"testing"

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
func polite() error {
	return prover.Serve(context.Background(), atEnd{os.Stdin, standsBack}, os.Stdout)
}

func standsBack() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if p, err := unix.Getpriority(unix.PRIO_PROCESS, id); err != nil || p != 20-10 { // as the kernel gives it: 20 - nice
			return fmt.Errorf("thread %d has the priority %d, %v", id, p, err)
		}
	}
	return nil
}

func TestStandsBack(t *testing.T) {
	if _, err := newProver(t, "polite", prover.Config{}).Prove(t.Context(), small(t)); err != nil {
		t.Error(err)
	}
}
