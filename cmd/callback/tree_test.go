package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// withoutJSON are the commands that print no facts, or whose output is of another form, each with the reason.
var withoutJSON = map[string]string{
	"callback serve":         "runs, and logs",
	"callback prove-policy":  "is spoken to by a server alone",
	"callback log export":    "prints JSON lines",
	"callback policy schema": "prints a JSON schema",
	"callback policy fmt":    "prints names of files, or writes them",
}

// leaves are the commands that do something.
func leaves(t *testing.T) []*cobra.Command {
	t.Helper()
	var out []*cobra.Command
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Name() == "help" {
			return
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if c.Runnable() {
			out = append(out, c)
		}
	}
	walk((&options{}).root())
	if len(out) < 35 {
		t.Fatalf("only %d commands were found", len(out))
	}
	return out
}

// Every command has a short description and an example that is a command line of its own, and prints facts as JSON too.
func TestEveryCommandIsDescribed(t *testing.T) {
	names := map[string]bool{}
	for _, c := range leaves(t) {
		path := c.CommandPath()
		names[path] = true
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: its short description is %q", path, c.Short)
		}
		lines := strings.Split(c.Example, "\n")
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), path) }) {
			t.Errorf("%s: no example is a use of it: %q", path, c.Example)
		}
		_, exempt := withoutJSON[path]
		if has := c.Flag("json") != nil; has == exempt {
			t.Errorf("%s: --json is there: %v; without a reason to do without: %v", path, has, !exempt)
		}
		if strings.Contains(c.Use, "ID") && c.Args == nil {
			t.Errorf("%s: takes any number of arguments", path)
		}
	}
	for path := range withoutJSON {
		if !names[path] {
			t.Errorf("%s: is no command", path)
		}
	}
}

// Commands and flags in examples exist.
func TestExamplesAreOfWhatExists(t *testing.T) {
	for _, c := range leaves(t) {
		for _, line := range strings.Split(c.Example, "\n") {
			line, _, _ = strings.Cut(line, " #")
			line, _, _ = strings.Cut(line, " && ")
			words := strings.Fields(line)
			if len(words) < 2 || words[0] != "callback" {
				continue
			}
			meant, _, err := c.Root().Find(words[1:])
			if err != nil {
				t.Errorf("%s: its example %q: %v", c.CommandPath(), line, err)
				continue
			}
			for _, word := range words {
				name, isLong := strings.CutPrefix(word, "--")
				name, _, _ = strings.Cut(name, "=")
				if isLong && name != "" && meant.Flag(name) == nil {
					t.Errorf("%s: its example uses --%s, which %s has not", c.CommandPath(), name, meant.CommandPath())
				}
			}
		}
	}
}
