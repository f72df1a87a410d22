package transport_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// What answers without speaking the link's protocol, a proxy before a coordinator that is away, costs no connection for good: a
// node may go on trying for days.
func TestAFailedTryLeavesNoConnection(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{}, 16)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	tryLink(t, &pauses{}, server.URL, 3)
	for i := range 3 {
		select {
		case <-closed:
		case <-time.After(20 * time.Second):
			t.Fatalf("%d of 3 connections were closed", i)
		}
	}
}

// A node goes to the coordinator that is configured, and to nobody else.
func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 16)
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{} }))
	t.Cleanup(other.Close)
	tries := 0
	runLink(t, &pauses{}, 2, func(w http.ResponseWriter, r *http.Request) {
		tries++
		http.Redirect(w, r, other.URL+"/proxy", http.StatusTemporaryRedirect)
	})
	if tries != 2 || len(asked) != 0 {
		t.Errorf("the node tried %d times, and went %d times where it was sent", tries, len(asked))
	}
}
