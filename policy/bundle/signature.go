package bundle

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	stdjson "encoding/json"
	"errors"
	"io"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// rawSignature signs as JSON Web Signature has it: of P-256 r and s with 32 bytes each over SHA-256 (RFC 7518 section 3.4), of
// Ed25519 as it is (RFC 8037).
func rawSignature(private crypto.Signer, text []byte) ([]byte, error) {
	if _, isP256 := private.Public().(*ecdsa.PublicKey); !isP256 {
		return private.Sign(rand.Reader, text, crypto.Hash(0))
	}
	sum := sha256.Sum256(text)
	der, err := private.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var inner cryptobyte.String
	r, s := new(big.Int), new(big.Int)
	input := cryptobyte.String(der)
	if !input.ReadASN1(&inner, asn1.SEQUENCE) || !input.Empty() || !inner.ReadASN1Integer(r) || !inner.ReadASN1Integer(s) || !inner.Empty() {
		return nil, errors.New("the key made no signature in DER")
	}
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), nil
}

// structured reads JSON as opa does before it hashes it, but no YAML, and nothing behind it.
func structured(b []byte) (any, error) {
	d := stdjson.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, errors.New("is not JSON")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("has more after its first value")
	}
	return v, nil
}
