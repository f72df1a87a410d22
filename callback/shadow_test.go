package callback_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/ledger/memstore"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/rego"
	"github.com/countersign-mpc/countersign/wire"
)

// kept runs the server's upkeep until the test ends.
func (w *world) kept() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { w.server.Keep(ctx) })
	w.t.Cleanup(func() { cancel(); wg.Wait() })
}

// adminJSON calls the admin API and reads the answer into out; it returns the status and the body.
func (w *world) adminJSON(method, path string, in, out any) answer {
	w.t.Helper()
	body := must[[]byte](w.t)(json.Marshal(in))
	r := must[*http.Request](w.t)(http.NewRequest(method, w.admin+path, strings.NewReader(string(body))))
	r.Header.Set("Authorization", "Bearer "+adminToken)
	a := do(w.t, r)
	if a.status == http.StatusOK && out != nil {
		ok(w.t, json.Unmarshal([]byte(a.body), out))
	}
	return a
}

// quickPolicy says yes where the windows do. It is built in no time.
const quickPolicy = `package countersign

import data.countersign.rules.windows

decision := {"allow": windows.allow, "reject": windows.reject, "wait": set(), "require": {"window.max"}}
`

// quick is that policy over the tests' data.
func quick(change func(map[string]any)) (*policy.Source, error) {
	data, err := json.Marshal(testData(change))
	if err != nil {
		return nil, err
	}
	s, err := policy.Load(rego.FS(), "")
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(s.Modules, func(name string, _ []byte) bool { return name != "lib.rego" && name != "windows.rego" })
	s.Modules["quick.rego"] = []byte(quickPolicy)
	s.Modules["quick_test.rego"] = []byte("package countersign.quick_test\n\ntest_data if count(data.chains) > 0\n")
	s.DataName, s.Data = "data.json", data
	return s, nil
}

// quickWorld is a world over that; reading the policy anew gives what files holds then.
func quickWorld(t testing.TB, o options, change func(map[string]any)) (w *world, files *func(map[string]any)) {
	t.Helper()
	files = &change
	o.live = must[*policy.Live](t)(policy.NewLive(context.Background(), policy.LiveConfig{
		Read: func() (*policy.Source, error) { return quick(*files) }, Engine: policy.Config{Timeout: 30 * time.Second},
	}))
	return newWorld(t, o), files
}

// text is that policy as it is handed in.
func (w *world) text(change func(map[string]any)) callback.PolicyText {
	w.t.Helper()
	return callback.PolicyTextOf(must[*policy.Source](w.t)(quick(change)))
}

func hello(n int) *wire.Check {
	return &wire.Check{
		CallbackID: fmt.Sprint("m-", n), RequestType: wire.TypeSign, ExtraInfo: wire.ExtraInfo{SinoID: "s", RequestID: fmt.Sprint("r-", n)},
		RequestDetail: wire.RequestDetail{Cryptography: wire.ECDSASecp256k1, SignType: wire.SignTypeMessage, PublicKey: rootKey, Path: "m/0", Message: fmt.Sprint("hello ", n)},
	}
}

// fewMessages is a window of so many messages.
func fewMessages(most string) func(map[string]any) {
	return func(d map[string]any) {
		d["windows"] = map[string]any{"few": map[string]any{"measure": "count", "kinds": []string{"message"}, "scope": []string{"key"}, "rolling_seconds": 3600, "max": most}}
	}
}

