package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

const (
	maxRequestFile = 2 << 20
	maxAnswer      = 8 << 20
	authorizedFor  = time.Hour
)

// client sends requests to a running coordinator as an account and a requester.
type client struct {
	server, apiKeyPath, requesterKeyPath string
	wait                                 time.Duration
}

func (o *options) request() *cobra.Command {
	c := &client{}
	cmd := &cobra.Command{
		Use: "request FILE", Short: "Sign a request for a key or a signature as its requester, and submit it",
		Long: `Read a request, the JSON body of POST /api/v1/sessions, from FILE ("-" is standard input), sign it with the requester's key
and submit it. Nodes with [authorization] take no request without such a signature; they need the public half of the key.

Parties are named by node id or by the name under which they are bound. request_id is generated if it is not there. The answer
is printed; with --wait the request is printed again when it is over, or when the time is.`,
		Example: `  echo '{"session_type":"keygen","threshold_t":3,"threshold_n":3,
    "participants":[{"party_id":"a"},{"party_id":"b"},{"party_id":"c"}]}' | coordinator request - --requester-key requester.pem --wait 2m
  coordinator request payment.json --requester-key requester.pem --wait 1m`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := readRequest(args[0], cmd.InOrStdin())
			if err != nil {
				return err
			}
			return o.submit(cmd.Context(), c, body)
		},
	}
	cmd.Flags().StringVar(&c.server, "server", "", "address of the coordinator (default: listen in the configuration)")
	cmd.Flags().StringVar(&c.apiKeyPath, "api-key-file", "", "file with the API key (default: the first one in the configuration)")
	cmd.Flags().StringVar(&c.requesterKeyPath, "requester-key", "", "the requester's private key, PEM; without it the request is not signed")
	cmd.Flags().DurationVar(&c.wait, "wait", 0, "wait this long for the request to be over")
	return cmd
}

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

// submit completes, signs and sends a request.
func (o *options) submit(ctx context.Context, c *client, body map[string]json.RawMessage) error {
	apiKey, err := c.complete(o.config)
	if err != nil {
		return err
	}
	api := caller{base: c.server, key: apiKey}
	if err := prepare(body); err != nil {
		return err
	}
	if c.requesterKeyPath != "" {
		if err := c.authorize(ctx, api, body); err != nil {
			return err
		}
	}
	answer, err := api.call(ctx, http.MethodPost, "/api/v1/sessions", body)
	if err != nil {
		return err
	}
	if err := o.printIndented(answer); err != nil || c.wait <= 0 {
		return err
	}
	var created struct {
		SinoID string `json:"sino_id"`
	}
	if err := json.Unmarshal(answer, &created); err != nil {
		return fmt.Errorf("read the coordinator's answer: %w", err)
	}
	return o.await(ctx, api, created.SinoID, c.wait)
}

// await prints the request once it is over, or as it is when the time is over.
func (o *options) await(ctx context.Context, api caller, sinoID string, wait time.Duration) error {
	const longest = 50 * time.Second // the server holds a call for a minute at most
	for end := time.Now().Add(wait); ; {
		hold := min(time.Until(end), longest)
		answer, err := api.call(ctx, http.MethodGet, "/api/v1/requests/"+url.PathEscape(sinoID)+"?wait="+strconv.Itoa(max(1, int(hold.Seconds()))), nil)
		if err != nil {
			return err
		}
		var request struct {
			State string `json:"state"`
			Error string `json:"error"`
		}
		if err := json.Unmarshal(answer, &request); err != nil {
			return fmt.Errorf("read the coordinator's answer: %w", err)
		}
		over := request.State == "completed" || request.State == "failed" || request.State == "expired"
		if !over && time.Now().Before(end) {
			continue
		}
		if err := o.printIndented(answer); err != nil {
			return err
		}
		if request.State != "completed" {
			return fmt.Errorf("the request is %s: %s", request.State, request.Error)
		}
		return nil
	}
}

// complete fills in what the flags leave open from the configuration, and reads the API key.
func (c *client) complete(configPath string) (apiKey string, err error) {
	if c.server == "" || c.apiKeyPath == "" {
		cfg, err := loadConfig(configPath)
		if err != nil {
			return "", fmt.Errorf("%w (or give --server and --api-key-file)", err)
		}
		if c.server == "" {
			c.server = cfg.Listen
		}
		if c.apiKeyPath == "" && len(cfg.APIKey) > 0 {
			c.apiKeyPath = cfg.APIKey[0].KeyPath
		}
	}
	if !strings.Contains(c.server, "://") {
		c.server = "http://" + c.server
	}
	key, err := os.ReadFile(c.apiKeyPath)
	if err != nil {
		return "", fmt.Errorf("read API key: %w", err)
	}
	return strings.TrimSpace(string(key)), nil
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
	}
	if b.SignType == "" {
		set("sign_type", map[bool]string{true: wire.SignTypeTransaction, false: wire.SignTypeRaw}[len(b.TxInfo) > 0])
	}
	return nil
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

// authorize signs the request and puts the signature into it.
func (c *client) authorize(ctx context.Context, api caller, body map[string]json.RawMessage) error {
	key, err := wire.LoadPrivateKey(c.requesterKeyPath)
	if err != nil {
		return fmt.Errorf("read the requester's key: %w", err)
	}
	var b requestBody
	if err := decodeBody(body, &b); err != nil {
		return err
	}
	terms := manifest.Terms{Type: b.RequestType, RequestID: b.RequestID, KeyID: b.KeyID, Path: b.Path, SignType: b.SignType,
		Message: b.Message, TxInfo: b.TxInfo, TapScriptRoot: b.TapScriptRoot}
	if b.SessionType == wire.TypeKeygen {
		terms = manifest.Terms{Type: wire.TypeKeygen, RequestID: b.RequestID, T: b.ThresholdT, N: b.ThresholdN, Cryptography: b.Cryptography}
		if terms.Parties, err = api.nodeIDs(ctx, b); err != nil {
			return err
		}
	}
	auth, err := manifest.Authorize(key, terms, time.Now().Add(authorizedFor))
	if err != nil {
		return err
	}
	body["authorization"], err = json.Marshal(map[string]any{"key_id": auth.KeyID, "expiry": auth.Expiry, "nonce": auth.Nonce,
		"signature": hex.EncodeToString(auth.Signature)})
	return err
}

func (o *options) printIndented(data []byte) error {
	var out bytes.Buffer
	if err := json.Indent(&out, data, "", "  "); err != nil {
		return errors.New("the coordinator's answer is not JSON")
	}
	fmt.Fprintln(o.out, strings.TrimSpace(out.String()))
	return nil
}
