package cmp

import (
	"errors"

	"github.com/countersign-mpc/countersign/signing"
)

// KeygenConfig says which key to make. All parties must give the same values, Self apart.
type KeygenConfig struct {
	Binding   [32]byte          // the session's identity; it must be fresh for every run
	Self      signing.PartyID   // this party
	Parties   []signing.PartyID // all parties, 2..9, in any order
	Threshold int               // t, the number of signers needed: 2..len(Parties)
}

// Keygen is one run of key generation by one party.
type Keygen struct{ signing.Session }

// NewKeygen starts a keygen. It computes for several seconds (the primes of a Paillier key), and its first messages
// are then in Outgoing.
func NewKeygen(c KeygenConfig) (*Keygen, error) { return nil, errors.New("keygen is being written") }

// Share returns this party's share once the session is Done.
func (k *Keygen) Share() (*signing.Share, error) { return nil, signing.ErrUnfinished }
