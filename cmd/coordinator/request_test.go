package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/bolt/coordstore/coordtest"
	"github.com/countersign-mpc/countersign/coordinator"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/mpcapi"
	"github.com/countersign-mpc/countersign/wire"
)

// desk is a requester before a coordinator with three nodes and a key of each curve.
type desk struct {
	*coordtest.World
	t        *testing.T
	dir      string
	server   string
	key      manifest.RequesterKey
	secp, ed string // key ids
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{World: coordtest.NewWorld(t, 3, coordinator.Limits{}), t: t, dir: t.TempDir()}
	const apiKey = "0123456789abcdef0123456789abcdef"
	handler := must(mpcapi.New(mpcapi.Config{Coordinator: d.C, Log: slog.New(slog.DiscardHandler),
		Keys: []mpcapi.APIKey{must(mpcapi.NewAPIKey(coordtest.Account, []byte(apiKey)))(t)}}))(t)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	d.server = server.URL
	private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	d.key = must(manifest.NewRequesterKey(&private.PublicKey))(t)
	d.file("api.key", apiKey)
	d.file("requester.pem", string(must(wire.MarshalPrivateKey(private))(t)))
	d.secp, d.ed = d.Key(2).ID, d.KeyOf(d.Ed25519, 2).ID
	d.Drain()
	return d
}

func (d *desk) file(name, text string) string {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return path
}

// request runs `coordinator request` and gives the offer that the first node gets of it; nil if it is not taken.
func (d *desk) request(t *testing.T, args ...string) (offer *linkv1.Offer, errs string) {
	t.Helper()
	args = append([]string{"request", "--server", d.server, "--api-key-file", filepath.Join(d.dir, "api.key"), "--requester-key", filepath.Join(d.dir, "requester.pem")}, args...)
	code, out, errs := command(t, args...)
	if code != exitOK {
		if frames := d.Lives[0].Receive(); len(frames) != 0 {
			t.Errorf("%v: refused, and offered", args)
		}
		return nil, errs
	}
	var created struct {
		SinoID string `json:"sino_id"`
	}
	if err := json.Unmarshal([]byte(out), &created); err != nil {
		t.Fatal(err)
	}
	offer = d.Lives[0].Receive()[0].GetOffer()
	if offer.SinoId != created.SinoID {
		t.Errorf("%s was printed, %s offered", created.SinoID, offer.SinoId)
	}
	return offer, errs
}

// signed checks the requester's signature of an offer as a node does.
func (d *desk) signed(t *testing.T, o *linkv1.Offer) manifest.Terms {
	t.Helper()
	terms := manifest.Terms{Type: o.Terms.Type, RequestID: o.Terms.RequestId, KeyID: o.Terms.KeyId, T: int(o.Terms.T), N: int(o.Terms.N), Cryptography: o.Terms.Cryptography,
		Path: o.Terms.Path, SignType: o.Terms.SignType, Message: o.Terms.Message, TxInfo: o.Terms.TxInfo, TapScriptRoot: o.Terms.TapScriptRoot}
	for _, id := range o.Terms.Parties {
		terms.Parties = append(terms.Parties, wire.NodeID(id))
	}
	if o.Authorization == nil {
		t.Fatal("the request is not signed")
	}
	auth := manifest.Authorization{KeyID: o.Authorization.KeyId, Expiry: o.Authorization.Expiry, Nonce: o.Authorization.Nonce, Signature: o.Authorization.Signature}
	if err := auth.Verify(d.key, terms, time.Now()); err != nil {
		t.Errorf("the requester's signature does not verify: %v", err)
	}
	return terms
}

