package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	_ = os.Setenv("GORACE", "atexit_sleep_ms=0") // a program under the race detector else takes a second to end
	testscript.Main(m, map[string]func(){"mpc-node": main})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	runScripts(t, testscript.Params{Dir: "testdata"}, nil)
}

// program finds a command of the script.
func program(ts *testscript.TestScript, name string) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	ts.Fatalf("there is no command %s", name)
	return ""
}

// code runs a command and wants its exit code: code N STDIN-FILE|- COMMAND [ARGUMENT…]. What it writes goes to the files
// out and err.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: code N stdin|- command [argument...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	cmd := exec.Command(program(ts, args[2]), args[3:]...)
	cmd.Dir = ts.MkAbs(".")
	if args[1] != "-" {
		cmd.Stdin = strings.NewReader(ts.ReadFile(args[1]))
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	runErr := cmd.Run()
	ts.Check(os.WriteFile(ts.MkAbs("out"), out.Bytes(), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("err"), errs.Bytes(), 0o600))
	ts.Logf("%s%s", out.String(), errs.String())
	if got := cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("exit code %d, want %d (%v)", got, want, runErr)
	}
}

// replace replaces text in a file, which must have it: replace FILE OLD NEW.
func replace(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: replace file old new")
	}
	text := ts.ReadFile(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("%s has no %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.ReplaceAll(text, args[1], args[2])), 0o600))
}

// nodes are the nodes that run for the scripts, by their folder.
type nodes struct {
	mu      sync.Mutex // guards running
	running map[string]*process
}

type process struct {
	cmd  *exec.Cmd
	said *transcript
	done chan error // how it ended, once all that it has said is in said
}

// start starts a node in a folder and waits until it says that it serves: start FOLDER [ARGUMENT…]. Its log goes to the
// file log there.
func (n *nodes) start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: start folder [argument...]")
	}
	dir := ts.MkAbs(args[0])
	cmd := exec.Command(program(ts, "mpc-node"), append([]string{"start"}, args[1:]...)...)
	cmd.Dir = dir
	said, err := newTranscript(filepath.Join(dir, "log"))
	ts.Check(err)
	cmd.Stderr = said
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	p := &process{cmd: cmd, said: said, done: make(chan error, 1)}
	n.mu.Lock()
	n.running[dir] = p
	n.mu.Unlock()
	first := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(out)
		lines.Scan()
		first <- lines.Text()
		for lines.Scan() {
		}
		err := cmd.Wait()
		p.done <- errors.Join(err, said.file.Close())
	}()
	select {
	case line := <-first:
		ts.Logf("%s", line)
		if !strings.HasPrefix(line, "mpc-node instance name: mpc-node, unseal server address: ") {
			ts.Fatalf("the node says %q\n%s", line, said)
		}
	case <-time.After(patience):
		ts.Fatalf("the node did not start")
	}
}

// ended waits until the node of a folder has ended well: ended FOLDER [kill|interrupt]. A killed one does not end well.
func (n *nodes) ended(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	n.mu.Lock()
	p := n.running[dir]
	delete(n.running, dir)
	n.mu.Unlock()
	if p == nil {
		ts.Fatalf("no node runs in %s", args[0])
	}
	killed := false
	if len(args) > 1 {
		signal := os.Interrupt
		if killed = args[1] == "kill"; killed {
			signal = os.Kill
		}
		ts.Check(p.cmd.Process.Signal(signal))
	}
	select {
	case err := <-p.done:
		if (err != nil) != killed {
			ts.Fatalf("the node ended with %v\n%s", err, p.said)
		}
	case <-time.After(patience):
		ts.Fatalf("the node did not end")
	}
}

// kill ends what a script has left running.
func (n *nodes) kill(work string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for dir, p := range n.running {
		if strings.HasPrefix(dir, work) {
			_ = p.cmd.Process.Kill()
			<-p.done
			delete(n.running, dir)
		}
	}
}

// killBackground ends what deploy/node.sh has left running in the folders of a script.
func killBackground(work string) {
	files, _ := filepath.Glob(filepath.Join(work, "*", "*", "node.pid"))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && pid > 1 {
			if p, err := os.FindProcess(pid); err == nil {
				_ = p.Kill()
			}
		}
	}
}

