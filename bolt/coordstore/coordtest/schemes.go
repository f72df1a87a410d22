package coordtest

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"math/big"
	"testing"

	"filippo.io/edwards25519"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// NewEd25519Wallet makes the Ed25519 key of a seed.
func NewEd25519Wallet(seed string) *Wallet {
	root := edwardsScalar([]byte(seed))
	return &Wallet{Cryptography: wire.EdDSAEd25519, edwards: root, PublicKey: new(edwards25519.Point).ScalarBaseMult(root).Bytes(),
		ChainCode: Digest(seed + " chain code")}
}

// Sign is the report of a signature of a message by what the terms ask for: type, path and tapScriptRoot.
func (w *Wallet) Sign(t testing.TB, terms manifest.Terms, message []byte) manifest.Report {
	t.Helper()
	scheme, err := derive.SchemeOf(terms.Type, w.Cryptography)
	if err != nil {
		t.Fatal(err)
	}
	if scheme == derive.SchemeECDSA {
		return w.Signed(t, terms.Path, message)
	}
	child := w.child(t, terms.Path)
	out := manifest.Report{Completed: true, PublicKey: w.PublicKey, DerivedKey: child.PublicKey, Digest: manifest.Digest(w.Cryptography, message)}
	switch scheme {
	case derive.SchemeBIP340:
		out.Result = schnorr(w.secret(child), message)
	case derive.SchemeTaproot:
		root, err := hex.DecodeString(terms.TapScriptRoot)
		if err != nil {
			t.Fatal(err)
		}
		out.Result = schnorr(tapTweaked(w.secret(child), root), message)
	case derive.SchemeEd25519:
		tweak, err := edwards25519.NewScalar().SetCanonicalBytes(child.Tweak[:])
		if err != nil {
			t.Fatal(err)
		}
		out.Result = eddsa(tweak.Add(tweak, w.edwards), message)
	}
	return out
}

func (w *Wallet) secret(child derive.Derived) *big.Int {
	key := new(big.Int).Add(w.root, new(big.Int).SetBytes(child.Tweak[:]))
	return key.Mod(key, order)
}

// schnorr signs by BIP340, "Default Signing", with a nonce that is derived in another way.
func schnorr(key *big.Int, message []byte) []byte {
	public := generator.times(key)
	key = withEvenY(key, public)
	nonce := scalar(string(key.Bytes()) + string(message))
	commitment := generator.times(nonce)
	nonce = withEvenY(nonce, commitment)
	out := make([]byte, 64)
	commitment.x.FillBytes(out[:32])
	challenge := tagged("BIP0340/challenge", out[:32], public.x.FillBytes(make([]byte, 32)), message)
	s := new(big.Int).Mul(challenge, key)
	s.Add(s, nonce).Mod(s, order).FillBytes(out[32:])
	return out
}

// tapTweaked is taproot_tweak_seckey of BIP341.
func tapTweaked(key *big.Int, root []byte) *big.Int {
	public := generator.times(key)
	tweak := tagged("TapTweak", public.x.FillBytes(make([]byte, 32)), root)
	sum := new(big.Int).Add(withEvenY(key, public), tweak)
	return sum.Mod(sum, order)
}

// withEvenY is the scalar whose point has the same x and an even y.
func withEvenY(k *big.Int, p point) *big.Int {
	if p.y.Bit(0) == 0 {
		return k
	}
	return new(big.Int).Sub(order, k)
}

// tagged is hash_tag of BIP340, modulo the group order.
func tagged(tag string, parts ...[]byte) *big.Int {
	name := sha256.Sum256([]byte(tag))
	h := sha256.New()
	h.Write(name[:])
	h.Write(name[:])
	for _, p := range parts {
		h.Write(p)
	}
	n := new(big.Int).SetBytes(h.Sum(nil))
	return n.Mod(n, order)
}

// eddsa signs by RFC 8032, section 5.1.6, from the scalar on, with a nonce that is derived in another way.
func eddsa(key *edwards25519.Scalar, message []byte) []byte {
	public := new(edwards25519.Point).ScalarBaseMult(key).Bytes()
	nonce := edwardsScalar(key.Bytes(), message)
	out := new(edwards25519.Point).ScalarBaseMult(nonce).Bytes()
	s := edwards25519.NewScalar().MultiplyAdd(edwardsScalar(out, public, message), key, nonce)
	return append(out, s.Bytes()...)
}

// edwardsScalar is SHA-512 of the parts, modulo the group order.
func edwardsScalar(parts ...[]byte) *edwards25519.Scalar {
	h := sha512.New()
	for _, p := range parts {
		h.Write(p)
	}
	s, err := edwards25519.NewScalar().SetUniformBytes(h.Sum(nil))
	if err != nil {
		panic("coordtest: a scalar of SHA-512: " + err.Error()) // 64 bytes are always taken
	}
	return s
}