// Every kind of request, by flags and from a file, arrives at the nodes as its requester signed it.
func TestRequestKinds(t *testing.T) {
	d := newDesk(t)
	hash, tree := coordtest.Hex(coordtest.Digest("payment")), coordtest.Hex(coordtest.Digest("tree"))
	tx := d.file("tx.json", "{ \"amount\": \"1.0\",\n \"note\": \"<a&b>\" }")
	tapTx := d.file("tap.json", `{"tapScriptRoot":"`+tree+`","amount":"1"}`)
	const compact = `{"amount":"1.0","note":"\u003ca\u0026b\u003e"}`
	text := d.file("mail.txt", "hello\n")
	long := d.file("solana.hex", strings.Repeat("5a", 256<<10)+"\n")
	type terms = manifest.Terms
	for name, c := range map[string]struct {
		args []string
		want terms
	}{
		"keygen":           {[]string{"--type", "keygen", "--threshold", "2", "--participants", "a,b,c"}, terms{Type: "keygen", T: 2, N: 3, Cryptography: wire.ECDSASecp256k1}},
		"keygen, Ed25519":  {[]string{"--type", "keygen", "--cryptography", "eddsa-ed25519", "--threshold", "3", "--participants", "a, b,c"}, terms{Type: "keygen", T: 3, N: 3, Cryptography: wire.EdDSAEd25519}},
		"transaction":      {[]string{"--key-id", d.secp, "--path", "m/44/60/0/0/0", "--tx-info", tx}, terms{Type: "sign", KeyID: d.secp, Path: "m/44/60/0/0/0", SignType: "1", TxInfo: []byte(compact)}},
		"text":             {[]string{"--key-id", d.secp, "--sign-type", "2", "--message-file", text}, terms{Type: "sign", KeyID: d.secp, SignType: "2", Message: "hello\n"}},
		"raw":              {[]string{"--key-id", d.secp, "--message", hash, "--participants", "a,c"}, terms{Type: "sign", KeyID: d.secp, SignType: "3", Message: hash}},
		"long Ed25519":     {[]string{"--key-id", d.ed, "--path", "m/1", "--message-file", long, "--tx-info", tx}, terms{Type: "sign", KeyID: d.ed, Path: "m/1", SignType: "1", Message: strings.Repeat("5a", 256<<10), TxInfo: []byte(compact)}},
		"bip340":           {[]string{"--type", "bip340-schnorr-sign", "--key-id", d.secp, "--message", hash, "--tx-info", tx}, terms{Type: "bip340-schnorr-sign", KeyID: d.secp, SignType: "1", Message: hash, TxInfo: []byte(compact)}},
		"taproot":          {[]string{"--type", "taproot-sign", "--key-id", d.secp, "--tx-info", tx}, terms{Type: "taproot-sign", KeyID: d.secp, SignType: "1", TxInfo: []byte(compact)}},
		"taproot, a tree":  {[]string{"--type", "taproot-sign", "--key-id", d.secp, "--tap-script-root", tree, "--sign-type", "3", "--message", hash}, terms{Type: "taproot-sign", KeyID: d.secp, SignType: "3", Message: hash, TapScriptRoot: tree}},
		"root of tx_info":  {[]string{"--type", "taproot-sign", "--key-id", d.secp, "--tx-info", tapTx}, terms{Type: "taproot-sign", KeyID: d.secp, SignType: "1", TxInfo: []byte(`{"tapScriptRoot":"` + tree + `","amount":"1"}`), TapScriptRoot: tree}},
		"root of both":     {[]string{"--type", "taproot-sign", "--key-id", d.secp, "--tx-info", tapTx, "--tap-script-root", strings.ToUpper(tree)}, terms{Type: "taproot-sign", KeyID: d.secp, SignType: "1", TxInfo: []byte(`{"tapScriptRoot":"` + tree + `","amount":"1"}`), TapScriptRoot: strings.ToUpper(tree)}},
		"from a file":      {[]string{d.file("1.json", `{"session_type":"sign","request_type":"taproot-sign","key_id":"`+d.secp+`","message_hash":"`+hash+`","tapScriptRoot":"`+tree+`"}`)}, terms{Type: "taproot-sign", KeyID: d.secp, SignType: "3", Message: hash, TapScriptRoot: tree}},
		"no session_type":  {[]string{d.file("2.json", `{"key_id":"`+d.ed+`","message":"00ff"}`)}, terms{Type: "sign", KeyID: d.ed, SignType: "3", Message: "00ff"}},
		"file and flags":   {[]string{d.file("3.json", `{"key_id":"`+d.ed+`","message":"00ff"}`), "--path", "m/7", "--request-id", "mine", "--expires-in", "1h"}, terms{Type: "sign", KeyID: d.ed, SignType: "3", Message: "00ff", Path: "m/7", RequestID: "mine"}},
		"text of the file": {[]string{d.file("4.json", `{"key_id":"`+d.secp+`","sign_type":"2"}`), "--message-file", text}, terms{Type: "sign", KeyID: d.secp, SignType: "2", Message: "hello\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			offer, errs := d.request(t, c.args...)
			if offer == nil {
				t.Fatal(errs)
			}
			got := d.signed(t, offer)
			if c.want.RequestID == "" {
				if len(got.RequestID) != 32 {
					t.Errorf("request id %q", got.RequestID)
				}
				got.RequestID = ""
			}
			if got.IsKeygen() {
				for i, p := range d.Parties {
					if got.Parties[i] != p.ID {
						t.Errorf("party %d is %s", i+1, got.Parties[i].Short())
					}
				}
				got.Parties = nil
			}
			if got.ContentHash() != c.want.ContentHash() {
				t.Errorf("%+v arrives, want %+v", got, c.want)
			}
		})
	}
}

