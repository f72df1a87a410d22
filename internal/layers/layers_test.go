package layers_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/countersign-mpc/countersign/"

// forbidden are imports, direct or through other packages of this module, that must not be, each with its reason.
var forbidden = []struct {
	from, to []string
	why      string
}{
	{[]string{"node", "cmd/node"}, []string{"policy", "callback", "ledger", "coordinator", "github.com/open-policy-agent/opa"},
		"a policy engine shares no memory with shares, and a node decides nothing for the callback or the coordinator"},
	{[]string{"callback", "cmd/callback"}, []string{"signing", "keystore", "transport"},
		"the server that decides about signatures can make none"},
	{[]string{"coordinator", "mpcapi", "cmd/coordinator"}, []string{"ecies", "signing", "keystore", "transport"},
		"the coordinator cannot read protocol messages or results"},
	{[]string{"signing"}, []string{"net", "net/http", "database/sql", "log", "log/slog", "go.etcd.io/bbolt"},
		"protocols know no network, no store and no log"},
	{[]string{"wire", "ecies", "derive", "api", "internal/secret", "internal/groupcommit", "internal/spelling"},
		[]string{"signing", "keystore", "policy", "evidence", "auditlog", "transport", "coordinator", "ledger", "node", "callback", "mpcapi", "bolt", "postgres"},
		"imports point down: this is the lowest layer"},
	{[]string{"signing", "keystore", "policy", "evidence", "auditlog"},
		[]string{"transport", "coordinator", "ledger", "node", "callback", "mpcapi", "bolt", "postgres"},
		"imports point down"},
	{[]string{"policy/direct"}, []string{"policy", "evidence", "wire", "api"},
		"what evaluates rules knows neither requests nor decisions"},
	{[]string{"transport", "coordinator", "ledger"}, []string{"node", "callback", "mpcapi", "bolt", "postgres"},
		"imports point down: a domain does not know who stores it or serves it"},
}

// owners are the packages that alone may import a dependency directly.
var owners = map[string][]string{
	"github.com/open-policy-agent/opa":                        {"policy"},
	"github.com/taurusgroup/multi-party-sig":                  {"signing"},
	"github.com/bnb-chain/tss-lib":                            {"signing"},
	"go.etcd.io/bbolt":                                        {"keystore", "bolt"},
	"github.com/jackc/pgx":                                    {"postgres"},
	"github.com/nats-io/nats.go":                              {"nats"},
	"github.com/ethereum/go-ethereum":                         {"evidence", "e2e"},
	"github.com/btcsuite/btcd/txscript":                       {"evidence", "e2e"},
	"github.com/btcsuite/btcd/wire":                           {"evidence", "e2e"},
	"github.com/btcsuite/btcd/btcutil/psbt":                   {"evidence", "e2e"},
	"github.com/btcsuite/btcd/btcec":                          {"derive", "evidence", "e2e"},
	"github.com/btcsuite/btcd/btcutil":                        {"derive", "evidence", "e2e"},
	"filippo.io/edwards25519":                                 {"derive", "signing"},
	"github.com/coder/websocket":                              {"transport", "coordinator"},
	"github.com/spf13/cobra":                                  {"cmd"},
	"filippo.io/age":                                          {"cmd/node"},
	"github.com/miekg/pkcs11":                                 {"keystore/token"},
	"golang.org/x/mod/sumdb":                                  {"auditlog"},
	"github.com/BurntSushi/toml":                              {"internal/conffile"},
	"github.com/decred/dcrd/dcrec/secp256k1":                  {"derive", "signing"},
	"github.com/prometheus/client_golang/prometheus/promhttp": {"node", "callback", "coordinator", "mpcapi", "cmd"},
}

type listed struct {
	ImportPath string
	Imports    []string
}

// packages lists this module's packages and what each imports outside its tests.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %s", exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	all := make(map[string][]string)
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimPrefix(p.ImportPath, module)] = p.Imports
	}
}

// within tells whether a package is, or lies below, one of the names.
func within(name string, names []string) (string, bool) {
	for _, n := range names {
		if name == n || strings.HasPrefix(name, n+"/") {
			return n, true
		}
	}
	return "", false
}

// reach walks from a package through this module and returns everything imported, with one path to it.
func reach(all map[string][]string, from string) map[string]string {
	seen := map[string]string{from: from}
	queue := []string{from}
	for len(queue) > 0 {
		next := queue[0]
		queue = queue[1:]
		for _, imported := range all[next] {
			imported = strings.TrimPrefix(imported, module)
			if _, ok := seen[imported]; ok {
				continue
			}
			seen[imported] = seen[next] + " -> " + imported
			queue = append(queue, imported)
		}
	}
	return seen
}

func TestImportsPointDown(t *testing.T) {
	all := packages(t)
	for _, rule := range forbidden {
		for from := range maps.Keys(all) {
			if _, ok := within(from, rule.from); !ok {
				continue
			}
			for to, path := range reach(all, from) {
				if _, own := within(to, rule.from); own {
					continue
				}
				if n, bad := within(to, rule.to); bad {
					t.Errorf("%s must not import %s (%s):\n  %s", from, n, rule.why, path)
				}
			}
		}
	}
}

func TestHeavyDependenciesHaveOneOwner(t *testing.T) {
	all := packages(t)
	for dependency, owned := range owners {
		for from, imports := range all {
			if _, ok := within(from, owned); ok {
				continue
			}
			if slices.ContainsFunc(imports, func(i string) bool { _, ok := within(i, []string{dependency}); return ok }) {
				t.Errorf("%s imports %s, which belongs to %s", from, dependency, strings.Join(owned, ", "))
			}
		}
	}
}

// The rules must name packages that exist, or a renamed package would slip through.
func TestRulesNamePackages(t *testing.T) {
	all := packages(t)
	for _, rule := range forbidden {
		for _, name := range rule.from {
			found := false
			for p := range all {
				if _, ok := within(p, []string{name}); ok {
					found = true
				}
			}
			if !found {
				t.Errorf("a rule is about %s, which does not exist", name)
			}
		}
	}
}
