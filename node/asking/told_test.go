package asking_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/node/asking"
	"github.com/countersign-mpc/countersign/wire"
)

// TestWhatOthersAreToldNamesNoServer: neither its address nor its certificate's names; what a server answered they may know.
func TestWhatOthersAreToldNamesNoServer(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	hang := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	t.Cleanup(hangs.Close)
	t.Cleanup(func() { close(hang) })
	strange := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(strange.Close)
	missing := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(missing.Close)
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	for address, says := range map[string]string{
		hangs.URL: "it did not answer in time", strange.URL: "it could not be asked", away.URL: "it could not be asked", missing.URL: "HTTP 404",
	} {
		timeout := time.Duration(0)
		if address == hangs.URL {
			timeout = time.Millisecond
		}
		a, err := asking.New(asking.Config{Servers: []asking.Server{{Address: address, Key: &key.PublicKey}}, Timeout: timeout})
		must(t, err)
		var try asking.Try
		_, err = a.Check(t.Context(), question(t, newKey(t), wire.TypeSign), func(got asking.Try) { try = got })
		var unanswered *asking.UnansweredError
		if !errors.As(err, &unanswered) {
			t.Fatalf("%s: %v", says, err)
		}
		_, host, _ := strings.Cut(address, "://")
		for whole, told := range map[string]string{err.Error(): unanswered.Told(), try.Err.Error(): try.Told()} {
			if !strings.Contains(whole, host) || strings.Contains(told, "127.0.0.1") || !strings.Contains(told, says) {
				t.Errorf("others are told %q of %q, want %q", told, whole, says)
			}
		}
	}
}
