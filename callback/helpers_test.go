package callback_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/bolt/ledgerstore"
	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/rego"
	"github.com/countersign-mpc/countersign/wire"
)

const (
	vectorDir  = "../testdata/callback"
	adminToken = "0123456789abcdef0123456789abcdef-token"
)

func must[T any](t testing.TB) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func privateKey(t testing.TB, name string) *ecdsa.PrivateKey {
	t.Helper()
	return must[*ecdsa.PrivateKey](t)(wire.LoadPrivateKey(filepath.Join(vectorDir, name+"_private.pem")))
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	return must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
}

func spki(t testing.TB, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	return must[[]byte](t)(x509.MarshalPKIXPublicKey(&key.PublicKey))
}

// keyID is how a requester's or an approver's key is named.
func keyID(t testing.TB, key *ecdsa.PrivateKey) string {
	t.Helper()
	sum := sha256.Sum256(spki(t, key))
	return hex.EncodeToString(sum[:])
}

// clock is stepped by hand.
type clock struct {
	mu   sync.Mutex // guards the fields below
	wall time.Time
	mono time.Duration
}

func newClock() *clock { return &clock{wall: time.Date(2027, 1, 15, 8, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall
}

func (c *clock) Elapsed() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mono
}

func (c *clock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall, c.mono = c.wall.Add(d), c.mono+d
}

// jump sets the wall clock, which no time passing does.
func (c *clock) jump(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall = c.wall.Add(d)
}

// world is a server over a real ledger, with its two sides on real sockets.
type world struct {
	t        testing.TB
	store    ledger.Store
	ledger   *ledger.Ledger
	live     *policy.Live
	server   *callback.Server
	clock    *clock
	nodeKey  *ecdsa.PrivateKey // of node a
	replyKey *ecdsa.PrivateKey // for node a
	nodeB    *ecdsa.PrivateKey
	replyB   *ecdsa.PrivateKey
	people   *people
	logged   *lockedBuffer
	api      string // URL
	admin    string // URL
	dataPath string
}

// people are the approvers of the test data.
type people struct{ alice, bob, carol *ecdsa.PrivateKey }

func (p *people) key(name string) *ecdsa.PrivateKey {
	return map[string]*ecdsa.PrivateKey{"alice": p.alice, "bob": p.bob, "carol": p.carol}[name]
}

var team = sync.OnceValue(func() *people {
	make := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		return key
	}
	return &people{make(), make(), make()}
})

type lockedBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// options change the world of a test.
type options struct {
	data  func(map[string]any) // changes the policy's data
	wrap  func(ledger.Store) ledger.Store
	cfg   func(*callback.Config)
	store ledger.Store // instead of a new one
	live  *policy.Live // instead of one over data
}

func newWorld(t testing.TB, o options) *world {
	t.Helper()
	w := &world{
		t: t, clock: newClock(), nodeKey: privateKey(t, "mpc_node"), replyKey: privateKey(t, "callback_server"),
		nodeB: newKey(t), replyB: newKey(t), people: team(), logged: &lockedBuffer{}, store: o.store,
	}
	if w.store == nil {
		store := must[*ledgerstore.Store](t)(ledgerstore.Open(ledgerstore.Config{Path: filepath.Join(t.TempDir(), "callback.db")}))
		t.Cleanup(func() { ok(t, store.Close()) })
		w.store = store
	}
	if o.wrap != nil {
		w.store = o.wrap(w.store)
	}
	w.ledger = must[*ledger.Ledger](t)(ledger.New(context.Background(), ledger.Config{Store: w.store, Clock: w.clock, Origin: "test/callback"}))
	w.policy(o)
	cfg := callback.Config{
		Ledger: w.ledger, Policy: w.live, AdminToken: secret.Copy([]byte(adminToken)), Clock: w.clock, RateLimit: -1,
		ResultKey: must[*callback.ResultKey](t)(callback.ParseResultKey(resultKeyFile)),
		Log:       slog.New(slog.NewTextHandler(w.logged, nil)), Version: "test",
		Nodes: []callback.Node{
			{Name: "a", PublicKey: &w.nodeKey.PublicKey, ReplyKey: w.replyKey, DecryptKey: privateKey(t, "decrypt_sig")},
			{Name: "b", PublicKey: &w.nodeB.PublicKey, ReplyKey: w.replyB},
		},
	}
	if o.cfg != nil {
		o.cfg(&cfg)
	}
	w.server = must[*callback.Server](t)(callback.New(cfg))
	api, admin := httptest.NewServer(w.server.Handler()), httptest.NewServer(w.server.Admin())
	t.Cleanup(api.Close)
	t.Cleanup(admin.Close)
	w.api, w.admin = api.URL, admin.URL
	return w
}

