package derive_test

import (
	"bytes"
	"testing"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/wire"
)

func TestSchemeOf(t *testing.T) {
	const secp, ed = wire.ECDSASecp256k1, wire.EdDSAEd25519
	if secp != derive.CryptographySecp256k1 || ed != derive.CryptographyEd25519 {
		t.Fatal("wire names the kinds of keys in another way")
	}
	for _, c := range []struct {
		requestType, cryptography string
		want                      derive.Scheme // empty for an error
	}{
		{wire.TypeSign, secp, derive.SchemeECDSA}, {wire.TypeSign, ed, derive.SchemeEd25519},
		{wire.TypeBIP340SchnorrSign, secp, derive.SchemeBIP340}, {wire.TypeTaprootSign, secp, derive.SchemeTaproot},
		{"bip340-schnorr-sign", ed, ""}, {"taproot-sign", ed, ""}, {"keygen", secp, ""}, {"", secp, ""}, {"sign", "", ""},
		{"sign", "ecdsa-p256", ""}, {"Sign", secp, ""},
	} {
		got, err := derive.SchemeOf(c.requestType, c.cryptography)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q with %q: %q, %v", c.requestType, c.cryptography, got, err)
		}
	}
}

func TestVerifyingKey(t *testing.T) {
	secp, ed, root := sign([]byte("a"), nil).pub, point(scalar([]byte{1})), bytes.Repeat([]byte{5}, 32)
	plain, tree := must(derive.TaprootOutputKey(secp, nil)), must(derive.TaprootOutputKey(secp, root))
	for _, c := range []struct {
		scheme    derive.Scheme
		key, root []byte
		want      []byte // nil for an error
	}{
		{derive.SchemeECDSA, secp, nil, secp},
		{derive.SchemeBIP340, secp, nil, secp[1:]},
		{derive.SchemeTaproot, secp, nil, plain.OutputKey[:]},
		{derive.SchemeTaproot, secp, []byte{}, plain.OutputKey[:]},
		{derive.SchemeTaproot, secp, root, tree.OutputKey[:]},
		{derive.SchemeEd25519, ed, nil, ed},
		{derive.SchemeTaproot, secp, root[1:], nil},
		{derive.SchemeTaproot, secp[1:], nil, nil},
		{derive.SchemeBIP340, secp[1:], nil, nil},
		{derive.SchemeECDSA, secp, root, nil},
		{derive.SchemeBIP340, secp, root, nil},
		{derive.SchemeEd25519, ed, root, nil},
		{derive.SchemeECDSA, ed, nil, nil},
		{derive.SchemeEd25519, secp, nil, nil},
		{"", secp, nil, nil},
		{"ECDSA", secp, nil, nil},
	} {
		got, err := c.scheme.VerifyingKey(c.key, c.root)
		if !bytes.Equal(got, c.want) || (err == nil) != (c.want != nil) {
			t.Errorf("%q, key of %d bytes, root of %d: %x, %v", c.scheme, len(c.key), len(c.root), got, err)
		}
	}
}

// TestSchemesAreApart: a signature of one scheme is none of another.
func TestSchemesAreApart(t *testing.T) {
	s := sign([]byte("a"), []byte("m"))
	private := scalar([]byte{1})
	schnorr := bip340Signature(t, s.digest)
	keys := map[derive.Scheme][]byte{
		derive.SchemeECDSA: s.pub, derive.SchemeBIP340: s.pub[1:], derive.SchemeTaproot: s.pub[1:], derive.SchemeEd25519: point(private),
	}
	good := map[derive.Scheme][]byte{
		derive.SchemeECDSA: s.rs, derive.SchemeBIP340: schnorr, derive.SchemeTaproot: schnorr, derive.SchemeEd25519: signEd25519(private, s.digest),
	}
	same := func(a, b derive.Scheme) bool {
		return a == b || (bytes.Equal(keys[a], keys[b]) && bytes.Equal(good[a], good[b]))
	}
	for a := range keys {
		for b := range keys {
			for c := range keys {
				if got, want := a.Verify(keys[b], s.digest, good[c]), same(a, b) && same(a, c); got != want {
					t.Errorf("%s with the key of %s and the signature of %s: %v", a, b, c, got)
				}
			}
		}
	}
	if derive.Scheme("").Verify(s.pub, s.digest, s.rs) || derive.Scheme("ECDSA").Verify(s.pub, s.digest, s.rs) {
		t.Error("an unknown scheme verifies")
	}
}
