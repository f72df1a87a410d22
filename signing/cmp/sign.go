package cmp

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/cmp/internal/fence"
	"github.com/countersign-mpc/countersign/signing/cmp/internal/frame"
	"github.com/taurusgroup/multi-party-sig/pkg/ecdsa"
	"github.com/taurusgroup/multi-party-sig/pkg/math/curve"
	"github.com/taurusgroup/multi-party-sig/pkg/protocol"
	taurus "github.com/taurusgroup/multi-party-sig/protocols/cmp"
)

// releaseRound is the round of sign in which each party sends its share of s: who holds all of them has the signature.
const releaseRound = 5

// SignConfig says what to sign. All signers must give the same values, Share apart.
type SignConfig struct {
	Binding [32]byte          // the session's identity; it must be fresh for every run
	Share   *signing.Share    // this party's share
	Signers []signing.PartyID // exactly t parties of the key, in any order, own party included
	// Tweak and PublicKey are of the derived key: Tweak and PublicKey of derive.Derived, or zero and the share's root
	// public key. NewSign checks that they belong together.
	Tweak     [32]byte
	PublicKey [33]byte
	Digest    [32]byte // what is signed
	// Recipient is the one signer that learns the signature: the others send it their last message point to point, with
	// ReleasesShare set, and are then Done; their Signature fails with signing.ErrForRecipient. 0: every signer learns it.
	Recipient signing.PartyID
}

func (c SignConfig) validate() error {
	switch {
	case c.Binding == [32]byte{}:
		return errors.New("the binding is zero: give the session's identity")
	case c.Share == nil:
		return errors.New("no share is given")
	case c.Recipient != 0 && !slices.Contains(c.Signers, c.Recipient):
		return fmt.Errorf("the recipient, %s, is not among the signers", c.Recipient)
	}
	return c.Share.CheckSigners(c.Signers)
}

// sessionID is what the library takes as the session's identity: the binding and, if there is one, the recipient. So
// signers that disagree about the recipient find out in their first messages, before any of them releases its share.
func (c SignConfig) sessionID() []byte {
	if c.Recipient == 0 {
		return c.Binding[:]
	}
	return append(c.Binding[:], byte(c.Recipient))
}

// Sign is one run of interactive signing by one party (eprint 2021/060, figures 7 and 8, as one protocol of four
// rounds).
type Sign struct {
	*session
	signature signing.Signature
}

var _ signing.SignSession = (*Sign)(nil)

// NewSign starts a signature. It computes for a good part of a second, and its first messages are then in Outgoing.
// The share is copied: it may be wiped once NewSign has returned. An error is about the configuration, or an
// *signing.Abort.
func NewSign(c SignConfig) (*Sign, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("start CMP signing: %w", err)
	}
	c.Signers = slices.Sorted(slices.Values(c.Signers))
	s := &Sign{}
	run, err := fence.New(fence.Config{
		Protocol: frame.Sign, Threshold: c.Share.Threshold(), Self: c.Share.Index(), Parties: c.Signers,
		ReleaseRound: releaseRound, Recipient: c.Recipient,
		Start: func() (fence.Library, error) { return startSign(c) },
		Finish: func(result any) (err error) {
			s.signature, err = finishSign(result, c.PublicKey, c.Digest)
			return err
		},
	})
	if err != nil {
		return nil, fmt.Errorf("start CMP signing: %w", err)
	}
	s.session = run
	return s, nil
}

// startSign makes a library configuration of its own for the session: the library changes the representation of
// points that it compares, so two sessions must not share one.
func startSign(c SignConfig) (fence.Library, error) {
	config, err := openConfig(c.Share)
	if err != nil {
		return nil, err
	}
	if c.Tweak != [32]byte{} {
		tweak := curve.Secp256k1{}.NewScalar()
		if err := tweak.UnmarshalBinary(c.Tweak[:]); err != nil {
			return nil, errors.New("the tweak is not below the group order")
		}
		if config, err = config.Derive(tweak, nil); err != nil {
			return nil, fmt.Errorf("tweak the share: %w", err)
		}
	}
	public, err := config.PublicPoint().MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("encode the tweaked key: %w", err)
	}
	if !bytes.Equal(public, c.PublicKey[:]) {
		return nil, errors.New("tweak and share do not give the public key that is asked for")
	}
	start := taurus.Sign(config, fence.IDs(c.Signers), c.Digest[:], nil) // nil: no worker pool, the library's deadlocks
	return protocol.NewMultiHandler(start, c.sessionID())
}

// finishSign brings s into its low half and verifies the signature by code that is not the library's.
func finishSign(result any, public [33]byte, digest [32]byte) (signing.Signature, error) {
	raw, ok := result.(*ecdsa.Signature)
	if !ok || raw == nil || raw.R == nil || raw.S == nil {
		return signing.Signature{}, fmt.Errorf("the library's result is a %T, not a signature", result)
	}
	s := curve.Secp256k1{}.NewScalar().Set(raw.S)
	if s.IsOverHalfOrder() {
		s.Negate()
	}
	rBytes, err := raw.R.XScalar().MarshalBinary()
	if err != nil {
		return signing.Signature{}, fmt.Errorf("encode r: %w", err)
	}
	sBytes, err := s.MarshalBinary()
	if err != nil {
		return signing.Signature{}, fmt.Errorf("encode s: %w", err)
	}
	var out signing.Signature
	if copy(out.Bytes[:32], rBytes) != 32 || copy(out.Bytes[32:], sBytes) != 32 {
		return signing.Signature{}, errors.New("the library's r or s is not 32 bytes")
	}
	if !derive.VerifyECDSA(public[:], digest[:], out.Bytes[:]) {
		return signing.Signature{}, errors.New("the signature does not verify under the derived key")
	}
	if out.RecoveryID, err = derive.RecoveryID(public[:], digest[:], out.Bytes[:]); err != nil {
		return signing.Signature{}, err
	}
	return out, nil
}

// Signature implements signing.SignSession.
func (s *Sign) Signature() (signing.Signature, error) {
	if err := s.Unfinished(); err != nil {
		return signing.Signature{}, err
	}
	if s.Released() {
		return signing.Signature{}, fmt.Errorf("signature of this session: %w", signing.ErrForRecipient)
	}
	return s.signature, nil
}
