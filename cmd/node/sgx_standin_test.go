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
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	device := filepath.Join(t.TempDir(), "device")
	if err := os.WriteFile(device, []byte("0123456789abcdef"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("COUNTERSIGN_SGX_STANDIN", device)
	nodes := &nodes{running: make(map[string]*process)}
	testscript.Run(t, testscript.Params{
		Files: []string{"testdata/sgx/sgx.txtar"},
		Setup: func(env *testscript.Env) error {
			env.Setenv("ROOT", root)
			env.Setenv("DEVICE", device)
			env.Setenv("COUNTERSIGN_SGX_STANDIN", device)
			env.Defer(func() { nodes.kill(env.WorkDir) })
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": code, "replace": replace, "start": nodes.start, "ended": nodes.ended, "same-identity": sameIdentity, "only": only,
		},
		RequireExplicitExec: true,
	})
}
