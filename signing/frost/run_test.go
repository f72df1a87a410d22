package frost_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	btcec "github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/frost"
	"github.com/countersign-mpc/countersign/signing/signingtest"
)

var (
	digest  = sha256.Sum256([]byte("what is signed"))
	tapRoot = sha256.Sum256([]byte("a script tree"))
)

// run is one signature: what all signers are given, and by whom it is signed.
type run struct {
	shares    []*signing.Share // of the signers
	scheme    derive.Scheme
	path      string
	root      []byte
	message   []byte
	recipient signing.PartyID
	// change, if set, spoils what one party is given.
	change func(id signing.PartyID, c *frost.SignConfig)
}

func (r run) signers() []signing.PartyID {
	var out []signing.PartyID
	for _, s := range r.shares {
		out = append(out, s.Index())
	}
	return out
}

func derived(t signingtest.TB, share *signing.Share, path string) derive.Derived {
	t.Helper()
	p, err := derive.ParsePath(path)
	if err != nil {
		t.Fatalf("path: %v", err)
	}
	code := share.ChainCode()
	d, err := derive.Child(share.Algorithm().String(), share.PublicKey(), code[:], p)
	if err != nil {
		t.Fatalf("derive: %v", err)
	}
	return d
}

func binding(name string) [32]byte { return sha256.Sum256([]byte("test binding " + name)) }

// config is what the party with a share is given.
func (r run) config(t signingtest.TB, share *signing.Share) frost.SignConfig {
	t.Helper()
	c := frost.SignConfig{
		Binding: binding("run"), Share: share, Signers: r.signers(), Scheme: r.scheme,
		Derived: derived(t, share, r.path), TapScriptRoot: r.root, Message: r.message, Recipient: r.recipient,
	}
	if r.change != nil {
		r.change(share.Index(), &c)
	}
	return c
}

// start starts a session for every signer.
func (r run) start(t signingtest.TB) *signingtest.Network {
	t.Helper()
	sessions := map[signing.PartyID]signing.SignSession{}
	for _, share := range r.shares {
		s, err := frost.NewSign(r.config(t, share))
		if err != nil {
			t.Fatalf("start party %d: %v", share.Index(), err)
		}
		sessions[share.Index()] = s
	}
	return signingtest.NewNetwork(sessions)
}

// mustSign demands that every signer that learns the signature has the same one, that nobody else has it, and that
// verifiers that are not this project's accept it.
func (r run) mustSign(t signingtest.TB, network *signingtest.Network) {
	t.Helper()
	for id, err := range network.Run() {
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
	}
	var signature *signing.Signature
	for id, session := range network.Sessions {
		got, err := session.(signing.SignSession).Signature()
		if r.recipient != 0 && id != r.recipient {
			if !errors.Is(err, signing.ErrForRecipient) || got != (signing.Signature{}) {
				t.Fatalf("%s, which is not the recipient, has %x, %v", id, got.Bytes, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		if signature != nil && got != *signature {
			t.Fatalf("%s has another signature", id)
		}
		signature = &got
	}
	if signature.RecoveryID != 0 {
		t.Fatalf("recovery id %d", signature.RecoveryID)
	}
	r.mustVerify(t, signature.Bytes[:])
}

// mustVerify verifies by btcec or by crypto/ed25519, under a key that neither this package nor derive has computed
// from tweaks.
func (r run) mustVerify(t signingtest.TB, signature []byte) {
	t.Helper()
	key := derived(t, r.shares[0], r.path).PublicKey
	if r.scheme == derive.SchemeEd25519 {
		if !ed25519.Verify(key, r.message, signature) {
			t.Fatalf("crypto/ed25519 does not verify %x", signature)
		}
		return
	}
	public, err := btcec.ParsePubKey(key)
	if err != nil {
		t.Fatalf("derived key: %v", err)
	}
	if r.scheme == derive.SchemeTaproot {
		public = taprootKey(public, r.root)
	}
	parsed, err := schnorr.ParseSignature(signature)
	if err != nil || !parsed.Verify(r.message, public) {
		t.Fatalf("btcec does not verify %x: %v", signature, err)
	}
}

// taprootKey is taproot_tweak_pubkey of BIP341.
func taprootKey(internal *btcec.PublicKey, root []byte) *btcec.PublicKey {
	x := schnorr.SerializePubKey(internal)
	tag := sha256.Sum256([]byte("TapTweak"))
	hash := sha256.Sum256(append(append(append(tag[:], tag[:]...), x...), root...))
	var tweak btcec.ModNScalar
	tweak.SetBytes(&hash)
	even, err := schnorr.ParsePubKey(x)
	if err != nil {
		panic(err) // cannot be: encoded above
	}
	var p, t, q btcec.JacobianPoint
	even.AsJacobian(&p)
	btcec.ScalarBaseMultNonConst(&tweak, &t)
	btcec.AddNonConst(&p, &t, &q)
	q.ToAffine()
	return btcec.NewPublicKey(&q.X, &q.Y)
}

// mustAbort demands how sessions ended: by an abort with that culprit (0: nobody) and reason.
func mustAbort(t *testing.T, ended map[signing.PartyID]error, want map[signing.PartyID]signing.PartyID, reason string) {
	t.Helper()
	for id, culprit := range want {
		var abort *signing.Abort
		if !errors.As(ended[id], &abort) {
			t.Errorf("%s ended with %v, not an abort", id, ended[id])
			continue
		}
		if abort.Culprit != culprit {
			t.Errorf("%s blames %d, want %d: %v", id, abort.Culprit, culprit, abort)
		}
		if !strings.Contains(abort.Error(), reason) {
			t.Errorf("%s: %v, want %q", id, abort, reason)
		}
	}
}
