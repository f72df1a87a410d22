//go:build linux || darwin

package keystore_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/countersign-mpc/countersign/keystore"
)

// TestLook: it says what Open says, and leaves everything as it is.
func TestLook(t *testing.T) {
	path := newPath(t)
	must(t, keystore.Look(path))
	if _, err := os.Lstat(path); err == nil {
		t.Fatal("it made a file")
	}
	s := mustInit(t, path)
	mustBe(t, keystore.Look(path), keystore.ErrLocked)
	var backup bytes.Buffer
	_, err := keystore.MarkBackup(&backup)
	must(t, err)
	_, err = s.Backup(&backup, nil)
	must(t, err)
	must(t, s.Close())
	before := mustRead(t, path)
	must(t, keystore.Look(path))
	must(t, keystore.Look(path)) // the lock was let go of
	if !bytes.Equal(before, mustRead(t, path)) {
		t.Error("the file was changed")
	}
	other := filepath.Join(filepath.Dir(path), "other.db")
	must(t, keystore.WriteFile(other, func(w io.Writer) error { _, err := w.Write(backup.Bytes()); return err }))
	mustBe(t, keystore.Look(other), keystore.ErrBackup)
	mustWrite(t, other, before[:len(before)/2])
	mustBe(t, keystore.Look(other), keystore.ErrCorrupt)
	must(t, os.Chmod(path, 0o644))
	if err := keystore.Look(path); err == nil {
		t.Error("a file that others can read passed")
	}
	must(t, os.Remove(other))
	must(t, os.Symlink(path, other))
	if err := keystore.Look(other); err == nil {
		t.Error("a symbolic link passed")
	}
}
