package frost

import (
	"errors"
	"fmt"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/frost/internal/frame"
	"github.com/countersign-mpc/countersign/signing/internal/custody"
)

// NewSign starts a signature: it draws the nonce, and its commitment is then in Outgoing. It computes for about a
// millisecond. What it needs of the share is copied: the share may be wiped once NewSign has returned. The copy is wiped
// as soon as the own signature share is made or the session ends. An error is about the configuration.
func NewSign(c SignConfig) (signing.SignSession, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("start FROST signing: %w", err)
	}
	c = c.clone()
	key, err := c.Scheme.VerifyingKey(c.Derived.PublicKey, c.TapScriptRoot)
	if err != nil {
		return nil, fmt.Errorf("start FROST signing: %w", err)
	}
	s := newSession(c, c.sessionID())
	s.verify = func(signature [64]byte) error {
		if !c.Scheme.Verify(key, c.Message, signature[:]) {
			return errors.New("the signature does not verify under the key that was asked for")
		}
		return nil
	}
	contents, err := c.Share.Open(custody.Open())
	if err != nil {
		return nil, fmt.Errorf("start FROST signing: %w", err)
	}
	defer contents.Wipe()
	if c.Scheme == derive.SchemeEd25519 {
		s.protocol = frame.RFC9591
		s.signer, err = newEdwards25519(c, contents.Secret, s.id)
	} else {
		s.protocol = frame.BIP445
		s.signer, err = newSecp256k1(c, contents.Secret, key, s.id)
	}
	if err != nil {
		return nil, fmt.Errorf("start FROST signing: %w", err)
	}
	if err := s.begin(); err != nil {
		return nil, fmt.Errorf("start FROST signing: %w", err)
	}
	return s, nil
}
