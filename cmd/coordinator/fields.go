package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/wire"
)

// givenFields are the fields of a request that stand in flags.
type givenFields struct {
	requestType, cryptography, keyID, path, signType, message, tapScriptRoot, requestID string
	messageFile, txInfoFile                                                             string
	participants                                                                        []string
	threshold                                                                           int
	expiresIn                                                                           time.Duration
}

// The flags.
const (
	flagType         = "type"
	flagCryptography = "cryptography"
	flagThreshold    = "threshold"
	flagParticipants = "participants"
	flagKeyID        = "key-id"
	flagPath         = "path"
	flagSignType     = "sign-type"
	flagMessage      = "message"
	flagMessageFile  = "message-file"
	flagTxInfo       = "tx-info"
	flagTapRoot      = "tap-script-root"
	flagRequestID    = "request-id"
	flagExpiresIn    = "expires-in"
)

func (g *givenFields) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&g.requestType, flagType, "", "keygen, sign, bip340-schnorr-sign or taproot-sign (default sign)")
	f.StringVar(&g.cryptography, flagCryptography, "", "keygen: ecdsa-secp256k1 or eddsa-ed25519 (default ecdsa-secp256k1)")
	f.IntVar(&g.threshold, flagThreshold, 0, "keygen: how many of the participants sign")
	f.StringSliceVar(&g.participants, flagParticipants, nil, "keygen: the parties, in the order of their share indices; else the signers")
	f.StringVar(&g.keyID, flagKeyID, "", "the key that signs")
	f.StringVar(&g.path, flagPath, "", "derivation path, such as m/44/60/0/0/0 (default: the root key)")
	f.StringVar(&g.signType, flagSignType, "", "1, 2 or 3 (default: 1 with a tx_info, else 3)")
	f.StringVar(&g.message, flagMessage, "", "what is signed: hex, or the text of sign_type 2")
	f.StringVar(&g.messageFile, flagMessageFile, "", "file that holds what is signed: hex, or the text of sign_type 2 as it is")
	f.StringVar(&g.txInfoFile, flagTxInfo, "", "file with the tx_info, a JSON object")
	f.StringVar(&g.tapScriptRoot, flagTapRoot, "", "taproot-sign: hash of the script tree, 32 bytes in hex (default: that of tx_info, or none)")
	f.StringVar(&g.requestID, flagRequestID, "", "your own id of the request (default: a random one)")
	f.DurationVar(&g.expiresIn, flagExpiresIn, 0, "how long the request may live (default: as the coordinator has it)")
}

// any tells whether a request is described at all.
func (g *givenFields) any(cmd *cobra.Command) bool {
	for _, name := range []string{flagType, flagKeyID, flagMessage, flagMessageFile, flagTxInfo} {
		if cmd.Flags().Changed(name) {
			return true
		}
	}
	return false
}

// into puts the fields into a request's body. A field that is there already is an error: what is signed must not depend on
// which of the two counts.
func (g *givenFields) into(cmd *cobra.Command, body map[string]json.RawMessage) error {
	f := cmd.Flags()
	if f.Changed(flagMessage) && f.Changed(flagMessageFile) {
		return fmt.Errorf("--%s and --%s both say what is signed: give one of them", flagMessage, flagMessageFile)
	}
	if _, there := body["session_type"]; there && f.Changed(flagType) {
		return fmt.Errorf("--%s: the file says session_type already: leave one of them out", flagType)
	}
	if g.requestType == wire.TypeKeygen {
		body["session_type"] = json.RawMessage(`"keygen"`)
	}
	for _, field := range []struct {
		flag, name string
		value      func() (any, error)
	}{
		{flagType, "request_type", func() (any, error) { return g.requestType, nil }},
		{flagCryptography, "cryptography", func() (any, error) { return g.cryptography, nil }},
		{flagThreshold, "threshold_t", func() (any, error) { return g.threshold, nil }},
		{flagParticipants, "participants", func() (any, error) { return g.parties(), nil }},
		{flagKeyID, "key_id", func() (any, error) { return g.keyID, nil }},
		{flagPath, "path", func() (any, error) { return g.path, nil }},
		{flagSignType, "sign_type", func() (any, error) { return g.signType, nil }},
		{flagMessage, "message", func() (any, error) { return g.message, nil }},
		{flagMessageFile, "message", func() (any, error) { return g.readMessage(string(body["sign_type"]) == `"2"`) }},
		{flagTxInfo, "tx_info", func() (any, error) { return readTxInfo(g.txInfoFile) }},
		{flagTapRoot, "tapScriptRoot", func() (any, error) { return g.tapScriptRoot, nil }},
		{flagRequestID, "request_id", func() (any, error) { return g.requestID, nil }},
		{flagExpiresIn, "expires_in_seconds", func() (any, error) { return int(g.expiresIn / time.Second), nil }},
	} {
		if !f.Changed(field.flag) {
			continue
		}
		if _, there := body[field.name]; there {
			return fmt.Errorf("--%s: the file says %s already: leave one of them out", field.flag, field.name)
		}
		value, err := field.value()
		if err != nil {
			return fmt.Errorf("--%s: %w", field.flag, err)
		}
		if text, ok := value.(string); ok && !utf8.ValidString(text) {
			return fmt.Errorf("--%s: it is not valid UTF-8, and cannot be sent as it is", field.flag)
		}
		if body[field.name], err = json.Marshal(value); err != nil {
			return fmt.Errorf("--%s: %w", field.flag, err)
		}
	}
	return g.keygenInto(body)
}

// keygenInto completes a keygen that flags describe: its parties are all that there are.
func (g *givenFields) keygenInto(body map[string]json.RawMessage) (err error) {
	if g.requestType != wire.TypeKeygen {
		return nil
	}
	delete(body, "request_type") // session_type says it
	if _, there := body["threshold_n"]; !there && len(g.participants) > 0 {
		body["threshold_n"], err = json.Marshal(len(g.participants))
	}
	return err
}

func (g *givenFields) parties() (out []map[string]string) {
	for _, name := range g.participants {
		out = append(out, map[string]string{"party_id": strings.TrimSpace(name)})
	}
	return out
}

// readMessage reads what is signed. A line end behind hex is none of it; a text is signed as it is.
func (g *givenFields) readMessage(isText bool) (string, error) {
	text, err := readBounded(g.messageFile)
	if err != nil || isText {
		return string(text), err
	}
	return strings.TrimSpace(string(text)), nil
}

func readTxInfo(path string) (json.RawMessage, error) {
	text, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	if !json.Valid(text) {
		return nil, fmt.Errorf("%s is not JSON", path)
	}
	return text, nil
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxRequestFile+1))
	if err == nil && len(data) > maxRequestFile {
		err = fmt.Errorf("%s has more than %d bytes", path, maxRequestFile)
	}
	return data, err
}
