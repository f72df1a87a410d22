//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const lockPoll = 20 * time.Millisecond

// createIfAbsent makes a new, uninitialised store at path if nothing is there. The file appears complete or not at
// all: it is written under another name and then linked, which also never replaces what another process just made.
func createIfAbsent(path string, now time.Time) error {
	if err := checkDir(filepath.Dir(path)); err != nil {
		return err
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".asset.db.*.new") // mode 0600
	if err != nil {
		return fmt.Errorf("create it (the node needs to write to its directory): %w", err)
	}
	defer os.Remove(file.Name())
	if err := initBolt(file, newHeader(now)); err != nil {
		return fmt.Errorf("create it: %w", err)
	}
	if err := os.Link(file.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("create it (its file system must have hard links): %w", err)
	}
	return syncDir(filepath.Dir(path))
}

func checkDir(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("its directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory", dir)
	}
	if info.Mode()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("everybody can write to its directory, mode %v, and so replace it: chmod o-w %s", info.Mode(), dir)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync its directory: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync its directory: %w", err)
	}
	return nil
}

// lockFile opens path and locks it against other processes, waiting up to timeout. It refuses whatever is not a
// regular file that only its owner can read.
func lockFile(path string, timeout time.Duration) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, errors.New("it is a symbolic link: give the path of the file itself")
	}
	if err != nil {
		return nil, fmt.Errorf("the node must be able to read and write it: %w", err)
	}
	err = checkMode(file)
	if err == nil {
		err = flock(file, timeout)
	}
	if err == nil {
		err = checkSame(file, path)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func checkMode(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("it is not a regular file, but %v", info.Mode().Type())
	}
	if info.Mode()&0o077 != 0 {
		return fmt.Errorf("group or others have access to it, mode %v: chmod 600 %s", info.Mode(), file.Name())
	}
	return nil
}

func flock(file *os.File, timeout time.Duration) error {
	give := time.Now().Add(timeout)
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("lock it: %w", err)
		}
		if time.Now().After(give) {
			return fmt.Errorf("%w: waited %v; stop the other node, or give this one a db-file-path of its own", ErrLocked, timeout)
		}
		time.Sleep(lockPoll)
	}
}

// checkSame makes sure that path was not given to another file while this process waited for the lock.
func checkSame(file *os.File, path string) error {
	ours, err := file.Stat()
	if err != nil {
		return err
	}
	now, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !os.SameFile(ours, now) {
		return errors.New("it was replaced while it was being opened: try again")
	}
	return nil
}