// TestHelp makes sure that every command says what it is for and how it is used.
func TestHelp(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if code := run(t.Context(), []string{"--help"}, streams{in: strings.NewReader(""), out: &out, err: &out}); code != 0 {
		t.Fatalf("exit code %d: %s", code, out.String())
	}
	commands := []string{"init", "check", "info", "keys", "sessions", "seal", "start", "status", "stop", "unseal", "reset", "cmreset", "rekey", "backup", "restore", "version"}
	for _, name := range append(commands, "config check", "password generate", "backup verify", "backup list", "auto-unseal enable", "auto-unseal disable", "auto-unseal make-key") {
		if first, _, _ := strings.Cut(name, " "); !strings.Contains(out.String(), "\n  "+first) {
			t.Errorf("the list of commands has no %s:\n%s", first, out.String())
		}
		var help bytes.Buffer
		args := append(strings.Fields(name), "--help")
		if code := run(t.Context(), args, streams{in: strings.NewReader(""), out: &help, err: &help}); code != 0 {
			t.Errorf("%s: exit code %d", name, code)
		}
		if text := help.String(); !strings.Contains(text, "Examples:\n  mpc-node "+name) || !strings.Contains(text, "--config") {
			t.Errorf("the help of %s has no example:\n%s", name, text)
		}
	}
}

func TestUnknownCommandsAndArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"sart"}, {"start", "now"}, {"info", "--jason"}, {"config", "check", "x"}} {
		var out bytes.Buffer
		if code := run(t.Context(), args, streams{in: strings.NewReader(""), out: &out, err: &out}); code != exitFailed {
			t.Errorf("%v: exit code %d: %s", args, code, out.String())
		}
		if !strings.HasPrefix(out.String(), "mpc-node: ") {
			t.Errorf("%v: %s", args, out.String())
		}
	}
}

func TestLevels(t *testing.T) {
	t.Parallel()
	last := level(0)
	for n := range 7 {
		if level(n) > last {
			t.Errorf("level %d says less than level %d", n, n-1)
		}
		last = level(n)
	}
	var said []string
	for n := range 7 {
		var out bytes.Buffer
		c := defaults()
		c.Log.Stdout.Level = n
		log, err := (&options{streams: streams{err: &out}}).logger(c)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range []slog.Level{levelPanic, levelFatal, slog.LevelError, slog.LevelWarn, slog.LevelInfo, slog.LevelDebug, levelTrace} {
			log.Log(t.Context(), l, "x")
		}
		var names []string
		for _, line := range regexp.MustCompile(`level=(\w+) `).FindAllStringSubmatch(out.String(), -1) {
			names = append(names, line[1])
		}
		said = append(said, strings.Join(names, " "))
	}
	want := []string{"PANIC", "PANIC FATAL", "PANIC FATAL ERROR", "PANIC FATAL ERROR WARN", "PANIC FATAL ERROR WARN INFO",
		"PANIC FATAL ERROR WARN INFO DEBUG", "PANIC FATAL ERROR WARN INFO DEBUG TRACE"}
	if !slices.Equal(said, want) {
		t.Errorf("the levels 0 to 6 say\n%s", strings.Join(said, "\n"))
	}
}

// sameIdentity wants `info` to tell the identity that a file with the answer of init has.
func sameIdentity(ts *testscript.TestScript, neg bool, args []string) {
	var init, info struct {
		Data struct {
			NodeID    string `json:"node_id"`
			PublicKey string `json:"public_key"`
		} `json:"data"`
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &init))
	code(ts, false, []string{"0", "-", "mpc-node", "info"})
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("out")), &info))
	if neg || init != info || init.Data.NodeID == "" {
		ts.Fatalf("the identity was %v and is %v", init, info)
	}
}

// taken writes the addresses of a running node, from its address file, into another configuration.
func taken(ts *testscript.TestScript, neg bool, args []string) {
	var at struct{ Admin string }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("addresses.json")), &at))
	replace(ts, neg, []string{args[0], `unseal-server-address = "127.0.0.1:0"`, fmt.Sprintf("unseal-server-address = %q", at.Admin)})
}

// uncomment copies a configuration with the keys that are commented out in it.
func uncomment(ts *testscript.TestScript, neg bool, args []string) {
	key := regexp.MustCompile(`(?m)^# ([a-z-]+ = )`)
	text := ts.ReadFile(args[0])
	if neg || len(key.FindAllString(text, -1)) < 5 {
		ts.Fatalf("%s has no keys that are commented out", args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(key.ReplaceAllString(text, "$1")), 0o600))
}

// swapLetter changes the letter of a file at a place: swap-letter FILE PLACE.
func swapLetter(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: swap-letter file place")
	}
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	text := []byte(ts.ReadFile(args[0]))
	if text[at]++; text[at] > 'Z' {
		text[at] = 'A'
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text, 0o600))
}

// only gives the one file that a pattern matches a name: only PATTERN NAME.
func only(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: only pattern name")
	}
	found, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(found) != 1 {
		ts.Fatalf("%s matches %v", args[0], found)
	}
	ts.Check(os.Rename(found[0], ts.MkAbs(args[1])))
}
