package keystore_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/countersign-mpc/countersign/keystore"
)

// asNobody runs fn with the file access of another user than root, who may write everywhere.
func asNobody(t *testing.T, fn func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		fn()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		const nobody = 65534
		_, _, _ = syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0)
		fn()
	}()
	<-done
}

func TestNoWriteAccess(t *testing.T) {
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && len(d) > 1; d = filepath.Dir(d) {
		must(t, os.Chmod(d, 0o755)) // so that the other user reaches it
	}
	path := filepath.Join(dir, "asset.db")
	must(t, mustInit(t, path).Close())
	must(t, os.Chmod(path, 0o400))
	must(t, os.Chmod(dir, 0o555))
	t.Cleanup(func() { _ = os.Chmod(dir, 0o755) })
	asNobody(t, func() {
		for _, path := range []string{path, filepath.Join(dir, "new.db")} {
			s, err := keystore.Open(config(path))
			if err == nil {
				s.Close()
				t.Errorf("%s was opened for writing", path)
				continue
			}
			mustBe(t, err, fs.ErrPermission)
			if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "write") {
				t.Errorf("the error does not say what is needed: %v", err)
			}
		}
	})
}
