package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/wire"
)

// asking is one request to a running server, as a node sends it.
type asking struct {
	side     admin // where, and over what TLS; it has no token
	key      string
	replyKey string // "": of the configured node that has the key
	path     string // "": as the request type says
	newID    bool
}

// told is what `try` prints.
type told struct {
	CallbackID  string      `json:"callback_id"`
	Path        string      `json:"path"`
	Action      wire.Action `json:"action"`
	Reason      string      `json:"reason"`
	WaitSeconds int         `json:"wait_seconds"`
	ReplyKeyID  string      `json:"reply_key_id"` // its signature over the reply was verified
}

func (o *options) try() *cobra.Command {
	var a asking
	expect, asJSON := "", false
	cmd := &cobra.Command{
		Use: "try FILE", Short: "Ask a running server as a node does, to try it out: sends a signed request, and verifies the signed answer",
		Long: `Sign a request with a node's key, send it to a running server and verify its reply as that node would. FILE is the JSON body ("-"
reads standard input).

It is for trying out: the server decides in earnest. What it decides is recorded in its log; what it approves counts in windows, and
takes nonces and outputs, until it is reported as not signed; what waits can be approved. Use it against a server that is set up for tests,
with a key made for it ("callback keys generate"). A decision without any of that gives "callback policy eval".

The address, the node that has the key and the key that its replies are signed with come from the configuration; with --server and
--reply-key none is needed. A body that was sent before gets the reply of before: --new-id asks anew.`,
		Example: "  callback try request.json --key keys/node-a.pem\n  callback try request.json --key keys/node-a.pem --new-id --expect Reject --json\n" +
			"  callback try request.json --key node-a.pem --server https://callback:9090 --ca-file root.crt --reply-key reply-a_public.pem",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := o.readFile(args[0])
			if err != nil {
				return err
			}
			got, err := o.ask(cmd.Context(), &a, bytes.TrimSpace(body))
			if err != nil {
				return err
			}
			if asJSON {
				err = o.printJSON(got)
			} else {
				got.print(o.out)
			}
			if err == nil && expect != "" && !strings.EqualFold(expect, string(got.Action)) {
				err = &codedError{exitUnexpected, fmt.Errorf("%s was expected, the decision is %s", expect, got.Action)}
			}
			return err
		},
	}
	cmd.Flags().StringVar(&a.key, "key", "", "PEM file of the node's private key")
	cmd.Flags().StringVar(&a.replyKey, "reply-key", "", "PEM file of the public key that replies to this node are signed with (default: of the configured [[node]] with this key)")
	cmd.Flags().StringVar(&a.side.address, "server", "", "address where nodes ask, host:port or https://host:port (default: from the configuration)")
	cmd.Flags().StringVar(&a.side.caFile, "ca-file", "", "PEM file of roots for a server with TLS (default: the system's, or from the configuration)")
	cmd.Flags().StringVar(&a.side.cert, "client-cert", "", "PEM file of the node's client certificate; with --client-key")
	cmd.Flags().StringVar(&a.side.key, "client-key", "", "PEM file of its private key")
	cmd.Flags().StringVar(&a.path, "path", "", "where it is posted (default: /v1/check, /v1/outcome or /v1/rawdata_signature, by its request_type)")
	cmd.Flags().BoolVar(&a.newID, "new-id", false, "ask under a new callback_id instead of the file's")
	cmd.Flags().StringVar(&expect, "expect", "", "end with code 4 unless the decision is this: Approve, Reject or Wait")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	_ = cmd.MarkFlagRequired("key")
	return cmd
}

func (t *told) print(w io.Writer) {
	fmt.Fprintln(w, t.Action)
	if t.Reason != "" {
		fmt.Fprintln(w, "  "+printable(t.Reason))
	}
	if t.Action == wire.Wait {
		fmt.Fprintf(w, "  ask again in %d s\n", t.WaitSeconds)
	}
	fmt.Fprintf(w, "verified: signed with the reply key %s\n", t.ReplyKeyID)
}

