package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/term"
)

// terminal makes a pseudo terminal: what people see, and what the process has (pts(4)). Linux without any fails the test, as it
// fails the scripts that have a terminal.
func terminal(t testing.TB) (people, process *os.File) {
	t.Helper()
	open := func(path string) *os.File {
		f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY, 0)
		must(t, err)
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	people = open("/dev/ptmx")
	var number, locked int32
	for request, value := range map[uintptr]*int32{syscall.TIOCGPTN: &number, syscall.TIOCSPTLCK: &locked} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, people.Fd(), request, uintptr(unsafe.Pointer(value))); errno != 0 {
			t.Fatalf("/dev/ptmx: %v", errno)
		}
	}
	return people, open(fmt.Sprintf("/dev/pts/%d", number))
}

// TestASignalAtThePrompt: who asks for a password can be interrupted, and leaves a terminal that echoes.
func TestASignalAtThePrompt(t *testing.T) {
	t.Parallel()
	people, process := terminal(t)
	before, err := term.GetState(int(process.Fd()))
	must(t, err)
	cmd := exec.Command("mpc-node", "unseal", "--address", "127.0.0.1:1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = process, process, process
	must(t, cmd.Start())
	prompt, err := bufio.NewReader(people).ReadString(':')
	if err != nil || !strings.HasSuffix(prompt, "? Enter current password:") {
		t.Fatalf("the prompt is %q (%v)", prompt, err)
	}
	eventually(t, "the terminal does not echo", func() bool {
		now, err := term.GetState(int(process.Fd()))
		return err == nil && *now != *before
	})
	must(t, cmd.Process.Signal(os.Interrupt))
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	select {
	case <-ended:
	case <-time.After(patience):
		_ = cmd.Process.Kill()
		t.Fatal("it did not end")
	}
	if code := cmd.ProcessState.ExitCode(); code != exitFailed {
		t.Fatalf("exit code %d", code)
	}
	if now, err := term.GetState(int(process.Fd())); err != nil || *now != *before {
		t.Fatal("the terminal is not as it was")
	}
}
