package callback_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/countersign-mpc/countersign/auditlog"
	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// adminCall calls the admin API with the token.
func (w *world) adminCall(method, path, body string) answer {
	w.t.Helper()
	r := must[*http.Request](w.t)(http.NewRequest(method, w.admin+path, strings.NewReader(body)))
	r.Header.Set("Authorization", "Bearer "+adminToken)
	return do(w.t, r)
}

// get reads an answer of the admin API.
func get[T any](w *world, path string) T {
	w.t.Helper()
	var out T
	a := w.adminCall(http.MethodGet, path, "")
	if a.status != http.StatusOK {
		w.t.Fatalf("GET %s: HTTP %d %s", path, a.status, a.body)
	}
	ok(w.t, json.Unmarshal([]byte(a.body), &out))
	return out
}

// decisions are those that a query selects, with everything that is recorded of them.
func (w *world) decisions(query string) []decisionView {
	w.t.Helper()
	var out []decisionView
	for _, d := range get[callback.DecisionList](w, "/admin/v1/decisions?"+strings.ReplaceAll(query, " ", "+")).Decisions {
		out = append(out, decisionView{get[callback.DecisionView](w, "/admin/v1/decisions/"+d.ID)})
	}
	return out
}

func (w *world) decision1(query string) decisionView {
	w.t.Helper()
	all := w.decisions(query)
	if len(all) != 1 {
		w.t.Fatalf("%d decisions for %s, want 1", len(all), query)
	}
	return all[0]
}

type decisionView struct{ callback.DecisionView }

// input is the policy's input of the decision.
func (d decisionView) input(t testing.TB) policy.Input {
	t.Helper()
	var in policy.Input
	ok(t, json.Unmarshal(d.Record.Input, &in))
	return in
}

func TestAdminIsGuarded(t *testing.T) {
	w := newWorld(t, options{})
	host := strings.TrimPrefix(w.admin, "http://")
	for _, tc := range []struct {
		name, path, host, token, origin string
		status                          int
	}{
		{"with the token", "/admin/v1/policy", host, "Bearer " + adminToken, "", 200},
		{"localhost", "/admin/v1/policy", "localhost:9091", "Bearer " + adminToken, "", 200},
		{"IPv6 loopback", "/admin/v1/policy", "[::1]", "Bearer " + adminToken, "", 200},
		{"without a token", "/admin/v1/policy", host, "", "", 401},
		{"with another token", "/admin/v1/policy", host, "Bearer " + adminToken + "x", "", 401},
		{"with a part of the token", "/admin/v1/policy", host, "Bearer " + adminToken[:20], "", 401},
		{"with an empty token", "/admin/v1/policy", host, "Bearer ", "", 401},
		{"token in another scheme", "/admin/v1/policy", host, "Basic " + adminToken, "", 401},
		{"from a page", "/admin/v1/policy", host, "Bearer " + adminToken, "http://" + host, 403},
		{"rebound name", "/admin/v1/policy", "evil.example:9091", "Bearer " + adminToken, "", 403},
		{"name that looks like loopback", "/admin/v1/policy", "127.0.0.1.evil.example", "Bearer " + adminToken, "", 403},
		{"health needs no token", "/livez", host, "", "", 200},
		{"readiness needs no token", "/readyz", host, "", "", 200},
		{"metrics need no token", "/metrics", host, "", "", 200},
		{"health from a page", "/livez", host, "", "null", 403},
		{"unknown endpoint", "/admin/v1/secrets", host, "Bearer " + adminToken, "", 404},
		{"unknown endpoint without a token", "/admin/v1/secrets", host, "", "", 401},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := must[*http.Request](t)(http.NewRequest(http.MethodGet, w.admin+tc.path, nil))
			r.Host = tc.host
			if tc.token != "" {
				r.Header.Set("Authorization", tc.token)
			}
			if tc.origin != "" {
				r.Header.Set("Origin", tc.origin)
			}
			a := do(t, r)
			if a.status != tc.status {
				t.Errorf("HTTP %d %s, want %d", a.status, a.body, tc.status)
			}
			if strings.Contains(a.body, adminToken) {
				t.Error("the answer holds the token")
			}
		})
	}
	if strings.Contains(w.logged.String(), adminToken) {
		t.Error("the log holds the token")
	}
}

