package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

const (
	rlimitMemlock = 8  // RLIMIT_MEMLOCK, getrlimit(2)
	capIPCLock    = 14 // CAP_IPC_LOCK, capabilities(7)
	mclOnFault    = 4  // MCL_ONFAULT, mlockall(2)
)

// harden keeps what the process knows out of core dumps, and away from debuggers and /proc/PID/mem of the same user. It says
// what holds.
func harden() []string {
	var out []string
	say := func(what string, err error) {
		if err != nil {
			what = fmt.Sprintf("NOT %s: %v", what, err)
		}
		out = append(out, what)
	}
	say("core dumps off (RLIMIT_CORE 0)", syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}))
	_, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_DUMPABLE, 0, 0)
	var err error
	if errno != 0 {
		err = errno
	}
	say("memory closed to other processes of this user (PR_SET_DUMPABLE 0)", err)
	return out
}

// lockMemory keeps the memory of the process, keys and passwords with it, from being swapped to a disk, where the process may.
// It locks all or nothing: with a limit on locked memory the process would later die for lack of it.
func lockMemory() string {
	const unlocked = "NOT memory locked, so it may be swapped to disk: "
	if !mayLock() {
		return unlocked + "it needs CAP_IPC_LOCK or an unlimited RLIMIT_MEMLOCK (systemd: LimitMEMLOCK=infinity; Docker: --ulimit memlock=-1)," +
			" else turn swap off or encrypt it"
	}
	if err := syscall.Mlockall(syscall.MCL_CURRENT | syscall.MCL_FUTURE | mclOnFault); err != nil {
		return unlocked + err.Error()
	}
	return "memory locked, never swapped to disk (mlockall)"
}

func mayLock() bool {
	var limit syscall.Rlimit
	if syscall.Getrlimit(rlimitMemlock, &limit) == nil && limit.Cur == ^uint64(0) {
		return true
	}
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "CapEff:"); ok {
			caps, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
			return err == nil && caps>>capIPCLock&1 == 1
		}
	}
	return false
}
