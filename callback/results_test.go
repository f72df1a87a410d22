package callback_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/bolt/ledgerstore"
	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/ecies"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// refused sends a report that gets an error of the protocol.
func (w *world) refused(c *wire.Check, says string) {
	w.t.Helper()
	body, signature, err := wire.SealCheck(w.nodeKey, c)
	ok(w.t, err)
	a := w.send("/v1/rawdata_signature", string(body), http.Header{"Signature": {signature}})
	if a.status != http.StatusBadRequest || !strings.Contains(a.body, says) {
		w.t.Errorf("HTTP %d %s, want %q", a.status, a.body, says)
	}
}

func (w *world) counted(status, want string) {
	w.t.Helper()
	if got := w.metric(`countersign_callback_results_total{status="` + status + `"}`); got != want {
		w.t.Errorf("%s results are counted %s times, want %s", status, got, want)
	}
}

// TestResultsThatSomebodyHasToLookAt: each is rejected or refused, counted, and logged by its ids.
func TestResultsThatSomebodyHasToLookAt(t *testing.T) {
	w := newWorld(t, options{})
	good, own := signMessage("hello"), hex.EncodeToString(signMessage("hello"))
	for _, id := range []string{"cb-1", "cb-2", "cb-3", "cb-4"} {
		w.ask(message(id, "hello"))
	}
	w.counted(callback.ResultUnmatched, "0")
	d, _ := w.ask(report("cb-never", "hello", own))
	want(t, d, wire.Reject, "report.check: ")
	d, _ = w.ask(report("cb-1", "hell", own))
	want(t, d, wire.Reject, "report.message: ")
	w.counted(callback.ResultUnmatched, "2")
	if got := w.result("cb-never"); got.Status != callback.ResultUnmatched || got.Check != "" || !bytes.Equal(got.Signature, good) || got.Action != "Reject" {
		t.Errorf("kept of an unmatched one is %+v", got)
	}

	d, _ = w.ask(report("cb-2", "hello", own))
	want(t, d, wire.Approve)
	w.ask(report("cb-2", "hello", own))
	w.counted(callback.ResultVerified, "1")
	w.refused(report("cb-2", "hello", hex.EncodeToString(signMessage("another"))), "conflict")
	w.counted("conflict", "1")

	foreign := must[[]byte](t)(ecies.Encrypt(nil, &newKey(t).PublicKey, good))
	w.refused(report("cb-3", "hello", hex.EncodeToString(foreign)), `"501"`)
	w.counted("undecryptable", "1")
	// Unmatched is said before undecryptable, and what came is kept.
	d, _ = w.ask(report("cb-none", "hello", hex.EncodeToString(foreign)))
	want(t, d, wire.Reject, "report.check: ")
	if got := w.result("cb-none"); !bytes.Equal(got.Ciphertext, foreign) || len(got.Signature) != 0 {
		t.Errorf("kept of an unmatched one is %+v", got)
	}
	for i, sig := range []string{"", "zz", own[:100], hex.EncodeToString(foreign[:100]), own + own} {
		id := "cb-4"
		if i > 0 {
			id = "cb-form-" + string(rune('0'+i))
			w.ask(message(id, "hello"))
		}
		d, _ = w.ask(report(id, "hello", sig))
		want(t, d, wire.Reject, "report.signature: ")
		if got := w.results("callback_id=" + id); len(got) != 0 {
			t.Errorf("kept is what is no signature: %+v", got)
		}
	}
	w.counted(callback.ResultMalformed, "5")
	for _, line := range []string{
		`level=WARN msg="signature result" status=unmatched node=a callback_id=cb-never sino_id=s-1 request_id=r-1`,
		`level=WARN msg="signature result" status=conflict node=a callback_id=cb-2`,
		`level=INFO msg="signature result" status=verified node=a callback_id=cb-2`,
	} {
		if !strings.Contains(w.logged.String(), line) {
			t.Errorf("the log does not have %s", line)
		}
	}
	w.neverLogged(good)
}

// TestResultOfNoSignature: an approved keygen has no result, whatever its empty message is compared with.
func TestResultOfNoSignature(t *testing.T) {
	w := newWorld(t, options{live: agreeable()})
	d, _ := w.ask(&wire.Check{CallbackID: "cb-1", RequestType: wire.TypeKeygen, RequestDetail: wire.RequestDetail{T: 2, N: 3, Cryptography: wire.ECDSASecp256k1}})
	want(t, d, wire.Approve)
	d, _ = w.ask(report("cb-1", "", hex.EncodeToString(signMessage("hello"))))
	want(t, d, wire.Reject, "report.check: ", "about no signature")
	w.counted(callback.ResultUnmatched, "1")
}

