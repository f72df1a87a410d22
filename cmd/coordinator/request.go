package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
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
	given := &givenFields{}
	cmd := &cobra.Command{
		Use: "request [FILE]", Short: "Sign a request for a key or a signature as its requester, and submit it",
		Long: `Take a request from FILE, the JSON body of POST /api/v1/sessions ("-" is standard input), from the flags, or from both; sign it
with the requester's key and submit it. Nodes with [authorization] take no request without such a signature; they need the
public half of the key.

  type                  key             signs
  keygen                                makes a key: --cryptography, --threshold, --participants
  sign                  ecdsa-secp256k1 ECDSA: a transaction (tx_info.rawTx), a message (--sign-type 2) or 32 bytes of hex
  sign                  eddsa-ed25519   Ed25519: the whole message in hex, up to 256 KiB
  bip340-schnorr-sign   ecdsa-secp256k1 BIP340 under the derived key's x-only form: 32 bytes of hex, or a PSBT's input
  taproot-sign          ecdsa-secp256k1 BIP340 under the BIP341 output key, with --tap-script-root where there is a script tree

sign_type is 1 (a transaction; the default with a tx_info), 2 (EIP-191 or EIP-712) or 3 (raw data). Parties are named by node id
or by the name under which they are bound; a signing names exactly as many as the key needs, or nobody. request_id is
generated if it is not there. The answer is printed; with --wait the request is printed again when it is over, or when the time is.`,
		Example: `  coordinator request --type keygen --threshold 3 --participants a,b,c --requester-key requester.pem --wait 2m
  coordinator request --type keygen --cryptography eddsa-ed25519 --threshold 2 --participants a,b,c --requester-key requester.pem
  coordinator request payment.json --requester-key requester.pem --wait 1m
  coordinator request --key-id KEY --path m/44/60/0/0/0 --tx-info transfer.json --requester-key requester.pem --wait 1m
  coordinator request --key-id KEY --path m/44/60/0/0/0 --sign-type 2 --message-file permit.json --requester-key requester.pem
  coordinator request --key-id KEY --path m/44/501/0 --message 01020304 --tx-info solana.json --requester-key requester.pem
  coordinator request --type taproot-sign --key-id KEY --path m/86/0/0 --tx-info psbt.json --requester-key requester.pem
  coordinator request --type taproot-sign --key-id KEY --path m/86/0/1 --tap-script-root HEX --sign-type 3 --message HEX --participants a,b
  coordinator request --type bip340-schnorr-sign --key-id KEY --path m/86/0/2 --tx-info runes.json --requester-key requester.pem`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			body := make(map[string]json.RawMessage)
			if len(args) == 1 {
				var err error
				if body, err = readRequest(args[0], cmd.InOrStdin()); err != nil {
					return err
				}
			} else if !given.any(cmd) {
				return errors.New("name a file with the request, or describe it by flags: coordinator request --help shows one of each kind")
			}
			if err := given.into(cmd, body); err != nil {
				return err
			}
			return o.submit(cmd.Context(), c, body)
		},
	}
	given.flags(cmd)
	cmd.Flags().StringVar(&c.server, "server", "", "address of the coordinator (default: listen in the configuration)")
	cmd.Flags().StringVar(&c.apiKeyPath, "api-key-file", "", "file with the API key (default: the first one in the configuration)")
	cmd.Flags().StringVar(&c.requesterKeyPath, "requester-key", "", "the requester's private key, PEM; without it the request is not signed")
	cmd.Flags().DurationVar(&c.wait, "wait", 0, "wait this long for the request to be over")
	return cmd
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
	if err := terms.Validate(); err != nil {
		return fmt.Errorf("the request cannot be signed as it is: %w", err)
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
