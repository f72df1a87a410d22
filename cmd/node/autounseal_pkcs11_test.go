//go:build pkcs11 && cgo

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/countersign-mpc/countersign/internal/softhsm"
)

// TestAutoUnseal runs the script of auto-unseal with a token of SoftHSM2.
func TestAutoUnseal(t *testing.T) {
	token := softhsm.New(t, "mpc-node")
	hung := filepath.Join(t.TempDir(), "hung.so") // a module that never answers
	source := hung + ".c"
	if err := os.WriteFile(source, []byte("#include <unistd.h>\nunsigned long C_GetFunctionList(void **list) { for (;;) pause(); }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cc", "-shared", "-fPIC", "-o", hung, source).CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
	t.Setenv("SOFTHSM2_CONF", token.Conf) // the nodes inherit this process's
	runScripts(t, testscript.Params{Files: []string{"testdata/pkcs11/autounseal.txtar"}},
		map[string]string{"MODULE": token.Module, "PIN": token.PINPath, "HUNG": hung, "SOFTHSM2_CONF": token.Conf})
}
