package bundle

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	opa "github.com/open-policy-agent/opa/v1/bundle"
)

// The algorithms of JSON Web Signature (RFC 7518 section 3.4, RFC 8037). The key says which, never the signature.
const (
	algES256 = "ES256" // P-256
	algEdDSA = "EdDSA" // Ed25519
)

// hashing are the digests of files that are taken; opa would take MD5 and SHA-1 too.
var hashing = []string{string(opa.SHA256), string(opa.SHA384), string(opa.SHA512)}

// Key is a public key by which bundles have to be signed, P-256 or Ed25519.
type Key struct {
	id, alg, pem string
}

// ID is the lower-case hex of SHA-256 of the key's SPKI DER, as keys are named elsewhere.
func (k Key) ID() string { return k.id }

// NewKey takes a public key.
func NewKey(public crypto.PublicKey) (Key, error) {
	k := Key{}
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		if p.Curve != elliptic.P256() {
			return k, errors.New("the key is not on P-256: bundles are signed with P-256 or Ed25519")
		}
		k.alg = algES256
	case ed25519.PublicKey:
		k.alg = algEdDSA
	default:
		return k, errors.New("the key is of another kind: bundles are signed with P-256 or Ed25519")
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return k, fmt.Errorf("the key: %w", err)
	}
	sum := sha256.Sum256(der)
	k.id = hex.EncodeToString(sum[:])
	k.pem = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	return k, nil
}

// ParseKey reads a public key from PEM (SPKI).
func ParseKey(text []byte) (Key, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" || len(bytes.TrimSpace(rest)) > 0 {
		return Key{}, errors.New("is not one PEM block PUBLIC KEY")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return Key{}, errors.New("is not a public key in SPKI DER")
	}
	return NewKey(public)
}

// ParseSigner reads a private key from PEM: EC PRIVATE KEY (SEC 1) of P-256 or PRIVATE KEY (PKCS #8) of P-256 or Ed25519. Its
// errors never repeat the text.
func ParseSigner(text []byte) (crypto.Signer, error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return nil, errors.New("is no private key in PEM, EC PRIVATE KEY or PRIVATE KEY")
		}
		var key any
		var err error
		switch block.Type {
		case "EC PARAMETERS": // openssl ecparam writes it in front
			continue
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		default:
			return nil, errors.New("is no private key in PEM, EC PRIVATE KEY or PRIVATE KEY")
		}
		signer, isSigner := key.(crypto.Signer)
		if err != nil || !isSigner {
			return nil, errors.New("is no private key that can be read")
		}
		_, err = NewKey(signer.Public())
		return signer, err
	}
}

// Sign signs the bundle, in place of a signature that it has: a JSON Web Token over the digests of all files, as `opa sign`
// makes it, so that `opa` verifies it with the public key. It returns the id of the key.
func (b *Bundle) Sign(private crypto.Signer) (string, error) {
	key, err := NewKey(private.Public())
	if err != nil {
		return "", err
	}
	files, err := b.files()
	if err != nil {
		return "", err
	}
	covered, err := digests(files)
	if err != nil {
		return "", err
	}
	if b.signature, err = token(covered, key, private); err != nil {
		return "", fmt.Errorf("sign bundle: %w", err)
	}
	if b.SignedBy, err = verify(files, b.signature, []Key{key}); err != nil {
		return "", fmt.Errorf("sign bundle: what was signed does not verify: %w", err)
	}
	b.Signed = true
	return b.SignedBy, nil
}

// digests are those of files, in the order of their names.
func digests(files map[string][]byte) ([]opa.FileInfo, error) {
	hash, err := opa.NewSignatureHasher(opa.SHA256)
	if err != nil {
		return nil, err
	}
	out := make([]opa.FileInfo, 0, len(files))
	for _, name := range slices.Sorted(maps.Keys(files)) {
		var content any = files[name]
		if opa.IsStructuredDoc(name) { // opa hashes what the JSON says, not its bytes
			if content, err = structured(files[name]); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
		sum, err := hash.HashFile(content)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, opa.NewFile(name, hex.EncodeToString(sum), string(opa.SHA256)))
	}
	return out, nil
}

