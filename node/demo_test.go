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
	waits   int // checks to which it says WAIT before it approves
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
	switch r.URL.Path {
	case "/check":
		d.details = append(d.details, request.Detail)
		action, wait := "APPROVE", ""
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

func TestTheDemosServer(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	id, err := r.a.id.PublicKey()
	must(t, err)
	d := &demo{t: t, key: newP256(t), node: id, reports: make(chan map[string]any, 8), waits: 1}
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "callback.pem")
	writePEM(t, path, d.key)
	files := &node.FileSettings{CallbackRequired: true, RetryTimes: 1, Sleep: time.Millisecond,
		CallbackServers: []node.CallbackServer{{Address: server.URL + "/check", PublicKeyPath: path, UnsignedAck: true}}}
	guard, err := files.Guard()
	must(t, err)
	r.a.settings.change(func(s *settings) { s.guard = guard })

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
