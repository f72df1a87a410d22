//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// Look tells what Open would say of the file at path, as far as that needs no key, and changes nothing: nil where there is no file
// yet, ErrLocked where a process has it open.
func Look(path string) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return errSymlink
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if err := checkMode(file); err != nil {
		return err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	} else if err != nil {
		return fmt.Errorf("lock it: %w", err)
	}
	_, err = checkFile(file)
	return err
}
