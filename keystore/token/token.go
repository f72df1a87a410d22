// Package token is a key in a PKCS #11 token (an HSM, a smart card, SoftHSM2) that wraps the master key of a key store, for
// auto-unseal. It needs cgo and the build tag pkcs11; without them Open and Generate return ErrNotBuilt.
//
// The key is an AES-256 key that can neither be read nor wrapped out of the token (PKCS #11 v2.40, CKA_SENSITIVE and
// CKA_EXTRACTABLE); it encrypts by CKM_AES_GCM. Who has the token, its PIN and asset.db opens the store.
package token

import (
	"errors"
	"fmt"
	"unicode"

	"github.com/countersign-mpc/countersign/keystore"
)

// ErrNotBuilt: this program was built without the tag pkcs11.
var ErrNotBuilt = errors.New("this program was built without PKCS #11: build it with cgo and -tags pkcs11 (make build-pkcs11)")

// Config says where the key is. All fields are required.
type Config struct {
	Module     string // path of the token's PKCS #11 library
	TokenLabel string // of the token; exactly one token in the slots may have it; at most 32 bytes
	KeyLabel   string // of the AES-256 key in it; exactly one
	PINPath    string // file with the user's PIN in its first line; only its owner may read it
}

// Key is the key, with a session at the token. It is safe for concurrent use.
type Key interface {
	keystore.OutsideKey
	// Close ends the session.
	Close() error
}

// Name tells which key a configuration means, in the manner of RFC 7512.
func (c Config) Name() string { return "pkcs11:token=" + c.TokenLabel + ";object=" + c.KeyLabel }

// Validate checks that everything is given.
func (c Config) Validate() error {
	for _, f := range []struct {
		name, value string
		most        int
	}{{"module", c.Module, 4096}, {"token-label", c.TokenLabel, 32}, {"key-label", c.KeyLabel, 100}, {"pin-path", c.PINPath, 4096}} {
		if f.value == "" || len(f.value) > f.most {
			return fmt.Errorf("%s must be 1 to %d bytes", f.name, f.most)
		}
		for _, r := range f.value {
			if !unicode.IsPrint(r) {
				return fmt.Errorf("%s holds what cannot be printed", f.name)
			}
		}
	}
	return nil
}
