package node_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/elliptic"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/node"
	"github.com/countersign-mpc/countersign/signing/signingtest"
	"github.com/countersign-mpc/countersign/wire"
)

// FuzzSignTerms gives a node terms of signings: none makes it panic, and what it would sign is what its manifest says.
func FuzzSignTerms(f *testing.F) {
	tx := transactionNamed(f, "legacy-eip155-erc20-transfer")
	f.Add(false, wire.TypeSign, "m/44/60/0/0/0", "1", "", string(tx.info(f)), "")
	f.Add(false, wire.TypeSign, "", "2", "hello", `{"chainSymbol":"ETH"}`, "")
	f.Add(false, wire.TypeTaprootSign, "m", "3", tx.Digest, "", scriptRoot)
	f.Add(true, wire.TypeSign, "m/1", "3", "00", `{"publickKey":"00"}`, "")
	for _, v := range payments(f) {
		f.Add(false, wire.TypeTaprootSign, "m/86/0", "1", "", `{"rawTx":"`+v.PSBT+`","curInputId":"0","tapScriptRoot":"`+v.Root+`","extraData":{"vinList":[{"id":1}]}}`, v.Root)
	}
	ecdsaShare, edShare := signingtest.Shares(f, "2of3")[0], signingtest.Shares(f, "ed25519-2of3")[0]
	f.Fuzz(func(t *testing.T, ed bool, requestType, path, signType, message, txInfo, root string) {
		share := ecdsaShare
		if ed {
			share = edShare
		}
		terms := manifest.Terms{Type: requestType, RequestID: "r", KeyID: "k", Path: path, SignType: signType, Message: message, TxInfo: []byte(txInfo), TapScriptRoot: root}
		digest, signed, key, err := node.SignTerms(share, terms)
		if err != nil {
			return
		}
		switch {
		case ed && (len(key) != ed25519.PublicKeySize || len(signed) == 0 || !strings.EqualFold(hexOf(signed), strings.TrimPrefix(message, "0x"))):
			t.Fatalf("%x is signed, %q was asked for", signed, message)
		case !ed && !bytes.Equal(signed, digest):
			t.Fatalf("%x is signed, the manifest says %x", signed, digest)
		case len(digest) != 32:
			t.Fatalf("the digest is %x", digest)
		}
	})
}

func FuzzParseRecipient(f *testing.F) {
	key := newP256(f)
	f.Add(spki(f, &key.PublicKey))
	f.Add("")
	f.Add("30")
	f.Fuzz(func(t *testing.T, text string) {
		key, err := node.ParseRecipient(text)
		if err != nil {
			return
		}
		if key.Curve != elliptic.P256() || !strings.EqualFold(spki(t, key), text) {
			t.Fatalf("%s is read as the key %s", text, spki(t, key))
		}
	})
}
