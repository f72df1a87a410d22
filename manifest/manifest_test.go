package manifest_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

var now = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func mustKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func nodeIDs(t testing.TB, n int) []wire.NodeID {
	ids := make([]wire.NodeID, n)
	for i := range ids {
		ids[i] = wire.NodeIDOf(&mustKey(t).PublicKey)
	}
	return ids
}

func keygenTerms(t testing.TB) manifest.Terms {
	return manifest.Terms{Type: wire.TypeKeygen, RequestID: "r-1", Parties: nodeIDs(t, 3), T: 2, N: 3, Cryptography: wire.ECDSASecp256k1}
}

func signTerms() manifest.Terms {
	return manifest.Terms{Type: wire.TypeSign, RequestID: "r-2", KeyID: "key", Path: "m/0", SignType: "1", Message: "00", TxInfo: []byte(`{"a":1}`), TapScriptRoot: "aa"}
}

func TestTermsValidate(t *testing.T) {
	if err := keygenTerms(t).Validate(); err != nil {
		t.Errorf("good keygen: %v", err)
	}
	if err := signTerms().Validate(); err != nil {
		t.Errorf("good sign: %v", err)
	}
	for _, tc := range []struct {
		name   string
		terms  manifest.Terms
		change func(*manifest.Terms)
		want   string
	}{
		{"no request id", signTerms(), func(x *manifest.Terms) { x.RequestID = "" }, "request_id is missing"},
		{"no key", signTerms(), func(x *manifest.Terms) { x.KeyID = "" }, "key_id is missing"},
		{"sign with parties", signTerms(), func(x *manifest.Terms) { x.Parties = nodeIDs(t, 1) }, "only a keygen"},
		{"long text", signTerms(), func(x *manifest.Terms) { x.Path = strings.Repeat("x", 257) }, "path has 257 bytes"},
		{"long message", signTerms(), func(x *manifest.Terms) { x.Message = strings.Repeat("x", manifest.MaxMessage+1) }, "message has"},
		{"keygen with message", keygenTerms(t), func(x *manifest.Terms) { x.Message = "00" }, "takes no key_id"},
		{"one of one", keygenTerms(t), func(x *manifest.Terms) { x.N, x.T = 1, 1 }, "2 to 9 parties"},
		{"ten parties", keygenTerms(t), func(x *manifest.Terms) { x.N = 10 }, "2 to 9 parties"},
		{"one signer", keygenTerms(t), func(x *manifest.Terms) { x.T = 1 }, "threshold_t is 1"},
		{"t over n", keygenTerms(t), func(x *manifest.Terms) { x.T = 4 }, "threshold_t is 4 of 3"},
		{"party missing", keygenTerms(t), func(x *manifest.Terms) { x.Parties = x.Parties[:2] }, "2 parties are named"},
		{"party twice", keygenTerms(t), func(x *manifest.Terms) { x.Parties[1] = x.Parties[0] }, "named twice"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.change(&tc.terms)
			err := tc.terms.Validate()
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

// Every field of the terms must be under the requester's signature: a change of any of them must break it.
func TestAuthorizationCoversEveryField(t *testing.T) {
	key := mustKey(t)
	pub := mustRequester(t, key.Public())
	base := signTerms()
	base.Parties, base.T, base.N, base.Cryptography = nodeIDs(t, 2), 2, 2, "x"
	auth, err := manifest.Authorize(key, base, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if err := auth.Verify(pub, base, now); err != nil {
		t.Fatalf("untouched: %v", err)
	}
	typ := reflect.TypeFor[manifest.Terms]()
	for i := range typ.NumField() {
		name := typ.Field(i).Name
		changed := base
		f := reflect.ValueOf(&changed).Elem().Field(i)
		switch f.Kind() {
		case reflect.String:
			f.SetString(f.String() + "x")
		case reflect.Int:
			f.SetInt(f.Int() + 1)
		default:
			if name == "Parties" {
				changed.Parties = []wire.NodeID{base.Parties[1], base.Parties[0]}
			} else {
				changed.TxInfo = []byte(`{"a":2}`)
			}
		}
		if auth.Verify(pub, changed, now) == nil {
			t.Errorf("the signature still verifies after %s was changed", name)
		}
		if changed.ContentHash() == base.ContentHash() {
			t.Errorf("the content hash does not cover %s", name)
		}
	}
}

func mustRequester(t testing.TB, pub crypto.PublicKey) manifest.RequesterKey {
	t.Helper()
	k, err := manifest.NewRequesterKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestAuthorizationRefused(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other := mustRequester(t, mustKey(t).Public())
	for _, key := range []crypto.Signer{mustKey(t), ed} {
		pub := mustRequester(t, key.Public())
		good, err := manifest.Authorize(key, signTerms(), now.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if err := good.Verify(pub, signTerms(), now); err != nil {
			t.Fatalf("%T: %v", key, err)
		}
		for name, tc := range map[string]struct {
			change func(*manifest.Authorization)
			key    manifest.RequesterKey
			at     time.Time
			want   string
		}{
			"expired":      {func(*manifest.Authorization) {}, pub, now.Add(time.Hour), "expired"},
			"too far":      {func(*manifest.Authorization) {}, pub, now.Add(-30 * time.Hour), "ahead"},
			"other key":    {func(*manifest.Authorization) {}, other, now, "another key"},
			"no key":       {func(*manifest.Authorization) {}, manifest.RequesterKey{}, now, "another key"},
			"short nonce":  {func(a *manifest.Authorization) { a.Nonce = "00" }, pub, now, "nonce"},
			"nonce no hex": {func(a *manifest.Authorization) { a.Nonce = strings.Repeat("x", 32) }, pub, now, "nonce is not hex"},
			"other nonce":  {func(a *manifest.Authorization) { a.Nonce = strings.Repeat("0", 32) }, pub, now, "does not verify"},
			"other expiry": {func(a *manifest.Authorization) { a.Expiry++ }, pub, now, "does not verify"},
			"no signature": {func(a *manifest.Authorization) { a.Signature = nil }, pub, now, "does not verify"},
			"flipped":      {func(a *manifest.Authorization) { a.Signature[len(a.Signature)-1] ^= 1 }, pub, now, "does not verify"},
		} {
			a := good
			a.Signature = append([]byte(nil), good.Signature...)
			tc.change(&a)
			if err := a.Verify(tc.key, signTerms(), tc.at); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%T %s: got %v, want an error with %q", key, name, err, tc.want)
			}
		}
	}
}

func TestRequesterKeys(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := manifest.NewRequesterKey(p384.Public()); err == nil {
		t.Error("a P-384 key was taken")
	}
	if _, err := manifest.NewRequesterKey("key"); err == nil {
		t.Error("a string was taken for a key")
	}
	key := mustKey(t)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := manifest.ParseRequesterKey(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	if err != nil || parsed.ID() != mustRequester(t, key.Public()).ID() || len(parsed.ID()) != 64 {
		t.Errorf("PEM gives %v, %v", parsed.ID(), err)
	}
	for _, bad := range []string{"", "x", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der[:20]}))} {
		if _, err := manifest.ParseRequesterKey([]byte(bad)); err == nil {
			t.Errorf("%q was taken for a key", bad)
		}
	}
}

// session makes the manifest and the signed contributions of a session.
func session(t testing.TB, n int) (manifest.Manifest, []*ecdsa.PrivateKey, []manifest.Contribution) {
	m := manifest.Manifest{Type: "sign", KeyID: "k", Epoch: 1, Cryptography: wire.ECDSASecp256k1, T: 2, Path: "m", Digest: make([]byte, 32)}
	keys := make([]*ecdsa.PrivateKey, n)
	for i := range keys {
		keys[i] = mustKey(t)
		m.Parties = append(m.Parties, manifest.Party{Index: byte(i + 1), NodeID: wire.NodeIDOf(&keys[i].PublicKey), Guarded: i == 0})
	}
	var all []manifest.Contribution
	for i, key := range keys {
		c := manifest.Contribution{SessionID: "s", Index: byte(i + 1), ManifestHash: m.Hash()}
		rand.Read(c.Random[:])
		rand.Read(c.Ephemeral[:])
		if err := c.Sign(key); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return m, keys, all
}

func TestBind(t *testing.T) {
	m, keys, all := session(t, 3)
	want, err := manifest.Bind(m, "s", all)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := manifest.Bind(m, "s", []manifest.Contribution{all[2], all[0], all[1]}); err != nil || got != want {
		t.Errorf("the order of contributions changes the binding: %v", err)
	}
	other := m
	other.Path = "m/1"
	if _, err := manifest.Bind(other, "s", all); !errors.Is(err, manifest.ErrManifestsDiffer) {
		t.Errorf("another manifest: got %v, want ErrManifestsDiffer", err)
	}
	for name, change := range map[string]func(c []manifest.Contribution) []manifest.Contribution{
		"one missing":       func(c []manifest.Contribution) []manifest.Contribution { return c[:2] },
		"one twice":         func(c []manifest.Contribution) []manifest.Contribution { c[2] = c[1]; return c },
		"other session":     func(c []manifest.Contribution) []manifest.Contribution { c[1].SessionID = "x"; return c },
		"random changed":    func(c []manifest.Contribution) []manifest.Contribution { c[1].Random[0] ^= 1; return c },
		"ephemeral changed": func(c []manifest.Contribution) []manifest.Contribution { c[1].Ephemeral[0] ^= 1; return c },
		"hash changed":      func(c []manifest.Contribution) []manifest.Contribution { c[1].ManifestHash[0] ^= 1; return c },
		"signed by another": func(c []manifest.Contribution) []manifest.Contribution { mustSign(t, &c[1], keys[0]); return c },
		"ephemeral repeated": func(c []manifest.Contribution) []manifest.Contribution {
			c[1].Ephemeral = c[0].Ephemeral
			mustSign(t, &c[1], keys[1])
			return c
		},
	} {
		if _, err := manifest.Bind(m, "s", change(append([]manifest.Contribution(nil), all...))); err == nil {
			t.Errorf("%s: bound", name)
		}
	}
	fresh := append([]manifest.Contribution(nil), all...)
	fresh[0].Random[0] ^= 1
	mustSign(t, &fresh[0], keys[0])
	if got, err := manifest.Bind(m, "s", fresh); err != nil || got == want {
		t.Errorf("fresh randomness of one party does not change the binding: %v", err)
	}
}

func mustSign(t testing.TB, c *manifest.Contribution, key *ecdsa.PrivateKey) {
	t.Helper()
	if err := c.Sign(key); err != nil {
		t.Fatal(err)
	}
}

// The manifest's hash must change with every field of it and of its parties.
func TestManifestHashCoversEveryField(t *testing.T) {
	base, _, _ := session(t, 2)
	base.Recipient, base.TapScriptRoot, base.Presignature, base.RequesterSignature = "r", "t", "p", []byte("s")
	seen := map[[32]byte]string{base.Hash(): "nothing"}
	note := func(name string, m manifest.Manifest) {
		if before, ok := seen[m.Hash()]; ok {
			t.Errorf("changing %s gives the hash of changing %s", name, before)
		}
		seen[m.Hash()] = name
	}
	typ := reflect.TypeFor[manifest.Manifest]()
	for i := range typ.NumField() {
		if typ.Field(i).Name == "Parties" {
			continue
		}
		m := base
		grow(reflect.ValueOf(&m).Elem().Field(i))
		note(typ.Field(i).Name, m)
	}
	party := reflect.TypeFor[manifest.Party]()
	for i := range party.NumField() {
		m := base
		m.Parties = append([]manifest.Party(nil), base.Parties...)
		grow(reflect.ValueOf(&m.Parties[1]).Elem().Field(i))
		note("Parties."+party.Field(i).Name, m)
	}
}

func grow(f reflect.Value) {
	switch f.Kind() {
	case reflect.String:
		f.SetString(f.String() + "x")
	case reflect.Int:
		f.SetInt(f.Int() + 1)
	case reflect.Uint8, reflect.Uint32:
		f.SetUint(f.Uint() + 1)
	case reflect.Bool:
		f.SetBool(!f.Bool())
	case reflect.Array:
		f.Index(0).SetUint(f.Index(0).Uint() + 1)
	case reflect.Slice:
		f.SetBytes(append(append([]byte(nil), f.Bytes()...), 1))
	default:
		panic(fmt.Sprint("no change for ", f.Kind()))
	}
}

func TestManifestValidate(t *testing.T) {
	good, _, _ := session(t, 3)
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*manifest.Manifest){
		"t of one":     func(m *manifest.Manifest) { m.T = 1 },
		"too few":      func(m *manifest.Manifest) { m.T = 4 },
		"out of order": func(m *manifest.Manifest) { m.Parties[0], m.Parties[1] = m.Parties[1], m.Parties[0] },
		"index zero":   func(m *manifest.Manifest) { m.Parties[0].Index = 0 },
		"index ten":    func(m *manifest.Manifest) { m.Parties[2].Index = 10 },
		"same node":    func(m *manifest.Manifest) { m.Parties[1].NodeID = m.Parties[0].NodeID },
	} {
		m := good
		m.Parties = append([]manifest.Party(nil), good.Parties...)
		change(&m)
		if m.Validate() == nil {
			t.Errorf("%s: valid", name)
		}
	}
}

func TestStatementsAndReports(t *testing.T) {
	key, other := mustKey(t), mustKey(t)
	id, otherID := wire.NodeIDOf(&key.PublicKey), wire.NodeIDOf(&other.PublicKey)
	c := manifest.Confirmation{KeyID: "k", Epoch: 1, Index: 2}
	r := manifest.Report{SessionID: "s", Completed: true, PublicKey: []byte{2}, Result: []byte{1}}
	if err := errors.Join(c.Sign(key), r.Sign(key)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Verify(id), r.Verify(id)); err != nil {
		t.Fatal(err)
	}
	if c.Verify(otherID) == nil || r.Verify(otherID) == nil {
		t.Error("a word of one node counts for another")
	}
	if c.Verify("sino") == nil || r.Verify("sino") == nil {
		t.Error("a malformed node id verifies something")
	}
	for i := range reflect.TypeFor[manifest.Report]().NumField() - 1 { // Signature comes last
		changed := r
		grow(reflect.ValueOf(&changed).Elem().Field(i))
		if changed.Verify(id) == nil {
			t.Errorf("a report's signature does not cover %s", reflect.TypeFor[manifest.Report]().Field(i).Name)
		}
	}
	changed := c
	changed.Active = true
	if changed.Verify(id) == nil {
		t.Error("a pending confirmation passes for an active one")
	}
}

func TestQuorumAndRecipient(t *testing.T) {
	guarded := func(g ...bool) (out []manifest.Party) {
		for i, x := range g {
			out = append(out, manifest.Party{Index: byte(i + 1), Guarded: x})
		}
		return out
	}
	for _, tc := range []struct {
		parties []manifest.Party
		t       int
		want    bool
	}{
		{guarded(true, false, false), 3, false}, {guarded(true, false, false), 2, true}, {guarded(true, true, false), 2, false},
		{guarded(false, false, false), 3, true},
	} {
		if got := manifest.UnguardedQuorum(tc.parties, tc.t); got != tc.want {
			t.Errorf("UnguardedQuorum(%v, %d) = %t", tc.parties, tc.t, got)
		}
	}
	parties := guarded(true, true, true)
	if r, err := manifest.ResultRecipient(parties); r != "" || err != nil {
		t.Errorf("no recipient: %q, %v", r, err)
	}
	parties[1].Recipient = "x"
	if r, err := manifest.ResultRecipient(parties); r != "x" || err != nil {
		t.Errorf("one recipient: %q, %v", r, err)
	}
	parties[2].Recipient = "y"
	if _, err := manifest.ResultRecipient(parties); err == nil {
		t.Error("two recipients were taken")
	}
}

func TestDigest(t *testing.T) {
	message := []byte("a message of a Solana transaction, say")
	if got := manifest.Digest(wire.ECDSASecp256k1, message); !bytes.Equal(got, message) {
		t.Errorf("secp256k1 signs %x, the digest says %x", message, got)
	}
	if got, want := manifest.Digest(wire.EdDSAEd25519, message), sha256.Sum256(message); !bytes.Equal(got, want[:]) {
		t.Errorf("Ed25519: %x, want SHA-256 of the message", got)
	}
}
