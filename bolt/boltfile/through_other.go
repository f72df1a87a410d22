//go:build !linux

package boltfile

import "os"

// throughFlag is what writeThrough needs of a file: nothing.
const throughFlag = 0

// writeThrough writes, and syncs the file.
func writeThrough(file *os.File, p []byte, at int64) (int, error) {
	n, err := file.WriteAt(p, at)
	if err == nil {
		err = file.Sync()
	}
	return n, err
}
