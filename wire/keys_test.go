package wire_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/wire"
)

func block(label string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der})
}

// parameters is what openssl ecparam writes in front of a key: the OID of prime256v1.
var parameters = block("EC PARAMETERS", []byte{0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07})

func TestParsePrivateKey(t *testing.T) {
	key := nodeKey(t)
	sec1 := must[[]byte](t)(x509.MarshalECPrivateKey(key))
	pkcs8 := must[[]byte](t)(x509.MarshalPKCS8PrivateKey(key))
	public := must[[]byte](t)(wire.MarshalPublicKey(&key.PublicKey))
	p384 := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encrypted := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1,
		Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}})
	tests := []struct {
		name string
		pem  []byte
		says string // of the error; empty if it is accepted
	}{
		{"SEC 1", block("EC PRIVATE KEY", sec1), ""},
		{"PKCS #8 under EC PRIVATE KEY", block("EC PRIVATE KEY", pkcs8), ""},
		{"PKCS #8", block("PRIVATE KEY", pkcs8), ""},
		{"parameters before SEC 1", append(bytes.Clone(parameters), block("EC PRIVATE KEY", sec1)...), ""},
		{"parameters before PKCS #8", append(bytes.Clone(parameters), block("PRIVATE KEY", pkcs8)...), ""},
		{"line breaks of Windows", bytes.ReplaceAll(block("PRIVATE KEY", pkcs8), []byte("\n"), []byte("\r\n")), ""},
		{"empty", nil, "no PEM block"},
		{"only parameters", parameters, "no PEM block"},
		{"parameters twice", append(bytes.Clone(parameters), parameters...), "EC PARAMETERS where"},
		{"SEC 1 under PRIVATE KEY", block("PRIVATE KEY", sec1), "does not hold"},
		{"a public key", public, "PUBLIC KEY where"},
		{"an encrypted PKCS #8", block("ENCRYPTED PRIVATE KEY", pkcs8), "ENCRYPTED PRIVATE KEY where"},
		{"an encrypted SEC 1", encrypted, "decrypted first"},
		{"garbage inside", block("EC PRIVATE KEY", []byte("garbage")), "does not hold"},
		{"cut", block("EC PRIVATE KEY", sec1[:len(sec1)-1]), "does not hold"},
		{"another curve, SEC 1", block("EC PRIVATE KEY", must[[]byte](t)(x509.MarshalECPrivateKey(p384))), "curve P-384"},
		{"another curve, PKCS #8", block("PRIVATE KEY", must[[]byte](t)(x509.MarshalPKCS8PrivateKey(p384))), "curve P-384"},
		{"Ed25519", block("PRIVATE KEY", must[[]byte](t)(x509.MarshalPKCS8PrivateKey(ed))), "ed25519"},
		{"two keys", append(block("PRIVATE KEY", pkcs8), block("PRIVATE KEY", pkcs8)...), "follows"},
		{"parameters behind", append(block("EC PRIVATE KEY", sec1), parameters...), "follows"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := wire.ParsePrivateKey(test.pem)
			if test.says != "" {
				wantError(t, err, test.says)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "key", got.Equal(key), true)
		})
	}
}

func TestParsePublicKey(t *testing.T) {
	pub := publicKey(t, "mpc_node")
	good := must[[]byte](t)(wire.MarshalPublicKey(pub))
	private := must[[]byte](t)(wire.MarshalPrivateKey(nodeKey(t)))
	p384 := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	edPub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		pem  []byte
		says string
	}{
		{"SPKI", good, ""},
		{"parameters before it", append(bytes.Clone(parameters), good...), ""},
		{"empty", nil, "no PEM block"},
		{"a private key", private, "EC PRIVATE KEY where PUBLIC KEY"},
		{"a certificate", block("CERTIFICATE", []byte{1}), "CERTIFICATE where"},
		{"garbage inside", block("PUBLIC KEY", []byte("garbage")), "SPKI"},
		{"another curve", block("PUBLIC KEY", must[[]byte](t)(x509.MarshalPKIXPublicKey(&p384.PublicKey))), "curve P-384"},
		{"Ed25519", block("PUBLIC KEY", must[[]byte](t)(x509.MarshalPKIXPublicKey(edPub))), "ed25519"},
		{"two keys", append(bytes.Clone(good), good...), "follows"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := wire.ParsePublicKey(test.pem)
			if test.says != "" {
				wantError(t, err, test.says)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "key", got.Equal(pub), true)
		})
	}
}

func TestVectorKeysBelongTogether(t *testing.T) {
	for _, name := range []string{"callback_server", "mpc_node", "decrypt_sig"} {
		equal(t, name, privateKey(t, name).PublicKey.Equal(publicKey(t, name)), true)
	}
}

func TestMarshalKeys(t *testing.T) {
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	private := must[[]byte](t)(wire.MarshalPrivateKey(key))
	equal(t, "label", strings.HasPrefix(string(private), "-----BEGIN EC PRIVATE KEY-----\n"), true)
	equal(t, "private", must[*ecdsa.PrivateKey](t)(wire.ParsePrivateKey(private)).Equal(key), true)
	public := must[[]byte](t)(wire.MarshalPublicKey(&key.PublicKey))
	equal(t, "public", must[*ecdsa.PublicKey](t)(wire.ParsePublicKey(public)).Equal(&key.PublicKey), true)

	p384 := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	for _, bad := range []*ecdsa.PrivateKey{nil, {}, p384} {
		if _, err := wire.MarshalPrivateKey(bad); err == nil {
			t.Error("a private key that is not P-256 was written")
		}
	}
	for _, bad := range []*ecdsa.PublicKey{nil, {}, &p384.PublicKey} {
		if _, err := wire.MarshalPublicKey(bad); err == nil {
			t.Error("a public key that is not P-256 was written")
		}
	}
}

func TestLoadKeysNameTheFile(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing.pem")
	bad := filepath.Join(dir, "bad.pem")
	big := filepath.Join(dir, "big.pem")
	for path, content := range map[string][]byte{bad: []byte("secret"), big: bytes.Repeat([]byte{'\n'}, 1<<20)} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load := map[string]func(string) error{
		"private": func(path string) error { _, err := wire.LoadPrivateKey(path); return err },
		"public":  func(path string) error { _, err := wire.LoadPublicKey(path); return err },
	}
	for name, f := range load {
		t.Run(name, func(t *testing.T) {
			if err := f(missing); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("missing file: %v", err)
			}
			wantError(t, f(bad), bad)
			wantError(t, f(big), "not a key file")
			if strings.Contains(f(bad).Error(), "secret") {
				t.Error("the error repeats the file")
			}
		})
	}
}
