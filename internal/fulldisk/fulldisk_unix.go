//go:build unix

package fulldisk

import (
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
)

// Child runs this test binary again with one more variable in its environment, and fails the test if that fails.
func Child(t testing.TB, env string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), env)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// Limit makes the system refuse to write this process's files beyond a size, in bytes, as on a full disk, until lift is called.
func Limit(size int64) (lift func() error, err error) {
	signal.Ignore(syscall.SIGXFSZ) // the write fails instead
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return nil, err
	}
	before := limit
	set(&limit.Cur, size)
	return func() error { return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before) }, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)
}

// set is for a field whose type differs between systems.
func set[T int64 | uint64](field *T, to int64) { *field = T(to) }
