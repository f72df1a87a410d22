package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long a script waits for something that must happen.
const patience = time.Minute

// runScripts runs the scripts that p names, with variables of their own beside $ROOT, and ends every node that they leave running.
func runScripts(t *testing.T, p testscript.Params, variables map[string]string) {
	t.Helper()
	root, err := filepath.Abs("../..")
	must(t, err)
	nodes := &nodes{running: make(map[string]*process)}
	p.RequireExplicitExec = true
	p.Setup = func(env *testscript.Env) error {
		env.Setenv("ROOT", root)
		for name, value := range variables {
			env.Setenv(name, value)
		}
		for _, name := range []string{"sh", "dirname"} { // for scripts that change PATH
			if path, err := exec.LookPath(name); err == nil {
				env.Setenv(strings.ToUpper(name), path)
			}
		}
		env.Defer(func() { nodes.kill(env.WorkDir) })
		env.Defer(func() { killBackground(env.WorkDir) })
		return nil
	}
	p.Cmds = map[string]func(*testscript.TestScript, bool, []string){
		"code": code, "replace": replace, "start": nodes.start, "ended": nodes.ended, "logged": nodes.logged, "same-identity": sameIdentity,
		"taken": taken, "uncomment": uncomment, "swap-letter": swapLetter, "only": only, "hardened": nodes.hardened,
	}
	testscript.Run(t, p)
}

// transcript is what a process has written to its standard error, kept in a file too.
type transcript struct {
	mu   sync.Mutex // guards the fields below
	file *os.File
	text bytes.Buffer
	more chan struct{} // closed at the next write
}

func newTranscript(path string) (*transcript, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	return &transcript{file: file, more: make(chan struct{})}, err
}

// Write implements io.Writer.
func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(p)
	close(s.more)
	s.more = make(chan struct{})
	return s.file.Write(p)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// await waits until what was written matches a pattern.
func (s *transcript) await(pattern *regexp.Regexp) error {
	for late := time.After(patience); ; {
		s.mu.Lock()
		found, more := pattern.Match(s.text.Bytes()), s.more
		s.mu.Unlock()
		if found {
			return nil
		}
		select {
		case <-more:
		case <-late:
			return fmt.Errorf("nothing that was written matches %q:\n%s", pattern, s)
		}
	}
}

// logged waits until the node that runs in a folder has logged what matches a pattern: logged FOLDER PATTERN.
func (n *nodes) logged(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: logged folder pattern")
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	n.mu.Lock()
	p := n.running[ts.MkAbs(args[0])]
	n.mu.Unlock()
	if p == nil {
		ts.Fatalf("no node runs in %s", args[0])
	}
	ts.Check(p.said.await(pattern))
}
