package callback_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/countersign-mpc/countersign/wire"
)

// vector is an exchange that the vendor's demo server had with a node.
type vector struct {
	Name      string    `json:"name"`
	Path      wire.Path `json:"path"`
	Body      string    `json:"body"`
	Signature string    `json:"signature_header"`
}

func vectors(t testing.TB) []vector {
	t.Helper()
	var all []vector
	ok(t, json.Unmarshal(must[[]byte](t)(os.ReadFile(filepath.Join(vectorDir, "vectors.json"))), &all))
	if len(all) != 9 {
		t.Fatalf("%d vectors, want 9", len(all))
	}
	return all
}

// TestVectors sends what the vendor's demo server accepted, byte for byte, through the whole server.
func TestVectors(t *testing.T) {
	w := newWorld(t, options{})
	decisions := map[string]struct {
		action wire.Action
		says   string
	}{
		"keygen-ecdsa":            {wire.Approve, ""},
		"keygen-eddsa":            {wire.Approve, ""},
		"sign-evm-erc20":          {wire.Approve, ""},
		"sign-memo-html-escapes":  {wire.Approve, ""},
		"sign-utxo":               {wire.Approve, ""},
		"taproot-sign-brc20":      {wire.Reject, "brc20.invalid: "},
		"bip340-sign-rune":        {wire.Reject, "runes.invalid: "},
		"sign-eip712":             {wire.Approve, ""},
		"rawdata-signature-ecies": {wire.Reject, "report.check: "},
	}
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			expected, known := decisions[v.Name]
			if !known {
				t.Fatal("no decision is expected of this vector")
			}
			var c wire.Check
			ok(t, json.Unmarshal([]byte(v.Body), &c))
			header := http.Header{"Signature": {v.Signature}}
			first := w.send(string(v.Path), v.Body, header)
			want(t, w.decision(first, &w.replyKey.PublicKey, c.Asked()), expected.action, expected.says)
			again := w.send("/v1"+string(v.Path), v.Body, header)
			if again.body != first.body {
				t.Errorf("asked again it answers\n%s, not\n%s", again.body, first.body)
			}
		})
	}
}
