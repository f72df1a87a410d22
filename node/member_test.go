package node_test

import (
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	secpecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/node"
	"github.com/countersign-mpc/countersign/wire"
)

// member is a real node in a hall.
type member struct {
	h        *hall
	path     string
	store    *keystore.Store
	settings *settings
	all      node.Settings // in place of settings, if set
	toys     *toys
	log      *logBuffer
	node     *node.Node
	id       wire.NodeID
	tend     time.Duration // how often the node looks for what has expired; 0: the default
	limits   node.Limits
	persist  func(contents func(io.Writer) error) error // of the store
}

// member makes a node that is initialised, unsealed and linked. It asks nobody.
func (h *hall) member() *member {
	h.t.Helper()
	m := &member{h: h, path: filepath.Join(h.t.TempDir(), "asset.db"), settings: &settings{parties: make(map[wire.NodeID]bool)}, toys: &toys{t: h.t}, log: &logBuffer{}}
	m.open()
	id, err := m.node.Init(context.Background(), pass(password))
	must(h.t, err)
	m.id = id.NodeID
	h.do(func() { h.parties = append(h.parties, m.id) })
	m.unseal()
	return m
}

// open makes the node over its store.
func (m *member) open() {
	m.h.t.Helper()
	t := m.h.t
	var err error
	m.store, err = keystore.Open(keystore.Config{Path: m.path, Argon2: cheap, Persist: m.persist})
	must(t, err)
	config := node.Settings(m.settings)
	if m.all != nil {
		config = m.all
	}
	n, err := node.New(node.Config{Store: m.store, Settings: config, Protocols: m.toys, LinkURL: m.h.url, Software: "test",
		Log: slog.New(slog.NewTextHandler(m.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Clock: m.h.clock.Now, MinBackoff: time.Millisecond, TendEvery: m.tend, Limits: m.limits})
	must(t, err)
	m.node = n
	t.Cleanup(func() {
		if err := n.Close(); err != nil && !errors.Is(err, keystore.ErrClosed) && !(m.persist != nil && errors.Is(err, keystore.ErrFailed)) {
			t.Errorf("close: %v", err)
		}
	})
}

// unseal unseals the node and waits for its link.
func (m *member) unseal() {
	m.h.t.Helper()
	var before port
	m.h.do(func() { before = m.h.ports[m.id] })
	must(m.h.t, m.node.Unseal(context.Background(), pass(password)))
	m.h.await("link of a node", func() bool { return m.h.ports[m.id] != nil && m.h.ports[m.id] != before })
}

// crash puts in the node's place one that knows only what is on the disk at this moment.
func (m *member) crash() {
	m.h.t.Helper()
	data, err := os.ReadFile(m.path)
	must(m.h.t, err)
	m.h.do(func() { m.h.ports[m.id] = nil })
	must(m.h.t, m.node.Close())
	m.path = filepath.Join(m.h.t.TempDir(), "asset.db")
	must(m.h.t, os.WriteFile(m.path, data, 0o600))
	m.open()
	m.unseal()
}

// restart stops the node with grace and starts it again.
func (m *member) restart() {
	m.h.t.Helper()
	must(m.h.t, m.node.Close())
	m.open()
	m.unseal()
}

// key is what the node says of a key; nil if it holds none of that id.
func (m *member) key(id string) *node.KeyInfo {
	m.h.t.Helper()
	info, err := m.node.Info()
	must(m.h.t, err)
	for _, k := range info.Keys {
		if k.KeyID == id {
			return &k
		}
	}
	return nil
}

// record reads a record as it is stored.
func (m *member) record(bucket, key string) map[string]any {
	m.h.t.Helper()
	data, err := m.store.Get(bucket, key)
	must(m.h.t, err)
	var out map[string]any
	must(m.h.t, json.Unmarshal(data, &out))
	return out
}

// guarded gives the node a callback.
func (m *member) guarded(always wire.Action) *guard {
	g := newGuard(always)
	m.settings.change(func(s *settings) { s.guard = g })
	return g
}

// introduce puts everybody on everybody's allow-list.
func (h *hall) introduce(members ...*member) {
	h.do(func() {
		for _, m := range members {
			m.settings.change(func(s *settings) {
				for _, id := range h.parties {
					s.parties[id] = true
				}
			})
		}
	})
}

// trio is three members with a callback at the first that approves everything.
type trio struct {
	*hall
	a, b, c *member
	guard   *guard
	all     []manifest.Party
	keyID   string
	public  []byte
}

// newTrio makes the members and no key.
func newTrio(t testing.TB) *trio {
	t.Helper()
	h := newHall(t)
	r := &trio{hall: h, a: h.member(), b: h.member(), c: h.member(), keyID: "key-1"}
	h.introduce(r.a, r.b, r.c)
	r.guard = r.a.guarded(wire.Approve)
	r.all = parties(r.a.id, r.b.id, r.c.id)
	return r
}

// newSigners makes the members and a 3-of-3 key that is active everywhere.
func newSigners(t testing.TB) *trio {
	t.Helper()
	r := newTrio(t)
	s := r.offer(r.keygen(3))
	r.awaitActive(r.keyID, r.a, r.b, r.c)
	r.public = r.awaitReport(s, r.a.id).PublicKey
	return r
}

func parties(ids ...wire.NodeID) []manifest.Party {
	var out []manifest.Party
	for i, id := range ids {
		out = append(out, manifest.Party{Index: byte(i + 1), NodeID: id})
	}
	return out
}

// keygen asks for a t-of-3 key.
func (r *trio) keygen(t int) ask { return keygenOf(r.number("sino"), r.keyID, t, r.all) }

func keygenOf(sino, keyID string, t int, all []manifest.Party) ask {
	terms := manifest.Terms{Type: wire.TypeKeygen, RequestID: "request-" + sino, T: t, N: len(all), Cryptography: wire.ECDSASecp256k1}
	for _, p := range all {
		terms.Parties = append(terms.Parties, p.NodeID)
	}
	return ask{sino: sino, keyID: keyID, terms: terms, parties: all}
}

// signing asks for a signature over 32 bytes of raw data.
func (r *trio) signing() ask {
	sino := r.number("sino")
	digest := [32]byte{1, 2, 3}
	copy(digest[8:], sino)
	return ask{sino: sino, parties: r.all, terms: manifest.Terms{Type: wire.TypeSign, RequestID: "request-" + sino, KeyID: r.keyID,
		Path: "m/44/60/0/0/0", SignType: wire.SignTypeRaw, Message: hexOf(digest[:])}}
}

// awaitActive waits until a key is active at all that are named.
func (h *hall) awaitActive(keyID string, members ...*member) {
	h.t.Helper()
	h.await("active key "+keyID, func() bool {
		for _, m := range members {
			if h.words[keyID][fmt.Sprint(string(m.id), true)] == nil {
				return false
			}
		}
		return true
	})
	for _, m := range members {
		if k := m.key(keyID); k == nil || k.State != node.KeyActive || (k.EVM == "") == (k.Solana == "") {
			h.t.Fatalf("key is %+v", k)
		}
	}
}

// mustSign has a request signed and checks the signature with a library that is not the project's.
func (r *trio) mustSign(a ask) *linkv1.Report {
	r.t.Helper()
	s := r.offer(a)
	var last *linkv1.Report
	for _, p := range a.parties {
		report := r.awaitReport(s, p.NodeID)
		if !report.Completed {
			r.t.Fatalf("the session failed at party %d: %s", p.Index, report.Reason)
		}
		if last != nil && hexOf(last.Result) != hexOf(report.Result) {
			r.t.Fatal("parties report different signatures")
		}
		last = report
	}
	mustVerify(r.t, last)
	return last
}

func mustVerify(t testing.TB, r *linkv1.Report) {
	t.Helper()
	key, err := secp256k1.ParsePubKey(r.DerivedKey)
	must(t, err)
	var x, y secp256k1.ModNScalar
	if len(r.Result) != 64 || x.SetByteSlice(r.Result[:32]) || y.SetByteSlice(r.Result[32:]) || !secpecdsa.NewSignature(&x, &y).Verify(r.Digest, key) {
		t.Fatalf("the signature %x of %x does not verify", r.Result, r.Digest)
	}
}

// authorized signs an ask as a requester would.
func (a ask) authorized(t testing.TB, key *ecdsa.PrivateKey, expiry time.Time) ask {
	t.Helper()
	auth, err := manifest.Authorize(key, a.terms, expiry)
	must(t, err)
	a.auth = &auth
	return a
}

func only(all []manifest.Party, indices ...byte) []manifest.Party {
	var out []manifest.Party
	for _, p := range all {
		if slices.Contains(indices, p.Index) {
			out = append(out, p)
		}
	}
	return out
}