// TestResultsWithoutKey: a ciphertext is kept and served as it came, and acknowledged if the message was approved.
func TestResultsWithoutKey(t *testing.T) {
	w := newWorld(t, options{cfg: func(c *callback.Config) { c.Nodes[0].DecryptKey = nil }})
	w.ask(message("cb-1", "hello"))
	w.ask(message("cb-2", "hello"))
	sealed := must[[]byte](t)(ecies.Encrypt(nil, &newKey(t).PublicKey, signMessage("hello")))
	d, _ := w.ask(report("cb-1", "hello", hex.EncodeToString(sealed)))
	want(t, d, wire.Approve)
	if got := w.result("cb-1"); got.Status != callback.ResultEncrypted || !bytes.Equal(got.Ciphertext, sealed) || len(got.Signature) != 0 || len(got.Digests) != 1 {
		t.Errorf("kept is %+v", got)
	}
	d, _ = w.ask(report("cb-2", "hullo", hex.EncodeToString(sealed)))
	want(t, d, wire.Reject, "report.message: ")
}

// TestResultsAreSealed: nothing in the store's file shows a signature, and only the key that sealed it opens it.
func TestResultsAreSealed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "callback.db")
	store := must[*ledgerstore.Store](t)(ledgerstore.Open(ledgerstore.Config{Path: path}))
	w := newWorld(t, options{store: store})
	plain := signMessage("hello")
	secretKey := privateKey(t, "decrypt_sig")
	sealed := must[[]byte](t)(ecies.Encrypt(nil, &secretKey.PublicKey, plain))
	w.ask(message("cb-1", "hello"))
	d, _ := w.ask(report("cb-1", "hello", hex.EncodeToString(sealed)))
	want(t, d, wire.Approve)
	got := w.result("cb-1")
	if got.Status != callback.ResultVerified || !bytes.Equal(got.Signature, plain) || len(got.Ciphertext) != 0 {
		t.Fatalf("kept is %+v", got)
	}
	if a := w.adminCall(http.MethodGet, "/admin/v1/results/"+got.ID, ""); a.header.Get("Cache-Control") != "no-store" {
		t.Error("the answer with a signature may be stored on its way")
	}
	if !strings.Contains(w.logged.String(), `msg="signature result read" result=`+got.ID) {
		t.Error("that it was read is not logged")
	}

	other := newWorld(t, options{store: store, cfg: func(c *callback.Config) {
		c.ResultKey = must[*callback.ResultKey](t)(callback.ParseResultKey(callback.GenerateResultKey()))
	}})
	if a := other.adminCall(http.MethodGet, "/admin/v1/results/"+got.ID, ""); a.status != http.StatusConflict || !strings.Contains(a.body, "another result key") {
		t.Errorf("with another key: HTTP %d %s", a.status, a.body)
	}
	if n := len(other.results("")); n != 1 {
		t.Errorf("with another key %d results are listed, want 1", n)
	}
	ok(t, store.Close())
	file := must[[]byte](t)(os.ReadFile(path))
	if !bytes.Contains(file, []byte("cb-1")) {
		t.Fatal("the file is not the store")
	}
	for name, form := range map[string][]byte{
		"raw": plain, "hex": []byte(hex.EncodeToString(plain)), "base64": []byte(base64.StdEncoding.EncodeToString(plain[:60])), "r alone": plain[:32],
		"its ciphertext": sealed[:90], "its ciphertext in hex": []byte(hex.EncodeToString(sealed[:90])),
	} {
		if bytes.Contains(file, form) {
			t.Errorf("the store's file holds the signature: %s", name)
		}
	}
}

// TestResultsMoved: a sealed result counts for nothing in another's place.
func TestResultsMoved(t *testing.T) {
	store := must[*ledgerstore.Store](t)(ledgerstore.Open(ledgerstore.Config{Path: filepath.Join(t.TempDir(), "callback.db")}))
	t.Cleanup(func() { ok(t, store.Close()) })
	w := newWorld(t, options{store: store})
	for _, id := range []string{"cb-1", "cb-2"} {
		w.ask(message(id, "hello"))
		w.ask(report(id, "hello", hex.EncodeToString(signMessage("hello"))))
	}
	one, two := w.result("cb-1"), w.result("cb-2")
	ok(t, store.Update(t.Context(), func(tx ledger.Tx) error {
		var keys, values [][]byte
		ok(t, tx.Scan("attachment", nil, nil, false, func(k, v []byte) (bool, error) {
			keys, values = append(keys, bytes.Clone(k)), append(values, bytes.Clone(v))
			return true, nil
		}))
		return tx.Put("attachment", keys[0], values[1])
	}))
	if a := w.adminCall(http.MethodGet, "/admin/v1/results/"+one.ID, ""); a.status != http.StatusServiceUnavailable {
		t.Errorf("another's result in its place: HTTP %d %s", a.status, a.body)
	}
	if a := w.adminCall(http.MethodGet, "/admin/v1/results/"+two.ID, ""); a.status != http.StatusOK {
		t.Errorf("its own place: HTTP %d %s", a.status, a.body)
	}
}

