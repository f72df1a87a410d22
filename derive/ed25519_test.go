package derive_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"math/big"
	"testing"

	"filippo.io/edwards25519"
	"github.com/countersign-mpc/countersign/derive"
	"pgregory.net/rapid"
)

func scalar(seed []byte) *edwards25519.Scalar {
	wide := sha512.Sum512(seed)
	return must(edwards25519.NewScalar().SetUniformBytes(wide[:]))
}

func point(s *edwards25519.Scalar) []byte { return new(edwards25519.Point).ScalarBaseMult(s).Bytes() }

// TestEd25519Vectors holds children against values that a script in another language computed from docs/FORMATS.md.
func TestEd25519Vectors(t *testing.T) {
	var v struct {
		Vectors []struct {
			Root      string
			ChainCode string `json:"chain_code"`
			Path      string
			PublicKey string `json:"public_key"`
			Child     string `json:"child_chain_code"`
			Tweak     string
		}
	}
	readVectors(t, "../testdata/bip32/ed25519-children.json", &v)
	if len(v.Vectors) == 0 {
		t.Fatal("no vectors")
	}
	for _, c := range v.Vectors {
		got, err := derive.Ed25519Child(must(hex.DecodeString(c.Root)), must(hex.DecodeString(c.ChainCode)), mustPath(t, c.Path))
		if err != nil || hex.EncodeToString(got.PublicKey) != c.PublicKey || hex.EncodeToString(got.ChainCode[:]) != c.Child ||
			hex.EncodeToString(got.Tweak[:]) != c.Tweak {
			t.Errorf("%s: %x %x %x, %v", c.Path, got.PublicKey, got.ChainCode, got.Tweak, err)
		}
	}
}

// TestEd25519Tweak checks that the tweak is what a share holder adds, by signing with the sum.
func TestEd25519Tweak(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		private := scalar(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "seed"))
		code := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "code")
		path := pathGenerator().Draw(t, "path")
		message := rapid.SliceOf(rapid.Byte()).Draw(t, "message")
		child := must(derive.Ed25519Child(point(private), code, path))
		tweak := must(edwards25519.NewScalar().SetCanonicalBytes(child.Tweak[:]))
		private.Add(private, tweak)
		if !bytes.Equal(point(private), child.PublicKey) {
			t.Fatalf("(private + tweak)·B = %x, derived %x", point(private), child.PublicKey)
		}
		signature := signEd25519(private, message)
		if !derive.SchemeEd25519.Verify(child.PublicKey, message, signature) || !ed25519.Verify(child.PublicKey, message, signature) {
			t.Fatal("the child's signature is refused")
		}
		if len(path) > 0 {
			first := must(derive.Ed25519Child(point(scalar(code)), code, path[:1]))
			rest := must(derive.Ed25519Child(first.PublicKey, first.ChainCode[:], path[1:]))
			whole := must(derive.Ed25519Child(point(scalar(code)), code, path))
			if !bytes.Equal(whole.PublicKey, rest.PublicKey) || whole.ChainCode != rest.ChainCode {
				t.Fatal("deriving in two goes gives another key")
			}
		}
	})
}

// signEd25519 signs with a scalar in place of a seed.
func signEd25519(private *edwards25519.Scalar, message []byte) []byte {
	nonce := scalar(append(private.Bytes(), message...))
	r, a := point(nonce), point(private)
	k := scalar(bytes.Join([][]byte{r, a, message}, nil))
	return append(r, edwards25519.NewScalar().MultiplyAdd(k, private, nonce).Bytes()...)
}

func TestChildDispatches(t *testing.T) {
	code := bytes.Repeat([]byte{9}, 32)
	ed, secp := point(scalar([]byte{1})), sign([]byte("a"), nil).pub
	path := derive.Path{44, 501}
	for name, c := range map[string]struct {
		cryptography string
		root         []byte
		want         []byte
	}{
		"Ed25519":   {"eddsa-ed25519", ed, must(derive.Ed25519Child(ed, code, path)).PublicKey},
		"secp256k1": {"ecdsa-secp256k1", secp, must(derive.Secp256k1Child(secp, code, path)).PublicKey},
		"other":     {"ecdsa-p256", secp, nil},
		"swapped":   {"ecdsa-secp256k1", ed, nil},
		"swapped 2": {"eddsa-ed25519", secp, nil},
	} {
		got, err := derive.Child(c.cryptography, c.root, code, path)
		if (err == nil) != (c.want != nil) || !bytes.Equal(got.PublicKey, c.want) {
			t.Errorf("%s: %x, %v", name, got.PublicKey, err)
		}
	}
}

