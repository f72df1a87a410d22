package wire_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/countersign-mpc/countersign/wire"
)

func bodies(t testing.TB) []string {
	list := []string{"", "{}", "null", simple, in("tx", `"x":{"y":[1,null]}`), in("detail", `"threshold":2`), in("body", `"Path":1`),
		`{"callback_id":"c","request_type":"sign","request_detail":"{\"message\":\"<\"}","extra_info":"{}"}`,
		in("tx", `"extraData":{"vinList":[{"id":1}]},"requester":{"key_id":"k"}`), in("tx", `"note":"\ud800"`)}
	for _, v := range vectors(t) {
		list = append(list, v.Body)
	}
	return list
}

// What parses has one canonical form, which parses to the same and is what Go's own parser understands too.
func FuzzParseCheck(f *testing.F) {
	for _, body := range bodies(f) {
		for _, path := range []wire.Path{wire.PathCheck, wire.PathRawdata, wire.PathOutcome} {
			f.Add(string(path), []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, path string, body []byte) {
		p, err := wire.ParseCheck(wire.Path(path), body)
		if err != nil {
			if code := wire.CodeOf(err); code != wire.CodeParse && code != wire.CodePath {
				t.Fatalf("code %q: %v", code, err)
			}
			if !utf8.ValidString(err.Error()) || len(err.Error()) > 1000 {
				t.Fatalf("error text: %q", err)
			}
			return
		}
		if !json.Valid(body) {
			t.Fatal("encoding/json does not take it")
		}
		canonical := must[[]byte](t)(p.Canonical())
		again := must[*wire.Parsed](t)(wire.ParseCheck(wire.Path(path), canonical))
		equalJSON(t, "parsed again", again.Check, p.Check)
		equalJSON(t, "tx_info again", again.TxInfo, p.TxInfo)
		equal(t, "canonical again", string(must[[]byte](t)(again.Canonical())), string(canonical))
		if p.DetailAsString || p.ExtraAsString || bytes.Contains(body, []byte("threshold")) {
			return
		}
		var c wire.Check
		if err := json.Unmarshal(body, &c); err != nil {
			t.Fatalf("encoding/json: %v", err)
		}
		equal(t, "as Go re-serialises it", string(must[[]byte](t)(json.Marshal(c))), string(canonical))
	})
}

// Nobody's signature is found, and no panic, whatever the header and the body.
func FuzzOpenRequest(f *testing.F) {
	key := must[*ecdsa.PublicKey](f)(wire.LoadPublicKey(vectorDir + "/mpc_node_public.pem"))
	genuine := map[string]bool{}
	for _, v := range vectors(f) {
		f.Add([]byte(v.Body), v.Signature)
		genuine[v.Body] = true
	}
	f.Add([]byte(simple), "00")
	f.Fuzz(func(t *testing.T, body []byte, signature string) {
		for _, path := range []wire.Path{wire.PathCheck, wire.PathRawdata, wire.PathOutcome} {
			r, err := wire.OpenRequest(path, body, signature, []*ecdsa.PublicKey{key})
			if err == nil && !genuine[string(r.Signed)] {
				t.Fatalf("forged: %q", body)
			}
		}
	})
}

// A reply that a stranger made never counts; one that the server signed over these bytes counts only if it names the
// request, and never as more than it says.
func FuzzOpenReply(f *testing.F) {
	server := serverKey(f)
	f.Add(200, []byte(signedReply(f, approveData)), []byte(approveData))
	f.Add(200, []byte(`{"status":"0"}`), []byte(`{"callback_id":"c","action":"Wait","wait_time":"3"}`))
	f.Add(200, []byte(""), []byte(`{"callback_id":"c","action":"Reject","Action":"Approve"}`))
	f.Add(404, []byte("not found"), []byte(`{"callback_id":null,"action":"ACCEPT"}`))
	for _, v := range vectors(f) {
		f.Add(v.HTTPStatus, v.reply(f), []byte(`{}`))
	}
	f.Fuzz(func(t *testing.T, status int, body, data []byte) {
		if d, err := wire.OpenReply(status, body, &nodeKey(t).PublicKey, asked); err == nil {
			t.Fatalf("counts under a stranger's key: %v", d)
		}
		d, err := wire.OpenReply(http.StatusOK, []byte(signedReply(t, string(data))), &server.PublicKey, asked)
		if (d == nil) == (err == nil) {
			t.Fatalf("decision %v, error %v", d, err)
		}
		if d == nil {
			return
		}
		var plain map[string]any
		if err := json.Unmarshal(data, &plain); err != nil {
			t.Fatalf("counts but encoding/json does not take it: %v", err)
		}
		action, err := wire.ParseAction(plain["action"].(string))
		if err != nil || action != d.Action || plain["callback_id"] != asked.CallbackID {
			t.Fatalf("%v for %q", d, data)
		}
		if d.Wait < 0 || d.Wait > wire.MaxWait || (d.Wait > 0) != (d.Action == wire.Wait) {
			t.Fatalf("wait %v for %s", d.Wait, d.Action)
		}
	})
}

// Compacting is what Go does to raw JSON, and changes no value.
func FuzzCompactTxInfo(f *testing.F) {
	for _, body := range bodies(f) {
		f.Add([]byte(body))
	}
	f.Add([]byte(` { "a" : "<\u2028>" , "b":[1e5, {}] }`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		compact, err := wire.CompactTxInfo(raw)
		if err != nil {
			return
		}
		equal(t, "again", string(must[[]byte](t)(wire.CompactTxInfo(compact))), string(compact))
		equal(t, "as Go writes it", string(must[[]byte](t)(json.Marshal(json.RawMessage(raw)))), string(compact))

		with := must[[]byte](t)(wire.SetRequester(raw, wire.Requester{KeyID: "k", Signature: "s"}))
		equal(t, "compact with requester", string(must[[]byte](t)(wire.CompactTxInfo(with))), string(with))
		equal(t, "at the end", bytes.HasSuffix(with, []byte(`"requester":{"key_id":"k","signature":"s"}}`)), true)
		var before, after map[string]any
		if json.Unmarshal(raw, &before) != nil {
			return // numbers that encoding/json cannot hold
		}
		if err := json.Unmarshal(with, &after); err != nil {
			t.Fatalf("with a requester: %v", err)
		}
		delete(before, "requester")
		delete(after, "requester")
		equalJSON(t, "the rest", after, before)
	})
}

// A reply is what encoding/json writes of a Response, byte for byte, and so is what is signed of it.
func FuzzReply(f *testing.F) {
	f.Add("c", "s", "r", "over <limit>", byte(0))
	f.Add("<&>\u2028", "\x00\t\"\\/\x7f", "\U0001f600", "a\xffb", byte(5))
	f.Add("", "", "", "", byte(2))
	key := serverKey(f)
	f.Fuzz(func(t *testing.T, callbackID, sinoID, requestID, errorText string, kind byte) {
		data := wire.ResponseData{CallbackID: callbackID, SinoID: sinoID, RequestID: requestID, Action: wire.Approve}
		if kind%3 > 0 {
			data.Action = wire.Reject
		}
		if kind%3 > 1 {
			data.Action, data.WaitTime = wire.Wait, "30"
		}
		style := wire.StyleTitle
		if kind&4 != 0 {
			style = wire.StyleUpper
		}
		got, err := wire.Reply(key, data, style, errorText)
		if valid := utf8.ValidString(callbackID + " " + sinoID + " " + requestID); valid != (err == nil) {
			t.Fatalf("valid UTF-8 %v, error %v", valid, err)
		}
		if err != nil {
			return
		}
		if data.Action == wire.Approve {
			errorText = ""
		}
		if style == wire.StyleUpper {
			data.Action = wire.Action(strings.ToUpper(string(data.Action)))
		}
		signed := must[[]byte](t)(json.Marshal(data))
		want := wire.Response{Status: "0", Error: errorText, Data: &data, Signature: sign(t, key, string(signed))}
		equal(t, "reply", string(got), string(must[[]byte](t)(json.Marshal(want))))
	})
}

func FuzzParseNodeID(f *testing.F) {
	for _, node := range guideNodes {
		f.Add(node.id)
	}
	f.Add("sino")
	f.Add(idOf("00"))
	f.Fuzz(func(t *testing.T, s string) {
		_ = wire.NodeID(s).Short()
		id, err := wire.ParseNodeID(s)
		if err != nil {
			return
		}
		equal(t, "id", string(id), s)
		equal(t, "of its key", string(wire.NodeIDOf(must[*ecdsa.PublicKey](t)(id.PublicKey()))), s)
	})
}

func FuzzParsePEM(f *testing.F) {
	key := nodeKey(f)
	f.Add(must[[]byte](f)(wire.MarshalPrivateKey(key)))
	f.Add(must[[]byte](f)(wire.MarshalPublicKey(&key.PublicKey)))
	f.Add(append(bytes.Clone(parameters), must[[]byte](f)(wire.MarshalPrivateKey(key))...))
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if key, err := wire.ParsePrivateKey(data); err == nil {
			back := must[*ecdsa.PrivateKey](t)(wire.ParsePrivateKey(must[[]byte](t)(wire.MarshalPrivateKey(key))))
			equal(t, "private key", back.Equal(key), true)
		}
		if pub, err := wire.ParsePublicKey(data); err == nil {
			back := must[*ecdsa.PublicKey](t)(wire.ParsePublicKey(must[[]byte](t)(wire.MarshalPublicKey(pub))))
			equal(t, "public key", back.Equal(pub), true)
		}
	})
}

