package mpcapi

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/countersign-mpc/countersign/coordinator"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// What a request for a key or a signature says, in three groups of fields; the published ones and those that Countersign
// adds. POST /api/v1/sessions takes all of them.
type (
	commonFields struct {
		AccountID        string         `json:"account_id"`
		RequestID        string         `json:"request_id"`
		Participants     []participant  `json:"participants"`
		ThresholdN       int            `json:"threshold_n"`
		ThresholdT       int            `json:"threshold_t"`
		Authorization    *authorization `json:"authorization"`
		ExpiresInSeconds int            `json:"expires_in_seconds"`
	}
	keygenFields struct {
		Cryptography string `json:"cryptography"`
	}
	signFields struct {
		KeyID         string         `json:"key_id"`
		MessageHash   string         `json:"message_hash"`
		RequestType   string         `json:"request_type"`
		SignType      string         `json:"sign_type"`
		Path          string         `json:"path"`
		Message       string         `json:"message"`
		TxInfo        jsontext.Value `json:"tx_info"`
		TapScriptRoot string         `json:"tapScriptRoot"`
	}
	participant struct {
		PartyID    string `json:"party_id"`
		DeviceType string `json:"device_type"`
		DeviceID   string `json:"device_id"`
	}
	authorization struct {
		KeyID     string `json:"key_id"`
		Expiry    int64  `json:"expiry"`
		Nonce     string `json:"nonce"`
		Signature string `json:"signature"`
	}
)

type keygenBody struct {
	commonFields
	keygenFields
}

type signBody struct {
	commonFields
	signFields
}

type sessionBody struct {
	SessionType string `json:"session_type"`
	commonFields
	keygenFields
	signFields
}

// readBody reads a strict JSON object: no unknown field, no field twice, nothing behind it.
func readBody[T any](r *http.Request) (*T, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	body := new(T)
	if err := parse(data, body); err != nil {
		return nil, err
	}
	return body, nil
}

func parse(data []byte, body any) error {
	if err := json.Unmarshal(data, body, json.RejectUnknownMembers(true)); err != nil {
		var semantic *json.SemanticError
		if errors.As(err, &semantic) && semantic.JSONPointer != "" {
			return invalid(pointer(semantic.JSONPointer), reason(err))
		}
		var syntax *jsontext.SyntacticError
		if errors.As(err, &syntax) && syntax.JSONPointer != "" {
			return invalid(pointer(syntax.JSONPointer), reason(err))
		}
		return invalid("body", reason(err))
	}
	if jsontext.Value(data).Kind() != '{' {
		return invalid("body", "it must be a JSON object")
	}
	return nil
}

// pointer writes a JSON pointer as details name fields: a.b.
func pointer(p jsontext.Pointer) string {
	return clip(strings.ReplaceAll(strings.TrimPrefix(string(p), "/"), "/", "."), 64)
}

// reason says what is wrong with a body without repeating values of it.
func reason(err error) string {
	switch {
	case errors.Is(err, json.ErrUnknownName):
		return "this field is not known here: check its spelling"
	case errors.Is(err, jsontext.ErrDuplicateName):
		return "this field is there twice"
	}
	var semantic *json.SemanticError
	if errors.As(err, &semantic) && semantic.GoType != nil {
		return fmt.Sprintf("it must be a JSON %s", kindName(semantic.GoType))
	}
	return "it is not well-formed JSON"
}

func kindName(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.String:
		return "string"
	case reflect.Int, reflect.Int64:
		return "integer"
	case reflect.Slice:
		return "array"
	default:
		return "object"
	}
}