// standard is the policy that most tests share: it takes a while to build.
var standard = sync.OnceValues(func() (*policy.Live, error) { return liveOver(nil) })

// liveOver is the shipped policy over the tests' data.
func liveOver(change func(map[string]any)) (*policy.Live, error) {
	dir, err := os.MkdirTemp("", "callback-test-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	data, err := json.Marshal(testData(change))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "data.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return nil, err
	}
	return policy.NewLive(context.Background(), policy.LiveConfig{
		Read: func() (*policy.Source, error) { return policy.Load(rego.FS(), path) }, Engine: policy.Config{Timeout: 30 * time.Second},
	})
}

func (w *world) policy(o options) {
	w.t.Helper()
	switch {
	case o.live != nil:
		w.live = o.live
	case o.data == nil:
		w.live = must[*policy.Live](w.t)(standard())
	default:
		w.dataPath = filepath.Join(w.t.TempDir(), "data.json")
		w.writeData(testData(o.data))
		w.live = must[*policy.Live](w.t)(policy.NewLive(context.Background(), policy.LiveConfig{
			Read: func() (*policy.Source, error) { return policy.Load(rego.FS(), w.dataPath) }, Engine: policy.Config{Timeout: 30 * time.Second},
		}))
	}
}

func (w *world) writeData(data map[string]any) {
	w.t.Helper()
	ok(w.t, os.WriteFile(w.dataPath, must[[]byte](w.t)(json.Marshal(data)), 0o600))
}

