//go:build !pkcs11 || !cgo

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A program without PKCS #11 says how to build one with it.
func TestAutoUnsealIsNotBuilt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	text := "[storage.auto-unseal]\nmodule = \"/m.so\"\ntoken-label = \"t\"\nkey-label = \"k\"\npin-path = \"pin\"\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	code := run(t.Context(), []string{"auto-unseal", "make-key", "--config", path}, streams{in: strings.NewReader(""), out: &out, err: &out})
	if code != exitFailed || !strings.Contains(out.String(), "make build-pkcs11") {
		t.Errorf("exit code %d: %s", code, out.String())
	}
}
