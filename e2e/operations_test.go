package e2e_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestOperations does what docs/OPERATIONS.md says, by its own words: every block of commands marked sh, in order, in one
// shell. The test alters nothing but the ports, so that it disturbs no other process, and has built the programs already.
func TestOperations(t *testing.T) {
	for _, program := range []string{"bash", "curl", "awk", "sed"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("docs/OPERATIONS.md is run by a shell and needs %s", program)
		}
	}
	root, home := "..", t.TempDir()
	clone := filepath.Join(home, "clone")
	ports := freePorts(t)
	for _, name := range []string{"config.toml", "deploy/node.sh", "deploy/callback.toml", "deploy/coordinator.toml", "rego/data.json"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(clone, name), ports.in(string(text)), 0o700)
	}
	build(t, filepath.Join(clone, "bin"))
	page, err := os.ReadFile(filepath.Join(root, "docs", "OPERATIONS.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 8 {
		t.Fatalf("docs/OPERATIONS.md has %d blocks of commands", len(blocks))
	}
	script := "set -euo pipefail\nmake() { :; }\n"
	for i, block := range blocks {
		script += fmt.Sprintf("echo \"=== block %d, after $SECONDS s\"\n%s", i+1, ports.in(block[1]))
	}
	out := runScript(t, home, clone, script)
	for text, times := range map[string]int{
		`"state": "completed"`:                         3, // a keygen and two signatures, the second after the loss
		`{"data":"in-bkey success","status":"ok"}`:     5, // each unseal that was complete
		"every share proven against its public key":    2,
		"restored to ":                                 1,
		`{"data":"re-bkey success","status":"ok"}`:     1,
		"new master key: store ":                       1,
		`"data":{"node_id":"sino`:                      3,
		"=== block " + strconv.Itoa(len(blocks)) + ",": 1,
	} {
		if got := strings.Count(out, text); got < times {
			t.Errorf("%q stands %d times in what was printed, want at least %d", text, got, times)
		}
	}
	t.Log(out)
}

// runScript runs a script in bash, in a session of its own, all of which is ended afterwards.
func runScript(t *testing.T, home, dir, script string) string {
	t.Helper()
	cmd := exec.Command("bash", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+home)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := os.Create(filepath.Join(home, "printed"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err = <-done:
	case <-time.After(10 * time.Minute):
		err = fmt.Errorf("it takes more than ten minutes")
	}
	printed, _ := os.ReadFile(out.Name())
	if err != nil {
		t.Errorf("%v", err)
		for _, log := range []string{"coordinator/coordinator.log", "callback/callback.log", "nodes/a/logs/node.out", "nodes/b/logs/node.out"} {
			text, _ := os.ReadFile(filepath.Join(home, "countersign", log))
			t.Logf("--- %s\n%s", log, text[max(0, len(text)-4000):])
		}
		t.Fatalf("%s", printed)
	}
	return string(printed)
}

// portMap gives each default port of the documents another.
type portMap map[string]string

var portNumber = regexp.MustCompile(`\b(8080|909[01]|910[1-5]|50051|1008[0-3])\b`)

func (p portMap) in(text string) string {
	return portNumber.ReplaceAllStringFunc(text, func(old string) string { return p[old] })
}

// freePorts finds runs of free ports: node.sh counts upwards.
func freePorts(t *testing.T) portMap {
	t.Helper()
	p := portMap{}
	for _, run := range []struct{ first, n int }{{8080, 1}, {9090, 2}, {9101, 5}, {50051, 1}, {10080, 4}} {
		base := freeRun(t, run.n)
		for i := range run.n {
			p[strconv.Itoa(run.first+i)] = strconv.Itoa(base + i)
		}
	}
	return p
}

// freeRun finds n ports in a row, none of which is one of the numbers that are replaced.
func freeRun(t *testing.T, n int) int {
	t.Helper()
	for range 100 {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		base := free.Addr().(*net.TCPAddr).Port
		_ = free.Close()
		ok := base+n < 65536
		for port := base; ok && port < base+n; port++ {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if ok = err == nil && !portNumber.MatchString(strconv.Itoa(port)); err == nil {
				_ = l.Close()
			}
		}
		if ok {
			return base
		}
	}
	t.Fatalf("there are no %d free ports in a row", n)
	return 0
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Clone([]byte(text)), mode); err != nil {
		t.Fatal(err)
	}
}
