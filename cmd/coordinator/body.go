package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/countersign-mpc/countersign/wire"
)

// requestBody is what of a request its requester signs. Fields that it does not know are sent as they are.
type requestBody struct {
	SessionType   string          `json:"session_type"`
	RequestID     string          `json:"request_id"`
	KeyID         string          `json:"key_id"`
	ThresholdT    int             `json:"threshold_t"`
	ThresholdN    int             `json:"threshold_n"`
	Cryptography  string          `json:"cryptography"`
	RequestType   string          `json:"request_type"`
	SignType      string          `json:"sign_type"`
	Path          string          `json:"path"`
	Message       string          `json:"message"`
	MessageHash   string          `json:"message_hash"`
	TxInfo        json.RawMessage `json:"tx_info"`
	TapScriptRoot string          `json:"tapScriptRoot"`
	Participants  []struct {
		PartyID string `json:"party_id"`
	} `json:"participants"`
}

func readRequest(path string, stdin io.Reader) (map[string]json.RawMessage, error) {
	in := stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("read request: %w", err)
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxRequestFile+1))
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	if len(data) > maxRequestFile {
		return nil, fmt.Errorf("read request: it has more than %d bytes", maxRequestFile)
	}
	var body map[string]json.RawMessage
	if err := json.Unmarshal(data, &body); err != nil {
		return nil, fmt.Errorf("read request: it is not a JSON object: %v", err)
	}
	return body, nil
}

// prepare writes down what the server would otherwise fill in, since the requester signs it.
func prepare(body map[string]json.RawMessage) error {
	var b requestBody
	if err := decodeBody(body, &b); err != nil {
		return err
	}
	set := func(key, value string) {
		if value != "" {
			body[key], _ = json.Marshal(value) // a string always encodes
		}
	}
	if b.RequestID == "" {
		id := make([]byte, 16)
		rand.Read(id)
		set("request_id", hex.EncodeToString(id))
	}
	if b.SessionType == "" {
		b.SessionType = map[bool]string{true: wire.TypeKeygen, false: wire.TypeSign}[b.RequestType == wire.TypeKeygen]
		set("session_type", b.SessionType)
	}
	if b.SessionType == wire.TypeKeygen {
		if b.Cryptography == "" {
			set("cryptography", wire.ECDSASecp256k1)
		}
		return nil
	}
	if b.RequestType == "" {
		set("request_type", wire.TypeSign)
	}
	if b.Message == "" && b.MessageHash != "" {
		set("message", b.MessageHash)
		delete(body, "message_hash")
	}
	if len(b.TxInfo) > 0 {
		compact, err := wire.CompactTxInfo(b.TxInfo)
		if err != nil {
			return fmt.Errorf("tx_info: %w", err)
		}
		body["tx_info"] = compact
		root, err := scriptRoot(compact, b)
		if err != nil {
			return err
		}
		set("tapScriptRoot", root)
	}
	if b.SignType == "" {
		set("sign_type", map[bool]string{true: wire.SignTypeTransaction, false: wire.SignTypeRaw}[len(b.TxInfo) > 0])
	}
	return nil
}

// scriptRoot is the tapScriptRoot of a request with a tx_info. It stands in both, and nodes refuse a request where the two differ.
func scriptRoot(txInfo json.RawMessage, b requestBody) (string, error) {
	var info struct {
		TapScriptRoot string `json:"tapScriptRoot"`
	}
	if err := json.Unmarshal(txInfo, &info); err != nil {
		return "", fmt.Errorf("tx_info: tapScriptRoot is not a string")
	}
	if b.TapScriptRoot != "" && !strings.EqualFold(b.TapScriptRoot, info.TapScriptRoot) {
		return "", fmt.Errorf("tapScriptRoot is %q in the request and %q in tx_info: write it into both", clip(b.TapScriptRoot), clip(info.TapScriptRoot))
	}
	if b.TapScriptRoot != "" {
		return b.TapScriptRoot, nil
	}
	return info.TapScriptRoot, nil
}

// clip bounds what an error repeats of its input.
func clip(text string) string {
	const longest = 80
	if len(text) <= longest {
		return text
	}
	return text[:longest] + "…"
}

func decodeBody(body map[string]json.RawMessage, into *requestBody) error {
	data, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read request: %v", err)
	}
	return nil
}
