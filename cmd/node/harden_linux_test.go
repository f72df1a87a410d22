package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// hardened looks with the eyes of the kernel at the node that runs in a folder: hardened FOLDER.
func (n *nodes) hardened(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hardened folder")
	}
	n.mu.Lock()
	pid := n.running[ts.MkAbs(args[0])].cmd.Process.Pid
	n.mu.Unlock()
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	ts.Check(err)
	for line := range strings.Lines(string(limits)) {
		if strings.HasPrefix(line, "Max core file size") && strings.Fields(line)[4] != "0" {
			ts.Fatalf("the node may dump core: %s", line)
		}
	}
	if info, err := os.Stat(fmt.Sprintf("/proc/%d/mem", pid)); err != nil {
		ts.Fatalf("%v", err)
	} else if os.Geteuid() != 0 {
		ts.Logf("memory: %v", info.Sys())
		if f, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid)); err == nil {
			_ = f.Close()
			ts.Fatalf("another process of this user can read the node's memory")
		}
	}
	for _, name := range []string{"cmdline", "environ"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
		if os.Geteuid() != 0 && os.IsPermission(err) {
			continue
		}
		ts.Check(err)
		if strings.Contains(string(text), "Horse") {
			ts.Fatalf("%s of the node holds the password", name)
		}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	ts.Check(err)
	locked := 0
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "VmLck:"); ok {
			locked, err = strconv.Atoi(strings.Fields(text)[0])
			ts.Check(err)
		}
	}
	code(ts, false, []string{"0", "-", "mpc-node", "status"})
	if says := strings.Contains(ts.ReadFile("out"), `"memory locked, never swapped`); says != (locked > 0) {
		ts.Fatalf("%d kB are locked, and status says: %s", locked, ts.ReadFile("out"))
	}
}