func TestDecisionsAreFound(t *testing.T) {
	w := newWorld(t, options{})
	for _, id := range []string{"one", "two", "three"} {
		w.ask(payment{callbackID: "cb-" + id, requestID: "r-" + id, amount: 500}.check(t))
	}
	for query, n := range map[string]int{
		"": 3, "limit=2": 2, "callback_id=cb-two": 1, "request_id=r-two": 1, "sino_id=s-r-two": 1, "sino_id=none": 0,
		"callback_id=cb-two&request_id=r-one": 0, "callback_id=cb-two&sino_id=s-r-two": 1,
	} {
		if got := get[callback.DecisionList](w, "/admin/v1/decisions?"+query); len(got.Decisions) != n {
			t.Errorf("%q selects %d decisions, want %d", query, len(got.Decisions), n)
		}
	}
	var seen []string
	for cursor, first := "", true; first || cursor != ""; first = false {
		page := get[callback.DecisionList](w, "/admin/v1/decisions?limit=1&cursor="+url.QueryEscape(cursor))
		for _, d := range page.Decisions {
			seen = append(seen, d.CallbackID)
		}
		cursor = page.Next
	}
	if got := strings.Join(seen, " "); got != "cb-three cb-two cb-one" {
		t.Errorf("page by page: %s", got)
	}
	d := w.decision1("callback_id=cb-one")
	if d.Record.Revision != w.live.Engine().Revision() || len(d.Record.Fired) == 0 || len(d.Digests) != 1 || !strings.Contains(d.Reply, `"callback_id":"cb-one"`) {
		t.Errorf("the decision is %+v", d)
	}
	for path, status := range map[string]int{
		"/admin/v1/decisions/00": 400, "/admin/v1/decisions/" + strings.Repeat("0", 32): 404, "/admin/v1/decisions?limit=0": 400,
		"/admin/v1/decisions?limit=x": 400, "/admin/v1/decisions?cursor=x": 400,
	} {
		if a := w.adminCall(http.MethodGet, path, ""); a.status != status || !strings.Contains(a.body, `"error"`) {
			t.Errorf("GET %s: HTTP %d %s, want %d", path, a.status, a.body, status)
		}
	}
}

// TestReplay: the recorded input gives the recorded decision again.
func TestReplay(t *testing.T) {
	w := newWorld(t, options{})
	w.ask(payment{callbackID: "cb-1", requestID: "r-1", amount: 100_001}.check(t))
	d := w.decision1("callback_id=cb-1")
	again, err := w.live.Engine().Replay(t.Context(), d.Record.Input)
	ok(t, err)
	if string(again.Action) != d.Action || again.ErrorText() != d.Error {
		t.Errorf("replayed: %s %s, recorded: %s %s", again.Action, again.ErrorText(), d.Action, d.Error)
	}
}

func TestPolicyReload(t *testing.T) {
	w := newWorld(t, options{data: func(map[string]any) {}})
	before := get[callback.PolicyView](w, "/admin/v1/policy")
	if before.Revision == "" || len(before.Rules) == 0 || len(before.Groups) != 1 || len(before.Groups[0].Approvers) != 3 || !before.LastReload.OK {
		t.Fatalf("the policy is %+v", before)
	}
	p := payment{callbackID: "cb-1", requestID: "r-1", amount: 500}
	d, _ := w.ask(p.check(t))
	want(t, d, wire.Approve)

	ok(t, os.WriteFile(w.dataPath, []byte(`{"format":"countersign/policy-data/v1","limts":{}}`), 0o600))
	bad := w.adminCall(http.MethodPost, "/admin/v1/policy/reload", "")
	if bad.status != http.StatusUnprocessableEntity || !strings.Contains(bad.body, "limts") {
		t.Fatalf("a broken policy: HTTP %d %s", bad.status, bad.body)
	}
	after := get[callback.PolicyView](w, "/admin/v1/policy")
	if after.Revision != before.Revision || after.LastReload.OK || !strings.Contains(after.LastReload.Error, "limts") {
		t.Errorf("after a broken policy: %+v", after.LastReload)
	}
	p.callbackID = "cb-2"
	d, _ = w.ask(p.check(t))
	want(t, d, wire.Approve)

	w.writeData(testData(func(data map[string]any) { data["request_types"] = []string{"keygen"} }))
	good := w.adminCall(http.MethodPost, "/admin/v1/policy/reload", "")
	if good.status != http.StatusOK || strings.Contains(good.body, before.Revision) {
		t.Fatalf("a good policy: HTTP %d %s", good.status, good.body)
	}
	p.callbackID = "cb-3"
	d, _ = w.ask(p.check(t))
	want(t, d, wire.Reject, "request.type: ")
	if first := w.decision1("callback_id=cb-1"); first.Record.Revision != before.Revision {
		t.Error("a decision lost its revision")
	}
}

