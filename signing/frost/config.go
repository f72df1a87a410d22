package frost

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/wire/label"
)

// digestLength is the length of what BIP340 and Taproot sign, in bytes.
const digestLength = 32

// SignConfig says what to sign. All signers must give the same values, Share apart.
type SignConfig struct {
	Binding [32]byte          // the session's identity; it must be fresh for every run
	Share   *signing.Share    // this party's share
	Signers []signing.PartyID // exactly t parties of the key, in any order, own party included
	Scheme  derive.Scheme     // BIP340 or Taproot with a share of ECDSA, Ed25519 with one of Ed25519
	Derived derive.Derived    // the derived key, of derive.Child; for the root key, that of the root path
	// TapScriptRoot is for Taproot alone: the Merkle root of the script tree, 32 bytes, or empty if there is none.
	TapScriptRoot []byte
	Message       []byte // what is signed: 32 bytes for BIP340 and Taproot, any length for Ed25519
	// Recipient is the one signer that learns the signature: the others send it their shares point to point, with
	// ReleasesShare set, and are then Done; their Signature fails with signing.ErrForRecipient. 0: every signer learns it.
	Recipient signing.PartyID
}

// validate checks everything that needs no computing with points.
func (c SignConfig) validate() error {
	switch {
	case c.Binding == [32]byte{}:
		return errors.New("the binding is zero: give the session's identity")
	case c.Share == nil:
		return errors.New("no share is given")
	case c.Recipient != 0 && !slices.Contains(c.Signers, c.Recipient):
		return fmt.Errorf("the recipient, %s, is not among the signers", c.Recipient)
	}
	want := signing.AlgorithmECDSA
	switch c.Scheme {
	case derive.SchemeBIP340, derive.SchemeTaproot:
		if len(c.Message) != digestLength {
			return fmt.Errorf("the message has %d bytes: %s signs %d", len(c.Message), c.Scheme, digestLength)
		}
	case derive.SchemeEd25519:
		want = signing.AlgorithmEd25519
	default:
		return fmt.Errorf("signature scheme %.20q is not one that FROST signs", string(c.Scheme))
	}
	if got := c.Share.Algorithm(); got != want {
		return fmt.Errorf("%s signs with a share of %s, this one is of %s", c.Scheme, want, got)
	}
	return c.Share.CheckSigners(c.Signers)
}

// clone returns a configuration that later changes of the caller's slices do not reach, its signers ascending.
func (c SignConfig) clone() SignConfig {
	c.Signers = slices.Sorted(slices.Values(c.Signers))
	c.Derived.PublicKey = bytes.Clone(c.Derived.PublicKey)
	c.TapScriptRoot = bytes.Clone(c.TapScriptRoot)
	c.Message = append([]byte{}, c.Message...) // not nil: an empty message is one
	return c
}

// sessionID is a hash of all that the signers must agree on before they start. It is in every frame, so that signers
// that disagree find out before any of them makes a share, and it enters the nonces.
func (c SignConfig) sessionID() [32]byte {
	statement := sha256.Sum256(c.Share.PublicStatement())
	signers := make([]byte, len(c.Signers))
	for i, id := range c.Signers {
		signers[i] = byte(id)
	}
	return sha256.Sum256(label.Bytes("frost-session", c.Binding[:], []byte(c.Scheme), statement[:],
		c.Derived.PublicKey, c.Derived.Tweak[:], c.TapScriptRoot, signers, []byte{byte(c.Recipient)}, c.Message))
}

// publicShares returns the public shares of the signers, in their order.
func (c SignConfig) publicShares() [][]byte {
	all := c.Share.PublicShares()
	out := make([][]byte, len(c.Signers))
	for i, id := range c.Signers {
		out[i] = all[id]
	}
	return out
}
