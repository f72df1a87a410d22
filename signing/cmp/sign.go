package cmp

import (
	"errors"

	"github.com/countersign-mpc/countersign/signing"
)

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
}

// Sign is one run of interactive signing by one party.
type Sign struct{ signing.Session }

// NewSign starts a signature. It computes for a good part of a second, and its first messages are then in Outgoing.
func NewSign(c SignConfig) (*Sign, error) { return nil, errors.New("signing is being written") }

// Signature returns the verified signature once the session is Done.
func (s *Sign) Signature() (signing.Signature, error) { return signing.Signature{}, signing.ErrUnfinished }

// CheckShare checks that a share can sign by CMP: the protocol's material too, which signing.ParseShare cannot see
// into.
func CheckShare(s *signing.Share) error { return errors.New("signing is being written") }
