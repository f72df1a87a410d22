package derive_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/btcsuite/btcd/btcutil/base58"
	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/countersign-mpc/countersign/derive"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"pgregory.net/rapid"
)

// extended is the part of a serialised extended key (BIP32, "Serialization format") that derivation is about.
type extended struct {
	chainCode []byte
	key       []byte // 33 bytes; a private key's first is zero
}

func parseExtended(t *testing.T, s string) extended {
	t.Helper()
	raw, version, err := base58.CheckDecode(s)
	if err != nil || len(raw) != 77 || version != 0x04 {
		t.Fatalf("extended key %s: %v, %d bytes", s, err, len(raw))
	}
	return extended{chainCode: raw[12:44], key: raw[44:77]}
}

func TestBIP32Vectors(t *testing.T) {
	raw, err := os.ReadFile("../testdata/bip32/public-derivation.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Steps []struct {
			Vector        int    `json:"vector"`
			Chain         string `json:"chain"`
			Path          string `json:"path"`
			ParentPublic  string `json:"parent_public"`
			ParentPrivate string `json:"parent_private"`
			ChildPublic   string `json:"child_public"`
			ChildPrivate  string `json:"child_private"`
		} `json:"steps"`
	}
	if err := json.Unmarshal(raw, &vectors); err != nil || len(vectors.Steps) != 7 {
		t.Fatal(err, len(vectors.Steps))
	}
	for _, v := range vectors.Steps {
		parent, child := parseExtended(t, v.ParentPublic), parseExtended(t, v.ChildPublic)
		got, err := derive.Secp256k1Child(parent.key, parent.chainCode, mustPath(t, v.Path))
		if err != nil {
			t.Fatalf("vector %d, %s: %v", v.Vector, v.Chain, err)
		}
		if !bytes.Equal(got.PublicKey[:], child.key) || !bytes.Equal(got.ChainCode[:], child.chainCode) {
			t.Errorf("vector %d, %s: got %x %x", v.Vector, v.Chain, got.PublicKey, got.ChainCode)
		}
		var private, tweak, want secp256k1.ModNScalar
		private.SetByteSlice(parseExtended(t, v.ParentPrivate).key[1:])
		tweak.SetBytes(&got.Tweak)
		want.SetByteSlice(parseExtended(t, v.ChildPrivate).key[1:])
		if !private.Add(&tweak).Equals(&want) {
			t.Errorf("vector %d, %s: tweak %x does not give the child's private key", v.Vector, v.Chain, got.Tweak)
		}
	}
}

func mustPath(t interface{ Fatal(...any) }, s string) derive.Path {
	p, err := derive.ParsePath(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func pathGenerator() *rapid.Generator[derive.Path] {
	return rapid.Map(rapid.SliceOfN(rapid.Uint32Range(0, derive.HardenedStart-1), 0, derive.MaxDepth),
		func(p []uint32) derive.Path { return p })
}

// TestTweakProperty checks that the tweak is what a share holder has to add, and the tree is that of an independent
// implementation which derives from the private key.
func TestTweakProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "seed")
		path := pathGenerator().Draw(t, "path")
		master, err := hdkeychain.NewMaster(seed, &chaincfg.MainNetParams)
		if err != nil {
			t.Fatal(err) // one in 2^127 seeds has none
		}
		private, err := master.ECPrivKey()
		if err != nil {
			t.Fatal(err)
		}
		root := private.PubKey().SerializeCompressed()
		got, err := derive.Secp256k1Child(root, master.ChainCode(), path)
		if err != nil {
			t.Fatal(err)
		}

		var scalar, tweak secp256k1.ModNScalar
		scalar.SetByteSlice(private.Serialize())
		if overflow := tweak.SetBytes(&got.Tweak); overflow != 0 {
			t.Fatal("tweak is not reduced")
		}
		tweaked := secp256k1.NewPrivateKey(scalar.Add(&tweak)).PubKey().SerializeCompressed()
		if !bytes.Equal(tweaked, got.PublicKey[:]) {
			t.Fatalf("(private + tweak)·G = %x, derived %x", tweaked, got.PublicKey)
		}

		child := master
		for _, index := range path {
			if child, err = child.Derive(index); err != nil {
				t.Fatal(err) // one in 2^127 seeds has none
			}
		}
		want, err := child.ECPubKey()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want.SerializeCompressed(), got.PublicKey[:]) || !bytes.Equal(child.ChainCode(), got.ChainCode[:]) {
			t.Fatalf("%s: got %x, the other implementation %x", path, got.PublicKey, want.SerializeCompressed())
		}
	})
}

// TestPathsCompose checks that deriving in two goes gives the same key and tweaks that add up.
func TestPathsCompose(t *testing.T) {
	root := secp256k1.PrivKeyFromBytes([]byte{7}).PubKey().SerializeCompressed()
	chainCode := bytes.Repeat([]byte{9}, 32)
	whole := must(derive.Secp256k1Child(root, chainCode, derive.Path{44, 60, 3}))
	first := must(derive.Secp256k1Child(root, chainCode, derive.Path{44}))
	rest := must(derive.Secp256k1Child(first.PublicKey[:], first.ChainCode[:], derive.Path{60, 3}))
	if !bytes.Equal(whole.PublicKey, rest.PublicKey) || whole.ChainCode != rest.ChainCode {
		t.Error("deriving in two goes gives another key")
	}
	var a, b secp256k1.ModNScalar
	a.SetBytes(&first.Tweak)
	b.SetBytes(&rest.Tweak)
	if a.Add(&b).Bytes() != whole.Tweak {
		t.Error("tweaks do not add up")
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestRootIsUnchanged(t *testing.T) {
	root := secp256k1.PrivKeyFromBytes([]byte{7}).PubKey().SerializeCompressed()
	chainCode := bytes.Repeat([]byte{9}, 32)
	got := must(derive.Secp256k1Child(root, chainCode, nil))
	if !bytes.Equal(got.PublicKey[:], root) || !bytes.Equal(got.ChainCode[:], chainCode) || got.Tweak != [32]byte{} {
		t.Errorf("the root derives to %+v", got)
	}
}

func TestSecp256k1ChildRefuses(t *testing.T) {
	root := secp256k1.PrivKeyFromBytes([]byte{7}).PubKey()
	good, chainCode := root.SerializeCompressed(), bytes.Repeat([]byte{9}, 32)
	offCurve := append([]byte{2}, bytes.Repeat([]byte{0xff}, 32)...)
	hybrid := append([]byte{6}, good[1:]...)
	for name, c := range map[string]struct {
		root, chainCode []byte
		path            derive.Path
	}{
		"no key":           {nil, chainCode, nil},
		"uncompressed key": {root.SerializeUncompressed(), chainCode, nil},
		"x only":           {good[1:], chainCode, nil},
		"off the curve":    {offCurve, chainCode, nil},
		"wrong prefix":     {hybrid, chainCode, nil},
		"no chain code":    {good, nil, nil},
		"short chain code": {good, chainCode[:31], nil},
		"too deep":         {good, chainCode, make(derive.Path, derive.MaxDepth+1)},
	} {
		if _, err := derive.Secp256k1Child(c.root, c.chainCode, c.path); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	_, err := derive.Secp256k1Child(good, chainCode, derive.Path{0, derive.HardenedStart})
	if !errors.Is(err, derive.ErrHardened) {
		t.Errorf("hardened index: %v", err)
	}
}
