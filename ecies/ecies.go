// Package ecies encrypts the signature results of a node to the P-256 key of whoever may read them, in the vendor's form:
// ECIES with ephemeral ECDH, the concatenation KDF of NIST SP 800-56A, AES-128-CTR and HMAC-SHA-256.
//
//	R (65 bytes, uncompressed point) ‖ IV (16) ‖ ciphertext ‖ tag (32)
//
// It hides the plaintext and detects changes; it does not say who encrypted, since anyone with the public key can. The
// sender is proven by the signature around the message that carries it. All functions are safe for concurrent use.
package ecies

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/hmac"
	cryptorand "crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

const (
	pointSize = 65
	ivSize    = aes.BlockSize
	tagSize   = sha256.Size

	// Overhead is how many bytes longer than its plaintext an encrypted message is.
	Overhead = pointSize + ivSize + tagSize
)

// ErrDecrypt is the one error of Decrypt: it does not tell a wrong key from a point off the curve, a short body or a wrong
// tag, so that nobody learns from it by trying.
var ErrDecrypt = errors.New("ecies: the message cannot be decrypted with this key")

// Encrypt encrypts plaintext, of at least one byte, to pub, a P-256 key. The message is Overhead bytes longer. A nil random means
// crypto/rand; any other reader must give unpredictable bytes, 48 of them in all but one of 2^32 cases.
func Encrypt(random io.Reader, pub *ecdsa.PublicKey, plaintext []byte) ([]byte, error) {
	if random == nil {
		random = cryptorand.Reader
	}
	if len(plaintext) == 0 {
		return nil, errors.New("ecies: encrypt: nothing to encrypt")
	}
	to, err := publicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("ecies: encrypt: %w", err)
	}
	ephemeral, err := ephemeralKey(random)
	if err != nil {
		return nil, fmt.Errorf("ecies: encrypt: %w", err)
	}
	keys, err := deriveKeys(ephemeral, to)
	if err != nil {
		return nil, fmt.Errorf("ecies: encrypt: %w", err)
	}
	defer keys.wipe()
	body := make([]byte, Overhead+len(plaintext))
	copy(body, ephemeral.PublicKey().Bytes())
	sealed := body[pointSize : len(body)-tagSize]
	if _, err := io.ReadFull(random, sealed[:ivSize]); err != nil {
		return nil, fmt.Errorf("ecies: encrypt: read random bytes: %w", err)
	}
	keys.xor(sealed[ivSize:], plaintext, sealed[:ivSize])
	copy(body[len(body)-tagSize:], keys.tag(sealed))
	return body, nil
}

// Decrypt opens a message that was encrypted to key's public key. Whatever is wrong, with the message or the key, the
// error is ErrDecrypt. The caller wipes the plaintext after use.
func Decrypt(key *ecdsa.PrivateKey, body []byte) ([]byte, error) {
	if key == nil || len(body) <= Overhead {
		return nil, ErrDecrypt
	}
	own, err := privateKey(key)
	if err != nil {
		return nil, ErrDecrypt
	}
	// NewPublicKey takes the uncompressed form only and checks that the point is on the curve.
	from, err := ecdh.P256().NewPublicKey(body[:pointSize])
	if err != nil {
		return nil, ErrDecrypt
	}
	keys, err := deriveKeys(own, from)
	if err != nil {
		return nil, ErrDecrypt
	}
	defer keys.wipe()
	sealed, tag := body[pointSize:len(body)-tagSize], body[len(body)-tagSize:]
	if !hmac.Equal(tag, keys.tag(sealed)) {
		return nil, ErrDecrypt
	}
	plaintext := make([]byte, len(sealed)-ivSize)
	keys.xor(plaintext, sealed[ivSize:], sealed[:ivSize])
	return plaintext, nil
}

var errCurve = errors.New("only P-256 (prime256v1) keys are used")

func publicKey(pub *ecdsa.PublicKey) (*ecdh.PublicKey, error) {
	if pub == nil || pub.Curve == nil {
		return nil, errCurve
	}
	to, err := pub.ECDH()
	if err != nil || to.Curve() != ecdh.P256() {
		return nil, errCurve
	}
	return to, nil
}

func privateKey(key *ecdsa.PrivateKey) (*ecdh.PrivateKey, error) {
	if key.Curve == nil {
		return nil, errCurve
	}
	own, err := key.ECDH()
	if err != nil || own.Curve() != ecdh.P256() {
		return nil, errCurve
	}
	return own, nil
}

// ephemeralKey draws a private key by rejection: 32 bytes at a time until they are in the range of the scalars. It does
// not use GenerateKey, which ignores the reader that it is given.
func ephemeralKey(random io.Reader) (*ecdh.PrivateKey, error) {
	var scalar [32]byte
	defer clear(scalar[:])
	for range 64 { // each draw fails with probability 2^-32
		if _, err := io.ReadFull(random, scalar[:]); err != nil {
			return nil, fmt.Errorf("read random bytes: %w", err)
		}
		if key, err := ecdh.P256().NewPrivateKey(scalar[:]); err == nil {
			return key, nil
		}
	}
	return nil, errors.New("the source of random bytes gives no usable key: it is broken")
}

// keyPair are the symmetric keys of one message.
type keyPair struct {
	enc [16]byte
	mac [32]byte
}

// deriveKeys computes Z = the x coordinate of the shared point (32 bytes), K = SHA-256(counter 1 ‖ Z), which is the
// concatenation KDF for 32 bytes without shared info, and splits it: K[0:16] encrypts, SHA-256(K[16:32]) authenticates.
func deriveKeys(own *ecdh.PrivateKey, peer *ecdh.PublicKey) (*keyPair, error) {
	z, err := own.ECDH(peer)
	if err != nil {
		return nil, err
	}
	defer clear(z)
	block := append([]byte{0, 0, 0, 1}, z...)
	defer clear(block)
	k := sha256.Sum256(block)
	defer clear(k[:])
	keys := &keyPair{mac: sha256.Sum256(k[16:])}
	copy(keys.enc[:], k[:16])
	return keys, nil
}

// xor encrypts or decrypts with AES-128-CTR.
func (k *keyPair) xor(dst, src, iv []byte) {
	block, err := aes.NewCipher(k.enc[:])
	if err != nil { // the key has 16 bytes
		panic("ecies: " + err.Error())
	}
	cipher.NewCTR(block, iv).XORKeyStream(dst, src)
}

// tag authenticates IV ‖ ciphertext.
func (k *keyPair) tag(sealed []byte) []byte {
	h := hmac.New(sha256.New, k.mac[:])
	h.Write(sealed)
	return h.Sum(nil)
}

// wipe forgets the keys as far as Go allows: the cipher's own key schedule is left to the garbage collector.
func (k *keyPair) wipe() { *k = keyPair{} }
