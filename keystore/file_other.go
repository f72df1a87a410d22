//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package keystore

import (
	"errors"
	"io"
	"os"
	"time"
)

var errSystem = errors.New("this operating system lacks the file locks and modes that the key store needs: run the node on Linux")

func createIfAbsent(string, time.Time) error           { return errSystem }
func lockFile(string, time.Duration) (*os.File, error) { return nil, errSystem }
func syncDir(string) error                             { return errSystem }
func place(string, string) error                       { return errSystem }

// CreateTemp fails: this operating system lacks the modes.
func CreateTemp(string) (*os.File, error) { return nil, errSystem }

// RemoveUnfinished fails: this operating system lacks the locks.
func RemoveUnfinished(string) error { return errSystem }

// Look fails: this operating system lacks the locks and modes.
func Look(string) error { return errSystem }

// Lock fails: this operating system lacks the locks.
func Lock(string, time.Duration) (io.Closer, error) { return nil, errSystem }
