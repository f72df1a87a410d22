package policy_test

import (
	"encoding/json"
	"os"
	"testing"
)

type vector struct {
	Name string `json:"name"`
	Path string `json:"path"`
	Body string `json:"body"`
}

// vectors are bodies that the vendor's demo server accepted.
func vectors(t testing.TB) []vector {
	t.Helper()
	b, err := os.ReadFile("../testdata/callback/vectors.json")
	must(t, err)
	var out []vector
	must(t, json.Unmarshal(b, &out))
	if len(out) != 9 {
		t.Fatalf("vectors.json holds %d vectors, want 9", len(out))
	}
	return out
}
