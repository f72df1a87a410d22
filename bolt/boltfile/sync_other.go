//go:build !linux

package boltfile

import "os"

// syncData syncs what the file holds.
func syncData(file *os.File) error { return file.Sync() }

// lengthOf is how long the file at a path is.
func lengthOf(_ *os.File, path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
