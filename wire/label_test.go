package wire_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"testing"

	"github.com/countersign-mpc/countersign/wire"
)

func TestSigningBytes(t *testing.T) {
	tests := []struct {
		purpose string
		fields  [][]byte
		want    string
	}{
		{"a", nil, "countersign/a/v1\x00"},
		{"link-hello", [][]byte{nil}, "countersign/link-hello/v1\x00\x00\x00\x00\x00"},
		{"x/2", [][]byte{{}, []byte("ab")}, "countersign/x/2/v1\x00\x00\x00\x00\x00\x00\x00\x00\x02ab"},
	}
	for _, test := range tests {
		equal(t, test.purpose, string(wire.SigningBytes(test.purpose, test.fields...)), test.want)
	}
	long := wire.SigningBytes("a", bytes.Repeat([]byte{7}, 0x10203))
	equal(t, "length prefix", hex.EncodeToString(long[17:21]), "00010203")
}

// Moving a byte over a field's border, and a purpose that looks like another with a field, change the bytes.
func TestSigningBytesHaveOneMeaning(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range [][]byte{
		wire.SigningBytes("a", []byte("bc"), []byte("d")),
		wire.SigningBytes("a", []byte("b"), []byte("cd")),
		wire.SigningBytes("a", []byte("bcd")),
		wire.SigningBytes("a", []byte("bcd"), nil),
		wire.SigningBytes("a"),
		wire.SigningBytes("a/v1"),
		wire.SigningBytes("b", []byte("bcd")),
	} {
		if seen[string(b)] {
			t.Errorf("same bytes twice: %q", b)
		}
		seen[string(b)] = true
	}
}

func TestSigningBytesRefusesPurposes(t *testing.T) {
	for _, purpose := range []string{"", "A", "a b", "a\x00b", "é", "a_b", "a.b", "-A-"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("purpose %q accepted", purpose)
				}
			}()
			wire.SigningBytes(purpose)
		}()
	}
}

// RFC 6979, appendix A.2.5: P-256, SHA-256, message "sample".
func TestSignP256IsRFC6979(t *testing.T) {
	raw := must[[]byte](t)(hex.DecodeString("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721"))
	key := must[*ecdsa.PrivateKey](t)(ecdsa.ParseRawPrivateKey(elliptic.P256(), raw))
	der := must[[]byte](t)(wire.SignP256(key, []byte("sample")))
	equal(t, "signature", hex.EncodeToString(der), "3046"+
		"022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"+
		"022100f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8")
	equal(t, "verifies", wire.VerifyP256(&key.PublicKey, []byte("sample"), der), true)
}

func TestVerifyP256Refuses(t *testing.T) {
	key := nodeKey(t)
	der := must[[]byte](t)(wire.SignP256(key, []byte("m")))
	other := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	flipped := bytes.Clone(der)
	flipped[len(flipped)-1] ^= 1
	tests := []struct {
		name string
		pub  *ecdsa.PublicKey
		msg  string
		der  []byte
		want bool
	}{
		{"good", &key.PublicKey, "m", der, true},
		{"no key", nil, "m", der, false},
		{"zero key", &ecdsa.PublicKey{}, "m", der, false},
		{"another curve", &other.PublicKey, "m", must[[]byte](t)(ecdsa.SignASN1(rand.Reader, other, make([]byte, 32))), false},
		{"another key", &serverKey(t).PublicKey, "m", der, false},
		{"another message", &key.PublicKey, "n", der, false},
		{"no signature", &key.PublicKey, "m", nil, false},
		{"changed", &key.PublicKey, "m", flipped, false},
		{"a byte more", &key.PublicKey, "m", append(bytes.Clone(der), 0), false},
		{"a byte less", &key.PublicKey, "m", der[:len(der)-1], false},
	}
	for _, test := range tests {
		equal(t, test.name, wire.VerifyP256(test.pub, []byte(test.msg), test.der), test.want)
	}
}

func TestSignP256RefusesKeys(t *testing.T) {
	other := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	for _, key := range []*ecdsa.PrivateKey{nil, {}, other} {
		if _, err := wire.SignP256(key, nil); err == nil {
			t.Error("signed with a key that is not P-256")
		}
	}
}
