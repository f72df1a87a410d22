package killtest

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
)

// writeCalls are the system calls by which a file or folder is changed.
var writeCalls = map[uint64]string{1: "write", 18: "pwrite64", 20: "writev", 74: "fsync", 75: "fdatasync", 77: "ftruncate", 82: "rename",
	86: "link", 87: "unlink", 257: "openat", 263: "unlinkat", 264: "renameat", 265: "linkat"}

// At runs this test binary again under ptrace, with env added to its environment, and kills it just before its n-th call that
// changes files. It returns the name of that call; empty where the child made fewer and ended by itself, without an error. The test
// is skipped where ptrace is not permitted. It waits for whatever child ends, so that the test must have no other one.
func At(t testing.TB, env []string, n int) string {
	t.Helper()
	runtime.LockOSThread() // ptrace belongs to a thread
	defer runtime.UnlockOSThread()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), "GOMAXPROCS=1"), env...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr // files, so that nothing copies what it says
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		t.Skipf("ptrace is not possible here: %v", err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	pid := cmd.Process.Pid
	var status syscall.WaitStatus
	over := false
	defer func() { // every thread is waited for, the first one last
		_ = syscall.Kill(pid, syscall.SIGKILL)
		for !over {
			thread, err := syscall.Wait4(-1, &status, syscall.WALL, nil)
			over = err != nil || (thread == pid && (status.Exited() || status.Signaled()))
		}
		_ = cmd.Process.Release()
	}()
	_, err := syscall.Wait4(pid, &status, syscall.WALL, nil)
	must(err)
	const exitKill = 0x100000
	must(syscall.PtraceSetOptions(pid, syscall.PTRACE_O_TRACESYSGOOD|syscall.PTRACE_O_TRACECLONE|exitKill))
	must(syscall.PtraceSyscall(pid, 0))
	inside := make(map[int]bool) // threads that are in a system call
	for count := 0; ; {
		thread, err := syscall.Wait4(-1, &status, syscall.WALL, nil)
		must(err)
		signal := 0
		switch {
		case status.Exited() || status.Signaled():
			if thread != pid {
				continue
			}
			over = true
			if status.Signaled() || status.ExitStatus() != 0 {
				t.Fatalf("the child ended with status %d, signal %d", status.ExitStatus(), status.Signal())
			}
			return ""
		case status.StopSignal() == syscall.SIGTRAP|0x80:
			var regs syscall.PtraceRegs
			if err := syscall.PtraceGetRegs(thread, &regs); errors.Is(err, syscall.ESRCH) {
				continue // the thread ends with the process
			} else if err != nil {
				t.Fatal(err)
			}
			inside[thread] = !inside[thread]
			if name := writeCalls[regs.Orig_rax]; inside[thread] && name != "" && changes(name, &regs) {
				if count++; count == n {
					must(syscall.Kill(pid, syscall.SIGKILL))
					return name
				}
			}
		case status.StopSignal() != syscall.SIGTRAP && status.StopSignal() != syscall.SIGSTOP:
			signal = int(status.StopSignal())
		}
		if err := syscall.PtraceSyscall(thread, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatal(err)
		}
	}
}

// changes leaves out what goes to standard output and to the runtime's pipes, and what is opened to be read.
func changes(name string, regs *syscall.PtraceRegs) bool {
	switch name {
	case "write", "writev":
		return regs.Rdi > 5
	case "openat":
		return regs.Rdx&syscall.O_CREAT != 0
	}
	return true
}
