package signing_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/countersign-mpc/countersign/"

// list runs go list and returns its lines.
func list(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-e"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.Fields(string(out))
}

// TestForbiddenImports holds the layers of the design: what computes with shares reaches no network, store or log, and
// one package owns the threshold library.
func TestForbiddenImports(t *testing.T) {
	const direct = `{{$p := .ImportPath}}{{range .Imports}}{{$p}}>{{.}} {{end}}`
	forbidden := map[string]string{
		"net":          "signing carries no messages itself",
		"net/http":     "signing carries no messages itself",
		"database/sql": "signing stores nothing",
		"log":          "signing logs nothing: it handles secrets",
		"log/slog":     "signing logs nothing: it handles secrets",
		"os":           "signing reads neither files nor the environment",
		"time":         "signing has no clock",
	}
	taurus, tss := 0, 0
	for _, edge := range list(t, "-f", direct, module+"signing/...") {
		from, to, _ := strings.Cut(edge, ">")
		from = strings.TrimPrefix(from, module)
		if from == "signing/signingtest" {
			continue // for tests only, see below
		}
		if why, ok := forbidden[to]; ok {
			t.Errorf("%s imports %s: %s", from, to, why)
		}
		if own, ok := strings.CutPrefix(to, module); ok && !strings.HasPrefix(own, "signing") && own != "derive" && own != "wire/label" {
			t.Errorf("%s imports %s: signing stands on derive and wire/label only", from, own)
		}
		if strings.HasPrefix(to, "github.com/taurusgroup/") {
			taurus++
			if !strings.HasPrefix(from, "signing/cmp") {
				t.Errorf("%s imports the CMP library: only signing/cmp may", from)
			}
		}
		if strings.HasPrefix(to, "github.com/bnb-chain/tss-lib/") {
			tss++
			if from != "signing/eddsa/internal/library" {
				t.Errorf("%s imports the library of Ed25519 keygen: only signing/eddsa/internal/library may", from)
			}
		}
	}
	if taurus == 0 || tss == 0 {
		t.Error("no import of the threshold libraries was found: the test does not see the imports")
	}
}

// TestTestPackagesStayInTests keeps the toy protocol, which reveals every secret, out of every program.
func TestTestPackagesStayInTests(t *testing.T) {
	deps := list(t, "-deps", module+"cmd/...")
	if slices.Contains(deps, module+"signing/signingtest") {
		t.Error("a program imports signing/signingtest, whose protocol reveals every secret")
	}
	if slices.Contains(deps, "github.com/taurusgroup/multi-party-sig/pkg/test") {
		t.Error("a program imports the library's test helpers")
	}
	for _, dep := range deps {
		if strings.HasPrefix(dep, "github.com/bnb-chain/tss-lib/") && strings.Contains(dep, "/ecdsa") {
			t.Errorf("a program imports %s: the modulus proof of that ECDSA can be forged", dep)
		}
	}
}
