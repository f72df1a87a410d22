package keystore

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/wire"
)

const (
	masterSize = 32 // bytes of the master key and of every key derived from it

	envelopeVersion  = 1
	envelopeSalt     = 16
	envelopeNonce    = 12
	envelopeOverhead = 1 + envelopeSalt + envelopeNonce + 16 // with GCM's tag
)

// keys are what the master key is used through. The master key itself is not kept.
type keys struct {
	records secret.Bytes // seals records
	roots   secret.Bytes // seals the root record
	set     secret.Bytes // maps records to elements of the root's set hash
}

func deriveKeys(master secret.Bytes, h header) (*keys, error) {
	var k keys
	for _, p := range []struct {
		purpose string
		key     *secret.Bytes
	}{
		{"keystore-record-key", &k.records},
		{"keystore-root-key", &k.roots},
		{"keystore-set-key", &k.set},
	} {
		b, err := hkdf.Key(sha256.New, master.Expose(), h.id[:], string(wire.SigningBytes(p.purpose)), masterSize)
		if err != nil {
			return nil, fmt.Errorf("derive keys: %w", err)
		}
		*p.key = secret.New(b)
	}
	return &k, nil
}

func (k *keys) wipe() {
	k.records.Wipe()
	k.roots.Wipe()
	k.set.Wipe()
}

func (k *keys) sealRecord(bucket, key string, value []byte) ([]byte, error) {
	return sealEnvelope(k.records, recordPlace(bucket, key), value)
}

func (k *keys) openRecord(bucket, key string, envelope []byte) ([]byte, error) {
	value, err := openEnvelope(k.records, recordPlace(bucket, key), envelope)
	if err != nil {
		return nil, corruptRecord(bucket, key, err.Error())
	}
	return value, nil
}

// element returns what a record adds to the root's set hash: a pseudo-random number of its place and its bytes in the
// file, unknown to whoever does not have the key.
func (k *keys) element(bucket, key string, envelope []byte) element {
	mac := hmac.New(sha256.New, k.set.Expose())
	mac.Write(wire.SigningBytes("keystore-element", []byte(bucket), []byte(key)))
	mac.Write(envelope)
	var sum [sha256.Size]byte
	return elementOf([sha256.Size]byte(mac.Sum(sum[:0])))
}

func recordPlace(bucket, key string) []byte {
	return wire.SigningBytes("keystore-record", []byte(bucket), []byte(key))
}

// sealEnvelope encrypts plaintext for place, which it is bound to:
//
//	version (1) ‖ salt (16) ‖ nonce (12) ‖ AES-256-GCM(HKDF-SHA-256(key, salt, place), nonce, plaintext, version ‖ place)
//
// The salt gives each envelope a key of its own, so that no number of writes wears out the random nonces.
func sealEnvelope(key secret.Bytes, place, plaintext []byte) ([]byte, error) {
	out := make([]byte, 1+envelopeSalt+envelopeNonce, envelopeOverhead+len(plaintext))
	out[0] = envelopeVersion
	rand.Read(out[1:])
	aead, err := envelopeCipher(key, out[1:1+envelopeSalt], place)
	if err != nil {
		return nil, err
	}
	return aead.Seal(out, out[1+envelopeSalt:], plaintext, append([]byte{envelopeVersion}, place...)), nil
}

// openEnvelope is the inverse of sealEnvelope. Its errors are fit for CorruptError.Reason.
func openEnvelope(key secret.Bytes, place, envelope []byte) ([]byte, error) {
	if len(envelope) < envelopeOverhead {
		return nil, errors.New("it is cut short")
	}
	if envelope[0] != envelopeVersion {
		return nil, fmt.Errorf("its version is %d, this node reads version %d", envelope[0], envelopeVersion)
	}
	aead, err := envelopeCipher(key, envelope[1:1+envelopeSalt], place)
	if err != nil {
		return nil, err
	}
	nonce, sealed := envelope[1+envelopeSalt:1+envelopeSalt+envelopeNonce], envelope[1+envelopeSalt+envelopeNonce:]
	plaintext, err := aead.Open(nil, nonce, sealed, append([]byte{envelopeVersion}, place...))
	if err != nil {
		return nil, errors.New("it was altered, or belongs to another place or store")
	}
	return plaintext, nil
}

func envelopeCipher(key secret.Bytes, salt, place []byte) (cipher.AEAD, error) {
	one, err := hkdf.Key(sha256.New, key.Expose(), salt, string(place), masterSize)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	defer secret.Wipe(one)
	return newGCM(one)
}

// newGCM returns AES-256-GCM. The expanded key in it cannot be wiped: that is left to the garbage collector.
func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("AES-256: %w", err)
	}
	return cipher.NewGCM(block)
}
