package bitcoin_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/e2e/bitcoin"
	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/frost"
	"github.com/countersign-mpc/countersign/signing/signingtest"
	"github.com/countersign-mpc/countersign/wire"
)

const sharedFile = "../../testdata/psbt/TEST-ONLY-3of3.json"

// shared are the PSBTs whose key is that of testdata/shares/TEST-ONLY-3of3.json.
type shared struct {
	Warning   string   `json:"warning"`
	PublicKey string   `json:"public_key"`
	Vectors   []vector `json:"vectors"`
}

// The taproot PSBTs in testdata, signed by FROST with the shares of their key over what the node computes, are transactions that
// btcd's engine takes.
func TestSharesFinishTheTaprootPSBTs(t *testing.T) {
	shares := signingtest.Shares(t, "3of3")
	key := must[*btcec.PublicKey](t)(bitcoin.ParseKey(shares[0].PublicKey()))
	file := shared{Warning: "TEST ONLY: the shares of the key are published in testdata/shares. The coins are made up.", PublicKey: hex.EncodeToString(shares[0].PublicKey())}
	payments := make(map[string]*bitcoin.Payment)
	for _, e := range bitcoin.Examples {
		p := must[*bitcoin.Payment](t)(e.Build(key))
		if p.Coins[0].Kind == bitcoin.WitnessKeyHash {
			continue
		}
		v := vector{Name: e.Name, PSBT: must[string](t)(p.PSBT()), Digests: []string{hex.EncodeToString(must[[]byte](t)(p.Digest(0)))}}
		if p.Coins[0].Kind == bitcoin.KeyPath {
			v.TapScriptRoot = hex.EncodeToString(p.Coins[0].Root())
		}
		file.Vectors = append(file.Vectors, v)
		payments[e.Name] = p
	}
	built := append(must[[]byte](t)(json.MarshalIndent(file, "", "  ")), '\n')
	if *update {
		must[struct{}](t)(struct{}{}, os.WriteFile(sharedFile, built, 0o644))
	}
	stored := must[[]byte](t)(os.ReadFile(sharedFile))
	if !bytes.Equal(stored, built) {
		t.Fatalf("%s is not what is built here: run go test ./e2e/bitcoin -update", sharedFile)
	}
	for _, v := range file.Vectors {
		t.Run(v.Name, func(t *testing.T) {
			p := payments[v.Name]
			must[struct{}](t)(struct{}{}, p.Finish(0, frostSign(t, shares, p.Coins[0].Kind, v)))
			if err := p.Accept(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// frostSign computes the digest of a PSBT as a node does, and has all shares sign it.
func frostSign(t *testing.T, shares []*signing.Share, kind bitcoin.Kind, v vector) []byte {
	t.Helper()
	scheme, requestType := derive.SchemeBIP340, wire.TypeBIP340SchnorrSign
	if kind == bitcoin.KeyPath {
		scheme, requestType = derive.SchemeTaproot, wire.TypeTaprootSign
	}
	payload := must[evidence.Payload](t)(evidence.SigningDigest(evidence.Request{RequestType: requestType, Cryptography: wire.ECDSASecp256k1,
		SignType: wire.SignTypeTransaction, RawTx: v.PSBT, TapScriptRoot: v.TapScriptRoot, HasTxInfo: true}))
	if got := hex.EncodeToString(payload.Digest); got != v.Digests[0] {
		t.Fatalf("the node's digest is %s, btcd's %s", got, v.Digests[0])
	}
	root := must[[]byte](t)(hex.DecodeString(v.TapScriptRoot))
	chain := shares[0].ChainCode()
	derived := must[derive.Derived](t)(derive.Secp256k1Child(shares[0].PublicKey(), chain[:], nil))
	var binding [32]byte
	must[int](t)(rand.Read(binding[:]))
	parties := signingtest.Parties(len(shares))
	sessions := must[map[signing.PartyID]signing.SignSession](t)(signingtest.Start(parties, func(id signing.PartyID) (signing.SignSession, error) {
		return frost.NewSign(frost.SignConfig{Binding: binding, Share: shares[id-1], Signers: parties, Scheme: scheme, Derived: derived,
			TapScriptRoot: root, Message: payload.Digest})
	}))
	for _, err := range signingtest.NewNetwork(sessions).Run() {
		must[struct{}](t)(struct{}{}, err)
	}
	signature := must[signing.Signature](t)(sessions[1].Signature())
	return signature.Bytes[:]
}
