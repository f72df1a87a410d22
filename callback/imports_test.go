package callback_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestForbiddenImports: the process that decides holds no share and no code that could use one, so that taking it over
// gives nobody a signature by itself.
func TestForbiddenImports(t *testing.T) {
	for _, pkg := range []string{"github.com/countersign-mpc/countersign/callback", "github.com/countersign-mpc/countersign/cmd/callback"} {
		out, err := exec.Command("go", "list", "-deps", pkg).CombinedOutput()
		if err != nil {
			t.Fatalf("go list: %v\n%s", err, out)
		}
		deps := strings.Fields(string(out))
		if len(deps) < 100 {
			t.Fatalf("go list names %d packages only", len(deps))
		}
		for _, dep := range deps {
			for _, forbidden := range []string{
				"countersign-mpc/countersign/signing", "countersign-mpc/countersign/keystore", "countersign-mpc/countersign/transport",
				"countersign-mpc/countersign/node", "countersign-mpc/countersign/coordinator", "taurusgroup/multi-party-sig", "bnb-chain/tss-lib",
			} {
				if strings.Contains(dep, forbidden) {
					t.Errorf("%s imports %s", pkg, dep)
				}
			}
		}
	}
}
