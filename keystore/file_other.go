//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package keystore

import (
	"errors"
	"os"
	"time"
)

var errSystem = errors.New("this operating system lacks the file locks and modes that the key store needs: run the node on Linux")

func createIfAbsent(string, time.Time) error           { return errSystem }
func lockFile(string, time.Duration) (*os.File, error) { return nil, errSystem }
func syncDir(string) error                             { return errSystem }
