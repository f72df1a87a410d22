package node_test

import (
	"encoding/binary"
	"errors"
	"sync"
	"testing"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/node"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/cmp"
	"github.com/countersign-mpc/countersign/signing/signingtest"
	"github.com/countersign-mpc/countersign/wire"
)

// toys are cheap protocols: toys for ECDSA and for making keys, the real one for Ed25519 and Schnorr signatures. What a test
// sets stands in their place.
type toys struct {
	t      testing.TB
	mu     sync.Mutex
	keygen func(signing.KeygenSession) signing.KeygenSession
	sign   func(signing.SignSession) signing.SignSession
	refuse error
	real   bool // the real protocols
}

var _ node.Protocols = (*toys)(nil)

func (y *toys) change(f func(*toys)) {
	y.mu.Lock()
	defer y.mu.Unlock()
	f(y)
}

func (y *toys) Keygen(r node.KeygenRun) (signing.KeygenSession, error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.real {
		return node.Threshold{}.Keygen(r)
	}
	s, err := toyKeygen(y.t, r)
	if err == nil && y.keygen != nil {
		s = y.keygen(s)
	}
	return s, err
}

func (y *toys) Sign(r node.SignRun) (signing.SignSession, error) {
	s, err := toySign(r)
	y.mu.Lock()
	defer y.mu.Unlock()
	if err == nil && y.sign != nil {
		s = y.sign(s)
	}
	return s, errors.Join(err, y.refuse)
}

// toyKeygen makes a key of either curve by the messages of the toy.
func toyKeygen(t testing.TB, r node.KeygenRun) (signing.KeygenSession, error) {
	s, err := signingtest.NewKeygen(cmp.KeygenConfig{Binding: r.Binding, Self: r.Self, Parties: r.Parties, Threshold: r.Threshold})
	if err == nil && r.Cryptography == wire.EdDSAEd25519 {
		s = dealt{s, t, r}
	}
	return s, err
}

// dealt is a toy keygen that ends with shares of an Ed25519 key, the same key at every party of the session.
type dealt struct {
	signing.KeygenSession
	t   testing.TB
	run node.KeygenRun
}

func (d dealt) Share() (*signing.Share, error) {
	if _, err := d.KeygenSession.Share(); err != nil {
		return nil, err
	}
	shares := signingtest.Deal(d.t, binary.BigEndian.Uint64(d.run.Binding[:]), signing.AlgorithmEd25519, d.run.Threshold, d.run.Parties)
	for i, id := range d.run.Parties {
		if id == d.run.Self {
			return shares[i], nil
		}
	}
	return nil, errors.New("the party is not among the parties")
}

func toySign(r node.SignRun) (signing.SignSession, error) {
	if r.Scheme != derive.SchemeECDSA {
		return node.Threshold{}.Sign(r)
	}
	return signingtest.NewSign(cmp.SignConfig{Binding: r.Binding, Share: r.Share, Signers: r.Signers, Tweak: r.Derived.Tweak,
		PublicKey: [33]byte(r.Derived.PublicKey), Digest: [32]byte(r.Message), Recipient: r.Recipient})
}
