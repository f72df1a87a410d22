package wire

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

const (
	labelSEC1       = "EC PRIVATE KEY"
	labelPKCS8      = "PRIVATE KEY"
	labelPublic     = "PUBLIC KEY"
	labelParameters = "EC PARAMETERS"

	maxKeyFile = 64 << 10
)

// ParsePrivateKey reads a P-256 private key from PEM: a block EC PRIVATE KEY holding SEC 1 (RFC 5915) or PKCS #8 bytes, or
// a block PRIVATE KEY holding PKCS #8. An EC PARAMETERS block before it, as openssl ecparam writes it, is skipped;
// anything after it is refused, and so is an encrypted key. Errors never repeat the input.
func ParsePrivateKey(data []byte) (*ecdsa.PrivateKey, error) {
	block, err := keyBlock(data, labelSEC1, labelPKCS8)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	defer clear(block.Bytes)
	key, err := parsePrivateDER(block)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	if key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("private key: %w", wrongCurve(key.Curve))
	}
	return key, nil
}

func parsePrivateDER(block *pem.Block) (*ecdsa.PrivateKey, error) {
	if block.Type == labelSEC1 {
		if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
			return key, nil
		}
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the %s block does not hold an unencrypted key in SEC 1 or PKCS #8 form", block.Type)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("a key of type %T: only P-256 (prime256v1) keys are used", parsed)
	}
	return key, nil
}

// ParsePublicKey reads a P-256 public key from PEM: one block PUBLIC KEY (SPKI, RFC 5480). An EC PARAMETERS block before
// it is skipped; anything after it is refused.
func ParsePublicKey(data []byte) (*ecdsa.PublicKey, error) {
	block, err := keyBlock(data, labelPublic)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	pub, err := parseSPKI(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	return pub, nil
}

// keyBlock returns the one block of data, which must have one of the labels.
func keyBlock(data []byte, labels ...string) (*pem.Block, error) {
	block, rest := pem.Decode(data)
	if block != nil && block.Type == labelParameters {
		block, rest = pem.Decode(rest)
	}
	switch {
	case block == nil:
		return nil, fmt.Errorf("no PEM block %s found", strings.Join(labels, " or "))
	case !slices.Contains(labels, block.Type):
		return nil, fmt.Errorf("PEM block %s where %s is expected", printable(block.Type, 40), strings.Join(labels, " or "))
	case len(block.Headers) > 0:
		return nil, errors.New("the PEM block has headers: an encrypted key must be decrypted first (openssl pkey)")
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, errors.New("something follows the PEM block: a key file holds one key")
	}
	return block, nil
}

// LoadPrivateKey reads a file as ParsePrivateKey does. Its error names the path and wraps that of the file system.
func LoadPrivateKey(path string) (*ecdsa.PrivateKey, error) {
	data, err := readKeyFile(path)
	if err != nil {
		return nil, fmt.Errorf("read private key: %w", err)
	}
	defer clear(data)
	key, err := ParsePrivateKey(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// LoadPublicKey reads a file as ParsePublicKey does. Its error names the path and wraps that of the file system.
func LoadPublicKey(path string) (*ecdsa.PublicKey, error) {
	data, err := readKeyFile(path)
	if err != nil {
		return nil, fmt.Errorf("read public key: %w", err)
	}
	pub, err := ParsePublicKey(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return pub, nil
}

func readKeyFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxKeyFile {
		return nil, fmt.Errorf("%s: over %d bytes: not a key file", path, maxKeyFile)
	}
	return data, nil
}

// MarshalPrivateKey writes a P-256 private key as PEM EC PRIVATE KEY (SEC 1), the form that openssl ecparam writes. The
// caller wipes what it returns.
func MarshalPrivateKey(key *ecdsa.PrivateKey) ([]byte, error) {
	if key == nil || key.Curve != elliptic.P256() {
		return nil, errors.New("marshal private key: not a P-256 key")
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("marshal private key: %w", err)
	}
	defer clear(der)
	return pem.EncodeToMemory(&pem.Block{Type: labelSEC1, Bytes: der}), nil
}

// MarshalPublicKey writes a P-256 public key as PEM PUBLIC KEY (SPKI).
func MarshalPublicKey(pub *ecdsa.PublicKey) ([]byte, error) {
	if pub == nil || pub.Curve != elliptic.P256() {
		return nil, errors.New("marshal public key: not a P-256 key")
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("marshal public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: labelPublic, Bytes: der}), nil
}