// ask sends a body and returns what a reply that counts decides.
func (o *options) ask(ctx context.Context, a *asking, body []byte) (*told, error) {
	key, err := loadPrivateKey(a.key)
	if err != nil {
		return nil, fmt.Errorf("--key: %w", err)
	}
	reply, err := a.fill(o.config, &key.PublicKey)
	if err != nil {
		return nil, err
	}
	if a.newID {
		if body, err = renamed(body); err != nil {
			return nil, err
		}
	}
	var check wire.Check
	if err := json.Unmarshal(body, &check); err != nil {
		return nil, refused(errors.New("the file is no JSON object of a request"))
	}
	path := cmp.Or(a.path, pathOf(check.RequestType))
	status, answer, err := a.post(ctx, key, path, body)
	if err != nil {
		return nil, err
	}
	decision, err := wire.OpenReply(status, answer, reply, check.Asked())
	if err != nil {
		return nil, refused(err)
	}
	der, err := x509.MarshalPKIXPublicKey(reply)
	if err != nil {
		return nil, err
	}
	return &told{
		CallbackID: check.CallbackID, Path: path, Action: decision.Action, Reason: decision.Reason,
		WaitSeconds: int(decision.Wait / time.Second), ReplyKeyID: keyIDOf(der),
	}, nil
}

// pathOf is where a node posts a request of a type.
func pathOf(requestType string) string {
	switch requestType {
	case "":
		return "/v1/rawdata_signature"
	case wire.TypeOutcome:
		return "/v1/outcome"
	}
	return "/v1/check"
}

// renamed is a body under a callback_id that was never used.
func renamed(body []byte) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return nil, refused(errors.New("the file is no JSON object of a request"))
	}
	id, err := wire.NewCallbackID(nil)
	if err != nil {
		return nil, err
	}
	fields["callback_id"] = json.RawMessage(`"` + id + `"`)
	return json.Marshal(fields)
}

// fill takes from the configuration what no flag says, and returns the key under which replies to the node count.
func (a *asking) fill(configPath string, node *ecdsa.PublicKey) (*ecdsa.PublicKey, error) {
	if (a.side.cert == "") != (a.side.key == "") {
		return nil, errors.New("--client-cert and --client-key belong together")
	}
	var c *config
	if a.side.address == "" || a.replyKey == "" {
		var err error
		if c, err = loadConfig(configPath); err != nil {
			return nil, fmt.Errorf("%w (or give --server and --reply-key)", err)
		}
	}
	if a.side.address == "" {
		var err error
		if a.side.address, err = c.whereIs("callback", c.Listen); err != nil {
			return nil, err
		}
		if c.TLS.on() {
			a.side.address = "https://" + a.side.address
			if a.side.caFile == "" {
				a.side.caFile, a.side.pinned = c.TLS.CertificatePath, true
			}
		}
	}
	if a.replyKey != "" {
		return wire.LoadPublicKey(a.replyKey)
	}
	nodes, err := c.nodes()
	if err != nil {
		return nil, err
	}
	for _, n := range nodes {
		if n.PublicKey.Equal(node) {
			return &n.ReplyKey.PublicKey, nil
		}
	}
	return nil, refused(fmt.Errorf("%s has no [[node]] with the public key of %s", configPath, a.key))
}

// post sends a signed body, and returns what came back.
func (a *asking) post(ctx context.Context, key *ecdsa.PrivateKey, path string, body []byte) (status int, answer []byte, err error) {
	signature, err := wire.SignP256(key, body)
	if err != nil {
		return 0, nil, err
	}
	u, err := a.side.base()
	if err != nil {
		return 0, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(u.String(), "/")+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(wire.HeaderSignature, hex.EncodeToString(signature))
	client, err := a.side.client()
	if err != nil {
		return 0, nil, err
	}
	response, err := a.side.exchange(client, request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err = a.side.readAnswer(response)
	return response.StatusCode, answer, err
}
