package frost

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/frost/internal/group"
	"github.com/countersign-mpc/countersign/signing/frost/internal/rfc9591"
	"github.com/countersign-mpc/countersign/signing/frost/internal/schnorr"
	"github.com/countersign-mpc/countersign/wire/label"
)

// newEdwards25519 starts a signer by RFC 9591: it draws the nonce. The secret is copied; session is the session's hash.
func newEdwards25519(c SignConfig, secret []byte, session [32]byte) (signer, error) {
	curve := group.Edwards25519{}
	tweak, err := curve.Scalar(c.Derived.Tweak[:])
	if err != nil {
		return nil, fmt.Errorf("derivation: %w", err)
	}
	public, err := curve.Element(c.Share.PublicKey())
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	if !bytes.Equal(public.Add(curve.Base(tweak)).Bytes(), c.Derived.PublicKey) {
		return nil, errDerived
	}
	publicShares := c.publicShares()
	own := &party[*rfc9591.Scalar, *rfc9591.Element]{
		self: c.Share.Index(), group: curve, parse: rfc9591.ParseCommitment,
		prepare: func(commitments map[signing.PartyID]rfc9591.Commitment) (*rfc9591.Values, error) {
			shared := rfc9591.Session{PublicKey: public.Bytes(), Tweak: tweak.Bytes(), Message: c.Message}
			for i, id := range c.Signers {
				shared.Signers = append(shared.Signers,
					rfc9591.Signer{ID: uint32(id), PublicShare: publicShares[i], Commitment: commitments[id]})
			}
			return shared.Values()
		},
	}
	if own.secret, err = curve.Scalar(secret); err != nil {
		return nil, err
	}
	half := func(which string) *rfc9591.Scalar {
		random := freshBytes(session, which)
		defer clear(random[:])
		return rfc9591.NonceGenerate(random, own.secret)
	}
	if own.nonce, err = schnorr.NewNonce(half("hiding"), half("binding")); err != nil {
		return nil, err
	}
	return own, own.start()
}

// freshBytes returns 32 random bytes for one half of a nonce. The session enters them, as it enters BIP 445's nonces:
// should the machine ever draw the same bytes twice, two sessions still have different nonces.
func freshBytes(session [32]byte, which string) [32]byte {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	labelled := label.Bytes("frost-nonce", random[:], session[:], []byte(which))
	defer clear(labelled)
	defer clear(random[:])
	return sha256.Sum256(labelled)
}
