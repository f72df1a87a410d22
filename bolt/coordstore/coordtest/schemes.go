package coordtest

import (
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"testing"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// NewEd25519Wallet makes the Ed25519 key of a seed.
func NewEd25519Wallet(seed string) *Wallet {
	root := edwardsScalar([]byte(seed))
	return &Wallet{Cryptography: wire.EdDSAEd25519, root: root, PublicKey: edwardsBase.times(root).bytes(),
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
		key := littleEndian(child.Tweak[:])
		out.Result = eddsa(key.Add(key, w.root).Mod(key, edwardsOrder), message)
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
