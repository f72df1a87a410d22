// Package ecies encrypts signature results to the P-256 key of the one who may read them.
package ecies

import (
	"crypto/ecdsa"
	"errors"
	"io"
)

// ErrDecrypt is the one error of Decrypt.
var ErrDecrypt = errors.New("ecies: cannot be decrypted with this key")

// Encrypt encrypts plaintext to pub.
func Encrypt(rand io.Reader, pub *ecdsa.PublicKey, plaintext []byte) ([]byte, error) {
	return nil, errors.New("being written")
}

// Decrypt opens what Encrypt made.
func Decrypt(key *ecdsa.PrivateKey, body []byte) ([]byte, error) { return nil, ErrDecrypt }