// TestShadow: a shadow sees what is asked, over windows of its own that know what was decided before it, and changes no reply.
func TestShadow(t *testing.T) {
	w, _ := quickWorld(t, options{}, fewMessages("10"))
	for n := range 2 {
		d, _ := w.ask(hello(n))
		want(t, d, wire.Approve)
	}
	var view callback.ShadowView
	if a := w.adminJSON("POST", "/admin/v1/policy/shadow", callback.PolicyRequest{PolicyText: w.text(fewMessages("3"))}, &view); a.status != 200 || view.Operator != "admin-token" {
		t.Fatal(a)
	}
	w.kept()
	const asked = 4
	for n := 2; n < 2+asked; n++ {
		d, _ := w.ask(hello(n)) // the live window has room for all
		want(t, d, wire.Approve)
		w.ask(hello(n)) // answered again: not seen twice
	}
	for view.Judged < asked {
		if a := w.adminJSON("GET", "/admin/v1/policy/shadow", nil, &view); a.status != 200 {
			t.Fatal(a)
		}
	}
	if view.Judged != asked || view.Differences != asked-1 || view.Dropped != 0 || len(view.Examples) != asked-1 || len(view.Sums) != 1 {
		t.Fatalf("%+v", view)
	}
	if s := view.Sums[0]; s.Was != wire.Approve || s.Now != wire.Reject || s.Rule != "window.max" || s.Count != asked-1 {
		t.Fatalf("%+v", s)
	}
	metrics := open(w, "/metrics").body
	for _, line := range []string{
		`countersign_callback_shadow_differences_total{now="Reject",rule="window.max",was="Approve"} 3`, "countersign_callback_shadow_judged_total 4",
		`countersign_callback_shadow_info{revision="` + view.Revision + `"} 1`,
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("metrics lack %s", line)
		}
	}
	if a := w.adminJSON("POST", "/admin/v1/policy/shadow", callback.PolicyRequest{PolicyText: callback.PolicyText{Data: "{}"}}, nil); a.status != http.StatusUnprocessableEntity {
		t.Error(a)
	}
	if a := w.adminJSON("POST", "/admin/v1/policy/shadow/clear", nil, &view); a.status != 200 || view.Revision != "" || view.Judged != 0 {
		t.Error(a)
	}
}

// TestShadowFallsBehind: who does not keep up is left out, and says so; replies do not wait.
func TestShadowFallsBehind(t *testing.T) {
	w, _ := quickWorld(t, options{store: memstore.New()}, fewMessages("10000"))
	w.server.ShadowQueue(8)
	var view callback.ShadowView
	if a := w.adminJSON("POST", "/admin/v1/policy/shadow", callback.PolicyRequest{PolicyText: w.text(fewMessages("1"))}, &view); a.status != 200 {
		t.Fatal(a)
	}
	const most = 20 // nobody judges yet, and the queue has room for fewer
	for n := range most {
		d, _ := w.ask(hello(n))
		want(t, d, wire.Approve)
	}
	w.kept()
	for view.Judged+view.Dropped < most {
		if a := w.adminJSON("GET", "/admin/v1/policy/shadow?limit=0", nil, &view); a.status != 200 {
			t.Fatal(a)
		}
	}
	if view.Dropped != most-8 || view.Judged != 8 {
		t.Fatalf("%+v", view)
	}
}

// TestShadowThatFails: a configured shadow that does not pass is not built again at each look, which would keep the policies that
// decide waiting; after a while it is, and at once where somebody reloads it.
func TestShadowThatFails(t *testing.T) {
	read := 0
	w, _ := quickWorld(t, options{cfg: func(c *callback.Config) {
		c.Shadow = func() (*policy.Source, error) {
			read++
			return &policy.Source{DataName: "data.json", Data: []byte("{}")}, nil
		}
	}}, fewMessages("10"))
	follow := func(want int, when string) {
		t.Helper()
		if w.server.FollowShadow(t.Context()); read != want || strings.Count(w.logged.String(), "the shadow could not be loaded") != want {
			t.Errorf("%s: read %d times, want %d; the log says\n%s", when, read, want, w.logged.String())
		}
	}
	follow(1, "at first")
	follow(1, "at once")
	w.clock.step(10 * time.Second)
	follow(2, "after ten seconds")
	w.clock.step(10 * time.Second)
	follow(2, "after ten more")
	w.clock.step(10 * time.Second)
	follow(3, "after twenty more")
	if err := w.server.ReloadShadow(t.Context()); err == nil || read != 4 {
		t.Errorf("a reload reads it: %d times, %v", read, err)
	}
}
