package cluster_test

import (
	"encoding/hex"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/countersign-mpc/countersign/e2e/cluster"
)

// The digest of EIP-712's example, and of EIP-191's with go-ethereum's own words.
func TestMessageDigests(t *testing.T) {
	for message, want := range map[string]string{
		cluster.Mail(): "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2",
		"Hello World":  "a1de988600a42c4b4ab089b619297c17d53cffae5d5120d82d8a92d0bb3b78f2",
	} {
		digest, err := cluster.MessageDigest(message)
		if err != nil {
			t.Fatal(err)
		}
		if hex.EncodeToString(digest) != want {
			t.Errorf("the digest of %.20q is %x", message, digest)
		}
	}
	if _, err := cluster.MessageDigest(cluster.Permit(cluster.Supplier, cluster.Spender, "1", 0)); err != nil {
		t.Error(err)
	}
}

func TestMessageSigner(t *testing.T) {
	key, err := crypto.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := cluster.MessageDigest("hello")
	if err != nil {
		t.Fatal(err)
	}
	signature, err := crypto.Sign(digest, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []byte{signature[64], signature[64] + 27} {
		signature[64] = v
		if got, err := cluster.MessageSigner(digest, signature); err != nil || got != crypto.PubkeyToAddress(key.PublicKey).Hex() {
			t.Errorf("%s is recovered: %v", got, err)
		}
	}
	if _, err := cluster.MessageSigner(digest, signature[:64]); err == nil {
		t.Error("a signature without recovery id was taken")
	}
}

func TestSolanaMessage(t *testing.T) {
	if n := len(cluster.SolanaMessage([32]byte{1}, [32]byte{2}, 1_000_000, [32]byte{3})); n != 200 {
		t.Errorf("the message has %d bytes", n)
	}
}