func TestLogProofs(t *testing.T) {
	w := newWorld(t, options{})
	w.ask(payment{callbackID: "cb-1", requestID: "r-1", amount: 500}.check(t))
	d := w.decision1("callback_id=cb-1")
	c := get[callback.CheckpointView](w, "/admin/v1/log/checkpoint")
	if tree := must[auditlog.Tree](t)(auditlog.OpenCheckpoint([]byte(c.Checkpoint), c.PublicKey)); tree.N != 1 {
		t.Errorf("the checkpoint is over %d entries, want 1", tree.N)
	}
	p := get[callback.ProofView](w, "/admin/v1/log/proofs/"+d.ID)
	entry := must[[]byte](t)(decodeBase64(p.Entry))
	if _, _, err := auditlog.CheckInclusion(p.PublicKey, entry, []byte(p.Proof)); err != nil {
		t.Errorf("the proof does not verify: %v", err)
	}
	entry[len(entry)-1] ^= 1
	if _, _, err := auditlog.CheckInclusion(p.PublicKey, entry, []byte(p.Proof)); err == nil {
		t.Error("the proof verifies another entry")
	}
}

// TestMetrics: what happened is counted, and no label holds anything that a client chose.
func TestMetrics(t *testing.T) {
	w := newWorld(t, options{})
	p := payment{callbackID: "cb-secret-id", requestID: "r-secret", amount: 500}
	w.ask(p.check(t))
	w.ask(p.check(t))
	c := payment{callbackID: "cb-2", requestID: "r-2", amount: 5}.check(t)
	c.RequestType = "evil-type"
	w.ask(c)
	w.send("/check", keygenBody, nil)
	w.send("/check", keygenBody, http.Header{"Signature": {"zz"}})
	w.send("/check", keygenBody, http.Header{"Signature": {"00"}})
	d, _ := w.ask(payment{callbackID: "cb-wait", requestID: "r-3", amount: 20_000, requester: keyID(t, newKey(t))}.check(t))
	want(t, d, wire.Wait)
	text := do(t, must[*http.Request](t)(http.NewRequest(http.MethodGet, w.admin+"/metrics", nil))).body
	for _, line := range []string{
		`countersign_callback_decisions_total{action="Approve",request_type="sign"} 1`,
		`countersign_callback_decisions_total{action="Wait",request_type="sign"} 1`,
		`countersign_callback_decisions_total{action="Reject",request_type="other"} 1`,
		`countersign_callback_replays_total 1`,
		`countersign_callback_refusals_total{code="signature"} 3`,
		`countersign_callback_signature_failures_total{reason="header"} 1`,
		`countersign_callback_signature_failures_total{reason="malformed"} 1`,
		`countersign_callback_signature_failures_total{reason="unverified"} 1`,
		`countersign_callback_policy_info{revision="` + w.live.Engine().Revision() + `"} 1`,
		`countersign_callback_policy_last_reload_successful 1`,
		`countersign_callback_approvals_pending 1`,
		`countersign_callback_log_entries 3`,
		`countersign_callback_ledger_up 1`,
		`countersign_callback_clock_trusted 1`,
		`countersign_callback_stage_duration_seconds_count{stage="evaluate"} 3`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("the metrics do not have %s", line)
		}
	}
	for _, secret := range []string{"cb-secret-id", "r-secret", "evil-type", recipient, strings.ToLower(recipient), "USDT"} {
		if strings.Contains(text, secret) {
			t.Errorf("the metrics hold %q", secret)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	ok(t, err)
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "countersign_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// TestLogsHoldIDsOnly: amounts, addresses, messages, signatures and claims stay out of the log.
func TestLogsHoldIDsOnly(t *testing.T) {
	w := newWorld(t, options{})
	c := payment{callbackID: "cb-1", requestID: "r-1", amount: 123_456, requester: keyID(t, newKey(t))}.check(t)
	w.ask(c)
	w.post(w.nodeKey, "/check", `{"callback_id":"x","request_type":"sign","request_detail":{"message":"hush-hush","amount":123456},"extra_info":{}}`)
	log := w.logged.String()
	for _, id := range []string{"cb-1", "r-1", "decision=", "rule=limit.per_transaction", "node=a"} {
		if !strings.Contains(log, id) {
			t.Errorf("the log does not have %q:\n%s", id, log)
		}
	}
	for _, payload := range []string{"123456", recipient, strings.ToLower(recipient), c.RequestDetail.Message, "hush-hush"} {
		if strings.Contains(log, payload) {
			t.Errorf("the log holds %q:\n%s", payload, log)
		}
	}
}

func TestAdminBodiesAreStrict(t *testing.T) {
	w := newWorld(t, options{})
	path := "/admin/v1/approvals/" + strings.Repeat("0", 32) + "/signatures"
	for name, tc := range map[string]struct {
		body   string
		status int
	}{
		"no JSON":       {"hello", 400},
		"unknown key":   {`{"approver":"alice","decision":"approve","signature":"00","force":true}`, 400},
		"duplicate key": {`{"approver":"alice","approver":"bob","decision":"approve","signature":"00"}`, 400},
		"more than one": {`{"approver":"alice","decision":"approve","signature":"00"}{}`, 400},
		"no hex":        {`{"approver":"alice","decision":"approve","signature":"zz"}`, 400},
		"too long":      {`{"approver":"` + strings.Repeat("a", 70<<10) + `"}`, 413},
		"no such one":   {`{"approver":"alice","decision":"approve","signature":"00"}`, 404},
	} {
		if a := w.adminCall(http.MethodPost, path, tc.body); a.status != tc.status || !strings.Contains(a.body, `"error"`) {
			t.Errorf("%s: HTTP %d %s, want %d", name, a.status, a.body, tc.status)
		}
	}
	r := must[*http.Request](t)(http.NewRequest(http.MethodPost, w.admin+path, io.LimitReader(endless{}, 1<<20)))
	r.Header.Set("Authorization", "Bearer "+adminToken)
	if a := do(t, r); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a body without a length: HTTP %d", a.status)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// TestConfirmClock: after a jump approvals wait until an operator confirms the clock, which is recorded.
func TestConfirmClock(t *testing.T) {
	w := newWorld(t, options{})
	w.ask(payment{callbackID: "cb-1", requestID: "r-1", amount: 500}.check(t))
	w.clock.jump(-24 * time.Hour)
	d, _ := w.ask(payment{callbackID: "cb-2", requestID: "r-2", amount: 500}.check(t))
	want(t, d, wire.Wait, "ledger.clock: ", "callback clock confirm")
	for body, status := range map[string]int{
		`{"operator":"","reason":"nobody"}`: 400, `{"operator":"op","force":true}`: 400, `{"operator":"` + strings.Repeat("x", 300) + `"}`: 400,
	} {
		if a := w.adminCall(http.MethodPost, "/admin/v1/clock/confirm", body); a.status != status {
			t.Errorf("%s: HTTP %d %s, want %d", body, a.status, a.body, status)
		}
	}
	var first, second callback.ClockView
	for _, into := range []*callback.ClockView{&first, &second} {
		a := w.adminCall(http.MethodPost, "/admin/v1/clock/confirm", `{"operator":"op","reason":"was a day ahead"}`)
		if a.status != http.StatusOK {
			t.Fatalf("HTTP %d %s", a.status, a.body)
		}
		ok(t, json.Unmarshal([]byte(a.body), into))
	}
	if !first.Doubted || second.Doubted || first.Operator != "op" || first.Reason != "was a day ahead" || first.Before.Sub(first.Time) != 24*time.Hour {
		t.Errorf("the answers are %+v and %+v", first, second)
	}
	d, _ = w.ask(payment{callbackID: "cb-3", requestID: "r-3", amount: 500}.check(t))
	want(t, d, wire.Approve)
	if !strings.Contains(w.logged.String(), "clock confirmed") || !strings.Contains(w.logged.String(), "operator=op") {
		t.Error("the log does not say who confirmed the clock")
	}
}

// TestAdminAnswersJSON: also where there is nothing.
func TestAdminAnswersJSON(t *testing.T) {
	w := newWorld(t, options{})
	for request, status := range map[string]int{
		"GET /": 404, "GET /v1/check": 404, "GET /admin/v1/none": 404, "POST /livez": 405, "DELETE /admin/v1/policy": 405, "POST /admin": 404,
	} {
		method, path, _ := strings.Cut(request, " ")
		a := w.adminCall(method, path, "")
		var body struct{ Error string }
		if err := json.Unmarshal([]byte(a.body), &body); err != nil || body.Error == "" || a.status != status || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: HTTP %d %s %q, want %d", request, a.status, a.header.Get("Content-Type"), a.body, status)
		}
	}
}

// deadlines is an answer that notes whether its deadline for writing was moved.
type deadlines struct {
	*httptest.ResponseRecorder
	moved bool
}

func (d *deadlines) SetWriteDeadline(time.Time) error { d.moved = true; return nil }

// TestPatience: what builds a policy, and so runs its tests, has longer for its answer than other calls.
func TestPatience(t *testing.T) {
	w := newWorld(t, options{live: agreeable()})
	for path, want := range map[string]bool{"reload": true, "rollback": true, "activate": true, "proposals": true, "shadow": true, "shadow/clear": false} {
		r := httptest.NewRequest(http.MethodPost, "/admin/v1/policy/"+path, strings.NewReader("{}"))
		r.Host = "127.0.0.1"
		r.Header.Set("Authorization", "Bearer "+adminToken)
		answer := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		w.server.Admin().ServeHTTP(answer, r)
		if answer.moved != want || answer.Code == http.StatusUnauthorized {
			t.Errorf("%s: HTTP %d, the deadline is moved: %v", path, answer.Code, answer.moved)
		}
	}
}
