package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// TestManualsRequest: the request that docs/POLICY.md shows for `policy eval` is one, with verified evidence.
func TestManualsRequest(t *testing.T) {
	manual, err := os.ReadFile("../../docs/POLICY.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(manual), `    {"callback_id": "pay-1"`)
	body, _, ended := strings.Cut(rest, "\n\n")
	if !found || !ended {
		t.Fatal("docs/POLICY.md shows no request")
	}
	var out bytes.Buffer
	code := run(t.Context(), []string{"policy", "eval", "-", "--data", "testdata/walkthrough/data.json", "--expect", "Approve"},
		streams{strings.NewReader(`{"callback_id": "pay-1"` + body), &out, &out})
	if code != exitOK || !strings.Contains(out.String(), "evidence  verified") {
		t.Errorf("exit code %d\n%s", code, out.String())
	}
}
