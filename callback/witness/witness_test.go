package witness_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/callback/witness"
)

var (
	_ callback.Witness = (*witness.File)(nil)
	_ callback.Witness = (*witness.HTTP)(nil)
)

func note(origin string) []byte {
	return []byte(origin + "\n3\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— " + origin + " Az3grlgt\n")
}

func TestFileKeepsAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoints.txt")
	f := witness.NewFile("disk", path)
	if last, err := f.Last(); err != nil || last != nil {
		t.Fatalf("before the first: %q, %v", last, err)
	}
	for _, origin := range []string{"a", "b", "c"} {
		if err := f.Send(t.Context(), note(origin)); err != nil {
			t.Fatal(err)
		}
	}
	if last, err := witness.NewFile("disk", path).Last(); err != nil || !bytes.Equal(last, note("c")) {
		t.Errorf("the last is %q, %v", last, err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all, err := witness.Split(data)
	if err != nil || len(all) != 3 || !bytes.Equal(all[0], note("a")) || !bytes.Equal(all[1], note("b")) {
		t.Errorf("%q, %v", all, err)
	}
	if one, err := witness.Split(note("x")); err != nil || len(one) != 1 || !bytes.Equal(one[0], note("x")) {
		t.Errorf("one alone: %q, %v", one, err)
	}
	for _, cut := range []int{10, 45, len(note("a")) - 1} {
		if _, err := witness.Split(append(note("b"), note("a")[:cut]...)); err == nil {
			t.Errorf("cut off after %d bytes: taken", cut)
		}
	}
	if err := witness.NewFile("none", filepath.Join(path, "below")).Send(t.Context(), note("a")); err == nil || !strings.Contains(err.Error(), "witness none") {
		t.Errorf("a file that cannot be written: %v", err)
	}
}

func TestHTTPTellsWhatWasTaken(t *testing.T) {
	var got *http.Request
	var body []byte
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		if status == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
	}))
	defer server.Close()
	h := witness.NewHTTP(witness.HTTPConfig{Name: "far", URL: server.URL + "/log", Token: func() (string, error) { return "secret-token", nil }})
	if err := h.Send(t.Context(), note("a")); err != nil {
		t.Fatal(err)
	}
	if got.Method != http.MethodPost || got.URL.Path != "/log" || got.Header.Get("Authorization") != "Bearer secret-token" || !bytes.Equal(body, note("a")) {
		t.Errorf("it got %s %s %v %q", got.Method, got.URL, got.Header, body)
	}
	for _, status = range []int{302, 400, 404, 500} {
		if err := h.Send(t.Context(), note("a")); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("HTTP %d: %v", status, err)
		}
		if got.URL.Path != "/log" {
			t.Error("a redirect was followed")
		}
	}
	server.Close()
	if err := h.Send(t.Context(), note("a")); err == nil {
		t.Error("nobody is there, and it was taken")
	}
	broken := witness.NewHTTP(witness.HTTPConfig{Name: "far", URL: server.URL, Token: func() (string, error) { return "", errors.New("no token") }})
	if err := broken.Send(t.Context(), note("a")); err == nil || !strings.Contains(err.Error(), "no token") {
		t.Errorf("without its token: %v", err)
	}
}

func FuzzSplit(f *testing.F) {
	f.Add(note("a"))
	f.Add(append(append(note("a"), '\n'), note("b")...))
	f.Add([]byte("\n\n\n— "))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := witness.Split(data)
		if err != nil {
			return
		}
		again, err := witness.Split(bytes.Join(all, []byte("\n")))
		if err != nil || len(again) != len(all) {
			t.Fatalf("%d checkpoints, then %d: %v", len(all), len(again), err)
		}
		for i := range all {
			if !bytes.Equal(all[i], again[i]) {
				t.Fatalf("%q became %q", all[i], again[i])
			}
		}
	})
}
