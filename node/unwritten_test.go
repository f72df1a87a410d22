package node_test

import (
	"errors"
	"io"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/node"
)

// TestAStoreThatCannotBeWrittenIsTold: by /readyz and by a metric, before anybody looks for a reason why nothing is signed.
func TestAStoreThatCannotBeWrittenIsTold(t *testing.T) {
	t.Parallel()
	var full atomic.Bool
	store, err := keystore.Open(keystore.Config{Path: filepath.Join(t.TempDir(), "asset.db"), Argon2: cheap, Persist: func(contents func(io.Writer) error) error {
		if full.Load() {
			return errors.New("no space left on device")
		}
		return contents(io.Discard)
	}})
	must(t, err)
	o := newOffice(t, func(c *node.Config) { c.Store = store })
	o.call("POST", "/sys/init", bkey(password))
	o.mustAnswer("POST", "/sys/in-bkey", bkey(password), `{"data":"in-bkey success","status":"ok"}`)
	mustSay := func(writable, why string) {
		t.Helper()
		if got := o.node.NotReady(); !contains(got, why) {
			t.Errorf("/readyz says %q, want %q", got, why)
		}
		w := httptest.NewRecorder()
		o.node.Health().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		if !contains(w.Body.String(), "\ncountersign_node_store_writable "+writable+"\n") {
			t.Errorf("the metric is not %s", writable)
		}
	}
	mustSay("1", "not connected to the coordinator")
	full.Store(true)
	if err := store.Put("b", "k", nil); err == nil {
		t.Fatal("it was written")
	}
	mustSay("0", "the store could not be written: ")
	mustSay("0", "no space left on device")
}
