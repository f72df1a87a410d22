package e2e_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/countersign-mpc/countersign/wire"
)

// post sends the callback, as its node "probe", a body that is wrong in one way, and checks what it answers.
func (w *world) post(ctx context.Context, a []string) error {
	status, body, err := w.postVariant(ctx, a[0])
	if err != nil {
		return err
	}
	if strconv.Itoa(status) != a[1] || !strings.Contains(body, a[2]) {
		return fmt.Errorf("HTTP %d with %q", status, body)
	}
	return nil
}

func (w *world) postVariant(ctx context.Context, variant string) (int, string, error) {
	probe, err := w.key("probe")
	if err != nil {
		return 0, "", err
	}
	check := &wire.Check{CallbackID: "probe-" + variant, RequestType: wire.TypeKeygen, ExtraInfo: wire.ExtraInfo{SinoID: "s", RequestID: "r"}}
	check.RequestDetail = wire.RequestDetail{T: 3, N: 3, Cryptography: wire.ECDSASecp256k1, PartyIDs: []string{"x", "y", "z"}}
	if variant == "unknown-type" {
		check.RequestType = "transfer-everything"
	}
	body, err := check.Marshal()
	if err != nil {
		return 0, "", err
	}
	text := string(body)
	switch variant {
	case "duplicate-key":
		text = strings.Replace(text, `"t":3`, `"t":3,"t":2`, 1)
	case "case-variant":
		text = strings.Replace(text, `"t":3`, `"T":2,"t":3`, 1)
	case "trailing":
		text += "{}"
	case "too-large":
		text = strings.Replace(text, `"x"`, `"`+strings.Repeat("x", 1<<20)+`"`, 1)
	case "conflict":
		text = strings.Replace(text, "probe-conflict", "probe-good", 1)
		text = strings.Replace(text, `"x"`, `"w"`, 1)
	}
	signer := probe
	if variant == "foreign-signature" { // a key of this set-up, but of no node
		if signer, err = w.key("alice"); err != nil {
			return 0, "", err
		}
	}
	der, err := wire.SignP256(signer, []byte(text))
	if err != nil {
		return 0, "", err
	}
	if variant == "wrong-signature" {
		text = strings.Replace(text, `"t":3`, `"t":2`, 1)
	}
	return w.send(ctx, "/v1/check", []byte(text), der)
}

// send posts a body with a signature to the callback.
func (w *world) send(ctx context.Context, path string, body, der []byte) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+w.c.Ports.Callback+path, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Signature", fmt.Sprintf("%x", der))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, string(answer), err
}

// lie listens where the callback was, and answers every check with an Approve that must not count.
func (w *world) lie(variant string) error {
	name := "callback_reply_a"
	if variant == "other-key" { // a key of this set-up that signs replies to no node
		name = "callback_reply_probe"
	}
	reply, err := w.key(name)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", w.c.Ports.Callback)
	if err != nil {
		return err
	}
	w.liar = &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
			return
		}
		var asked wire.Check
		if err := json.Unmarshal(body, &asked); err != nil {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = rw.Write(falseApprove(variant, asked, reply))
	})}
	go func() { _ = w.liar.Serve(listener) }()
	return nil
}

func falseApprove(variant string, asked wire.Check, reply *ecdsa.PrivateKey) []byte {
	data := wire.ResponseData{CallbackID: asked.CallbackID, SinoID: asked.ExtraInfo.SinoID, RequestID: asked.ExtraInfo.RequestID, Action: wire.Approve}
	if variant == "other-id" {
		data.CallbackID = "another"
	}
	if variant == "unsigned" {
		out, _ := json.Marshal(wire.Response{Status: "0", Data: &data})
		return out
	}
	out, err := wire.Reply(reply, data, wire.StyleTitle, "")
	if err != nil {
		return []byte(err.Error())
	}
	if variant == "other-status" {
		out = bytes.Replace(out, []byte(`"status":"0"`), []byte(`"status":"1"`), 1)
	}
	return out
}

// key reads a private key of the set-up.
func (w *world) key(name string) (*ecdsa.PrivateKey, error) {
	return wire.LoadPrivateKey(filepath.Join(w.c.Dir, "keys", name+".pem"))
}
