//go:build pkcs11 && cgo

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/countersign-mpc/countersign/internal/softhsm"
)

// TestAutoUnseal runs the script of auto-unseal with a token of SoftHSM2.
func TestAutoUnseal(t *testing.T) {
	token := softhsm.New(t, "mpc-node")
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	hung := filepath.Join(t.TempDir(), "hung.so") // a module that never answers
	source := hung + ".c"
	if err := os.WriteFile(source, []byte("#include <unistd.h>\nunsigned long C_GetFunctionList(void **list) { for (;;) pause(); }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cc", "-shared", "-fPIC", "-o", hung, source).CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
	nodes := &nodes{running: make(map[string]*process)}
	testscript.Run(t, testscript.Params{
		Files: []string{"testdata/pkcs11/autounseal.txtar"},
		Setup: func(env *testscript.Env) error {
			env.Setenv("ROOT", root)
			env.Setenv("MODULE", token.Module)
			env.Setenv("PIN", token.PINPath)
			env.Setenv("HUNG", hung)
			env.Setenv("SOFTHSM2_CONF", token.Conf)
			t.Setenv("SOFTHSM2_CONF", token.Conf) // the nodes inherit this process's
			env.Defer(func() { nodes.kill(env.WorkDir) })
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": code, "replace": replace, "start": nodes.start, "ended": nodes.ended, "logged": logged, "only": only,
		},
		RequireExplicitExec: true,
	})
}

// logged waits until the log of a node has a text: logged FILE TEXT.
func logged(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: logged file text")
	}
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		text := ts.ReadFile(args[0])
		if strings.Contains(text, args[1]) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%s never says %q:\n%s", args[0], args[1], text)
		}
	}
}
