// Package coordtest has what tests of the coordinator need: a clock that is stepped, parties that say what nodes say, a key
// that signs as a finished protocol would, and a world of them around a coordinator. It is for tests only.
package coordtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"sync"
	"testing"
	"time"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/ecies"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// Clock stands still until it is stepped.
type Clock struct {
	mu  sync.Mutex // guards now
	now time.Time
}

// NewClock makes a clock that shows an hour of 2026.
func NewClock() *Clock { return &Clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

// Now is the time it shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Step moves it on.
func (c *Clock) Step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Party is a node's identity, and makes the frames that a node sends.
type Party struct {
	Name     string
	Key      *ecdsa.PrivateKey
	ID       wire.NodeID
	Instance string
	Results  *ecdsa.PrivateKey // opens what this party's results are encrypted to; nil: they are not
}

// NewParty makes one with a fresh identity.
func NewParty(t testing.TB, name string) *Party {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &Party{Name: name, Key: key, ID: wire.NodeIDOf(&key.PublicKey), Instance: name + "-1"}
}

// EncryptResults has the party state itself as the recipient of its keys' results, as encrypt-signature does.
func (p *Party) EncryptResults(t testing.TB) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p.Results = key
}

// Recipient is what the party states of itself in a keygen.
func (p *Party) Recipient(t testing.TB) string {
	t.Helper()
	if p.Results == nil {
		return ""
	}
	der, err := x509.MarshalPKIXPublicKey(&p.Results.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return Hex(der)
}

// Sealed is a report of a signature as its recipient gives it: encrypted to the party itself.
func (p *Party) Sealed(t testing.TB, r manifest.Report) manifest.Report {
	t.Helper()
	ciphertext, err := ecies.Encrypt(nil, &p.Results.PublicKey, r.Result)
	if err != nil {
		t.Fatal(err)
	}
	r.Result, r.Encrypted, r.RecoveryID = ciphertext, true, 0
	return r
}

// Released is the same report as another party gives it: it released its share.
func Released(r manifest.Report) manifest.Report {
	r.Result, r.Released, r.RecoveryID = nil, true, 0
	return r
}

// Answer is what the party says of an offer.
func Answer(session string, state linkv1.Answer_State, reason string) *linkv1.Frame {
	return &linkv1.Frame{Body: &linkv1.Frame_Answer{Answer: &linkv1.Answer{SessionId: session, State: state, Reason: reason,
		Guarded: true, CallbackId: "cb"}}}
}

// Join takes a place in a session.
func Join(session, token string) *linkv1.Frame {
	return &linkv1.Frame{Body: &linkv1.Frame_Join{Join: &linkv1.Join{SessionId: session, JoinToken: token}}}
}

// Contribution is the party's part of a binding; tag makes it another one.
func (p *Party) Contribution(t testing.TB, session string, index byte, manifestText, tag string) *linkv1.Frame {
	t.Helper()
	c := manifest.Contribution{SessionID: session, Index: index, ManifestHash: sha256.Sum256([]byte(manifestText)),
		Random: sha256.Sum256([]byte(p.Name + tag + "random")), Ephemeral: sha256.Sum256([]byte(p.Name + tag + "ephemeral"))}
	if err := c.Sign(p.Key); err != nil {
		t.Fatal(err)
	}
	return &linkv1.Frame{Body: &linkv1.Frame_Contribution{Contribution: &linkv1.Contribution{SessionId: session, Index: uint32(index),
		ManifestHash: c.ManifestHash[:], Random: c.Random[:], Ephemeral: c.Ephemeral[:], Signature: c.Signature}}}
}

// Envelope is one sealed message.
func Envelope(session string, from, to byte, seq uint64, sealed string) *linkv1.Frame {
	return &linkv1.Frame{Body: &linkv1.Frame_Envelope{Envelope: &linkv1.Envelope{SessionId: session, From: uint32(from), To: uint32(to),
		Seq: seq, Round: uint32(seq) + 1, Sealed: []byte(sealed)}}}
}

// Report signs a report; SessionID is set.
func (p *Party) Report(t testing.TB, session string, r manifest.Report) *linkv1.Frame {
	t.Helper()
	r.SessionID = session
	if err := r.Sign(p.Key); err != nil {
		t.Fatal(err)
	}
	return &linkv1.Frame{Body: &linkv1.Frame_Report{Report: &linkv1.Report{SessionId: session, Completed: r.Completed, Reason: r.Reason,
		Culprit: uint32(r.Culprit), PublicKey: r.PublicKey, ChainCode: r.ChainCode, Digest: r.Digest, Result: r.Result,
		RecoveryId: uint32(r.RecoveryID), DerivedKey: r.DerivedKey, Released: r.Released, Encrypted: r.Encrypted,
		ReportSignature: r.Signature}}}
}

// Confirmation is the party's word about its share of a key; text stands for the statement.
func (p *Party) Confirmation(t testing.TB, key string, index byte, text string, active bool) *linkv1.Frame {
	t.Helper()
	c := manifest.Confirmation{KeyID: key, Epoch: 1, Index: index, StatementHash: sha256.Sum256([]byte(text)), Active: active}
	if err := c.Sign(p.Key); err != nil {
		t.Fatal(err)
	}
	return &linkv1.Frame{Body: &linkv1.Frame_Confirmation{Confirmation: &linkv1.Confirmation{KeyId: key, Epoch: 1, Index: uint32(index),
		StatementHash: c.StatementHash[:], Active: active, Signature: c.Signature}}}
}

// Digest is some 32 bytes.
func Digest(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

// Hex is a digest as terms carry it.
func Hex(b []byte) string { return fmt.Sprintf("%x", b) }
