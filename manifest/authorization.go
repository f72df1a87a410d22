package manifest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/countersign-mpc/countersign/wire"
)

// Authorization is a requester's signature over its terms.
type Authorization struct {
	KeyID     string // RequesterKeyID of the key that signed
	Expiry    int64  // unix seconds; after it the signature counts no more
	Nonce     string // hex of 16 random bytes or more; a node takes it for one request only
	Signature []byte // P-256: ASN.1 DER over SHA-256; Ed25519: 64 bytes
}

// MaxAuthorizationLife bounds how far ahead an Authorization may expire: a node keeps its nonce until then.
const MaxAuthorizationLife = 25 * time.Hour

const minNonce, maxNonce = 32, 128 // hex digits

// RequesterKey is a public key that may authorise requests: *ecdsa.PublicKey on P-256 or ed25519.PublicKey.
type RequesterKey struct {
	key crypto.PublicKey
	id  string
}

// NewRequesterKey takes a P-256 or an Ed25519 public key.
func NewRequesterKey(pub crypto.PublicKey) (RequesterKey, error) {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return RequesterKey{}, fmt.Errorf("requester key is on curve %s: P-256 or Ed25519 is needed", k.Params().Name)
		}
	case ed25519.PublicKey:
	default:
		return RequesterKey{}, fmt.Errorf("requester key is a %T: P-256 or Ed25519 is needed", pub)
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return RequesterKey{}, fmt.Errorf("encode requester key: %w", err)
	}
	sum := sha256.Sum256(der)
	return RequesterKey{key: pub, id: hex.EncodeToString(sum[:])}, nil
}

// ParseRequesterKey reads a requester's public key from PEM ("PUBLIC KEY", SPKI).
func ParseRequesterKey(data []byte) (RequesterKey, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "PUBLIC KEY" {
		return RequesterKey{}, errors.New("requester key: no PEM block \"PUBLIC KEY\" in it")
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return RequesterKey{}, fmt.Errorf("requester key: %v", err)
	}
	return NewRequesterKey(pub)
}

// ID is the key's name everywhere: lower-case hex of SHA-256 over its SPKI DER.
func (k RequesterKey) ID() string { return k.id }

// Authorize signs terms with a requester's private key: *ecdsa.PrivateKey on P-256, or ed25519.PrivateKey.
func Authorize(key crypto.Signer, terms Terms, expiry time.Time) (Authorization, error) {
	pub, err := NewRequesterKey(key.Public())
	if err != nil {
		return Authorization{}, err
	}
	nonce := make([]byte, 16)
	if _, err := rand.Read(nonce); err != nil {
		return Authorization{}, fmt.Errorf("make nonce: %w", err)
	}
	a := Authorization{KeyID: pub.id, Expiry: expiry.Unix(), Nonce: hex.EncodeToString(nonce)}
	message := terms.signingBytes(a.Expiry, a.Nonce)
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		a.Signature, err = wire.SignP256(k, message)
	case ed25519.PrivateKey:
		a.Signature, err = k.Sign(nil, message, crypto.Hash(0))
	default:
		err = fmt.Errorf("requester key is a %T: P-256 or Ed25519 is needed", key)
	}
	if err != nil {
		return Authorization{}, fmt.Errorf("sign request: %w", err)
	}
	return a, nil
}

// Verify checks that pub signed these terms and that the authorization counts at now. The caller looks up pub by KeyID and
// keeps the nonce until Expiry.
func (a Authorization) Verify(pub RequesterKey, terms Terms, now time.Time) error {
	expiry := time.Unix(a.Expiry, 0)
	switch {
	case pub.key == nil || pub.id != a.KeyID:
		return errors.New("requester's signature: it names another key")
	case len(a.Nonce) < minNonce || len(a.Nonce) > maxNonce:
		return fmt.Errorf("requester's signature: nonce has %d characters, %d to %d hex digits are needed", len(a.Nonce), minNonce, maxNonce)
	case !now.Before(expiry):
		return fmt.Errorf("requester's signature: it expired at %s", expiry.UTC().Format(time.RFC3339))
	case expiry.After(now.Add(MaxAuthorizationLife)):
		return fmt.Errorf("requester's signature: it expires at %s, more than %s ahead", expiry.UTC().Format(time.RFC3339), MaxAuthorizationLife)
	}
	if _, err := hex.DecodeString(a.Nonce); err != nil {
		return errors.New("requester's signature: nonce is not hex")
	}
	message := terms.signingBytes(a.Expiry, a.Nonce)
	ok := false
	switch k := pub.key.(type) {
	case *ecdsa.PublicKey:
		ok = wire.VerifyP256(k, message, a.Signature)
	case ed25519.PublicKey:
		ok = len(a.Signature) == ed25519.SignatureSize && ed25519.Verify(k, message, a.Signature)
	}
	if !ok {
		return errors.New("requester's signature does not verify over the request as it arrived")
	}
	return nil
}
