package frost

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/frost/internal/bip445"
	"github.com/countersign-mpc/countersign/signing/frost/internal/group"
)

// newSecp256k1 starts a signer by BIP 445: it draws the nonce. The secret is copied; session is the session's hash.
func newSecp256k1(c SignConfig, secret []byte, verifyingKey []byte, session [32]byte) (signer, error) {
	shared := bip445.Session{Message: c.Message, Signers: bip445.Signers{
		N: signing.MaxParties, // ids may have gaps: what counts of n is that no identifier is beyond it
		T: c.Share.Threshold(), PublicShares: c.publicShares(), PublicKey: c.Share.PublicKey(),
	}}
	for _, id := range c.Signers {
		shared.IDs = append(shared.IDs, uint32(id)-1)
	}
	var err error
	if shared.Tweaks, shared.XOnly, err = tweaks(c, verifyingKey); err != nil {
		return nil, err
	}
	own := &party[*bip445.Scalar, *bip445.Element]{
		self: c.Share.Index(), group: group.Secp256k1{}, parse: bip445.ParsePublicNonce,
		prepare: func(commitments map[signing.PartyID]bip445.Commitment) (*bip445.Values, error) {
			var nonces [][]byte
			for _, id := range c.Signers {
				nonces = append(nonces, commitments[id].Bytes())
			}
			var err error
			if shared.AggregateNonce, err = bip445.NonceAgg(nonces); err != nil {
				return nil, err
			}
			return shared.Values()
		},
	}
	if own.secret, err = own.group.Scalar(secret); err != nil {
		return nil, err
	}
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	own.nonce, err = bip445.NonceGen(&random, bip445.NonceInput{
		SecretShare: secret, PublicShare: shared.PublicShares[slices.Index(c.Signers, own.self)],
		PublicKey: verifyingKey, Message: c.Message, Extra: session[:],
	})
	if err != nil {
		return nil, err
	}
	return own, own.start()
}

// tweaks returns what is added to the shared key: the sum of the BIP32 derivation, to the plain key, then for Taproot
// the BIP341 tweak, to its x-only form. It makes sure that they lead to the keys that are asked for.
func tweaks(c SignConfig, verifyingKey []byte) (values [][]byte, xonly []bool, err error) {
	values, xonly = [][]byte{c.Derived.Tweak[:]}, []bool{false}
	key, err := bip445.Tweak(c.Share.PublicKey(), values, xonly)
	if err != nil {
		return nil, nil, fmt.Errorf("derivation: %w", err)
	}
	if !bytes.Equal(key.Q.Bytes(), c.Derived.PublicKey) {
		return nil, nil, errDerived
	}
	if c.Scheme == derive.SchemeTaproot {
		output, err := derive.TaprootOutputKey(c.Derived.PublicKey, c.TapScriptRoot)
		if err != nil {
			return nil, nil, err
		}
		values, xonly = append(values, output.Tweak[:]), append(xonly, true)
		if key, err = bip445.Tweak(c.Share.PublicKey(), values, xonly); err != nil {
			return nil, nil, fmt.Errorf("taproot: %w", err)
		}
	}
	if !bytes.Equal(key.Q.XBytes(), verifyingKey) {
		return nil, nil, errors.New("tweaks and share do not give the key under which the signature must verify")
	}
	return values, xonly, nil
}

// errDerived is the error for a derived key that is not the share's key plus its tweak.
var errDerived = errors.New("tweak and share do not give the public key that is asked for")
