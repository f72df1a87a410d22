//go:build !linux

package boltfile

import "os"

// syncData syncs what the file holds.
func syncData(file *os.File) error { return file.Sync() }

// lookAt says how long the file at a path is, and whether it is a certain one.
func lookAt(path string, own os.FileInfo) (size int64, same bool, err error) {
	return plainLookAt(path, own)
}
