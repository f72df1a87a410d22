package wire

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

const (
	nodeIDPrefix = "sino"
	nodeIDLength = 248 // prefix and base64 of the 182 hex digits of a 91-byte SPKI
	shortLength  = 12
)

// NodeID names a node by its P-256 identity key: "sino" followed by the padded base64 of the lower-case hex of the key's
// SPKI DER (RFC 5480, uncompressed point). A key has exactly one id.
//
// A NodeID that ParseNodeID or NodeIDOf returned is well formed; one that was converted from a string may be anything.
type NodeID string

// NodeIDOf returns the id of a P-256 key. Any other key, which the parsers of this package never return, is a bug of the
// caller and panics.
func NodeIDOf(pub *ecdsa.PublicKey) NodeID {
	if pub == nil || pub.Curve != elliptic.P256() {
		panic("wire: a node id is made of a P-256 public key")
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		panic("wire: node id: " + err.Error())
	}
	return NodeID(nodeIDPrefix + base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(der))))
}

// ParseNodeID accepts exactly the strings that NodeIDOf returns: no other case, padding, white space or key form.
func ParseNodeID(s string) (NodeID, error) {
	id := NodeID(s)
	if _, err := id.PublicKey(); err != nil {
		return "", err
	}
	return id, nil
}

// PublicKey returns the key that the id names. It checks the id like ParseNodeID.
func (id NodeID) PublicKey() (*ecdsa.PublicKey, error) {
	encoded, ok := strings.CutPrefix(string(id), nodeIDPrefix)
	if !ok {
		return nil, fmt.Errorf("node id: it does not begin with %q", nodeIDPrefix)
	}
	if len(id) != nodeIDLength {
		return nil, fmt.Errorf("node id: %d characters: it has %d, as `info` of the node prints it", len(id), nodeIDLength)
	}
	digits, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return nil, errors.New("node id: what follows \"sino\" is not base64: copy it whole, as `info` of the node prints it")
	}
	der, err := hex.DecodeString(string(digits))
	if err != nil {
		return nil, errors.New("node id: the base64 does not hold hex: copy it whole, as `info` of the node prints it")
	}
	pub, err := parseSPKI(der)
	if err != nil {
		return nil, fmt.Errorf("node id: %w", err)
	}
	if NodeIDOf(pub) != id {
		return nil, errors.New("node id: not in the one form a key has: copy it as `info` of the node prints it")
	}
	return pub, nil
}

// Short returns the last characters of the id, before the padding, for logs: ids share their beginning. It is not unique
// enough to decide anything by.
func (id NodeID) Short() string {
	s := strings.TrimRight(string(id), "=")
	return printable(s[max(0, len(s)-shortLength):], shortLength)
}

// parseSPKI reads the DER of a SubjectPublicKeyInfo that holds a P-256 key.
func parseSPKI(der []byte) (*ecdsa.PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("not the SPKI DER of a public key: %v", err)
	}
	pub, ok := parsed.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("a key of type %T: only P-256 (prime256v1) keys are used", parsed)
	}
	if pub.Curve != elliptic.P256() {
		return nil, wrongCurve(pub.Curve)
	}
	return pub, nil
}

func wrongCurve(curve elliptic.Curve) error {
	return fmt.Errorf("a key on curve %s: only P-256 (prime256v1) keys are used", curve.Params().Name)
}