// token is a JSON Web Token in compact form (RFC 7515 section 7.1). OPA's own signer wants the private key as a string in
// memory; this one never sees more of it than a crypto.Signer.
func token(files []opa.FileInfo, key Key, private crypto.Signer) (string, error) {
	header, err := json.Marshal(struct {
		Alg string `json:"alg"`
		Kid string `json:"kid"`
		Typ string `json:"typ"`
	}{key.alg, key.id, "JWT"})
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(struct {
		Files []opa.FileInfo `json:"files"`
		KeyID string         `json:"keyid"`
	}{files, key.id})
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
	signature, err := rawSignature(private, []byte(text))
	if err != nil {
		return "", err
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// opaPlugin is the plugin that opa itself signs with.
const opaPlugin = "_default"

// readSignatures takes the one token of a .signatures.json.
func readSignatures(b []byte) (string, error) {
	var s struct {
		Signatures []string `json:"signatures"`
		Plugin     string   `json:"plugin"`
	}
	if err := json.Unmarshal(b, &s, json.RejectUnknownMembers(true)); err != nil {
		return "", errors.New("is not JSON with the members signatures and plugin only")
	}
	if s.Plugin != "" && s.Plugin != opaPlugin {
		return "", errors.New("asks for a plugin to verify it")
	}
	if len(s.Signatures) != 1 || strings.Count(s.Signatures[0], ".") != 2 {
		return "", errors.New("does not hold one JSON Web Token")
	}
	return s.Signatures[0], nil
}

func writeSignatures(signature string) ([]byte, error) {
	return json.Marshal(map[string][]string{"signatures": {signature}})
}

// verify returns the id of the key that signed all of the files, and nothing else.
func verify(files map[string][]byte, signature string, keys []Key) (string, error) {
	known := make(map[string]*opa.KeyConfig, len(keys))
	for _, k := range keys {
		known[k.id] = &opa.KeyConfig{Key: k.pem, Algorithm: k.alg}
	}
	id, err := signedBy(signature, keys)
	if err != nil {
		return "", err
	}
	covered, err := opa.VerifyBundleSignature(opa.SignaturesConfig{Signatures: []string{signature}}, opa.NewVerificationConfig(known, id, "", nil))
	if err != nil {
		return "", fmt.Errorf("is not one of key %s: %v", id, err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		info, there := covered[name]
		if there && !slices.Contains(hashing, info.Algorithm) {
			return "", fmt.Errorf("%s is covered by %q, not by SHA-256, SHA-384 or SHA-512", name, info.Algorithm)
		}
		if opa.IsStructuredDoc(name) { // opa would read what is no JSON as YAML
			if _, err := structured(files[name]); err != nil {
				return "", fmt.Errorf("%s: %w", name, err)
			}
		}
		if err := opa.VerifyBundleFile(name, *bytes.NewBuffer(files[name]), covered); err != nil {
			return "", errors.New("does not cover the files: " + err.Error())
		}
	}
	if len(covered) > 0 {
		return "", fmt.Errorf("covers %s, which is not there", slices.Sorted(maps.Keys(covered))[0])
	}
	return id, nil
}

// signedBy reads which key a token names. A key that the bundle itself brings along is none.
func signedBy(signature string, keys []Key) (string, error) {
	var header struct {
		Alg string `json:"alg"`
		Kid string `json:"kid"`
	}
	text, _, _ := strings.Cut(signature, ".")
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(b, &header) != nil {
		return "", errors.New("is no JSON Web Token")
	}
	for _, k := range keys {
		if k.id != header.Kid {
			continue
		}
		if k.alg != header.Alg {
			return "", fmt.Errorf("is by %q, but key %s signs by %s", header.Alg, k.id, k.alg)
		}
		return k.id, nil
	}
	return "", fmt.Errorf("is by key %q, which is none of those that are configured", header.Kid[:min(len(header.Kid), 100)])
}
