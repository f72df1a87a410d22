package ledgertest

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// Origin is the log's origin in tests.
const Origin = "test.example/countersign"

// Clock is a ledger.Clock that stands still until it is moved.
type Clock struct {
	mu   sync.Mutex // guards the fields below
	wall time.Time
	mono time.Duration
}

// Epoch is the time at which a new Clock stands.
var Epoch = time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)

// NewClock returns a clock at Epoch.
func NewClock() *Clock { return &Clock{wall: Epoch} }

// Now implements ledger.Clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall
}

// Elapsed implements ledger.Clock.
func (c *Clock) Elapsed() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mono
}

// Advance lets time pass.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall, c.mono = c.wall.Add(d), c.mono+d
}

// Jump sets the clock forth or back without time passing.
func (c *Clock) Jump(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall = c.wall.Add(d)
}

// MustOpen opens a ledger over a store.
func MustOpen(t testing.TB, store ledger.Store, clock ledger.Clock) *ledger.Ledger {
	t.Helper()
	l, err := ledger.New(context.Background(), ledger.Config{Store: store, Clock: clock, Origin: Origin})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Ask makes an ask of node a about what stands in body.
func Ask(callbackID, body string) ledger.Ask {
	digest := sha256.Sum256([]byte("digest of " + body))
	return ledger.Ask{
		Node: "node-a", Path: wire.PathCheck, CallbackID: callbackID, BodyHash: sha256.Sum256([]byte(body)),
		SinoID: "sino-" + callbackID, RequestID: "request-" + body, RequestType: wire.TypeSign,
		IntentHash: sha256.Sum256([]byte("intent of " + body)), Digests: [][]byte{digest[:]},
	}
}

// Give returns an evaluation with a fixed verdict.
func Give(v ledger.Verdict) ledger.EvaluateFunc {
	return func(context.Context, ledger.State) (ledger.Verdict, error) { return v, nil }
}

// Verdict makes a verdict with an input that tells its ask.
func Verdict(action wire.Action, r *ledger.Requirement) ledger.Verdict {
	return ledger.Verdict{
		Action: action, Requirement: r, Revision: "rev-1", Fired: []string{"test.rule"},
		Reasons: []ledger.Reason{{Rule: "test.rule", Severity: action, Message: "because <tests> say so"}},
		Input:   json.RawMessage(`{ "a": "<&>",   "n": 100000000000000000000000000000001 }`),
	}
}

// Reply is a ReplyFunc whose bytes show the whole outcome.
func Reply(o ledger.Outcome) ([]byte, error) {
	approval := ""
	if o.Approval != nil {
		approval = o.Approval.ID
	}
	return fmt.Appendf(nil, "%s %s %d %s %s", o.ID, o.Action, o.WaitSeconds, o.Revision, approval), nil
}

// MustDecide decides, and fails the test if that fails.
func MustDecide(t testing.TB, l *ledger.Ledger, a ledger.Ask, v ledger.Verdict) ledger.Result {
	t.Helper()
	res, err := l.Decide(context.Background(), a, Give(v), Reply)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// Approver is an approver with a key that signs.
type Approver struct {
	ledger.Approver
	p256    *ecdsa.PrivateKey
	ed25519 ed25519.PrivateKey
}

// NewApprover makes one with a P-256 key.
func NewApprover(t testing.TB, name string) *Approver {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &Approver{Approver: ledger.Approver{Name: name, PublicKey: mustSPKI(t, key.Public())}, p256: key}
}

// NewEd25519Approver makes one with an Ed25519 key.
func NewEd25519Approver(t testing.TB, name string) *Approver {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &Approver{Approver: ledger.Approver{Name: name, PublicKey: mustSPKI(t, pub)}, ed25519: key}
}

func mustSPKI(t testing.TB, pub any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// Sign makes a vote.
func (a *Approver) Sign(t testing.TB, approval ledger.Approval, kind ledger.VoteKind) ledger.Signed {
	t.Helper()
	return ledger.Signed{Approver: a.Name, Decision: kind, Signature: a.sign(t, ledger.ApprovalSigningBytes(approval, kind))}
}

// SignProposal makes a vote on a proposal.
func (a *Approver) SignProposal(t testing.TB, p ledger.Proposal, kind ledger.VoteKind) ledger.Signed {
	t.Helper()
	return ledger.Signed{Approver: a.Name, Decision: kind, Signature: a.sign(t, ledger.PolicyChangeSigningBytes(p, kind))}
}

func (a *Approver) sign(t testing.TB, msg []byte) []byte {
	t.Helper()
	if a.ed25519 != nil {
		return ed25519.Sign(a.ed25519, msg)
	}
	sig, err := wire.SignP256(a.p256, msg)
	must(t, err)
	return sig
}

// Require makes a requirement of an hour.
func Require(threshold int, approvers ...*Approver) *ledger.Requirement {
	r := &ledger.Requirement{Rule: "test.large", Group: "treasury", GroupRevision: "g1", Threshold: threshold, LifetimeSeconds: 3600}
	for _, a := range approvers {
		r.Approvers = append(r.Approvers, a.Approver)
	}
	return r
}
