//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package keystore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// createIfAbsent makes a new, uninitialised store at path if nothing is there. The file appears complete or not at
// all: it is written under another name and then linked, which also never replaces what another process just made.
func createIfAbsent(path string, now time.Time) error {
	if err := checkDir(filepath.Dir(path)); err != nil {
		return err
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := CreateTemp(path)
	if err != nil {
		return fmt.Errorf("create it (the node needs to write to its directory): %w", err)
	}
	defer os.Remove(file.Name())
	if err := initBolt(file, newHeader(now)); err != nil {
		return fmt.Errorf("create it: %w", err)
	}
	err = place(file.Name(), path)
	if errors.Is(err, fs.ErrNotExist) { // another process was faster, and has removed this one's as unfinished
		_, err = os.Lstat(path)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("create it (its file system must have hard links): %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// CreateTemp makes a file, of mode 0600, that is to get the name path once it is complete.
func CreateTemp(path string) (*os.File, error) {
	return os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.new")
}

// RemoveUnfinished removes what processes that were killed have left of files that were to become a store at path: complete or not,
// nobody will give them its name. The caller holds the lock of the store.
func RemoveUnfinished(path string) error {
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("its directory: %w", err)
	}
	unfinished := regexp.MustCompile(`^\.` + regexp.QuoteMeta(filepath.Base(path)) + `(` + regexp.QuoteMeta(rekeySuffix) + `)?\.\d+\.new$`)
	for _, entry := range left {
		if !unfinished.MatchString(entry.Name()) || !entry.Type().IsRegular() {
			continue
		}
		if err := removeIfThere(filepath.Join(filepath.Dir(path), entry.Name())); err != nil {
			return fmt.Errorf("remove what a process that was killed has left: %w", err)
		}
	}
	return nil
}

// place gives a complete file its name, and never replaces what has it: fs.ErrExist. Where there are no hard links at all, as in
// an enclave, nobody else is there to take the name in between either.
func place(from, to string) error {
	err := os.Link(from, to)
	if !errors.Is(err, syscall.ENOSYS) {
		return err
	}
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fs.ErrExist)
	}
	return os.Rename(from, to)
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
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) { // EINVAL: this file system syncs no directories
		return fmt.Errorf("sync its directory: %w", err)
	}
	return nil
}

var errSymlink = errors.New("it is a symbolic link: give the path of the file itself")

// lockFile opens path and locks it against other processes, waiting up to timeout. It refuses whatever is not a
// regular file that only its owner can read.
func lockFile(path string, timeout time.Duration) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, errSymlink
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

// Lock makes a file at path, if there is none, that only its owner can read, and locks it against other processes until it is
// closed; ErrLocked after timeout. It is for what is replaced at each write and so cannot be locked itself: never remove it.
func Lock(path string, timeout time.Duration) (io.Closer, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the key store: %w", err)
	}
	if err := file.Close(); err != nil {
		return nil, fmt.Errorf("lock the key store: %w", err)
	}
	return lockFile(path, timeout)
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
