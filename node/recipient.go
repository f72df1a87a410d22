package node

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/ecies"
	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/wire"
)

// recipient is the party that alone learns the signatures of a sign_type with this key; the zero Party where all do.
// It is the party that stated encrypt-signature when the key was made.
func (k *keyRecord) recipient(signType string) manifest.Party {
	if k.Recipient == "" || signType == wire.SignTypeTransaction {
		return manifest.Party{}
	}
	for _, party := range k.Parties {
		if party.Recipient == k.Recipient {
			return party
		}
	}
	return manifest.Party{}
}

// checkRecipient refuses signers among which the one is missing that alone may learn the signature.
func (k *keyRecord) checkRecipient(signType string, signers []manifest.Party) error {
	if k.Recipient == "" || signType == wire.SignTypeTransaction {
		return nil
	}
	recipient := k.recipient(signType)
	if recipient.Index == 0 {
		return fmt.Errorf("signatures of sign_type %s with key %s are for a recipient that is none of its parties", signType, k.KeyID)
	}
	if _, ok := partyOf(signers, recipient.Index); !ok {
		return fmt.Errorf("signatures of sign_type %s with key %s are for party %d (%s) alone, which encrypts them (encrypt-signature): it must be among the signers",
			signType, k.KeyID, recipient.Index, recipient.NodeID.Short())
	}
	return nil
}

// keygenRecipient is the one key that results will be encrypted to by what the parties of a keygen state, or nothing.
func keygenRecipient(parties []manifest.Party) (string, error) {
	recipient, err := manifest.ResultRecipient(parties)
	if err != nil || recipient == "" {
		return "", err
	}
	_, err = parseRecipient(recipient)
	return recipient, err
}

// parseRecipient reads the key that results are encrypted to: hex of the SPKI of a P-256 key.
func parseRecipient(text string) (*ecdsa.PublicKey, error) {
	der, err := hex.DecodeString(text)
	if err != nil {
		return nil, errors.New("the key that results are encrypted to is not hex")
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errors.New("the key that results are encrypted to is not a public key (SPKI)")
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("the key that results are encrypted to is not of the curve P-256")
	}
	return key, nil
}

// encrypted is a signature for the eyes of recipient alone. plain is overwritten.
func encrypted(recipient string, plain []byte) ([]byte, error) {
	defer secret.Wipe(plain)
	key, err := parseRecipient(recipient)
	if err != nil {
		return nil, err
	}
	return ecies.Encrypt(nil, key, plain)
}

// firstV is v of an even nonce point in signatures of EIP-191 and EIP-712 messages, as wallets have it.
const firstV = 27

// plainSignature is a signature as it is reported (WIRE.md, ECIES): r ‖ s ‖ v for ECDSA with sign_type 2 or on an EVM chain,
// else its 64 bytes.
func plainSignature(scheme derive.Scheme, signType string, onEVM bool, made *signing.Signature) []byte {
	out := make([]byte, 0, len(made.Bytes)+1)
	out = append(out, made.Bytes[:]...)
	switch v := made.RecoveryID & 1; {
	case scheme != derive.SchemeECDSA:
		return out
	case signType == wire.SignTypeMessage:
		return append(out, firstV+v)
	case onEVM:
		return append(out, v)
	}
	return out
}
