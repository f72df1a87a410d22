package wire_test

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/wire"
)

const vectorDir = "../testdata/callback"

func must[T any](t testing.TB) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// vector is an exchange that the vendor's demo server had with a node.
type vector struct {
	Name       string          `json:"name"`
	Path       wire.Path       `json:"path"`
	Body       string          `json:"body"`
	Signature  string          `json:"signature_header"`
	HTTPStatus int             `json:"http_status"`
	Response   json.RawMessage `json:"response"`
}

// reply is the response as it went over the wire: compact.
func (v vector) reply(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, v.Response); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func vectors(t testing.TB) []vector {
	t.Helper()
	data := must[[]byte](t)(os.ReadFile(filepath.Join(vectorDir, "vectors.json")))
	var all []vector
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 9 {
		t.Fatalf("%d vectors, want 9", len(all))
	}
	return all
}

func privateKey(t testing.TB, name string) *ecdsa.PrivateKey {
	t.Helper()
	return must[*ecdsa.PrivateKey](t)(wire.LoadPrivateKey(filepath.Join(vectorDir, name+"_private.pem")))
}

func publicKey(t testing.TB, name string) *ecdsa.PublicKey {
	t.Helper()
	return must[*ecdsa.PublicKey](t)(wire.LoadPublicKey(filepath.Join(vectorDir, name+"_public.pem")))
}

func nodeKey(t testing.TB) *ecdsa.PrivateKey   { return privateKey(t, "mpc_node") }
func serverKey(t testing.TB) *ecdsa.PrivateKey { return privateKey(t, "callback_server") }

// sign is a signature header over msg.
func sign(t testing.TB, key *ecdsa.PrivateKey, msg string) string {
	t.Helper()
	return hex.EncodeToString(must[[]byte](t)(wire.SignP256(key, []byte(msg))))
}

// open has the node sign a body and the server open it.
func open(t testing.TB, path wire.Path, body string) (*wire.Request, error) {
	t.Helper()
	return wire.OpenRequest(path, []byte(body), sign(t, nodeKey(t), body), []*ecdsa.PublicKey{publicKey(t, "mpc_node")})
}

// wantCode checks that err has a code and that its text says something about what was wrong.
func wantCode(t testing.TB, err error, code wire.Code, says string) {
	t.Helper()
	if err == nil {
		t.Fatalf("accepted; want %s", code)
	}
	if got := wire.CodeOf(err); got != code {
		t.Fatalf("code %q, want %q: %v", got, code, err)
	}
	if !strings.Contains(err.Error(), says) {
		t.Fatalf("error %q does not say %q", err, says)
	}
}

// wantError checks that err says something.
func wantError(t testing.TB, err error, says string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), says) {
		t.Fatalf("error %v, want one that says %q", err, says)
	}
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func equalJSON(t testing.TB, what string, got, want any) {
	t.Helper()
	g, w := string(must[[]byte](t)(json.Marshal(got))), string(must[[]byte](t)(json.Marshal(want)))
	equal(t, what, g, w)
}
