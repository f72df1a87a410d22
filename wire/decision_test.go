package wire_test

import (
	"crypto/ecdsa"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/wire"
)

// wantFault checks that a reply does not count, for one reason.
func wantFault(t testing.TB, err error, fault wire.Fault, says string) *wire.ReplyError {
	t.Helper()
	var e *wire.ReplyError
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want a ReplyError", err)
	}
	if e.Fault != fault || !strings.Contains(err.Error(), says) {
		t.Fatalf("%s: %v; want %s, saying %q", e.Fault, err, fault, says)
	}
	return e
}

var asked = wire.Asked{CallbackID: "c", ExtraInfo: wire.ExtraInfo{SinoID: "s", RequestID: "r"}}

const approveData = `{"callback_id":"c","sino_id":"s","request_id":"r","action":"Approve"}`

// signedReply is a reply whose data is written as given.
func signedReply(t testing.TB, data string) string {
	return `{"status":"0","data":` + data + `,"signature":"` + sign(t, serverKey(t), data) + `"}`
}

func TestOpenReplyCounts(t *testing.T) {
	tests := []struct {
		name, body string
		want       wire.Decision
	}{
		{"approve", signedReply(t, approveData), wire.Decision{Action: wire.Approve}},
		{"capitals", signedReply(t, `{"callback_id":"c","action":"APPROVE"}`), wire.Decision{Action: wire.Approve}},
		{"accept", signedReply(t, `{"callback_id":"c","action":"ACCEPT"}`), wire.Decision{Action: wire.Approve}},
		{"reject", signedReply(t, `{"callback_id":"c","action":"reject"}`), wire.Decision{Action: wire.Reject}},
		{"ids not given", signedReply(t, `{"callback_id":"c","sino_id":"","request_id":null,"action":"Approve"}`), wire.Decision{Action: wire.Approve}},
		{"wait", signedReply(t, `{"callback_id":"c","action":"Wait","wait_time":"30"}`), wire.Decision{Action: wire.Wait, Wait: 30 * time.Second}},
		{"upper-case signature", strings.Replace(signedReply(t, approveData), sign(t, serverKey(t), approveData),
			strings.ToUpper(sign(t, serverKey(t), approveData)), 1), wire.Decision{Action: wire.Approve}},
		{"data in another order, signed as it stands", signedReply(t, `{ "action":"Approve", "callback_id":"c" }`), wire.Decision{Action: wire.Approve}},
		{"unknown signed field", signedReply(t, `{"callback_id":"c","action":"Approve","new":[1]}`), wire.Decision{Action: wire.Approve}},
		{"unknown field", strings.Replace(signedReply(t, approveData), `{"status"`, `{"trace":1,"status"`, 1), wire.Decision{Action: wire.Approve}},
		{"line break behind", signedReply(t, approveData) + "\r\n", wire.Decision{Action: wire.Approve}},
		{"null error", strings.Replace(signedReply(t, approveData), `"data"`, `"error":null,"data"`, 1), wire.Decision{Action: wire.Approve}},
		{"error on approve", strings.Replace(signedReply(t, approveData), `"data"`, `"error":"x","data"`, 1), wire.Decision{Action: wire.Approve}},
		{"reason", strings.Replace(signedReply(t, `{"callback_id":"c","action":"Reject"}`), `"data"`, `"error":"over\u0000 the\nlimit","data"`, 1),
			wire.Decision{Action: wire.Reject, Reason: "over? the?limit"}},
		{"signed over data serialised again",
			`{"status":"0","data":{ "action":"Approve","callback_id":"c", "request_id":"r","sino_id":"s" },"signature":"` + sign(t, serverKey(t), approveData) + `"}`,
			wire.Decision{Action: wire.Approve}},
		{"signed over data without an unknown field",
			`{"status":"0","data":{"callback_id":"c","x":1,"sino_id":"s","request_id":"r","action":"Approve"},"signature":"` + sign(t, serverKey(t), approveData) + `"}`,
			wire.Decision{Action: wire.Approve}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d, err := wire.OpenReply(200, []byte(test.body), publicKey(t, "callback_server"), asked)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "decision", *d, test.want)
		})
	}
	long := strings.Replace(signedReply(t, `{"callback_id":"c","action":"Reject"}`), `"data"`, `"error":"`+strings.Repeat("é", 5000)+`","data"`, 1)
	equal(t, "reason is bounded", len(must[*wire.Decision](t)(wire.OpenReply(200, []byte(long), publicKey(t, "callback_server"), asked)).Reason), 512)
}

