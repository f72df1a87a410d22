// Package softhsm sets up tokens of SoftHSM2 in a folder of a test, without root. It is for tests alone.
package softhsm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Token is a fresh token.
type Token struct {
	Module  string // path of the library
	Conf    string // for SOFTHSM2_CONF
	Label   string
	PINPath string
}

// New makes a token with a PIN in a file. The test is skipped where SoftHSM2 is not installed, or fails if it must not be
// (COUNTERSIGN_TEST_SOFTHSM=1).
func New(t testing.TB, label string) Token {
	t.Helper()
	k := Token{Label: label}
	for _, path := range []string{os.Getenv("SOFTHSM2_MODULE"), "/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so", "/opt/homebrew/lib/softhsm/libsofthsm2.so"} {
		if _, err := os.Stat(path); path != "" && err == nil {
			k.Module = path
			break
		}
	}
	util, err := exec.LookPath("softhsm2-util")
	if err != nil || k.Module == "" {
		const missing = "SoftHSM2 is not installed: apt-get install softhsm2 (SOFTHSM2_MODULE names its library where that is elsewhere)"
		if os.Getenv("COUNTERSIGN_TEST_SOFTHSM") != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "tokens"), 0o700))
	k.Conf, k.PINPath = filepath.Join(dir, "softhsm2.conf"), filepath.Join(dir, "pin")
	must(t, os.WriteFile(k.Conf, fmt.Appendf(nil, "directories.tokendir = %s/tokens\nobjectstore.backend = file\nlog.level = ERROR\n", dir), 0o600))
	must(t, os.WriteFile(k.PINPath, []byte("471100\n"), 0o600))
	cmd := exec.Command(util, "--module", k.Module, "--init-token", "--free", "--label", label, "--so-pin", "815000", "--pin", "471100")
	cmd.Env = append(os.Environ(), "SOFTHSM2_CONF="+k.Conf)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("softhsm2-util: %v\n%s", err, out)
	}
	return k
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
