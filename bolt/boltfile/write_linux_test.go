package boltfile_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/countersign-mpc/countersign/bolt/boltfile"
)

// TestFailedWrite makes a commit fail for another reason than a full disk: it is not known then what is on disk, and the
// file must not be used further.
func TestFailedWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	f := must(boltfile.Open(config(path)))(t)
	if err := update(f, put("cat", "purrs")); err != nil {
		t.Fatal(err)
	}
	readOnly := must(os.Open(path))(t)
	defer readOnly.Close()
	if err := syscall.Dup3(int(readOnly.Fd()), descriptor(t, path, int(readOnly.Fd())), syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if err := update(f, put("cat", "barks")); !errors.Is(err, syscall.EBADF) {
		t.Errorf("a commit over a file that cannot be written: %v", err)
	}
	if _, err := get(f, "cat"); !errors.Is(err, boltfile.ErrEnded) {
		t.Errorf("read after a write that failed: %v", err)
	}
	if err := update(f, put("cat", "barks")); !errors.Is(err, boltfile.ErrEnded) {
		t.Errorf("written after a write that failed: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if v, err := get(open(t, path), "cat"); string(v) != "purrs" || err != nil {
		t.Errorf("opened anew it reads %q, %v", v, err)
	}
}

// TestFailedInPlace makes a write in place find a full disk before it took anything, and when it may have: then it is not known what is
// on disk.
func TestFailedInPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	_, s := reserved(t, path)
	full := must(os.OpenFile("/dev/full", os.O_WRONLY, 0))(t)
	defer full.Close()
	through := -1
	for entry := range 64 { // the one of the two that syncs what it writes
		if name, err := os.Readlink(fmt.Sprint("/proc/self/fd/", entry)); err != nil || name != path {
			continue
		}
		if flags, _, _ := syscall.Syscall(syscall.SYS_FCNTL, uintptr(entry), syscall.F_GETFL, 0); flags&syscall.O_DSYNC != 0 {
			through = entry
		}
	}
	if through < 0 {
		t.Fatal("no descriptor syncs what is written by it")
	}
	if err := syscall.Dup3(int(full.Fd()), through, syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if err := s.WriteThrough([]byte("other"), 0); err == nil || errors.Is(err, boltfile.ErrEnded) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("nothing was taken: %v; want that it goes on", err)
	}
	if err := s.WriteThrough([]byte("begin"), 0); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("what is to be written stands there, and the disk is full: %v", err)
	}
	if err := s.WriteThrough([]byte("other"), 0); !errors.Is(err, boltfile.ErrEnded) {
		t.Errorf("written where it is not known what is on disk: %v", err)
	}
}

// descriptor finds the descriptor of a file that this process has open, other than one.
func descriptor(t *testing.T, path string, except int) int {
	t.Helper()
	for _, entry := range must(os.ReadDir("/proc/self/fd"))(t) {
		fd := must(strconv.Atoi(entry.Name()))(t)
		if name, err := os.Readlink(fmt.Sprint("/proc/self/fd/", fd)); err == nil && name == path && fd != except {
			return fd
		}
	}
	t.Fatal("the file is not open")
	return 0
}
