package boltfile

import (
	"io"
	"os"
	"syscall"
)

// syncData syncs what the file holds, and of what is known about it only what is needed to read that.
func syncData(file *os.File) error {
	for {
		if err := syscall.Fdatasync(int(file.Fd())); err != syscall.EINTR {
			return err
		}
	}
}

// lengthOf is how long a file is, if there is one at its path. It does not ask for the file's times, as os.Stat does: Linux gives a file
// whose times were asked for a new one with the next write, instead of one for all writes of some milliseconds, and with that a file
// system may have more to sync.
func lengthOf(file *os.File, path string) (int64, error) {
	if err := syscall.Access(path, 0); err != nil {
		return 0, &os.PathError{Op: "find", Path: path, Err: err}
	}
	return file.Seek(0, io.SeekEnd) // nobody else uses where the file is read
}
