package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// walk runs docs/WALKTHROUGH.md: it writes the files that the page shows, runs its commands, and holds what they print against
// what the page says they print.
type walk struct {
	t    *testing.T
	dir  string
	code int
	ids  map[string]string // of the page -> of this run
}

var (
	fileBlock = regexp.MustCompile("`([a-z_/.]+)`:$")
	folder    = regexp.MustCompile("All files are in `([a-z/]+)`")
	addBlock  = regexp.MustCompile("add to `([a-z_/.]+)`:$")
	unsteady  = regexp.MustCompile(`[0-9a-f]{64}|[0-9a-f]{32}|\d{4}-\d\d-\d\dT[0-9:.]+Z|\d+ requests, \d+ within|\d+ bytes`)
)

func TestWalkthrough(t *testing.T) {
	t.Parallel() // beside the scripts: it does one thing after the other
	page, err := os.ReadFile("../../docs/WALKTHROUGH.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	named := folder.FindSubmatch(page) // by what the page says, as a reader would
	if named == nil {
		t.Fatal("the page does not say where its files are")
	}
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("../..", string(named[1])))); err != nil {
		t.Fatal(err)
	}
	w := &walk{t: t, dir: dir, ids: map[string]string{}}
	w.follow(strings.Split(string(page), "\n"))
}

// command is one line of the page, to be run where its files are.
func (w *walk) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = w.dir, append(os.Environ(), endAtOnce)
	return cmd
}

// serve runs the server for as long as the test, and returns when it serves.
func (w *walk) serve() {
	cmd, said, ended := w.command("callback", "serve"), &transcript{}, make(chan error, 1)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() { ended <- cmd.Wait() }()
	w.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			if err != nil {
				w.t.Errorf("the server ended with %v:\n%s", err, said.text.String())
			}
		case <-time.After(time.Minute):
			_ = cmd.Process.Kill()
			w.t.Error("the server does not end")
		}
	})
	if err := (&server{said: said, ended: ended}).await("serving nodes on", 0); err != nil {
		w.t.Fatal(err)
	}
}

// follow goes through the page, block by block.
func (w *walk) follow(lines []string) {
	commands := 0
	last := "" // line of text before a block
	for i := 0; i < len(lines); {
		line := lines[i]
		if !strings.HasPrefix(line, "    ") {
			if line != "" {
				last = line
			}
			i++
			continue
		}
		var block []string
		for ; i < len(lines) && (strings.HasPrefix(lines[i], "    ") || lines[i] == "" && i+1 < len(lines) && strings.HasPrefix(lines[i+1], "    ")); i++ {
			block = append(block, strings.TrimPrefix(lines[i], "    "))
		}
		switch {
		case strings.HasPrefix(block[0], "$ "):
			commands += w.session(block)
		case addBlock.MatchString(last):
			w.add(addBlock.FindStringSubmatch(last)[1], strings.Join(block, "\n"))
		case fileBlock.MatchString(last):
			w.write(fileBlock.FindStringSubmatch(last)[1], strings.Join(block, "\n")+"\n")
		}
	}
	if commands < 10 {
		w.t.Errorf("only %d commands were found on the page", commands)
	}
}

func (w *walk) write(name, text string) {
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// add puts a member at the end of a JSON object.
func (w *walk) add(name, member string) {
	text, err := os.ReadFile(filepath.Join(w.dir, name))
	end := bytes.LastIndexByte(text, '}')
	if err != nil || end < 0 {
		w.t.Fatalf("%s: %v", name, err)
	}
	w.write(name, strings.TrimRight(string(text[:end]), " \n")+",\n  "+member+"\n}\n")
}

// session runs the commands of a block.
func (w *walk) session(block []string) int {
	n := 0
	for i := 0; i < len(block); {
		command := strings.TrimPrefix(block[i], "$ ")
		var want []string
		for i++; i < len(block) && !strings.HasPrefix(block[i], "$ "); i++ {
			want = append(want, block[i])
		}
		for page, here := range w.ids {
			command = strings.ReplaceAll(command, page, here)
		}
		w.compare(command, want, w.run(command))
		n++
	}
	return n
}

var word = regexp.MustCompile(`'[^']*'|\S+`)

func (w *walk) run(command string) string {
	if strings.HasPrefix(command, "callback serve ") && strings.HasSuffix(command, "&") {
		w.serve()
		return ""
	}
	args := word.FindAllString(command, -1)
	for i := range args {
		args[i] = strings.Trim(args[i], "'")
	}
	if args[0] == "echo" {
		return fmt.Sprintln(w.code)
	}
	cmd := w.command(args[0], args[1:]...)
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && (args[0] != "callback" || !errors.As(err, &exit)) {
		w.t.Fatalf("%s: %v: %s", command, err, out)
	}
	w.code = cmd.ProcessState.ExitCode()
	return string(out)
}

// compare wants each line of the page; "..." stands for any lines. Ids, revisions, times and counts of generated requests may
// differ, but the same ones of the page stand for the same ones here.
func (w *walk) compare(command string, want []string, out string) {
	w.t.Helper()
	got := strings.Split(strings.TrimRight(filepath.ToSlash(out), "\n"), "\n")
	steady := func(s string) string { return strings.TrimRight(unsteady.ReplaceAllString(s, "*"), " ") }
	at, skip := 0, false
	for _, line := range want {
		if line == "..." {
			skip = true
			continue
		}
		for skip && at < len(got)-1 && steady(got[at]) != steady(line) {
			at++
		}
		if skip = false; at >= len(got) || steady(got[at]) != steady(line) {
			w.t.Errorf("$ %s\nthe page says\n%s\nbut it prints\n%s", command, line, out)
			return
		}
		w.bind(command, unsteady.FindAllString(line, -1), unsteady.FindAllString(got[at], -1))
		at++
	}
	if at < len(got) && !skip && strings.TrimSpace(out) != "" {
		w.t.Errorf("$ %s\nthe page does not show\n%s", command, strings.Join(got[at:], "\n"))
	}
}

// bind notes which id of this run stands for one of the page.
func (w *walk) bind(command string, page, here []string) {
	for k, id := range page {
		if known, there := w.ids[id]; len(id) >= 32 && there && known != here[k] {
			w.t.Errorf("$ %s\n%s is another one than before", command, here[k])
		}
		w.ids[id] = here[k]
	}
}