// resultKeyFile is one key for all servers of the tests, so that one can be started again in another process.
var resultKeyFile = []byte("countersign/callback-result-key/v1\n" + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n")

// usdt is the token of the vectors; key is their root public key.
const (
	usdt      = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
	recipient = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
	rootKey   = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
)

// party is a node id of the vectors.
func party(i string) string {
	return "sinoMzA1OTMwMTMwNjA3MmE4NjQ4Y2UzZDAyMDEwNjA4MmE4NjQ4Y2UzZDAzMDEwNzAzNDIwMDA00" + i + "="
}

// testData allows what the vectors ask for, by the vectors' own terms: nothing else.
func testData(change func(map[string]any)) map[string]any {
	approver := func(key *ecdsa.PrivateKey) map[string]any {
		der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
		if err != nil {
			panic(err)
		}
		return map[string]any{"public_key": base64.StdEncoding.EncodeToString(der)}
	}
	tier := func(above string) map[string]any {
		return map[string]any{
			"above": above, "group": "treasury", "threshold": 2, "expiry_seconds": 3600, "wait_seconds": 15, "not_requester": true, "rejection_final": true,
		}
	}
	data := map[string]any{
		"format":        policy.DataFormat,
		"request_types": []string{"keygen", "sign", "bip340-schnorr-sign", "taproot-sign", "pre-sign-online"},
		"chains": map[string]any{
			"ETH": map[string]any{"family": "evm", "chain_id": 1, "amount_unit": "base", "assets": map[string]any{
				"ETH":      map[string]any{"kind": "native", "decimals": 18},
				"USDT_ETH": map[string]any{"kind": "erc20", "contract": usdt, "decimals": 6},
			}},
			"BTC": map[string]any{"family": "utxo", "network": "testnet", "amount_unit": "base", "assets": map[string]any{
				"BTC_BTC": map[string]any{"kind": "native", "decimals": 8},
			}},
		},
		"keygen": map[string]any{
			"parties": map[string]any{party("0"): "a", party("1"): "b", party("2"): "c"},
			"schemes": []any{
				map[string]any{"cryptography": "ecdsa-secp256k1", "t": 3, "n": 3}, map[string]any{"cryptography": "eddsa-ed25519", "t": 2, "n": 3},
			},
		},
		"gas": map[string]any{"ETH": map[string]any{"max_fee": "1"}},
		"limits": map[string]any{
			"ETH": map[string]any{"USDT_ETH": []any{map[string]any{"max": "100000", "approvals": []any{tier("10000")}}}},
			"BTC": map[string]any{"BTC_BTC": []any{map[string]any{"max": "1"}}},
		},
		"addresses": map[string]any{
			"ETH": map[string]any{"allow": map[string]any{recipient: "payroll"}},
			"BTC": map[string]any{"allow_any": true, "own": map[string]any{"mwTnMZzAvUzVCQKGkdcAHYW1sMnJCumbJL": "the vectors' wallet"}},
		},
		"utxo": map[string]any{"BTC": map[string]any{"max_fee": "0.0001", "max_fee_rate": 20}},
		"evidence": map[string]any{"unverifiable": map[string]any{
			"ETH": map[string]any{"codes": []string{"no-raw-tx"}, "any_requester": true},
			"BTC": map[string]any{"codes": []string{"no-raw-tx"}, "any_requester": true},
		}},
		"messages": map[string]any{rootKey: map[string]any{"any_requester": true, "text": []string{"(?s).*"}, "bytes": true, "typed_data": []string{"mail"}}},
		"typed_data": map[string]any{"mail": map[string]any{
			"domain": map[string]any{"name": "Ether Mail"}, "primary_types": []string{"Mail"},
		}},
		"raw":       map[string]any{},
		"pre_sign":  map[string]any{},
		"approvers": map[string]any{"alice": approver(team().alice), "bob": approver(team().bob), "carol": approver(team().carol)},
		"groups":    map[string]any{"treasury": map[string]any{"members": []string{"alice", "bob", "carol"}}},
	}
	if change != nil {
		change(data)
	}
	return data
}

// answer is what a server sent.
type answer struct {
	status int
	body   string
	header http.Header
}

// post signs a body with a node's key and sends it.
func (w *world) post(key *ecdsa.PrivateKey, path, body string) answer {
	w.t.Helper()
	return w.send(path, body, http.Header{"Signature": {hex.EncodeToString(must[[]byte](w.t)(wire.SignP256(key, []byte(body))))}})
}

func (w *world) send(path, body string, header http.Header) answer {
	w.t.Helper()
	r := must[*http.Request](w.t)(http.NewRequest(http.MethodPost, w.api+path, strings.NewReader(body)))
	for name, values := range header { // as it stands: the guide's spelling is not canonical
		r.Header[name] = values
	}
	return do(w.t, r)
}

func do(t testing.TB, r *http.Request) answer {
	t.Helper()
	response := must[*http.Response](t)(http.DefaultClient.Do(r))
	defer response.Body.Close()
	return answer{response.StatusCode, string(must[[]byte](t)(io.ReadAll(response.Body))), response.Header}
}

// ask has node a ask about a check and reads the reply as a node does.
func (w *world) ask(c *wire.Check) (*wire.Decision, answer) {
	w.t.Helper()
	body, signature, err := wire.SealCheck(w.nodeKey, c)
	ok(w.t, err)
	path := map[string]string{"": "/v1/rawdata_signature", wire.TypeOutcome: "/v1/outcome"}[c.RequestType]
	if path == "" {
		path = "/v1/check"
	}
	a := w.send(path, string(body), http.Header{"Signature": {signature}})
	return w.decision(a, &w.replyKey.PublicKey, c.Asked()), a
}

// decision reads a reply by the rules of a node.
func (w *world) decision(a answer, pub *ecdsa.PublicKey, asked wire.Asked) *wire.Decision {
	w.t.Helper()
	d, err := wire.OpenReply(a.status, []byte(a.body), pub, asked)
	if err != nil {
		w.t.Fatalf("the reply does not count: %v\n%s", err, a.body)
	}
	return d
}

// want checks an action and that the reason says each of the texts.
func want(t testing.TB, d *wire.Decision, action wire.Action, says ...string) {
	t.Helper()
	if d.Action != action {
		t.Fatalf("the action is %s, want %s: %s", d.Action, action, d.Reason)
	}
	for _, text := range says {
		if !strings.Contains(d.Reason, text) {
			t.Errorf("the reason %q does not say %q", d.Reason, text)
		}
	}
}
