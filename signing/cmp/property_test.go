//go:build !race

package cmp_test

import (
	crand "crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/cmp"
	"github.com/countersign-mpc/countersign/signing/signingtest"
)

// TestSignAnything signs with random keys: t and n up to 5, party ids with gaps, any t of them as signers, any path,
// digest and recipient, messages in any order. The seed in a test's name makes its case again.
func TestSignAnything(t *testing.T) {
	var fresh [8]byte
	_, _ = crand.Read(fresh[:])
	for _, seed := range []uint64{1, 4, binary.BigEndian.Uint64(fresh[:])} {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { signAnything(t, seed) })
	}
}

func signAnything(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	n := 2 + rng.IntN(4)
	threshold := 2 + rng.IntN(n-1)
	var all []signing.PartyID
	for _, i := range rng.Perm(signing.MaxParties)[:n] {
		all = append(all, signing.PartyID(i+1))
	}
	shares := signingtest.Deal(t, seed, signing.AlgorithmECDSA, threshold, all)
	var path derive.Path
	for range rng.IntN(5) {
		path = append(path, rng.Uint32N(1<<31))
	}
	code := shares[0].ChainCode()
	key, err := derive.Secp256k1Child(shares[0].PublicKey(), code[:], path)
	if err != nil {
		t.Fatal(err)
	}
	chosen, digest := rng.Perm(n)[:threshold], sha256.Sum256(fmt.Append(nil, "message ", seed))
	byIndex, signers := map[signing.PartyID]*signing.Share{}, []signing.PartyID{}
	for _, i := range chosen {
		byIndex[all[i]] = shares[i]
		signers = append(signers, all[i])
	}
	recipient := append([]signing.PartyID{0}, signers...)[rng.IntN(threshold+1)]
	t.Logf("%d of %v, signers %v, path %v, recipient %d", threshold, all, signers, path, recipient)
	sessions, err := signingtest.Start(signers, func(id signing.PartyID) (*cmp.Sign, error) {
		return cmp.NewSign(cmp.SignConfig{
			Binding: binding(t.Name()), Share: byIndex[id], Signers: signers, Recipient: recipient,
			Tweak: key.Tweak, PublicKey: [33]byte(key.PublicKey), Digest: digest,
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	network := signingtest.NewNetwork(sessions)
	network.Shuffle = rng
	mustDone(t, network.Run())
	for _, id := range slices.Clone(signers) {
		if recipient == 0 || id == recipient {
			continue
		}
		if _, err := sessions[id].Signature(); !errors.Is(err, signing.ErrForRecipient) {
			t.Errorf("%s: %v", id, err)
		}
		delete(network.Sessions, id)
	}
	mustVerifyDigest(t, network, [33]byte(key.PublicKey), digest)
}
