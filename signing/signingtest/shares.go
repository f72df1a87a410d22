package signingtest

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/countersign-mpc/countersign/signing"
)

const sharesWarning = "TEST ONLY: these key shares are published with the source code. Whatever their key holds is anybody's."

// sharesFile is a file of testdata/shares.
type sharesFile struct {
	Warning string   `json:"warning"`
	Name    string   `json:"name"`
	Shares  []string `json:"shares"` // hex of signing.Share.MarshalBinary, ascending by index
}

// TB is what these functions need of a test; *testing.T, *testing.B, *testing.F and *rapid.T have it.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
}

// Shares returns marked test shares of a key, ascending by index: "3of3" and "2of3" (ECDSA, made by CMP keygen),
// "ed25519-3of3" and "ed25519-2of3" (made by Deal).
func Shares(t TB, name string) []*signing.Share {
	t.Helper()
	path := sharesPath(t, name)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("read test shares: %v", err)
	}
	var file sharesFile
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatalf("read test shares %s: %v", path, err)
	}
	if file.Warning != sharesWarning || file.Name != name {
		t.Fatalf("test shares %s are not marked as such", path)
	}
	var out []*signing.Share
	for _, text := range file.Shares {
		raw, err := hex.DecodeString(text)
		if err != nil {
			t.Fatalf("test shares %s: not hex", path)
		}
		share, err := signing.ParseShare(raw)
		if err != nil {
			t.Fatalf("test shares %s: %v", path, err)
		}
		out = append(out, share)
	}
	return out
}

// WriteShares replaces the marked test shares of a key, for the tests of the protocols that make them with -update.
func WriteShares(t TB, name string, shares []*signing.Share) {
	t.Helper()
	file := sharesFile{Warning: sharesWarning, Name: name}
	for _, share := range shares {
		raw, err := share.MarshalBinary()
		if err != nil {
			t.Fatalf("encode test share: %v", err)
		}
		file.Shares = append(file.Shares, hex.EncodeToString(raw))
	}
	data, err := json.MarshalIndent(file, "", "\t")
	if err != nil {
		t.Fatalf("encode test shares: %v", err)
	}
	path := sharesPath(t, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatalf("make the folder of test shares: %v", err)
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		t.Fatalf("write test shares: %v", err)
	}
}

// sharesPath finds testdata/shares from the folder of any package of the module.
func sharesPath(t TB, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatalf("find the module: %v", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "testdata", "shares", "TEST-ONLY-"+name+".json")
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatalf("find the module: no go.mod above the test's folder")
		}
		dir = parent
	}
}