func clip(text string, limit int) string {
	if len(text) > limit {
		return strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return text
}

// order starts an order with what keygen and sign share.
func (f *commonFields) order(r *http.Request, account string) (coordinator.Order, error) {
	o := coordinator.Order{Account: account}
	if f.AccountID != "" && f.AccountID != account {
		return o, &coordinator.Error{Code: coordinator.CodeNotFound, Message: "there is no such account for this API key: leave account_id out",
			Details: map[string]string{"account_id": "not that of the API key"}}
	}
	o.Terms.RequestID = f.RequestID
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		if f.RequestID != "" && f.RequestID != key {
			return o, invalid("request_id", "it differs from the header Idempotency-Key: send one of them")
		}
		o.Terms.RequestID = key
	}
	if longest := int(coordinator.DefaultRequestLife / time.Second); f.ExpiresInSeconds < 0 || f.ExpiresInSeconds > longest {
		return o, invalid("expires_in_seconds", fmt.Sprintf("it is a number of seconds, %d at most", longest))
	}
	o.Life = time.Duration(f.ExpiresInSeconds) * time.Second
	for _, p := range f.Participants {
		o.Participants = append(o.Participants, coordinator.Participant{Party: p.PartyID, DeviceType: p.DeviceType, DeviceID: p.DeviceID})
	}
	if f.Authorization != nil {
		auth, err := f.Authorization.parse()
		if err != nil {
			return o, err
		}
		o.Authorization = auth
	}
	return o, nil
}

// parse bounds an authorization; the nodes check it.
func (a *authorization) parse() (*manifest.Authorization, error) {
	signature, err := hex.DecodeString(a.Signature)
	switch {
	case err != nil || len(signature) == 0 || len(signature) > 128:
		return nil, invalid("authorization.signature", "it must be the hex of a signature, 128 bytes at most")
	case a.KeyID == "" || len(a.KeyID) > 128:
		return nil, invalid("authorization.key_id", "it must be the id of the requester's key, 128 bytes at most")
	case a.Nonce == "" || len(a.Nonce) > 128:
		return nil, invalid("authorization.nonce", "it must be 32 to 128 hex digits")
	}
	return &manifest.Authorization{KeyID: a.KeyID, Expiry: a.Expiry, Nonce: a.Nonce, Signature: signature}, nil
}

// complete completes an order for a key.
func (f *keygenFields) complete(o *coordinator.Order, common commonFields) {
	o.Terms.Type, o.Terms.T, o.Terms.N = wire.TypeKeygen, common.ThresholdT, common.ThresholdN
	o.Terms.Cryptography = f.Cryptography
	if o.Terms.Cryptography == "" {
		o.Terms.Cryptography = wire.ECDSASecp256k1
	}
}

// complete completes an order for a signature.
func (f *signFields) complete(o *coordinator.Order, common commonFields) error {
	o.WantT, o.WantN = common.ThresholdT, common.ThresholdN
	t := &o.Terms
	t.Type, t.KeyID, t.Path, t.SignType, t.TapScriptRoot = f.RequestType, f.KeyID, f.Path, f.SignType, f.TapScriptRoot
	if t.Type == "" {
		t.Type = wire.TypeSign
	}
	if t.Type == wire.TypeKeygen {
		return invalid("request_type", "a keygen is POST /api/v1/mpc/keygen")
	}
	if len(f.TxInfo) > 0 {
		if f.TxInfo.Kind() != '{' {
			return invalid("tx_info", "it must be a JSON object")
		}
		t.TxInfo = f.TxInfo // the very bytes: the requester's signature covers them
	}
	if t.SignType == "" {
		t.SignType = wire.SignTypeRaw // only a hash: raw data
		if len(t.TxInfo) > 0 {
			t.SignType = wire.SignTypeTransaction
		}
	}
	return f.message(t)
}

// message takes what is signed from message or message_hash, which must agree where both are given.
func (f *signFields) message(t *manifest.Terms) error {
	t.Message = f.Message
	if f.MessageHash == "" {
		return nil
	}
	if t.SignType == wire.SignTypeMessage {
		return invalid("message_hash", "sign_type 2 signs message, whose hash the nodes compute: leave message_hash out")
	}
	hash, err := digest(f.MessageHash)
	if err != nil {
		return invalid("message_hash", err.Error())
	}
	if f.Message == "" {
		t.Message = f.MessageHash
		return nil
	}
	if other, err := digest(f.Message); err != nil || other != hash {
		return invalid("message_hash", "it contradicts message: send one of them")
	}
	return nil
}

func digest(text string) (out [32]byte, err error) {
	b, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
	if err != nil || len(b) != len(out) {
		return out, errors.New("it must be 32 bytes of hex")
	}
	return [32]byte(b), nil
}
