package listeners_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/internal/listeners"
)

func text(s string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) })
}

func get(t *testing.T, url string) string {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSidesAreServedAndAnnounced(t *testing.T) {
	file := filepath.Join(t.TempDir(), "addresses.json")
	held := make(chan struct{})
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(held)
		<-r.Context().Done()
		_, _ = io.WriteString(w, "ended")
	})
	s, err := listeners.Open(file, listeners.Side{Name: "one", Key: "listen", Address: "127.0.0.1:0", Handler: text("1")},
		listeners.Side{Name: "two", Key: "admin-listen", Address: "127.0.0.1:0", Handler: slow})
	if err != nil {
		t.Fatal(err)
	}
	announced, err := listeners.Announced(file)
	if err != nil || announced["one"] != s.Address("one") || announced["two"] != s.Address("two") {
		t.Fatalf("announced %v, %v", announced, err)
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listeners.Announced(file); err == nil {
		t.Error("half a file was read")
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := false
	ended := make(chan error)
	go func() { ended <- s.Run(ctx, func(context.Context) { stopped = true }) }()
	if got := get(t, "http://"+s.Address("one")); got != "1" {
		t.Errorf("side one serves %q", got)
	}
	answer := make(chan string)
	go func() { answer <- get(t, "http://"+s.Address("two")) }()
	<-held
	cancel()
	if got := <-answer; got != "ended" {
		t.Errorf("a held call was cut off: %q", got)
	}
	if err := <-ended; err != nil || !stopped {
		t.Errorf("run ended with %v, stopping called: %t", err, stopped)
	}
}

func TestOpenAllOrNone(t *testing.T) {
	taken, err := listeners.Open("", listeners.Side{Name: "x", Key: "listen", Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	side := func(key, address string) listeners.Side { return listeners.Side{Name: key, Key: key, Address: address} }
	if _, err := listeners.Open("", side("listen", "127.0.0.1:0"), side("admin-listen", taken.Address("x"))); err == nil || !strings.Contains(err.Error(), "admin-listen") {
		t.Errorf("a taken address: %v", err)
	}
	if _, err := listeners.Open(filepath.Join(t.TempDir(), "none", "file"), side("listen", "127.0.0.1:0")); err == nil || !strings.Contains(err.Error(), "address-file") {
		t.Errorf("an address file that cannot be written: %v", err)
	}
	if taken.Address("y") != "" {
		t.Error("an unknown side has an address")
	}
}
