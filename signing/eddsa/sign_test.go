package eddsa_test

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/frost"
	"github.com/countersign-mpc/countersign/signing/signingtest"
)

// TestKeysSign signs with the shares of a real keygen, with each pair of a 2-of-3 key, for the root and a derived key;
// crypto/ed25519 verifies.
func TestKeysSign(t *testing.T) {
	network := start(t, three, 2, nil)
	shares := mustShares(t, network, network.Run())
	message := bytes.Repeat([]byte("200 bytes "), 20)
	for i, signers := range [][]signing.PartyID{{1, 2}, {3, 1}, {2, 3}} {
		for _, text := range []string{"m", "m/44/501/0/7"} {
			path, err := derive.ParsePath(text)
			if err != nil {
				t.Fatal(err)
			}
			code := shares[1].ChainCode()
			key, err := derive.Ed25519Child(shares[1].PublicKey(), code[:], path)
			if err != nil {
				t.Fatal(err)
			}
			sessions, err := signingtest.Start(signers, func(id signing.PartyID) (signing.SignSession, error) {
				return frost.NewSign(frost.SignConfig{
					Binding: binding(t.Name() + text + string(rune('a'+i))), Share: shares[id], Signers: signers,
					Scheme: derive.SchemeEd25519, Derived: key, Message: message,
				})
			})
			if err != nil {
				t.Fatal(err)
			}
			for id, err := range signingtest.NewNetwork(sessions).Run() {
				if err != nil {
					t.Fatalf("%s: %v", id, err)
				}
				sig, err := sessions[id].Signature()
				if err != nil {
					t.Fatal(err)
				}
				if !ed25519.Verify(key.PublicKey, message, sig.Bytes[:]) {
					t.Errorf("%v under %s: crypto/ed25519 refuses the signature", signers, text)
				}
			}
		}
	}
}
