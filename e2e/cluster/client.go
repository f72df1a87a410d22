package cluster

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// API is a client of the coordinator's REST interface and of the callback's admin interface.
type API struct{ c *Cluster }

// API returns a client.
func (c *Cluster) API() *API { return &API{c} }

// APIError is an answer in the error format of the API.
type APIError struct {
	Status  int
	Code    string `json:"error"`
	Message string `json:"message"`
}

// Error says what the server said.
func (e *APIError) Error() string { return fmt.Sprintf("HTTP %d %s: %s", e.Status, e.Code, e.Message) }

// call does one call; in and out are JSON.
func (a *API) call(ctx context.Context, method, target string, header http.Header, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return err
	}
	request.Header = header
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, 8<<20))
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		failure := &APIError{Status: response.StatusCode}
		if json.Unmarshal(data, failure) != nil || failure.Code == "" {
			failure.Code, failure.Message = "unexpected", strings.TrimSpace(string(data))
		}
		return failure
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%s %s answered with what is not its JSON: %w", method, target, err)
	}
	return nil
}

func (a *API) rest(ctx context.Context, method, path string, in, out any) error {
	return a.call(ctx, method, "http://"+a.c.Ports.Coordinator+path, http.Header{"X-Api-Key": {a.c.apiKey}}, in, out)
}

func (a *API) admin(ctx context.Context, method, path string, in, out any) error {
	return a.call(ctx, method, "http://"+a.c.Ports.CallbackAdmin+path, http.Header{"Authorization": {"Bearer " + a.c.token}}, in, out)
}

// Bind binds a node to the account.
func (a *API) Bind(ctx context.Context, name string, id wire.NodeID) error {
	return a.rest(ctx, http.MethodPost, "/api/v1/nodes", map[string]string{"node_id": string(id), "name": name}, nil)
}

// Submit asks for a keygen or a signature, signed by the cluster's requester, and returns the request's id.
func (a *API) Submit(ctx context.Context, terms manifest.Terms) (Request, error) {
	auth, err := a.Authorize(terms)
	if err != nil {
		return Request{}, err
	}
	return a.SubmitOrder(ctx, Order{Terms: terms, Authorization: &auth})
}

// Order is a request with what is said beside its terms.
type Order struct {
	Terms         manifest.Terms
	Authorization *manifest.Authorization // nil: nobody has signed it
	Signers       []wire.NodeID           // of a signature: who is to sign; none: whoever is online
	ExpiresIn     time.Duration           // 0: the coordinator's default
}

// Authorize signs terms as the cluster's requester.
func (a *API) Authorize(terms manifest.Terms) (manifest.Authorization, error) {
	return manifest.Authorize(a.c.Requester, terms, time.Now().Add(time.Hour))
}

// SubmitOrder is Submit with more to say.
func (a *API) SubmitOrder(ctx context.Context, o Order) (Request, error) {
	terms, signers := o.Terms, o.Signers
	body := map[string]any{"request_id": terms.RequestID}
	if o.ExpiresIn > 0 {
		body["expires_in_seconds"] = int(o.ExpiresIn.Seconds())
	}
	if auth := o.Authorization; auth != nil {
		body["authorization"] = map[string]any{"key_id": auth.KeyID, "expiry": auth.Expiry, "nonce": auth.Nonce, "signature": hex.EncodeToString(auth.Signature)}
	}
	path := "/api/v1/mpc/sign"
	if terms.IsKeygen() {
		path = "/api/v1/mpc/keygen"
		body["threshold_n"], body["threshold_t"], body["cryptography"] = terms.N, terms.T, terms.Cryptography
		signers = terms.Parties
	} else {
		body["key_id"], body["request_type"], body["sign_type"], body["path"] = terms.KeyID, terms.Type, terms.SignType, terms.Path
		if terms.Message != "" {
			body["message"] = terms.Message
		}
		if terms.TapScriptRoot != "" {
			body["tapScriptRoot"] = terms.TapScriptRoot
		}
		if len(terms.TxInfo) > 0 {
			body["tx_info"] = json.RawMessage(terms.TxInfo)
		}
	}
	if len(signers) > 0 {
		var participants []any
		for _, id := range signers {
			participants = append(participants, map[string]string{"party_id": string(id)})
		}
		body["participants"] = participants
	}
	var created struct {
		SinoID    string `json:"sino_id"`
		SessionID string `json:"session_id"`
		KeyID     string `json:"key_id"`
	}
	if err := a.rest(ctx, http.MethodPost, path, body, &created); err != nil {
		return Request{}, err
	}
	return Request{SinoID: created.SinoID, KeyID: created.KeyID}, nil
}

// Request is a request as the coordinator shows it.
type Request struct {
	SinoID       string    `json:"sino_id"`
	State        string    `json:"state"`
	Error        string    `json:"error"`
	KeyID        string    `json:"key_id"`
	PublicKey    string    `json:"public_key"`
	ChainCode    string    `json:"chain_code"`
	DerivedKey   string    `json:"derived_key"`
	Digest       string    `json:"digest"`
	Scheme       string    `json:"scheme"`
	VerifyingKey string    `json:"verifying_key"`
	Signature    string    `json:"signature"` // or ciphertext
	Encrypted    bool      `json:"encrypted"`
	RecoveryID   int       `json:"recovery_id"`
	Sessions     []Session `json:"sessions"` // oldest first
	Parties      []struct {
		PartyID  string `json:"party_id"`
		Name     string `json:"name"`
		Released bool   `json:"released"` // it gave its share to the recipient, and knows no signature
		Answer   string `json:"answer"`
		Reason   string `json:"reason"`
	} `json:"parties"`
}

