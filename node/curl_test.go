package node_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

// curl sends the bytes that curl sends for `curl -s -X METHOD -H 'Content-Type: text/plain' -d BODY http://127.0.0.1:10080/PATH`,
// and gives the status and the body of the answer.
func curl(t testing.TB, address, method, path, body string) (int, string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	must(t, err)
	defer conn.Close()
	request := method + " " + path + " HTTP/1.1\r\nHost: 127.0.0.1:10080\r\nUser-Agent: curl/7.68.0\r\nAccept: */*\r\n"
	if method == "POST" {
		request += fmt.Sprintf("Content-Type: text/plain\r\nContent-Length: %d\r\n", len(body))
	}
	_, err = io.WriteString(conn, request+"\r\n"+body)
	must(t, err)
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	defer r.Body.Close()
	answer, err := io.ReadAll(r.Body)
	must(t, err)
	return r.StatusCode, strings.TrimSpace(string(answer))
}

// The answers as the node guide prints them. Its ids and keys are another node's.
const (
	guideInit   = `{"data":{"node_id":"NODE","public_key":"KEY"},"status":"ok"}`
	guideUnseal = `{"data":"in-bkey success","status":"ok"}`
	guideReset  = `{"status": "ok", "data": "re-bkey-init success"}`
	guideChange = `{"status": "ok", "data": "re-bkey success"}`
	guideInfo   = `{
  "data": {
    "node_id": "NODE",
    "public_key": "KEY",
    "state": "unsealed"
  },
  "status": "ok"
}`
)

// decode reads JSON that has the keys of into and no others.
func decode(t testing.TB, text string, into any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	must(t, d.Decode(into))
}

// TestTheGuidesBytes: the vendor's node.sh pastes a password into JSON and sends it by curl as text/plain.
func TestTheGuidesBytes(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	server := httptest.NewServer(o.handler)
	t.Cleanup(server.Close)
	address := strings.TrimPrefix(server.URL, "http://")
	id, key := "", ""
	call := func(method, path, body, guide string) {
		t.Helper()
		code, answer := curl(t, address, method, path, body)
		var got, want struct {
			Data   any    `json:"data"`
			Status string `json:"status"`
		}
		decode(t, answer, &got)
		decode(t, guide, &want)
		if data, ok := got.Data.(map[string]any); ok && id == "" {
			id, key = data["node_id"].(string), data["public_key"].(string)
			if !strings.HasPrefix(id, "sino") || !strings.HasPrefix(key, "-----BEGIN PUBLIC KEY-----\n") || !strings.HasSuffix(key, "\n-----END PUBLIC KEY-----\n") {
				t.Fatalf("the identity is %s", answer)
			}
		}
		if data, ok := want.Data.(map[string]any); ok {
			data["node_id"], data["public_key"] = id, key
		}
		if code != 200 || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s %s: HTTP %d %s\nthe guide has %s", method, path, code, answer, guide)
		}
	}
	// what the password may not be without its escape, and what is said then
	for _, odd := range []string{`Correct"Horse-7-Battery`, `Correct\Horse-7-Battery`, `Correct-Horse-7-Battery\`} {
		code, answer := curl(t, address, "POST", "/sys/init", `{"shard_bkey":"`+odd+`"}`)
		var refusal struct{ Error, Status string }
		must(t, json.Unmarshal([]byte(answer), &refusal))
		if code != 400 || refusal.Status != "error" || !strings.Contains(refusal.Error, `a password must not contain " or \`) || strings.Contains(answer, "Horse") {
			t.Fatalf("HTTP %d %s", code, answer)
		}
	}
	call("POST", "/sys/init", `{"shard_bkey":"Correct-Horse-7-Battery"}`, guideInit)
	call("POST", "/sys/in-bkey", `{"shard_bkey":"Correct-Horse-7-Battery"}`, guideUnseal)
	call("GET", "/sys/seal-status", "", guideInfo)
	call("POST", "/sys/re-bkey-init", `{"shard_bkey":"Correct-Horse-7-Battery"}`, guideReset)
	call("POST", "/sys/re-bkey", `{"shard_bkey":"Another-Horse-8-Battery"}`, guideChange)
	call("GET", "/sys/seal-status", "", guideInfo)
	o.node.Seal()
	if code, answer := curl(t, address, "POST", "/sys/in-bkey", `{"shard_bkey":"Correct-Horse-7-Battery"}`); code != 400 || !strings.Contains(answer, "wrong password") {
		t.Fatalf("the old password: HTTP %d %s", code, answer)
	}
}
