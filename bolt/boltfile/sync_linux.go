package boltfile

import (
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