// Session is one run of a request's protocol.
type Session struct {
	SessionID string `json:"session_id"`
	Status    string `json:"status"`
	Error     string `json:"error"`
}

// Final tells whether the request has ended.
func (r Request) Final() bool {
	return r.State == "completed" || r.State == "failed" || r.State == "expired"
}

// Get reads a request. wait, if positive, lets the server hold the answer until something changes.
func (a *API) Get(ctx context.Context, sinoID string, wait time.Duration) (Request, error) {
	path := "/api/v1/requests/" + url.PathEscape(sinoID)
	if wait > 0 {
		path += "?wait=" + strconv.Itoa(int(wait.Seconds()))
	}
	var r Request
	return r, a.rest(ctx, http.MethodGet, path, nil, &r)
}

// Await reads a request until check is satisfied.
func (a *API) Await(ctx context.Context, sinoID, what string, check func(Request) bool) (Request, error) {
	var last Request
	err := Eventually(ctx, what, func() (bool, error) {
		r, err := a.Get(ctx, sinoID, 0)
		if err != nil {
			return false, err
		}
		last = r
		if check(r) {
			return true, nil
		}
		if r.Final() {
			return true, fmt.Errorf("the request is %s: %s", r.State, r.Error)
		}
		return false, fmt.Errorf("the request is %s: %v", r.State, r.Parties)
	})
	return last, err
}

// Decision is a decision in the callback's log.
type Decision struct {
	ID         string `json:"id"`
	Node       string `json:"node"` // id of the node that asked
	CallbackID string `json:"callback_id"`
	Action     string `json:"action"`
	Rule       string `json:"rule"`         // the first that decided
	Wait       int    `json:"wait_seconds"` // of a Wait
	Path       string `json:"path"`
}

// Decisions lists the callback's decisions about a request, newest first; reports of results, which are in the same log, are
// none.
func (a *API) Decisions(ctx context.Context, sinoID string) ([]Decision, error) {
	var page struct {
		Decisions []Decision `json:"decisions"`
	}
	err := a.admin(ctx, http.MethodGet, "/admin/v1/decisions?sino_id="+url.QueryEscape(sinoID), nil, &page)
	return slices.DeleteFunc(page.Decisions, func(d Decision) bool { return d.Path != "/check" }), err
}

// Fired lists all rules that had a say in a decision.
func (a *API) Fired(ctx context.Context, decision string) ([]string, error) {
	var detail struct {
		Record struct {
			Fired []string `json:"fired"`
		} `json:"record"`
	}
	err := a.admin(ctx, http.MethodGet, "/admin/v1/decisions/"+url.PathEscape(decision), nil, &detail)
	return detail.Record.Fired, err
}

// Approvals lists the ids of open approvals.
func (a *API) Approvals(ctx context.Context) ([]string, error) {
	var page struct {
		Approvals []struct {
			ID string `json:"id"`
		} `json:"approvals"`
	}
	if err := a.admin(ctx, http.MethodGet, "/admin/v1/approvals?state=pending", nil, &page); err != nil {
		return nil, err
	}
	var ids []string
	for _, p := range page.Approvals {
		ids = append(ids, p.ID)
	}
	return ids, nil
}

// Metric reads one sample from a process's metrics: a name, summed over its labels, or a name with all its labels.
func (a *API) Metric(ctx context.Context, address, name string) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, 8<<20))
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for line := range strings.Lines(string(data)) {
		head, value, found := strings.Cut(strings.TrimSpace(line), " ")
		if series, _, _ := strings.Cut(head, "{"); !found || (series != name && head != name) {
			continue
		}
		v, err := strconv.ParseFloat(value[strings.LastIndex(value, " ")+1:], 64)
		if err != nil {
			return 0, fmt.Errorf("metric %s: %w", name, err)
		}
		sum += v
	}
	return sum, nil
}

// Child is a key at a path as the coordinator shows it.
type Child struct {
	DerivedKey    string `json:"derived_key"`
	EVMAddress    string `json:"evm_address"`
	SolanaAddress string `json:"solana_address"`
	Bitcoin       struct {
		P2WPKH string `json:"p2wpkh"`
		P2TR   string `json:"p2tr"`
	} `json:"bitcoin"`
}

// Child reads a key at a path.
func (a *API) Child(ctx context.Context, keyID, path string) (Child, error) {
	var child Child
	return child, a.rest(ctx, http.MethodGet, "/api/v1/keys/"+url.PathEscape(keyID)+"?path="+url.QueryEscape(path), nil, &child)
}

// Address reads the EVM address of a key at a path.
func (a *API) Address(ctx context.Context, keyID, path string) (string, error) {
	child, err := a.Child(ctx, keyID, path)
	return child.EVMAddress, err
}
