package callback_test

import (
	"crypto/ed25519"
	"encoding/hex"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/txscript"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/wire"
)

// The tests' key is that of the vectors: its private key is 1, since its public key is the generator. chainCode is the one
// that tests give it.
var (
	rootPrivate, _ = btcec.PrivKeyFromBytes([]byte{1})
	chainCode      = make([]byte, 32)
)

func mustGet[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// privateAt is the private key at a path below the root: the root's plus the tweak (BIP32).
func privateAt(path string) *btcec.PrivateKey {
	child := mustGet(derive.Secp256k1Child(fromHex(rootKey), chainCode, mustGet(derive.ParsePath(path))))
	var tweak btcec.ModNScalar
	tweak.SetBytes(&child.Tweak)
	scalar := rootPrivate.Key
	scalar.Add(&tweak)
	return &btcec.PrivateKey{Key: scalar}
}

func publicAt(path string) string {
	return hex.EncodeToString(privateAt(path).PubKey().SerializeCompressed())
}

// signECDSA gives r ‖ s ‖ v with v from a base.
func signECDSA(key *btcec.PrivateKey, digest []byte, base byte) []byte {
	compact := ecdsa.SignCompact(key, digest, true)
	return append(compact[1:], compact[0]-31+base)
}

// signMessage signs a message by EIP-191 or EIP-712 with the root key.
func signMessage(text string) []byte { return signECDSA(rootPrivate, messageDigest(text), 27) }

func messageDigest(text string) []byte {
	return mustGet(evidence.SigningDigest(evidence.Request{
		RequestType: wire.TypeSign, Cryptography: wire.ECDSASecp256k1, SignType: wire.SignTypeMessage, Message: text,
	})).Digest
}

func signSchnorr(key *btcec.PrivateKey, digest []byte) []byte {
	return mustGet(schnorr.Sign(key, digest)).Serialize()
}

// signTaproot signs for the output key with a script tree's root, or without.
func signTaproot(key *btcec.PrivateKey, digest, root []byte) []byte {
	return signSchnorr(txscript.TweakTaprootPrivKey(*key, root), digest)
}

// The Ed25519 key of the tests.
var edPrivate = ed25519.NewKeyFromSeed(make([]byte, 32))

func edPublic() string { return hex.EncodeToString(edPrivate.Public().(ed25519.PublicKey)) }
