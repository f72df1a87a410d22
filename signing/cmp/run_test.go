//go:build !race

package cmp_test

import (
	"crypto/sha256"
	"testing"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/cmp"
	"github.com/countersign-mpc/countersign/signing/signingtest"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	ethcrypto "github.com/ethereum/go-ethereum/crypto"
)

func binding(name string) [32]byte { return sha256.Sum256([]byte("test binding " + name)) }

func parties(n int) []signing.PartyID {
	var out []signing.PartyID
	for i := 1; i <= n; i++ {
		out = append(out, signing.PartyID(i))
	}
	return out
}

// startKeygen starts one keygen session per party, each with a configuration that change may spoil.
func startKeygen(t *testing.T, n, threshold int, change func(*cmp.KeygenConfig)) *signingtest.Network {
	t.Helper()
	sessions, err := signingtest.Start(parties(n), func(id signing.PartyID) (*cmp.Keygen, error) {
		c := cmp.KeygenConfig{Binding: binding(t.Name()), Self: id, Parties: parties(n), Threshold: threshold}
		if change != nil {
			change(&c)
		}
		return cmp.NewKeygen(c)
	})
	if err != nil {
		t.Fatal(err)
	}
	return signingtest.NewNetwork(sessions)
}

// keygen runs an honest keygen.
func keygen(t *testing.T, n, threshold int) ([]*signing.Share, *signingtest.Network) {
	t.Helper()
	network := startKeygen(t, n, threshold, nil)
	mustDone(t, network.Run())
	var shares []*signing.Share
	for _, id := range parties(n) {
		share, err := network.Sessions[id].(*cmp.Keygen).Share()
		if err != nil {
			t.Fatal(err)
		}
		shares = append(shares, share)
	}
	return shares, network
}

// startSign starts one signing session per signer, each with a configuration that change may spoil.
func startSign(t *testing.T, shares []*signing.Share, path string, change func(*cmp.SignConfig)) *signingtest.Network {
	t.Helper()
	byIndex := map[signing.PartyID]*signing.Share{}
	var signers []signing.PartyID
	for _, share := range shares {
		byIndex[share.Index()] = share
		signers = append(signers, share.Index())
	}
	key := derived(t, shares[0], path)
	sessions, err := signingtest.Start(signers, func(id signing.PartyID) (*cmp.Sign, error) {
		c := cmp.SignConfig{
			Binding: binding(t.Name()), Share: byIndex[id], Signers: signers,
			Tweak: key.Tweak, PublicKey: [33]byte(key.PublicKey), Digest: digest,
		}
		if change != nil {
			change(&c)
		}
		return cmp.NewSign(c)
	})
	if err != nil {
		t.Fatal(err)
	}
	return signingtest.NewNetwork(sessions)
}

var digest = sha256.Sum256([]byte("what is signed"))

func derived(t *testing.T, share *signing.Share, path string) derive.Derived {
	t.Helper()
	p, err := derive.ParsePath(path)
	if err != nil {
		t.Fatal(err)
	}
	code := share.ChainCode()
	d, err := derive.Secp256k1Child(share.PublicKey(), code[:], p)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func mustDone(t *testing.T, ended map[signing.PartyID]error) {
	t.Helper()
	for id, err := range ended {
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
	}
}

// mustVerify checks every signer's signature with verifiers that are not this project's.
func mustVerify(t *testing.T, network *signingtest.Network, public [33]byte) {
	t.Helper()
	mustVerifyDigest(t, network, public, digest)
}

func mustVerifyDigest(t *testing.T, network *signingtest.Network, public [33]byte, digest [32]byte) {
	t.Helper()
	key, err := secp256k1.ParsePubKey(public[:])
	if err != nil {
		t.Fatal(err)
	}
	var first *signing.Signature
	for id, session := range network.Sessions {
		sig, err := session.(*cmp.Sign).Signature()
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		if first == nil {
			first = &sig
		}
		if sig != *first {
			t.Fatalf("%s has another signature", id)
		}
	}
	var r, s secp256k1.ModNScalar
	r.SetByteSlice(first.Bytes[:32])
	s.SetByteSlice(first.Bytes[32:])
	if !ecdsa.NewSignature(&r, &s).Verify(digest[:], key) {
		t.Fatal("decred does not verify the signature")
	}
	if s.IsOverHalfOrder() {
		t.Fatal("s is not in its low half")
	}
	if !ethcrypto.VerifySignature(public[:], digest[:], first.Bytes[:]) {
		t.Fatal("go-ethereum does not verify the signature")
	}
	recovered, err := ethcrypto.Ecrecover(digest[:], append(first.Bytes[:], first.RecoveryID))
	if err != nil || string(recovered) != string(key.SerializeUncompressed()) {
		t.Fatalf("go-ethereum recovers another key: %v", err)
	}
}
