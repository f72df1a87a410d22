package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// The README's table of what is signed names steps of the demo, each as it is printed, and leaves out none that signs.
func TestREADMENamesTheSteps(t *testing.T) {
	data, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(data), "| step of the demo |")
	if !found {
		t.Fatal("the README has no column \"step of the demo\"")
	}
	var listed []string
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if strings.TrimSpace(line) == "" {
			break
		}
		if len(cells) == 8 && !strings.HasPrefix(line, "|---") {
			listed = append(listed, strings.TrimSpace(cells[5]))
		}
	}
	var steps []string
	for _, s := range (&demo{}).plan() {
		steps = append(steps, s.name)
	}
	for _, name := range listed {
		if !slices.Contains(steps, name) {
			t.Errorf("the README names the step %q, which the demo does not have", name)
		}
	}
	unsigned := []string{"start", "keygen", "over the limit", "does not match", "unknown spender", "nobody allowed", "two approvals", "then up again", "alone"}
	for _, name := range steps {
		signs := !slices.ContainsFunc(unsigned, func(part string) bool { return strings.Contains(name, part) })
		if signs && !slices.Contains(listed, name) {
			t.Errorf("the README does not list the step %q", name)
		}
	}
}
