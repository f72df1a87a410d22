package wire_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/wire"
)

func TestReplyBytes(t *testing.T) {
	key := serverKey(t)
	tests := []struct {
		name      string
		data      wire.ResponseData
		style     wire.ActionStyle
		errorText string
		before    string // what stands before data
		signed    string // data
	}{
		{"approve", wire.ResponseData{CallbackID: "c", SinoID: "s", RequestID: "r", Action: wire.Approve}, wire.StyleTitle, "",
			`{"status":"0","data":`, `{"callback_id":"c","sino_id":"s","request_id":"r","action":"Approve"}`},
		{"approve leaves the error out", wire.ResponseData{CallbackID: "c", Action: wire.Approve}, wire.StyleUpper, "fine",
			`{"status":"0","data":`, `{"callback_id":"c","action":"APPROVE"}`},
		{"reject", wire.ResponseData{CallbackID: "c", Action: wire.Reject}, wire.StyleTitle, "over <limit>",
			`{"status":"0","error":"over \u003climit\u003e","data":`, `{"callback_id":"c","action":"Reject"}`},
		{"default style", wire.ResponseData{CallbackID: "c", Action: wire.Reject}, "", "",
			`{"status":"0","data":`, `{"callback_id":"c","action":"Reject"}`},
		{"wait in capitals", wire.ResponseData{CallbackID: "<c>", Action: wire.Wait, WaitTime: "30"}, wire.StyleUpper, "2 of 3",
			`{"status":"0","error":"2 of 3","data":`, `{"callback_id":"\u003cc\u003e","action":"WAIT","wait_time":"30"}`},
		{"no callback_id", wire.ResponseData{Action: wire.Reject}, wire.StyleTitle, "",
			`{"status":"0","data":`, `{"action":"Reject"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := must[[]byte](t)(wire.Reply(key, test.data, test.style, test.errorText))
			equal(t, "body", string(got), test.before+test.signed+`,"signature":"`+sign(t, key, test.signed)+`"}`)
			again := must[[]byte](t)(wire.Reply(key, test.data, test.style, test.errorText))
			equal(t, "again", string(again), string(got))
		})
	}
}

func TestReplyRefuses(t *testing.T) {
	data := func(action wire.Action, wait string) wire.ResponseData {
		return wire.ResponseData{CallbackID: "c", Action: action, WaitTime: wait}
	}
	for name, d := range map[string]wire.ResponseData{
		"no action": data("", ""), "another action": data("Maybe", ""), "capitals": data("APPROVE", ""), "accept": data("ACCEPT", ""),
		"approve with wait_time": data(wire.Approve, "1"), "reject with wait_time": data(wire.Reject, "1"),
		"wait without": data(wire.Wait, ""), "wait 0": data(wire.Wait, "0"), "wait 01": data(wire.Wait, "01"),
		"wait -1": data(wire.Wait, "-1"), "wait 1.5": data(wire.Wait, "1.5"), "wait +1": data(wire.Wait, "+1"),
		"callback_id": {CallbackID: "\xff", Action: wire.Reject}, "sino_id": {SinoID: "\xff", Action: wire.Reject},
		"request_id": {RequestID: "\xff", Action: wire.Reject},
	} {
		if body, err := wire.Reply(serverKey(t), d, wire.StyleTitle, ""); err == nil || body != nil {
			t.Errorf("%s: answered", name)
		}
	}
	_, err := wire.Reply(nil, data(wire.Reject, ""), wire.StyleTitle, "")
	wantError(t, err, "P-256")
	_, err = wire.Reply(serverKey(t), data(wire.Reject, ""), "lower", "")
	wantError(t, err, "style")
}

func TestWaitSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "1", 0: "1", time.Nanosecond: "1", time.Second: "1", time.Second + 1: "2", time.Minute: "60", time.Hour: "3600",
	} {
		equal(t, d.String(), wire.WaitSeconds(d), want)
		if _, err := wire.Reply(serverKey(t), wire.ResponseData{Action: wire.Wait, WaitTime: wire.WaitSeconds(d)}, "", ""); err != nil {
			t.Error(err)
		}
	}
}

func TestActionStyles(t *testing.T) {
	for text, want := range map[string]wire.ActionStyle{"": wire.StyleTitle, "title": wire.StyleTitle, "upper": wire.StyleUpper} {
		equal(t, text, must[wire.ActionStyle](t)(wire.ParseActionStyle(text)), want)
	}
	for _, text := range []string{"Title", "lower", " "} {
		_, err := wire.ParseActionStyle(text)
		wantError(t, err, `"title" or "upper"`)
	}
}

// The closed list, with its one table. Codes are only ever added.
func TestErrorReply(t *testing.T) {
	tests := []struct {
		code wire.Code
		http int
		body string
	}{
		{wire.CodeSignature, 400, "400"}, {wire.CodeParse, 400, "400"}, {wire.CodePath, 400, "400"}, {wire.CodeConflict, 400, "400"},
		{wire.CodeExpired, 400, "400"}, {wire.CodeDecrypt, 400, "501"}, {wire.CodeTooLarge, 413, "413"},
		{wire.CodeRateLimited, 429, "429"}, {wire.CodeUnavailable, 503, "503"}, {wire.CodeNotFound, 404, "404"},
		{wire.CodeMethod, 405, "405"}, {wire.CodeInternal, 500, "500"}, {"no such code", 500, "500"},
	}
	for _, test := range tests {
		err := fmt.Errorf("wrapped: %w", &wire.Error{Code: test.code, Detail: "what to do"})
		status, body := wire.ErrorReply(err)
		equal(t, string(test.code), status, test.http)
		equal(t, string(test.code), string(body), `{"status":"`+test.body+`","error":"`+string(test.code)+`: what to do"}`)
		equal(t, string(test.code), test.code.HTTPStatus(), test.http)
		equal(t, string(test.code), test.code.WireStatus(), test.body)

		_, err = wire.OpenReply(status, body, publicKey(t, "callback_server"), wire.Asked{CallbackID: "c"})
		fault := wantFault(t, err, wire.FaultHTTP, "what to do")
		equal(t, "decryption", fault.DecryptFailed(), test.code == wire.CodeDecrypt)
	}
	_, body := wire.ErrorReply(&wire.Error{Code: wire.CodeExpired})
	equal(t, "no detail", string(body), `{"status":"400","error":"expired"}`)
}

func TestErrorReplyTellsNothingUntyped(t *testing.T) {
	for _, err := range []error{nil, errors.New("dial tcp 10.0.0.1: password hunter2")} {
		status, body := wire.ErrorReply(err)
		equal(t, "status", status, http.StatusInternalServerError)
		equal(t, "body", string(body), `{"status":"500","error":"internal: the server could not answer; its log says why"}`)
	}
	_, body := wire.ErrorReply(&wire.Error{Code: wire.CodeParse, Detail: strings.Repeat("é\x00", 5000)})
	equal(t, "bounded", len(body) < 600, true)
	equal(t, "printable", strings.Contains(string(body), `\u0000`), false)
	equal(t, "code", wire.CodeOf(fmt.Errorf("x: %w", &wire.Error{Code: wire.CodeConflict})), wire.CodeConflict)
	equal(t, "no code", wire.CodeOf(errors.New("x")), wire.CodeInternal)
}

func TestParseAction(t *testing.T) {
	for text, want := range map[string]wire.Action{
		"Approve": wire.Approve, "APPROVE": wire.Approve, "approve": wire.Approve, "ACCEPT": wire.Approve, "Accept": wire.Approve,
		"Reject": wire.Reject, "REJECT": wire.Reject, "Wait": wire.Wait, "wAIT": wire.Wait,
	} {
		equal(t, text, must[wire.Action](t)(wire.ParseAction(text)), want)
	}
	for _, text := range []string{"", " ", "Approved", "Approve ", "yes", "0", "ＡＰＰＲＯＶＥ", "ok", hex.EncodeToString([]byte("Approve"))} {
		if action, err := wire.ParseAction(text); err == nil || action != "" {
			t.Errorf("%q is %q", text, action)
		}
	}
}
