package callback

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// ResultKey seals signature results in the store (docs/FORMATS.md, callback): who has the store without the key's file
// learns none of them. Safe for concurrent use.
type ResultKey struct {
	aead cipher.AEAD
	id   [resultKeyID]byte // names the key without telling it
}

const (
	resultKeyFile = "countersign/callback-result-key/v1" // the first line of a key's file
	resultMagic   = "CSCR\x01"
	resultKeyID   = 8 // bytes
	nonceSize     = chacha20poly1305.NonceSizeX
)

// errOtherResultKey: a result was sealed under a key that this server does not have.
var errOtherResultKey = errors.New("the result was sealed under another result key")

// GenerateResultKey makes a key and returns its file, which the caller writes for nobody else to read, and wipes.
func GenerateResultKey() []byte {
	var key [chacha20poly1305.KeySize]byte
	defer secret.Wipe(key[:])
	rand.Read(key[:]) // never fails (crypto/rand)
	return fmt.Appendf(nil, "%s\n%s\n", resultKeyFile, base64.StdEncoding.EncodeToString(key[:]))
}

// ParseResultKey reads a key's file. The error does not repeat what it holds.
func ParseResultKey(file []byte) (*ResultKey, error) {
	head, rest, _ := bytes.Cut(file, []byte("\n"))
	if string(head) != resultKeyFile {
		return nil, fmt.Errorf("it is no result key: its first line must be %q; callback serve makes such a file where there is none", resultKeyFile)
	}
	key, err := base64.StdEncoding.DecodeString(string(bytes.TrimSuffix(rest, []byte("\n"))))
	defer secret.Wipe(key)
	if err != nil || len(key) != chacha20poly1305.KeySize {
		return nil, fmt.Errorf("it is no result key: its second line must be the base64 of %d bytes, and nothing may follow", chacha20poly1305.KeySize)
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("result key: %w", err)
	}
	sum := sha256.Sum256(wire.SigningBytes("callback-result-key", key))
	return &ResultKey{aead, [resultKeyID]byte(sum[:])}, nil
}

// ID names the key: 16 hex digits.
func (k *ResultKey) ID() string { return fmt.Sprintf("%x", k.id) }

// String names the key, so that printing one does not show it.
func (k *ResultKey) String() string { return "result key " + k.ID() }

// GoString is String.
func (k *ResultKey) GoString() string { return k.String() }

// place is what a sealed result belongs to, and cannot be moved from.
func place(a *ledger.Ask) []byte {
	return wire.SigningBytes("callback-result", []byte(a.Node), []byte(a.Path), []byte(a.CallbackID), a.BodyHash[:])
}

func (k *ResultKey) seal(a *ledger.Ask, plain []byte) []byte {
	out := append([]byte(resultMagic), k.id[:]...)
	var nonce [nonceSize]byte
	rand.Read(nonce[:])
	out = append(out, nonce[:]...)
	return k.aead.Seal(out, nonce[:], plain, place(a))
}

// open is the other way. The caller wipes what it returns.
func (k *ResultKey) open(a *ledger.Ask, sealed []byte) ([]byte, error) {
	head := len(resultMagic) + resultKeyID
	if len(sealed) < head+nonceSize || string(sealed[:len(resultMagic)]) != resultMagic {
		return nil, fmt.Errorf("%w: a sealed result is cut off or of an unknown version", ledger.ErrDamaged)
	}
	if id := sealed[len(resultMagic):head]; !bytes.Equal(id, k.id[:]) {
		return nil, fmt.Errorf("%w: that key is %x, and this server has %s: give it the file that results.key-path named then", errOtherResultKey, id, k.ID())
	}
	plain, err := k.aead.Open(nil, sealed[head:head+nonceSize], sealed[head+nonceSize:], place(a))
	if err != nil {
		return nil, fmt.Errorf("%w: a sealed result is not what was stored", ledger.ErrDamaged)
	}
	return plain, nil
}
