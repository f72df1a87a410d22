package callback

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/wire"
)

// Key is a key whose chain code is known here, so that this server can derive the key of every path.
type Key struct {
	PublicKey []byte // root: 33 bytes compressed (secp256k1), or 32 bytes (Ed25519)
	ChainCode []byte // 32 bytes
}

// Keys are the keys that are known. A nil Keys knows none. They do not change: safe for concurrent use.
type Keys struct {
	chainCodes map[string][]byte // by the root public key
	derived    *derivedKeys
	abis       *evidence.ABIs
}

// WithABIs returns the same keys, beside which contracts are known whose calls evidence then shows by name.
func (k *Keys) WithABIs(abis *evidence.ABIs) *Keys {
	out := &Keys{abis: abis}
	if k != nil {
		out.chainCodes, out.derived = k.chainCodes, k.derived
	}
	return out
}

// contracts are the ABIs that are known, nil for none.
func (k *Keys) contracts() *evidence.ABIs {
	if k == nil {
		return nil
	}
	return k.abis
}

// NewKeys checks the keys: each must be a point of its curve with a chain code, and none may be there twice.
func NewKeys(list []Key) (*Keys, error) {
	k := &Keys{chainCodes: map[string][]byte{}, derived: &derivedKeys{}}
	var problems []error
	for _, key := range list {
		if _, err := derive.Child(cryptographyOfKey(key.PublicKey), key.PublicKey, key.ChainCode, nil); err != nil {
			problems = append(problems, fmt.Errorf("key %x: %w", key.PublicKey, err))
			continue
		}
		if k.chainCodes[string(key.PublicKey)] != nil {
			problems = append(problems, fmt.Errorf("key %x is there twice", key.PublicKey))
		}
		k.chainCodes[string(key.PublicKey)] = bytes.Clone(key.ChainCode)
	}
	return k, errors.Join(problems...)
}

// How the key that signs is known.
const (
	KeyFromChainCode = "chain-code" // derived here, with a chain code of the configuration
	KeyFromRoot      = "root"       // the path is the root
	KeyFromTxInfo    = "tx_info"    // tx_info.publickKey, which the node has compared with its own
	KeyFromAddress   = "address"    // recovered from the signature; its address is tx_info.from
)

// signer is the public key that signs for a request, path included, as far as it can be known.
type signer struct {
	key    []byte // 33 or 32 bytes; nil: not known
	source string
	evm    string // its EVM address where that was computed before
}

// errSigner is what makes a request's key and path impossible, with where it stands.
type errSigner struct{ field, text string }

func (e *errSigner) Error() string { return e.field + " " + e.text }

// signer finds it. What the request itself contradicts, by a path that no key has or a publickKey of another key, is an
// *errSigner.
func (k *Keys) signer(p *wire.Parsed) (signer, error) {
	d := &p.Check.RequestDetail
	if err := spelled(d); err != nil {
		return signer{}, err
	}
	out, err := k.known(d)
	if err != nil {
		return signer{}, &errSigner{"/request_detail/path", err.Error()}
	}
	if p.TxInfo == nil || p.TxInfo.PublicKey == "" {
		return out, nil
	}
	claimed, err := hex.DecodeString(p.TxInfo.PublicKey)
	switch {
	case out.key != nil && (err != nil || !bytes.Equal(claimed, out.key)):
		return signer{}, &errSigner{txInfoPublicKey, "is not the public key of this key and path"}
	case out.key != nil:
		return out, nil
	case err != nil || cryptographyOfKey(claimed) == "" || cryptographyOfKey(claimed) != cryptography(d):
		return signer{}, nil // of no form that could be compared
	}
	return signer{key: claimed, source: KeyFromTxInfo}, nil
}

const txInfoPublicKey = "/request_detail/tx_info/publickKey"

// spelled holds key and path to the one spelling that each has: lists, windows and what is bound to them are keyed by it, and
// another spelling would slip past.
func spelled(d *wire.RequestDetail) error {
	if cryptographyOf(d.PublicKey) == "" || !isLowerHex(d.PublicKey) {
		return &errSigner{"/request_detail/public_key", "is no public key: 66 lower-case hex digits are (secp256k1, compressed), or 64 (Ed25519)"}
	}
	if _, err := derive.ParsePath(d.Path); err != nil {
		return &errSigner{"/request_detail/path", err.Error()}
	}
	return nil
}

// known is what follows from the request's root key and path alone.
func (k *Keys) known(d *wire.RequestDetail) (signer, error) {
	isRoot := d.Path == "" || d.Path == "m"
	if !isRoot && (k == nil || len(k.chainCodes) == 0) {
		return signer{}, nil
	}
	root, err := hex.DecodeString(d.PublicKey)
	if err != nil || cryptographyOfKey(root) == "" {
		return signer{}, nil
	}
	if isRoot {
		return signer{key: root, source: KeyFromRoot}, nil
	}
	if k.chainCodes[string(root)] == nil {
		return signer{}, nil
	}
	return k.derived.at(root, k.chainCodes[string(root)], d.Path)
}

// evmAddress is the EVM address of the key; "" if it is not known or has none.
func (s signer) evmAddress() string {
	if s.key == nil || s.evm != "" {
		return s.evm
	}
	address, err := derive.EVMAddress(s.key)
	if err != nil {
		return ""
	}
	return address
}

// cryptography is what a request says, or else the length of its public key.
func cryptography(d *wire.RequestDetail) string {
	if d.Cryptography != "" {
		return d.Cryptography
	}
	return cryptographyOf(d.PublicKey)
}

// cryptographyOf is cryptographyOfKey of a public key in hex; "" for what is no hex.
func cryptographyOf(publicKey string) string {
	if len(publicKey)%2 != 0 || !isHex(publicKey) {
		return ""
	}
	return cryptographyOfLength(len(publicKey) / 2)
}

// cryptographyOfKey tells by the length of a public key what it is of.
func cryptographyOfKey(raw []byte) string { return cryptographyOfLength(len(raw)) }

func cryptographyOfLength(n int) string {
	switch n {
	case 33:
		return wire.ECDSASecp256k1
	case 32:
		return wire.EdDSAEd25519
	}
	return ""
}
