package boltfile

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// syncData syncs what the file holds, and of what is known about it only what is needed to read that.
func syncData(file *os.File) error {
	for {
		if err := syscall.Fdatasync(int(file.Fd())); err != syscall.EINTR {
			return err
		}
	}
}

// lookAt says how long the file at a path is, and whether it is a certain one. It does not ask for the file's times, as os.Stat does:
// Linux gives a file whose times were asked for a new one with the next write, instead of one for all writes of some milliseconds, and
// with that a file system may have more to sync.
func lookAt(path string, own os.FileInfo) (size int64, same bool, err error) {
	is, known := own.Sys().(*syscall.Stat_t)
	if !known {
		return plainLookAt(path, own)
	}
	var there unix.Statx_t
	for {
		err = unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_INO|unix.STATX_SIZE, &there)
		switch {
		case err == nil:
			return int64(there.Size), there.Ino == is.Ino && unix.Mkdev(there.Dev_major, there.Dev_minor) == is.Dev, nil
		case err == unix.ENOSYS || err == unix.EPERM: // older than it, or not let through to the kernel
			return plainLookAt(path, own)
		case err != unix.EINTR:
			return 0, false, &os.PathError{Op: "statx", Path: path, Err: err}
		}
	}
}
