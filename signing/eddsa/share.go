package eddsa

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"filippo.io/edwards25519"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/eddsa/internal/library"
	"github.com/countersign-mpc/countersign/signing/internal/custody"
	"github.com/countersign-mpc/countersign/wire/label"
)

// finish compares the library's result with what the parties opened, and makes a share of it. signing.NewShare checks
// the rest: the own secret against the own public share, and the degree of the polynomial.
func (k *Keygen) finish(result *library.Result) (*signing.Share, error) {
	defer result.Secret.Set(edwards25519.NewScalar())
	sum := make([]*edwards25519.Point, k.cfg.Threshold)
	for i := range sum {
		sum[i] = edwards25519.NewIdentityPoint()
		for _, o := range k.state.opens {
			sum[i].Add(sum[i], o.Coefficients[i])
		}
	}
	if result.PublicKey.Equal(sum[0]) != 1 {
		return nil, errors.New("the public key is not the sum of the parts that the parties opened")
	}
	contents := signing.Contents{
		Algorithm: signing.AlgorithmEd25519, Threshold: k.cfg.Threshold, Index: k.cfg.Self,
		PublicKey: sum[0].Bytes(), PublicShares: map[signing.PartyID][]byte{},
		Secret:   result.Secret.Bytes(),
		Material: signing.Material{Protocol: ProtocolID},
	}
	defer contents.Wipe()
	for _, id := range k.cfg.Parties {
		share := library.Evaluate(sum, id)
		if got := result.PublicShares[id]; got == nil || got.Equal(share) != 1 {
			return nil, fmt.Errorf("the public share of %s is not what the parties opened", id)
		}
		contents.PublicShares[id] = share.Bytes()
	}
	contents.ChainCode = k.chainCode(contents.PublicKey)
	share, err := signing.NewShare(contents)
	if err != nil {
		return nil, err
	}
	return share, CheckShare(share)
}

// chainCode is SHA-256 over binding, public key and the contributions of all parties, by ascending index.
func (k *Keygen) chainCode(publicKey []byte) [32]byte {
	var contributions []byte
	for _, id := range k.cfg.Parties {
		part := k.state.opens[id].ChainCode
		contributions = append(contributions, part[:]...)
	}
	return sha256.Sum256(label.Bytes("ed25519-chain-code", k.cfg.Binding[:], publicKey, contributions))
}

// CheckShare checks that a share is one that this package makes: of Ed25519, without material. A node calls it for a share
// that it read from its store; signing.ParseShare has checked all else.
func CheckShare(s *signing.Share) error {
	c, err := s.Open(custody.Open())
	if err != nil {
		return fmt.Errorf("check Ed25519 share: %w", err)
	}
	defer c.Wipe()
	if c.Algorithm != signing.AlgorithmEd25519 || c.Material.Protocol != ProtocolID {
		return fmt.Errorf("check Ed25519 share: it is for %s by protocol %d, not by Ed25519 keygen", c.Algorithm, c.Material.Protocol)
	}
	if len(c.Material.Public)+len(c.Material.Secret) != 0 {
		return errors.New("check Ed25519 share: it has material, of which this protocol has none")
	}
	return nil
}
