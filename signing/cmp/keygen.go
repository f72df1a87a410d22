package cmp

import (
	"errors"
	"fmt"
	"slices"

	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/cmp/internal/fence"
	"github.com/countersign-mpc/countersign/signing/cmp/internal/frame"
	"github.com/taurusgroup/multi-party-sig/pkg/math/curve"
	"github.com/taurusgroup/multi-party-sig/pkg/protocol"
	taurus "github.com/taurusgroup/multi-party-sig/protocols/cmp"
)

// KeygenConfig says which key to make. All parties must give the same values, Self apart.
type KeygenConfig struct {
	Binding   [32]byte          // the session's identity; it must be fresh for every run
	Self      signing.PartyID   // this party
	Parties   []signing.PartyID // all parties, 2..9, in any order
	Threshold int               // t, the number of signers needed: 2..len(Parties)
}

func (c KeygenConfig) validate() error {
	if c.Binding == ([32]byte{}) {
		return errors.New("the binding is zero: give the session's identity")
	}
	return signing.CheckParties(c.Parties, c.Self, c.Threshold)
}

// session gives Keygen and Sign the methods of signing.Session.
type session = fence.Run

// Keygen is one run of key generation by one party (eprint 2021/060, figures 5 and 6, as one protocol of four rounds).
type Keygen struct {
	*session
	share *signing.Share
}

var _ signing.KeygenSession = (*Keygen)(nil)

// NewKeygen starts a keygen. It computes for several seconds (the primes of a Paillier key), and its first messages
// are then in Outgoing. An error is about the configuration, or an *signing.Abort.
func NewKeygen(c KeygenConfig) (*Keygen, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("start CMP keygen: %w", err)
	}
	c.Parties = slices.Sorted(slices.Values(c.Parties))
	k := &Keygen{}
	run, err := fence.New(fence.Config{
		Protocol: frame.Keygen, Threshold: c.Threshold, Self: c.Self, Parties: c.Parties,
		Start: func() (fence.Library, error) {
			// nil is the worker pool: the library's own deadlocks.
			start := taurus.Keygen(curve.Secp256k1{}, fence.ID(c.Self), fence.IDs(c.Parties), toDegree(c.Threshold), nil)
			return protocol.NewMultiHandler(start, c.Binding[:])
		},
		Finish: func(result any) (err error) {
			k.share, err = shareFromConfig(result, c)
			return err
		},
	})
	if err != nil {
		return nil, fmt.Errorf("start CMP keygen: %w", err)
	}
	k.session = run
	return k, nil
}

// Share implements signing.KeygenSession.
func (k *Keygen) Share() (*signing.Share, error) {
	if err := k.Unfinished(); err != nil {
		return nil, err
	}
	return k.share, nil
}

// toDegree translates t, the number of signers needed, into the library's threshold, the degree of the polynomial.
func toDegree(t int) int { return t - 1 }

// fromDegree is the inverse of toDegree.
func fromDegree(degree int) int { return degree + 1 }