// What is not said clearly is not sent; what the coordinator refuses is told.
func TestRequestRefusals(t *testing.T) {
	d := newDesk(t)
	hash, tree := coordtest.Hex(coordtest.Digest("payment")), coordtest.Hex(coordtest.Digest("tree"))
	body := d.file("body.json", `{"session_type":"sign","key_id":"`+d.secp+`","message":"`+hash+`"}`)
	tx := d.file("tx.json", `{"tapScriptRoot":"`+tree+`"}`)
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"nothing":                {nil, "shows one of each kind"},
		"only a path":            {[]string{"--path", "m/1"}, "shows one of each kind"},
		"two files":              {[]string{body, body}, "at most 1 arg"},
		"message twice":          {[]string{body, "--message", hash}, "--message: the file says message already"},
		"type twice":             {[]string{body, "--type", "keygen"}, "--type: the file says session_type already"},
		"message and file":       {[]string{"--key-id", d.secp, "--message", hash, "--message-file", body}, "give one of them"},
		"no such file":           {[]string{"--key-id", d.secp, "--message-file", "nowhere"}, "--message-file: open nowhere"},
		"tx_info is no JSON":     {[]string{"--key-id", d.secp, "--tx-info", d.file("x", "{")}, "is not JSON"},
		"tx_info is no object":   {[]string{"--key-id", d.secp, "--tx-info", d.file("y", "[]")}, "tx_info"},
		"two roots":              {[]string{"--type", "taproot-sign", "--key-id", d.secp, "--tx-info", tx, "--tap-script-root", hash}, "write it into both"},
		"a root in one place":    {[]string{"--type", "taproot-sign", "--key-id", d.secp, "--tx-info", d.file("z", "{}"), "--tap-script-root", tree}, "write it into both"},
		"root with sign":         {[]string{"--key-id", d.secp, "--tx-info", tx}, "tapScriptRoot is for request_type taproot-sign only"},
		"no key":                 {[]string{"--message", hash}, "key_id is missing"},
		"not UTF-8":              {[]string{"--key-id", d.secp, "--sign-type", "2", "--message", "\xff"}, "not valid UTF-8"},
		"Ed25519 by taproot":     {[]string{"--type", "taproot-sign", "--key-id", d.ed, "--message", hash}, "invalid_request"},
		"refresh":                {[]string{"--type", "refresh", "--key-id", d.secp, "--message", hash}, "not_supported"},
		"short digest":           {[]string{"--key-id", d.secp, "--message", "00"}, "32 bytes in hex"},
		"keygen of strangers":    {[]string{"--type", "keygen", "--threshold", "2", "--participants", "a,z"}, `participant "z" is neither`},
		"keygen, no threshold":   {[]string{"--type", "keygen", "--participants", "a,b"}, "threshold_t is 0 of 2"},
		"keygen, no party":       {[]string{"--type", "keygen", "--threshold", "2"}, "threshold_n is 0"},
		"keygen of unknown kind": {[]string{"--type", "keygen", "--cryptography", "rsa", "--threshold", "2", "--participants", "a,b"}, "is unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			offer, errs := d.request(t, c.args...)
			if offer != nil || !strings.Contains(errs, c.says) || len(errs) > 600 {
				t.Errorf("%q, want %q (taken: %t)", errs, c.says, offer != nil)
			}
		})
	}
}

// An API key is for the coordinator that was named, wherever that sends its callers.
func TestTheAPIKeyGoesNowhereElse(t *testing.T) {
	d := newDesk(t)
	keys := make(chan string, 16)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { keys <- r.Header.Get("X-API-Key") }))
	t.Cleanup(other.Close)
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	t.Cleanup(server.Close)
	d.server = server.URL
	if offer, errs := d.request(t, "--key-id", d.secp, "--message", coordtest.Hex(coordtest.Digest("payment"))); offer != nil || !strings.Contains(errs, "answered HTTP 307") {
		t.Errorf("it ended with %q", errs)
	}
	if len(keys) != 0 {
		t.Errorf("another server was asked, with the key %q", <-keys)
	}
}