// Two headers, in either spelling, give a signature only if they agree.
func FuzzSignatureHeader(f *testing.F) {
	f.Add("ab", "ab")
	f.Add("", "ab")
	f.Add("ab", "AB")
	f.Fuzz(func(t *testing.T, right, misspelled string) {
		h := http.Header{}
		h.Add(wire.HeaderSignature, right)
		h.Add(wire.HeaderSignatureMisspelled, misspelled)
		got, err := wire.SignatureHeader(h)
		if (err == nil) != (right == misspelled && right != "") || (err == nil && got != right) {
			t.Fatalf("%q and %q: %q, %v", right, misspelled, got, err)
		}
	})
}

func FuzzCallbackURLs(f *testing.F) {
	f.Add("http://h:1/check")
	f.Add("https://[::1]/a%2f/")
	f.Add("http://check")
	f.Fuzz(func(t *testing.T, address string) {
		check, rawdata, outcome, err := wire.CallbackURLs(address)
		if err != nil {
			return
		}
		// The check URL is itself an address, and means the same.
		check2, rawdata2, outcome2, err := wire.CallbackURLs(check)
		if err != nil || check2 != check || rawdata2 != rawdata || outcome2 != outcome {
			t.Fatalf("%q: %q %q %q, then %q %q %q %v", address, check, rawdata, outcome, check2, rawdata2, outcome2, err)
		}
	})
}

