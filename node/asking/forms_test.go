package asking_test

import (
	"bytes"
	"context"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/node/asking"
	"github.com/countersign-mpc/countersign/wire"
)

// signedAs is an honest Approve whose signature is written in another form.
func signedAs(s *server, form func(der []byte) string) func(http.ResponseWriter, *wire.Request) {
	return func(w http.ResponseWriter, q *wire.Request) {
		data := fmt.Appendf(nil, `{"callback_id":%q,"action":"Approve"}`, q.Check.CallbackID)
		der, err := wire.SignP256(s.key, data)
		must(s.t, err)
		fmt.Fprintf(w, `{"status":"0","data":%s,"signature":"%s"}`, data, form(der))
	}
}

// written is an honest Approve, changed on its way.
func written(s *server, change func(body []byte) []byte) func(http.ResponseWriter, *wire.Request) {
	return func(w http.ResponseWriter, q *wire.Request) { _, _ = w.Write(change(s.reply(q, wire.Approve, nil))) }
}

// moreNoAnswers are forms of a reply that an asker must tell from one that counts; the package wire tests more of them.
func moreNoAnswers(t testing.TB) map[string]noAnswer {
	type answer = func(http.ResponseWriter, *wire.Request)
	signed := func(form func([]byte) string) func(*server) func(http.ResponseWriter, *wire.Request) {
		return func(s *server) answer { return signedAs(s, form) }
	}
	body := func(change func([]byte) []byte) func(*server) func(http.ResponseWriter, *wire.Request) {
		return func(s *server) answer { return written(s, change) }
	}
	swap := func(from, to string) func(*server) func(http.ResponseWriter, *wire.Request) {
		return func(s *server) answer { return changed(s, from, to) }
	}
	return map[string]noAnswer{
		"signature as r and s": {signed(func(der []byte) string {
			var rs struct{ R, S *big.Int }
			_, err := asn1.Unmarshal(der, &rs)
			must(t, err)
			return hex.EncodeToString(rs.S.FillBytes(rs.R.FillBytes(make([]byte, 32))))
		}), "signature"},
		"signature in base64":   {signed(base64.StdEncoding.EncodeToString), "hex"},
		"signature behind 0x":   {signed(func(der []byte) string { return "0x" + hex.EncodeToString(der) }), "hex"},
		"signature with a tail": {signed(func(der []byte) string { return hex.EncodeToString(der) + "00" }), "(signature)"},
		"signature cut short":   {signed(func(der []byte) string { return hex.EncodeToString(der[:len(der)-1]) }), "(signature)"},
		"trailing bytes":        {body(func(b []byte) []byte { return append(b, "x"...) }), "follow"},
		"two replies":           {body(func(b []byte) []byte { return append(bytes.Clone(b), b...) }), "follow"},
		"in a list":             {body(func(b []byte) []byte { return []byte("[" + string(b) + "]") }), "object"},
		"a byte order mark":     {body(func(b []byte) []byte { return append([]byte("\xef\xbb\xbf"), b...) }), "JSON"},
		"no data":               {swap(`"data":`, `"date":`), "no data"},
		"no status":             {swap(`"status":"0",`, ``), "status"},
		"no callback_id":        {swap(`"callback_id":`, `"id":`), "public-key-path"},
		"no action":             {swap(`"action":`, `"act":`), "public-key-path"},
		"data twice":            {swap(`"data":`, `"data":{},"data":`), "twice"},
		"action twice":          {swap(`"action":`, `"action":"Reject","action":`), "twice"},
		"Status":                {swap(`"status":`, `"Status":`), `"status"`},
		"Action":                {swap(`"action":`, `"Action":`), `"action"`},
		"callbackId":            {swap(`"callback_id":`, `"Callback_Id":`), `"callback_id"`},
		"action in a list":      {swap(`"Approve"`, `["Approve"]`), "action"},
		"action true":           {swap(`"Approve"`, `true`), "action"},
		"signature in a list":   {swap(`"signature":`, `"signature":[],"x":`), "signature"},
	}
}

func TestFormsThatDoNotCount(t *testing.T) {
	t.Parallel()
	node := newKey(t)
	for name, c := range moreNoAnswers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, node)
			s.answer = append(s.answer, c.bad(s), say(&s, wire.Reject, nil))
			a, p := newAsker(t, asking.ModeAll, 1, s)
			var heard []error
			got, err := a.Check(context.Background(), question(t, node, wire.TypeSign), func(try asking.Try) {
				if try.Err != nil {
					heard = append(heard, try.Err)
				}
			})
			if err != nil || got.Action != wire.Reject || got.Approved || len(heard) != 1 || !strings.Contains(heard[0].Error(), c.want) || len(p.all) != 1 {
				t.Fatalf("%+v (%v), heard %v", got, err, heard)
			}
		})
	}
}

// TestAStaleReply: the reply to one question is none to the next, though all else is the same.
func TestAStaleReply(t *testing.T) {
	t.Parallel()
	node := newKey(t)
	var kept []byte
	s := newServer(t, node)
	s.answer = append(s.answer, func(w http.ResponseWriter, q *wire.Request) {
		if kept == nil {
			kept = s.reply(q, wire.Approve, nil)
		}
		_, _ = w.Write(kept)
	})
	a, _ := newAsker(t, asking.ModeAll, 0, s)
	if got, err := a.Check(context.Background(), question(t, node, wire.TypeSign), nil); err != nil || got.Action != wire.Approve {
		t.Fatalf("%+v (%v)", got, err)
	}
	got, err := a.Check(context.Background(), question(t, node, wire.TypeSign), nil)
	if err == nil || got.Approved || !strings.Contains(err.Error(), "callback_id is not that of the request") {
		t.Fatalf("%+v (%v)", got, err)
	}
}

// TestABodyThatDoesNotEnd: a server that answers at once and then says no more is given up like one that does not answer.
func TestABodyThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	node := newKey(t)
	gate := make(chan struct{})
	s := newServer(t, node)
	s.answer = append(s.answer, func(w http.ResponseWriter, q *wire.Request) {
		body := s.reply(q, wire.Approve, nil)
		_, _ = w.Write(body[:len(body)-1])
		w.(http.Flusher).Flush()
		<-gate
	})
	t.Cleanup(func() { close(gate) })
	a, err := asking.New(asking.Config{Servers: []asking.Server{{Address: s.url, Key: &s.key.PublicKey}}, Timeout: 50 * time.Millisecond})
	must(t, err)
	if got, err := a.Check(context.Background(), question(t, node, wire.TypeSign), nil); !errors.Is(err, context.DeadlineExceeded) || got.Approved {
		t.Fatalf("%+v (%v)", got, err)
	}
}

// TestWhateverAReplyCallsItself: what counts is the signature; servers exist that say nothing of the type, or text/plain.
func TestWhateverAReplyCallsItself(t *testing.T) {
	t.Parallel()
	node := newKey(t)
	for _, kind := range []string{"", "text/plain", "text/html; charset=utf-8", "application/json", "application/octet-stream"} {
		s := newServer(t, node)
		s.answer = append(s.answer, func(w http.ResponseWriter, q *wire.Request) {
			w.Header()["Content-Type"] = []string{kind}
			_, _ = w.Write(s.reply(q, wire.Approve, nil))
		})
		a, _ := newAsker(t, asking.ModeAll, 0, s)
		if got, err := a.Check(context.Background(), question(t, node, wire.TypeSign), nil); err != nil || got.Action != wire.Approve {
			t.Errorf("%q: %+v (%v)", kind, got, err)
		}
	}
}
