package main

import (
	"bytes"
	"strings"
	"testing"
)

// runHere runs a command line within the test's process.
func runHere(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	var text bytes.Buffer
	code = run(t.Context(), args, streams{strings.NewReader(""), &text, &text})
	return code, text.String()
}

// TestHelp: every command says what it does, with an example.
func TestHelp(t *testing.T) {
	for _, command := range []string{
		"", "serve", "check-config", "keys", "keys generate", "approvals", "approve", "decisions", "results", "results list", "results get", "policy", "policy check", "policy test",
		"policy eval", "policy fmt", "policy schema", "policy bundle", "policy bundle show", "policy sign", "policy reload", "policy drop-staged", "log", "log verify", "log copy", "log checkpoint", "log prove", "log prove-consistency", "log check-proof", "clock", "clock confirm", "version",
	} {
		code, out := runHere(t, append(strings.Fields(command), "--help")...)
		if code != exitOK || !strings.Contains(out, "Examples:") || !strings.Contains(out, "callback "+command) {
			t.Errorf("%q: code %d\n%s", command, code, out)
		}
	}
	if _, out := runHere(t, "--help"); !strings.Contains(out, "Exit codes") {
		t.Error("the help does not list the exit codes")
	}
	if code, out := runHere(t, "version", "--json"); code != exitOK || !strings.Contains(out, `"version": "dev"`) {
		t.Errorf("version: code %d %s", code, out)
	}
	if code, out := runHere(t, "nonsense"); code != exitFailed || !strings.Contains(out, "unknown command") {
		t.Errorf("an unknown command: code %d %s", code, out)
	}
}