// TestResultLists: newest first, by pages, by ids; and only to who has the token.
func TestResultLists(t *testing.T) {
	w := newWorld(t, options{})
	for _, id := range []string{"cb-1", "cb-2", "cb-3"} {
		w.ask(message(id, "hello"))
		c := report(id, "hello", hex.EncodeToString(signMessage("hello")))
		c.ExtraInfo.RequestID = "r-of-" + id
		w.ask(c)
		w.clock.step(time.Second)
	}
	first := get[callback.ResultList](w, "/admin/v1/results?limit=2")
	rest := get[callback.ResultList](w, "/admin/v1/results?limit=2&cursor="+first.Next)
	var ids []string
	for _, r := range append(first.Results, rest.Results...) {
		ids = append(ids, r.CallbackID)
		if r.NodeName != "a" || r.Status != callback.ResultVerified || r.Scheme != "ecdsa" || r.Key != rootKey || r.Check == "" {
			t.Errorf("listed is %+v", r)
		}
	}
	if got := strings.Join(ids, " "); got != "cb-3 cb-2 cb-1" || first.Next == "" || rest.Next != "" {
		t.Errorf("listed are %s", got)
	}
	if got := w.results("request_id=r-of-cb-2"); len(got) != 1 || got[0].CallbackID != "cb-2" {
		t.Errorf("by request_id: %+v", got)
	}
	w.ask(report("cb-none", "hello", hex.EncodeToString(signMessage("hello"))))
	if got := w.results("status=unmatched&limit=1"); len(got) != 1 || got[0].CallbackID != "cb-none" {
		t.Errorf("unmatched are %+v", got)
	}
	if got := w.results("status=verified&limit=2"); len(got) != 2 || got[0].CallbackID != "cb-3" || got[1].CallbackID != "cb-2" {
		t.Errorf("verified are %+v", got)
	}
	check := rest.Results[0].Check
	for path, status := range map[string]int{
		"/admin/v1/results?limit=0": 400, "/admin/v1/results?status=fine": 400, "/admin/v1/results?cursor=x": 400, "/admin/v1/results/zz": 400,
		"/admin/v1/results/" + strings.Repeat("0", 32): 404, "/admin/v1/results/" + check: 404,
	} {
		if a := w.adminCall(http.MethodGet, path, ""); a.status != status {
			t.Errorf("%s: HTTP %d %s, want %d", path, a.status, a.body, status)
		}
	}
	for _, path := range []string{"/admin/v1/results", "/admin/v1/results/" + rest.Results[0].ID} {
		if a := open(w, path); a.status != http.StatusUnauthorized {
			t.Errorf("%s without the token: HTTP %d %s", path, a.status, a.body)
		}
	}
	if a := w.send("/results", "", nil); a.status != http.StatusNotFound && a.status != http.StatusMethodNotAllowed {
		t.Errorf("the nodes' side serves results: HTTP %d %s", a.status, a.body)
	}
}

// TestResultsRetention: a result goes with its record.
func TestResultsRetention(t *testing.T) {
	w := newWorld(t, options{})
	w.ask(message("cb-1", "hello"))
	w.ask(report("cb-1", "hello", hex.EncodeToString(signMessage("hello"))))
	id := w.result("cb-1").ID
	w.clock.step(time.Hour)
	if n := must[int](t)(w.ledger.Prune(t.Context(), w.clock.Now())); n != 2 {
		t.Fatalf("%d entries were removed, want 2", n)
	}
	if a := w.adminCall(http.MethodGet, "/admin/v1/results/"+id, ""); a.status != http.StatusGone {
		t.Errorf("HTTP %d %s", a.status, a.body)
	}
	if got := w.results(""); len(got) != 0 {
		t.Errorf("listed are %+v", got)
	}
	w.refused(report("cb-1", "hello", hex.EncodeToString(signMessage("hello"))), "expired")
}
