package callback_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"testing/fstest"
	"time"

	"github.com/countersign-mpc/countersign/policy"
)

func decodeBase64(s string) ([]byte, error) { return base64.StdEncoding.DecodeString(s) }

// permissive is a policy that approves everything.
func permissive(t testing.TB) *policy.Live {
	t.Helper()
	return custom(t, `
# METADATA
# labels:
#   id: all.allowed
allow contains {"id": "all.allowed"} if true

require contains "all.allowed"
`)
}

// custom is a policy of one package of rules, over the test data.
func custom(t testing.TB, rules string) *policy.Live {
	t.Helper()
	return customOver(t, rules, nil)
}

// customOver is custom with other data.
func customOver(t testing.TB, rules string, change func(map[string]any)) *policy.Live {
	t.Helper()
	data := must[[]byte](t)(json.Marshal(testData(change)))
	files := fstest.MapFS{
		"main.rego": {Data: []byte(`package countersign

decision := {"allow": allow, "reject": reject, "wait": wait, "require": require}

allow contains say if some say in data.countersign.rules.own.allow

reject contains say if some say in data.countersign.rules.own.reject

wait contains say if some say in data.countersign.rules.own.wait

require contains id if some id in data.countersign.rules.own.require
`)},
		"own.rego":      {Data: []byte("package countersign.rules.own\n" + rules)},
		"own_test.rego": {Data: []byte("package countersign.own_test\n\ntest_nothing if true\n")},
		"data.json":     {Data: data},
	}
	return must[*policy.Live](t)(policy.NewLive(context.Background(), policy.LiveConfig{
		Read:   func() (*policy.Source, error) { return policy.Load(files, "") },
		Engine: policy.Config{Timeout: 5 * time.Second},
	}))
}

func readAll(r *http.Response) (string, error) {
	b, err := io.ReadAll(r.Body)
	return string(b), err
}

func sha256Hex(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