func TestOpenReplyDoesNotCount(t *testing.T) {
	good := signedReply(t, approveData)
	replace := func(old, new string) string {
		t.Helper()
		if !strings.Contains(good, old) {
			t.Fatalf("nothing to replace: %s", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	signature := `"signature":"` + sign(t, serverKey(t), approveData) + `"`
	tests := []struct {
		name   string
		status int
		body   string
		fault  wire.Fault
		says   string
	}{
		{"HTTP 201", 201, good, wire.FaultHTTP, "HTTP 201"},
		{"HTTP 204", 204, "", wire.FaultHTTP, "HTTP 204"},
		{"HTTP 302", 302, good, wire.FaultHTTP, "HTTP 302"},
		{"HTTP 400 with a signed approve", 400, good, wire.FaultHTTP, "HTTP 400"},
		{"HTTP 400", 400, `{"status":"400","error":"signature: no"}`, wire.FaultHTTP, "HTTP 400: signature: no"},
		{"HTTP 404", 404, "404 page not found", wire.FaultHTTP, "/check"},
		{"HTTP 502 with HTML", 502, "<html>", wire.FaultHTTP, "HTTP 502"},
		{"HTTP 0", 0, good, wire.FaultHTTP, "HTTP 0"},

		{"empty", 200, "", wire.FaultMalformed, "empty"},
		{"HTML", 200, "<html>", wire.FaultMalformed, "not JSON"},
		{"a list", 200, "[" + good + "]", wire.FaultMalformed, "object"},
		{"cut off", 200, good[:len(good)-1], wire.FaultMalformed, "cut off"},
		{"two replies", 200, good + good, wire.FaultMalformed, "follow"},
		{"bytes behind", 200, good + " x", wire.FaultMalformed, "follow"},
		{"duplicate status", 200, replace(`{"status"`, `{"status":"0","status"`), wire.FaultMalformed, "twice"},
		{"duplicate data", 200, replace(`"data"`, `"data":{},"data"`), wire.FaultMalformed, "twice"},
		{"duplicate action", 200, signedReply(t, `{"callback_id":"c","action":"Reject","action":"Approve"}`), wire.FaultMalformed, "twice"},
		{"another case of action", 200, signedReply(t, `{"callback_id":"c","action":"Approve","Action":"Reject"}`), wire.FaultMalformed, `"action"`},
		{"another case of data", 200, replace(`"data"`, `"Data":{},"data"`), wire.FaultMalformed, `"data"`},
		{"status is a number", 200, replace(`"status":"0"`, `"status":0`), wire.FaultMalformed, "/status must be a string"},
		{"data is a string", 200, `{"status":"0","data":"{}"}`, wire.FaultMalformed, "/data must be"},
		{"action is a number", 200, signedReply(t, `{"callback_id":"c","action":1}`), wire.FaultMalformed, "/data/action must be"},
		{"invalid UTF-8", 200, replace(`{"status"`, "{\"error\":\"\xff\",\"status\""), wire.FaultMalformed, "not JSON"},
		{"too deep", 200, replace(`{"status"`, `{"x":`+nested(64)+`,"status"`), wire.FaultMalformed, "deeper"},

		{"no status", 200, replace(`"status":"0",`, ``), wire.FaultStatus, `status ""`},
		{"null status", 200, replace(`"status":"0"`, `"status":null`), wire.FaultStatus, `status ""`},
		{"status 1", 200, replace(`"status":"0"`, `"status":"1"`), wire.FaultStatus, `status "1"`},
		{"status 00", 200, replace(`"status":"0"`, `"status":"00"`), wire.FaultStatus, `status "00"`},
		{"status 501", 200, `{"status":"501","error":"cannot decrypt"}`, wire.FaultStatus, "cannot decrypt"},

		{"no data", 200, `{"status":"0",` + signature + `}`, wire.FaultSignature, "no data"},
		{"null data", 200, `{"status":"0","data":null,` + signature + `}`, wire.FaultSignature, "no data"},
		{"unsigned approve", 200, replace(","+signature, ""), wire.FaultSignature, "not signed"},
		{"empty signature", 200, replace(signature, `"signature":""`), wire.FaultSignature, "not signed"},
		{"null signature", 200, replace(signature, `"signature":null`), wire.FaultSignature, "not signed"},
		{"signature is not hex", 200, replace(signature, `"signature":"zz"`), wire.FaultSignature, "hex"},
		{"signature is long", 200, replace(signature, `"signature":"`+strings.Repeat("0", 4096)+`"`), wire.FaultSignature, "hex"},
		{"wrong reply key", 200, replace(sign(t, serverKey(t), approveData), sign(t, nodeKey(t), approveData)), wire.FaultSignature, "public-key-path"},
		{"signed Reject turned into Approve", 200, strings.Replace(signedReply(t, strings.Replace(approveData, "Approve", "Reject", 1)), "Reject", "Approve", 1),
			wire.FaultSignature, "not made by the key"},
		{"action added", 200, `{"status":"0","data":` + approveData + `,"signature":"` + sign(t, serverKey(t), `{"callback_id":"c","sino_id":"s","request_id":"r"}`) + `"}`,
			wire.FaultSignature, "not made by the key"},
		{"signed whole reply", 200, replace(sign(t, serverKey(t), approveData), sign(t, serverKey(t), `{"status":"0","data":`+approveData+`}`)),
			wire.FaultSignature, "not made by the key"},

		{"another callback_id", 200, signedReply(t, strings.Replace(approveData, `"c"`, `"d"`, 1)), wire.FaultMismatch, "callback_id"},
		{"callback_id in another case", 200, signedReply(t, strings.Replace(approveData, `"c"`, `"C"`, 1)), wire.FaultMismatch, "callback_id"},
		{"no callback_id", 200, signedReply(t, `{"action":"Approve"}`), wire.FaultMismatch, "callback_id"},
		{"another sino_id", 200, signedReply(t, strings.Replace(approveData, `"s"`, `"x"`, 1)), wire.FaultMismatch, "sino_id"},
		{"another request_id", 200, signedReply(t, strings.Replace(approveData, `"r"`, `"x"`, 1)), wire.FaultMismatch, "request_id"},

		{"no action", 200, signedReply(t, `{"callback_id":"c"}`), wire.FaultAction, "neither"},
		{"unknown action", 200, signedReply(t, `{"callback_id":"c","action":"Approved"}`), wire.FaultAction, "neither"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d, err := wire.OpenReply(test.status, []byte(test.body), publicKey(t, "callback_server"), asked)
			if d != nil {
				t.Errorf("decision %v", *d)
			}
			e := wantFault(t, err, test.fault, test.says)
			equal(t, "HTTP status", e.HTTPStatus, test.status)
		})
	}
}

func TestOpenReplyNeedsKeyAndQuestion(t *testing.T) {
	good := []byte(signedReply(t, approveData))
	for _, pub := range []*ecdsa.PublicKey{nil, {}, publicKey(t, "mpc_node")} {
		_, err := wire.OpenReply(200, good, pub, asked)
		wantFault(t, err, wire.FaultSignature, "")
	}
	// A reply without callback_id answers nothing, not even a question without one.
	_, err := wire.OpenReply(200, []byte(signedReply(t, `{"action":"Approve"}`)), publicKey(t, "callback_server"), wire.Asked{})
	wantFault(t, err, wire.FaultMismatch, "callback_id")
	// A reply may not name ids that the request did not have.
	_, err = wire.OpenReply(200, good, publicKey(t, "callback_server"), wire.Asked{CallbackID: "c"})
	wantFault(t, err, wire.FaultMismatch, "sino_id")
}

func TestOpenReplyDecryptFailed(t *testing.T) {
	body := []byte(`{"status":"501","error":"x"}`)
	for _, status := range []int{200, 400, 501} {
		_, err := wire.OpenReply(status, body, publicKey(t, "callback_server"), asked)
		var e *wire.ReplyError
		equal(t, "decrypt failed", errors.As(err, &e) && e.DecryptFailed(), true)
	}
	_, err := wire.OpenReply(501, []byte(`{"status":"400"}`), publicKey(t, "callback_server"), asked)
	var e *wire.ReplyError
	equal(t, "another failure", errors.As(err, &e) && !e.DecryptFailed(), true)
}

// An error text from outside reaches logs: it is bounded and printable.
func TestOpenReplyErrorsArePrintable(t *testing.T) {
	text := strings.Repeat(`\u001b[31m\u202e\n`, 2000)
	for status, body := range map[int]string{400: `{"status":"` + text + `","error":"` + text + `"}`, 200: `{"status":"` + text + `","error":"` + text + `"}`} {
		_, err := wire.OpenReply(status, []byte(body), publicKey(t, "callback_server"), asked)
		var e *wire.ReplyError
		if !errors.As(err, &e) {
			t.Fatal(err)
		}
		if strings.ContainsAny(err.Error()+e.Status, "\x1b\u202e\n") || len(err.Error()) > 1200 || len(e.Status) > 16 {
			t.Errorf("HTTP %d: %q", status, err)
		}
	}
}

func TestWaitTime(t *testing.T) {
	tests := map[string]time.Duration{
		"1": time.Second, "30": 30 * time.Second, "007": 7 * time.Second, "3599": 3599 * time.Second, "3600": time.Hour,
		"3601": time.Hour, "86400": time.Hour, "99999999999999999999999999": time.Hour,
		"0": time.Minute, "000000000000": time.Minute, "": time.Minute, "-5": time.Minute, "+5": time.Minute, "5s": time.Minute,
		"1.5": time.Minute, "1e3": time.Minute, " 5": time.Minute, "0x10": time.Minute, "٥": time.Minute, "1_000": time.Minute,
	}
	for text, want := range tests {
		body := signedReply(t, `{"callback_id":"c","action":"Wait","wait_time":"`+text+`"}`)
		d, err := wire.OpenReply(200, []byte(body), publicKey(t, "callback_server"), asked)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, text, *d, wire.Decision{Action: wire.Wait, Wait: want})
	}
	body := signedReply(t, `{"callback_id":"c","action":"Approve","wait_time":"30"}`)
	d := must[*wire.Decision](t)(wire.OpenReply(200, []byte(body), publicKey(t, "callback_server"), asked))
	equal(t, "wait_time on approve", d.Wait, 0)
}
