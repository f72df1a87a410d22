package node_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/node"
	"github.com/countersign-mpc/countersign/node/asking"
	"github.com/countersign-mpc/countersign/wire"
)

// demo is a callback server in the manner of the vendor's demo, made from the protocol's description alone: no /v1, actions
// in capitals, signatures in any case and never the same twice, members beside those that are signed, no outcomes. Where the
// demo is said to sign no acknowledgement of a report it signs none.
type demo struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	node *ecdsa.PublicKey

	mu      sync.Mutex // guards the fields below
	paths   []string
	details []map[string]any
	reports chan map[string]any
	waits   int  // checks to which it says WAIT before it approves
	rejects bool // all others
	away    bool // it answers nothing that counts
}

func (d *demo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.paths = append(d.paths, r.URL.Path)
	sum := sha256.Sum256(body)
	signature, err := hex.DecodeString(r.Header.Get("Signature"))
	if r.Method != http.MethodPost || err != nil || !ecdsa.VerifyASN1(d.node, sum[:], signature) {
		d.t.Errorf("%s %s: the signature does not verify", r.Method, r.URL.Path)
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"status":"400","error":"signature"}`)
		return
	}
	var request struct {
		CallbackID string         `json:"callback_id"`
		Detail     map[string]any `json:"request_detail"`
		Extra      struct {
			SinoID    string `json:"sino_id"`
			RequestID string `json:"request_id"`
		} `json:"extra_info"`
	}
	if err := json.Unmarshal(body, &request); err != nil {
		d.t.Error(err)
	}
	if d.away {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	switch r.URL.Path {
	case "/check":
		d.details = append(d.details, request.Detail)
		action, wait := "APPROVE", ""
		if d.rejects {
			action = "REJECT"
		}
		if d.waits > 0 {
			d.waits--
			action, wait = "WAIT", `,"wait_time":"1"`
		}
		d.answer(w, fmt.Sprintf(`{"callback_id":%q,"sino_id":%q,"request_id":%q,"action":%q%s}`, request.CallbackID, request.Extra.SinoID,
			request.Extra.RequestID, action, wait))
	case "/rawdata_signature":
		_, _ = io.WriteString(w, `{"status":"0","error":"","data":{"callback_id":"`+request.CallbackID+`"}}`)
		d.reports <- request.Detail
	default:
		http.NotFound(w, r)
	}
}

// answer signs data, and nothing beside it.
func (d *demo) answer(w io.Writer, data string) {
	sum := sha256.Sum256([]byte(data))
	der, err := ecdsa.SignASN1(rand.Reader, d.key, sum[:])
	if err != nil {
		d.t.Error(err)
	}
	fmt.Fprintf(w, "{\"code\":200,\"status\":\"0\",\"error\":\"\",\"data\":%s,\"signature\":\"%X\",\"time\":1700000000}\n", data, der)
}

// demos gives a node so many servers in the demo's manner, which it asks by a mode. In mode first they share their key.
func (m *member) demos(mode asking.Mode, n int) []*demo {
	t := m.h.t
	t.Helper()
	id, err := m.id.PublicKey()
	must(t, err)
	files := &node.FileSettings{CallbackRequired: true, CallbackMode: mode, RetryTimes: 1, Sleep: time.Millisecond}
	var all []*demo
	for i := range n {
		d := &demo{t: t, key: newP256(t), node: id, reports: make(chan map[string]any, 8)}
		if mode == asking.ModeFirst && i > 0 {
			d.key = all[0].key
		}
		server := httptest.NewServer(d)
		t.Cleanup(server.Close)
		path := filepath.Join(t.TempDir(), "callback.pem")
		writePEM(t, path, d.key)
		all = append(all, d)
		files.CallbackServers = append(files.CallbackServers, node.CallbackServer{Address: server.URL + "/check", PublicKeyPath: path, UnsignedAck: true})
	}
	guard, err := files.Guard()
	must(t, err)
	m.settings.change(func(s *settings) { s.guard = guard })
	return all
}

// change changes how a server behaves.
func (d *demo) change(f func(*demo)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(d)
}

// asked is which paths were called.
func (d *demo) asked() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.paths)
}

func TestTheDemosServersTogether(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	message := func() ask {
		a := r.signing()
		a.terms.SignType, a.terms.Message = wire.SignTypeMessage, "hello"
		return a
	}
	t.Run("all: each must approve, and each is told", func(t *testing.T) {
		both := r.a.demos(asking.ModeAll, 2)
		r.mustSign(message())
		for _, d := range both {
			if told := receive(t, d.reports); told["message"] != "hello" {
				t.Fatalf("told %v", told)
			}
		}
		r.a.awaitNone("report")
	})
	t.Run("all: one rejects", func(t *testing.T) {
		both := r.a.demos(asking.ModeAll, 2)
		both[1].change(func(d *demo) { d.rejects = true })
		s := r.offer(message())
		r.awaitAnswer(s, r.a.id, linkv1.Answer_REJECTED)
		r.mustBeSilent(s, r.a.id)
	})
	t.Run("all: one is away", func(t *testing.T) {
		both := r.a.demos(asking.ModeAll, 2)
		both[1].change(func(d *demo) { d.away = true })
		s := r.offer(message())
		if a := r.awaitAnswer(s, r.a.id, linkv1.Answer_REFUSED); !contains(a.Reason, "gave no answer that counts in 2 tries") {
			t.Fatalf("refused with %q", a.Reason)
		}
		r.mustBeSilent(s, r.a.id)
	})
	t.Run("first: the other is not asked", func(t *testing.T) {
		both := r.a.demos(asking.ModeFirst, 2)
		both[1].change(func(d *demo) { d.rejects = true })
		r.mustSign(message())
		receive(t, both[0].reports)
		r.a.awaitNone("report")
		if paths := both[1].asked(); len(paths) != 0 {
			t.Fatalf("the second was asked %v", paths)
		}
	})
	t.Run("first: one is away", func(t *testing.T) {
		both := r.a.demos(asking.ModeFirst, 2)
		both[0].change(func(d *demo) { d.away = true })
		both[1].change(func(d *demo) { d.waits = 1 })
		r.mustSign(message())
		receive(t, both[1].reports)
		r.a.awaitNone("report")
	})
	t.Run("first: a reject is final", func(t *testing.T) {
		both := r.a.demos(asking.ModeFirst, 2)
		both[0].change(func(d *demo) { d.rejects = true })
		s := r.offer(message())
		r.awaitAnswer(s, r.a.id, linkv1.Answer_REJECTED)
		r.mustBeSilent(s, r.a.id)
		if paths := both[1].asked(); len(paths) != 0 {
			t.Fatalf("the second was asked %v", paths)
		}
	})
	t.Run("a question outlives the node", func(t *testing.T) {
		one := r.a.demos(asking.ModeAll, 1)[0]
		one.change(func(d *demo) { d.waits = 1 })
		s := r.offer(message())
		r.awaitAnyAnswer(s, r.a.id, linkv1.Answer_WAITING)
		r.a.crash()
		r.mustBeSigned(t, s)
		receive(t, one.reports)
		r.a.awaitNone("report")
	})
}

func TestTheDemosServer(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	d := r.a.demos(asking.ModeAll, 1)[0]
	d.change(func(d *demo) { d.waits = 1 })

	a := r.signing()
	a.terms.SignType, a.terms.Message, a.terms.TxInfo = wire.SignTypeMessage, "hello", []byte(`{"chainSymbol":"ETH","note":"<&>"}`)
	s := r.offer(a)
	r.awaitAnyAnswer(s, r.a.id, linkv1.Answer_WAITING)
	r.mustBeSigned(t, s)
	report := r.awaitReport(s, r.a.id)
	told := receive(t, d.reports)
	if v := append(bytes.Clone(report.Result), 27+byte(report.RecoveryId&1)); told["message"] != "hello" || told["signature"] != hexOf(v) {
		t.Fatalf("the report is %v", told)
	}
	r.a.awaitNone("report")
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.paths, []string{"/check", "/check", "/rawdata_signature"}) {
		t.Fatalf("it was asked %v", d.paths)
	}
	if detail := d.details[0]; detail["sign_type"] != "2" || detail["message"] != "hello" || detail["path"] != a.terms.Path ||
		detail["public_key"] != hexOf(r.public) || detail["tx_info"].(map[string]any)["note"] != "<&>" {
		t.Fatalf("it was asked about %v", detail)
	}
}
