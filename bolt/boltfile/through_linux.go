package boltfile

import (
	"os"
	"syscall"
)

// throughFlag makes a write return once what it wrote is on disk, and what is needed to read that. Of the rest of the file nothing
// is waited for.
const throughFlag = syscall.O_DSYNC

// writeThrough writes, and syncs what it wrote.
func writeThrough(file *os.File, p []byte, at int64) (int, error) { return file.WriteAt(p, at) }
