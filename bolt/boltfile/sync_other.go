//go:build !linux

package boltfile

import "os"

// syncData syncs what the file holds.
func syncData(file *os.File) error { return file.Sync() }
