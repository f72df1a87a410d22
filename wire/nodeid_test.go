package wire_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/wire"
)

// The pairs of node id and public key that the vendor's guide prints.
var guideNodes = []struct{ id, pem string }{
	{
		"sinoMzA1OTMwMTMwNjA3MmE4NjQ4Y2UzZDAyMDEwNjA4MmE4NjQ4Y2UzZDAzMDEwNzAzNDIwMDA0MDdlMDgyNzA5OTU1NTUxMzljODExMzQ3YTBkZjVm" +
			"ZjVhYmY1ZmM1MTFiOWFiM2U0MWE5N2MwMDlkODA3OGY3ZTc1MzlhYjA2M2ZkNzczZTliOTJjZWU5MjI1ZTVhMTFhYmJjNzExOWRlNDkwYjNiMzZkNTM3" +
			"MWFmZDRkYjBiYzI=",
		"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEB+CCcJlVVROcgRNHoN9f9av1/FEb\n" +
			"mrPkGpfACdgHj351OasGP9dz6bks7pIl5aEau8cRneSQs7NtU3Gv1NsLwg==\n-----END PUBLIC KEY-----\n",
	},
	{
		"sinoMzA1OTMwMTMwNjA3MmE4NjQ4Y2UzZDAyMDEwNjA4MmE4NjQ4Y2UzZDAzMDEwNzAzNDIwMDA0MmFmNGY0Y2I5ZmM1MGFjMWUzNzIxMzM2Y2IyMmJm" +
			"YzMzMDg4YjJmNGM4OTEyZjZhNDE4ZmNlY2JmZWFhMzIwMjNlMzg0MGE1YjBkODI3YWE5ODE1N2Y1MTE5Y2M2YTdiYzQ2NWNmN2EzNzc0MTkwNjdmYzc5" +
			"ZGNjMjQ0YjgxZTU=",
		"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEKvT0y5/FCsHjchM2yyK/wzCIsvTI\n" +
			"kS9qQY/Oy/6qMgI+OEClsNgnqpgVf1EZzGp7xGXPejd0GQZ/x53MJEuB5Q==\n-----END PUBLIC KEY-----\n",
	},
}

func TestNodeIDOfTheGuide(t *testing.T) {
	for _, node := range guideNodes {
		pub := must[*ecdsa.PublicKey](t)(wire.ParsePublicKey([]byte(node.pem)))
		id := wire.NodeIDOf(pub)
		equal(t, "id", string(id), node.id)
		equal(t, "parsed", must[wire.NodeID](t)(wire.ParseNodeID(node.id)), id)
		back := must[*ecdsa.PublicKey](t)(id.PublicKey())
		equal(t, "key", back.Equal(pub), true)
		equal(t, "pem", string(must[[]byte](t)(wire.MarshalPublicKey(back))), node.pem)
	}
}

// idOf encodes any bytes as NodeIDOf encodes the DER.
func idOf(hexDigits string) string {
	return "sino" + base64.StdEncoding.EncodeToString([]byte(hexDigits))
}

func TestParseNodeIDRefuses(t *testing.T) {
	good := guideNodes[0].id
	inner := string(must[[]byte](t)(base64.StdEncoding.DecodeString(good[4:])))
	p384 := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	p384DER := must[[]byte](t)(x509.MarshalPKIXPublicKey(&p384.PublicKey))
	edPub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edDER := must[[]byte](t)(x509.MarshalPKIXPublicKey(edPub))
	offCurve := inner[:len(inner)-2] + "c3"
	tests := []struct{ name, id, says string }{
		{"empty", "", "does not begin"},
		{"prefix alone", "sino", "4 characters"},
		{"another prefix", "Sino" + good[4:], "does not begin"},
		{"space in front", " " + good, "does not begin"},
		{"space behind", good + " ", "characters"},
		{"without padding", good[:len(good)-1], "characters"},
		{"line break inside", good[:100] + "\n" + good[101:], ""},
		{"not base64", good[:100] + "*" + good[101:], "base64"},
		{"loose padding bits", good[:len(good)-2] + "J=", "base64"},
		{"not hex", idOf(strings.Repeat("zz", 91)), "hex"},
		{"upper-case hex", idOf(strings.ToUpper(inner)), "one form"},
		{"not DER", idOf(strings.Repeat("00", 91)), "SPKI"},
		{"off the curve", idOf(offCurve), "SPKI"},
		{"a byte more", idOf(inner + "00"), "characters"},
		{"P-384", idOf(hex.EncodeToString(p384DER)), "characters"},
		{"Ed25519", idOf(hex.EncodeToString(edDER)), "characters"},
		{"of the vectors", "sinoMzA1OTMwMTMwNjA3MmE4NjQ4Y2UzZDAyMDEwNjA4MmE4NjQ4Y2UzZDAzMDEwNzAzNDIwMDA000=", "characters"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			id, err := wire.ParseNodeID(test.id)
			wantError(t, err, test.says)
			equal(t, "id", id, "")
			_, err = wire.NodeID(test.id).PublicKey()
			wantError(t, err, test.says)
		})
	}
}

func TestNodeIDOfRefusesOtherKeys(t *testing.T) {
	p384 := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	for _, pub := range []*ecdsa.PublicKey{nil, {}, &p384.PublicKey} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("a key that is not P-256 got an id")
				}
			}()
			wire.NodeIDOf(pub)
		}()
	}
}

func TestNodeIDShort(t *testing.T) {
	tests := []struct{ id, want string }{
		{guideNodes[0].id, "FmZDRkYjBiYzI"[1:]},
		{"", ""},
		{"=", ""},
		{"ab=", "ab"},
		{"a\nb\x00", "a?b?"},
		{strings.Repeat("😀", 9), "😀😀😀"},
	}
	for _, test := range tests {
		equal(t, test.id, wire.NodeID(test.id).Short(), test.want)
	}
	equal(t, "differs", wire.NodeID(guideNodes[0].id).Short() != wire.NodeID(guideNodes[1].id).Short(), true)
}
