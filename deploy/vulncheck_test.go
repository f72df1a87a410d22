package deploy_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestVulncheck: only a database that cannot be reached leaves the check out.
func TestVulncheck(t *testing.T) {
	for name, tc := range map[string]struct {
		says       string
		ends, want int
	}{
		"nothing found":                {"No vulnerabilities found.", 0, 0},
		"no network":                   {"govulncheck: fetching vulnerabilities: dial tcp: lookup vuln.go.dev: no such host", 1, 0},
		"found":                        {"Vulnerability #1: GO-2026-1", 3, 3},
		"found in reading an answer":   {"Vulnerability #1: GO-2026-2: a server response is read without a limit", 3, 3},
		"packages that do not compile": {"govulncheck: loading packages", 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "go"), fmt.Appendf(nil, "#!/bin/sh\necho '%s'\nexit %d\n", tc.says, tc.ends), 0o700); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("sh", "vulncheck.sh")
			cmd.Env = append(os.Environ(), "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"))
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if got := cmd.ProcessState.ExitCode(); got != tc.want {
				t.Errorf("it ends with %d, want %d: %s", got, tc.want, out)
			}
		})
	}
}