// A node's check goes through whole: sealed, opened, answered, the answer opened.
func FuzzRoundTrip(f *testing.F) {
	f.Add("c", "sign", "m", []byte(`{"note":"<"}`), "r")
	f.Add("\u2028", "keygen", "", []byte(nil), "")
	f.Fuzz(func(t *testing.T, callbackID, requestType, message string, txInfo []byte, requestID string) {
		c := &wire.Check{CallbackID: callbackID, RequestType: requestType,
			RequestDetail: wire.RequestDetail{Message: message, TxInfo: txInfo}, ExtraInfo: wire.ExtraInfo{RequestID: requestID}}
		key := nodeKey(t)
		body, signature, err := wire.SealCheck(key, c)
		if err != nil {
			return
		}
		path := wire.PathCheck
		switch requestType {
		case "":
			path = wire.PathRawdata
		case wire.TypeOutcome:
			path = wire.PathOutcome
		}
		r, err := wire.OpenRequest(path, body, signature, []*ecdsa.PublicKey{&key.PublicKey})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "callback_id", r.Check.CallbackID, callbackID)
		equal(t, "message", r.Check.RequestDetail.Message, message)
		equal(t, "canonical", string(must[[]byte](t)(r.Canonical())), string(body))
		data := wire.ResponseData{CallbackID: r.Check.CallbackID, RequestID: r.Check.ExtraInfo.RequestID, Action: wire.Approve}
		reply := must[[]byte](t)(wire.Reply(serverKey(t), data, wire.StyleUpper, rand.Text()))
		d := must[*wire.Decision](t)(wire.OpenReply(200, reply, publicKey(t, "callback_server"), c.Asked()))
		equal(t, "decision", *d, wire.Decision{Action: wire.Approve})
	})
}
