package node_test

import (
	"context"
	"crypto/tls"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/node"
)

// heldSettings hold an unseal, under all of its locks, until the test lets it go on.
type heldSettings struct {
	settings
	reached, let chan struct{}
}

func (s *heldSettings) Coordinators() (*tls.Config, error) {
	s.reached <- struct{}{}
	<-s.let
	return nil, nil
}

// mustTell demands that whatever only tells of a node answers at once, and what it says.
func (o *office) mustTell(state, doing string) {
	o.t.Helper()
	within(o.t, "what tells of the node", func() {
		for _, path := range []string{"/sys/seal-status", "/sys/info"} {
			_, got := o.call("GET", path, "")
			if !contains(got, `"state":"`+state+`"`) || contains(got, `"doing"`) != (doing != "") || !contains(got, doing) {
				o.t.Errorf("%s, where %q goes on: %s", path, doing, got)
			}
		}
		o.call("GET", "/sys/sessions", "")
		o.call("GET", "/sys/keys", "")
		for path, want := range map[string]int{"/livez": 200, "/readyz": 503, "/metrics": 200} {
			w := httptest.NewRecorder()
			o.node.Health().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			if w.Code != want {
				o.t.Errorf("%s: HTTP %d %s", path, w.Code, w.Body)
			}
		}
	})
}

// TestWhatTellsOfTheNodeDoesNotWait: neither for a password, nor for t segments, nor for a token that has hung.
func TestWhatTellsOfTheNodeDoesNotWait(t *testing.T) {
	t.Parallel()
	var current atomic.Pointer[hand]
	h := newHand(t, 2, 3)
	current.Store(h)
	held := &heldSettings{reached: make(chan struct{}), let: make(chan struct{})}
	o := newSegmentOffice(t, &current, new(clock), nil, func(c *node.Config) { c.Settings = held })
	o.mustTell("uninitialised", "")
	o.call("POST", "/sys/init", h.body(1))
	o.call("POST", "/sys/init", h.body(2))
	o.call("POST", "/sys/in-bkey", h.body(3))
	answered := make(chan string)
	go func() {
		_, got := o.call("POST", "/sys/in-bkey", h.body(1))
		answered <- got
	}()
	receive(t, held.reached)
	o.mustTell("sealed", `"doing":{"what":"in-bkey","since":"`)
	if _, got := o.call("GET", "/sys/seal-status", ""); !contains(got, `"progress":{"call":"in-bkey","entered":[3,1],"needed":2}`) {
		t.Errorf("what was entered: %s", got)
	}
	close(held.let)
	if got := receive(t, answered); got != `{"data":"in-bkey success","status":"ok"}` {
		t.Error(got)
	}
	o.mustTell("unsealed", "")
}

func TestWhatTellsOfTheNodeDoesNotWaitForAToken(t *testing.T) {
	t.Parallel()
	path := autoStore(t)

	key := newSlowKey()
	t.Cleanup(onceClose(key.gate))
	n := slowNode(t, path, key.open(), time.Hour)
	o := &office{t: t, node: n, handler: n.Admin(node.AdminConfig{})}
	unsealed := make(chan error, 1)
	go func() { unsealed <- n.AutoUnseal(context.Background()) }()
	receive(t, key.called)
	o.mustTell("sealed", `"doing":{"what":"auto-unseal","since":"`)
	n.Seal()
	receive(t, unsealed)
	o.mustTell("sealed", "")
}
