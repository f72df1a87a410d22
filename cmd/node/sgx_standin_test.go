//go:build sgxstandin

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestSGXStandIn runs the script of engine "sgx" with a file of 16 bytes for the sealing device.
func TestSGXStandIn(t *testing.T) {
	device := filepath.Join(t.TempDir(), "device")
	if err := os.WriteFile(device, []byte("0123456789abcdef"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("COUNTERSIGN_SGX_STANDIN", device)
	runScripts(t, testscript.Params{Files: []string{"testdata/sgx/sgx.txtar"}}, map[string]string{"DEVICE": device, "COUNTERSIGN_SGX_STANDIN": device})
}