func TestEd25519ChildRefuses(t *testing.T) {
	good, code := point(scalar([]byte{7})), bytes.Repeat([]byte{9}, 32)
	root := must(derive.Ed25519Child(good, code, nil))
	if !bytes.Equal(root.PublicKey, good) || !bytes.Equal(root.ChainCode[:], code) || root.Tweak != [32]byte{} {
		t.Errorf("the root derives to %+v", root)
	}
	for name, c := range map[string]struct {
		root, code []byte
		path       derive.Path
	}{
		"no chain code": {good, nil, nil}, "long chain code": {good, make([]byte, 33), nil},
		"too deep": {good, code, make(derive.Path, derive.MaxDepth+1)},
	} {
		if _, err := derive.Ed25519Child(c.root, c.code, c.path); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, bad := range badKeys() {
		if _, err := derive.Ed25519Child(bad, code, nil); err == nil {
			t.Errorf("root %x: accepted", bad)
		}
	}
	if _, err := derive.Ed25519Child(good, code, derive.Path{derive.HardenedStart}); !errors.Is(err, derive.ErrHardened) {
		t.Errorf("hardened index: %v", err)
	}
}

// smallOrder are the encodings of the points of order 1, 2, 4 and 8 (RFC 7748's and others' lists).
var smallOrder = []string{
	"0100000000000000000000000000000000000000000000000000000000000000",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0000000000000000000000000000000000000000000000000000000000000080",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
}

func badKeys() [][]byte {
	keys := [][]byte{
		nil, make([]byte, 31), make([]byte, 33), bytes.Repeat([]byte{0xff}, 32),
		must(hex.DecodeString("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")), // p + 1, the identity again
		must(hex.DecodeString("0100000000000000000000000000000000000000000000000000000000000080")), // x = 0 with a sign
		must(hex.DecodeString("0200000000000000000000000000000000000000000000000000000000000000")), // no point
	}
	for _, s := range smallOrder {
		low := must(new(edwards25519.Point).SetBytes(must(hex.DecodeString(s))))
		keys = append(keys, low.Bytes())
		if low.Equal(edwards25519.NewIdentityPoint()) == 0 { // a good key with a part of small order
			mixed := new(edwards25519.Point).ScalarBaseMult(scalar([]byte{7}))
			keys = append(keys, mixed.Add(mixed, low).Bytes())
		}
	}
	return keys
}

func TestVerifyEd25519Refuses(t *testing.T) {
	// For a key of small order and message-independent values crypto/ed25519 says yes, whatever the message is.
	identity := must(hex.DecodeString(smallOrder[0]))
	forged := append(bytes.Clone(identity), make([]byte, 32)...)
	if !ed25519.Verify(identity, []byte("anything"), forged) {
		t.Fatal("crypto/ed25519 refuses keys of small order by itself now: the check here can go")
	}
	if derive.VerifyEd25519(identity, []byte("anything"), forged) {
		t.Error("a key of small order verifies anything")
	}
	for _, bad := range badKeys() {
		if derive.VerifyEd25519(bad, nil, forged) {
			t.Errorf("key %x verifies", bad)
		}
		if _, err := derive.SchemeEd25519.VerifyingKey(bad, nil); err == nil {
			t.Errorf("key %x is a verifying key", bad)
		}
		if _, err := derive.SolanaAddress(bad); err == nil {
			t.Errorf("key %x has an address", bad)
		}
	}
	private := scalar([]byte{3})
	key, message := point(private), []byte("message")
	good := signEd25519(private, message)
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := new(big.Int).SetBytes(reverse(good[32:]))
	over := append(bytes.Clone(good[:32]), reverse(s.Add(s, order).FillBytes(make([]byte, 32)))...)
	for name, c := range map[string]struct{ key, message, signature []byte }{
		"s over the order": {key, message, over}, "another message": {key, message[1:], good},
		"another key": {point(scalar([]byte{4})), message, good}, "short": {key, message, good[:63]}, "long": {key, message, append(good[:64:64], 0)},
		"no key": {nil, message, good}, "no signature": {key, message, nil},
	} {
		if derive.VerifyEd25519(c.key, c.message, c.signature) {
			t.Errorf("%s: accepted", name)
		}
	}
	if !derive.VerifyEd25519(key, message, good) {
		t.Error("the good signature is refused")
	}
}

func reverse(b []byte) []byte {
	out := bytes.Clone(b)
	for i := range out {
		out[i] = b[len(b)-1-i]
	}
	return out
}

// TestSolanaAddress uses the public key of RFC 8032's first test and base58 by hand.
func TestSolanaAddress(t *testing.T) {
	key := must(hex.DecodeString("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"))
	const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	var want []byte
	for n := new(big.Int).SetBytes(key); n.Sign() > 0; {
		digit := new(big.Int)
		n.DivMod(n, big.NewInt(58), digit)
		want = append([]byte{alphabet[digit.Int64()]}, want...)
	}
	if got, err := derive.SolanaAddress(key); err != nil || got != string(want) {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}
