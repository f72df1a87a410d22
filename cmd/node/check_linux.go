package main

import (
	"fmt"
	"io/fs"
	"syscall"
	"time"
)

const (
	staUnsync = 0x40 // STA_UNSYNC, adjtimex(2)
	timeError = 5    // TIME_ERROR
)

// kernelClock asks the kernel about its clock. It changes nothing and needs no rights.
func kernelClock() (clockState, error) {
	var t syscall.Timex
	state, err := syscall.Adjtimex(&t)
	if err != nil {
		return clockState{}, fmt.Errorf("adjtimex: %w", err)
	}
	return clockState{synchronised: t.Status&staUnsync == 0 && state != timeError, maxError: time.Duration(t.Maxerror) * time.Microsecond}, nil
}

func diskOf(folder string) (total, free uint64, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil {
		return 0, 0, fmt.Errorf("statfs %s: %w", folder, err)
	}
	return s.Blocks * uint64(s.Bsize), s.Bavail * uint64(s.Bsize), nil
}

func coreLimit() uint64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_CORE, &limit) != nil {
		return 1
	}
	return limit.Cur
}

// ownerOf is the user to whom a file belongs, where its file system says so.
func ownerOf(info fs.FileInfo) (uid int, ok bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}

// mayWrite tells whether this process may make files in a folder.
func mayWrite(folder string) error {
	const write, enter = 2, 1 // W_OK, X_OK
	if err := syscall.Access(folder, write|enter); err != nil {
		return fmt.Errorf("%s: %w", folder, err)
	}
	return nil
}
