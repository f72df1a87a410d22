package node_test

import (
	"encoding/json"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/txscript"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/countersign-mpc/countersign/node"
	"github.com/countersign-mpc/countersign/wire"
)

// listed is what /sys/keys says of the keys of both curves.
func (m *member) listed(t testing.TB, query string) map[string]node.KeyInfo {
	t.Helper()
	o := &office{t: t, node: m.node}
	o.handler = m.node.Admin(node.AdminConfig{Stop: func() {}})
	code, body := o.call("GET", "/sys/keys"+query, "")
	var reply struct{ Data []node.KeyInfo }
	if err := json.Unmarshal([]byte(body), &reply); err != nil || code != 200 {
		t.Fatalf("HTTP %d %s", code, body)
	}
	out := make(map[string]node.KeyInfo)
	for _, k := range reply.Data {
		out[k.Algorithm] = k
	}
	return out
}

func TestKeysShowAddresses(t *testing.T) {
	t.Parallel()
	r := newCurves(t, 2)
	k := kindOf("Ed25519")
	a, message := k.ask(t, r.hall, curves[k.cryptography], only(r.all, 1, 2))
	a.terms.Path = "m/44/501/7"
	child := r.mustSignAs(t, k, a, message).DerivedKey
	k = kindOf("BIP340")
	a, message = k.ask(t, r.hall, curves[k.cryptography], only(r.all, 1, 2))
	a.terms.Path = "m/44/501/7"
	ecdsa := r.mustSignAs(t, k, a, message).DerivedKey

	root := r.a.listed(t, "")
	for algorithm, k := range root {
		if k.Path != "" || k.DerivedKey != "" || k.Bitcoin != nil || k.T != 2 || k.N != 3 || k.Index != 1 || !k.Guarded || k.Recipient != 0 {
			t.Errorf("the %s key is shown as %+v", algorithm, k)
		}
	}
	at := r.a.listed(t, "?path=m/44/501/7&network=testnet")
	solana := at[wire.EdDSAEd25519]
	if solana.DerivedKey != hexOf(child) || solana.EVM != "" || solana.Bitcoin != nil || solana.Solana == root[wire.EdDSAEd25519].Solana {
		t.Errorf("the Ed25519 key is shown as %+v", solana)
	}
	got := at[wire.ECDSASecp256k1]
	key, err := btcec.ParsePubKey(ecdsa)
	must(t, err)
	if got.Path != "m/44/501/7" || got.DerivedKey != hexOf(ecdsa) || got.Solana != "" || got.EVM != crypto.PubkeyToAddress(*key.ToECDSA()).Hex() {
		t.Errorf("the secp256k1 key is shown as %+v", got)
	}
	if public, err := btcec.ParsePubKey(unhex(t, root[wire.ECDSASecp256k1].PublicKey)); err != nil ||
		common.HexToAddress(root[wire.ECDSASecp256k1].EVM) != crypto.PubkeyToAddress(*public.ToECDSA()) {
		t.Errorf("the root is shown as %+v (%v)", root[wire.ECDSASecp256k1], err)
	}
	hash := btcutil.Hash160(ecdsa)
	segwit, err := btcutil.NewAddressWitnessPubKeyHash(hash, &chaincfg.TestNet3Params)
	must(t, err)
	taproot, err := btcutil.NewAddressTaproot(schnorr.SerializePubKey(txscript.ComputeTaprootKeyNoScript(key)), &chaincfg.TestNet3Params)
	must(t, err)
	legacy, err := btcutil.NewAddressPubKeyHash(hash, &chaincfg.TestNet3Params)
	must(t, err)
	script, err := txscript.PayToAddrScript(segwit)
	must(t, err)
	nested, err := btcutil.NewAddressScriptHash(script, &chaincfg.TestNet3Params)
	must(t, err)
	for kind, want := range map[string]btcutil.Address{"p2wpkh": segwit, "p2tr": taproot, "p2pkh": legacy, "p2sh-p2wpkh": nested} {
		if got.Bitcoin[kind] != want.EncodeAddress() {
			t.Errorf("%s is %s, want %s", kind, got.Bitcoin[kind], want.EncodeAddress())
		}
	}
}

func TestKeysThatAreNotListed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.mustRefuse("GET", "/sys/keys", "", "uninitialised: its keys can be listed once it is unsealed")
	o.mustAnswerInit(t)
	o.mustRefuse("GET", "/sys/keys", "", "sealed: its keys can be listed once it is unsealed")
	o.mustAnswer("POST", "/sys/in-bkey", bkey(password), `{"data":"in-bkey success","status":"ok"}`)
	o.mustAnswer("GET", "/sys/keys", "", `{"data":[],"status":"ok"}`)
	o.mustRefuse("GET", "/sys/keys?path=m/44'", "", "hardened")

	r := newSigners(t)
	o.handler = r.a.node.Admin(node.AdminConfig{Stop: func() {}})
	o.mustRefuse("GET", "/sys/keys?network=moon", "", "moon")
}

// mustAnswerInit initialises the node.
func (o *office) mustAnswerInit(t testing.TB) {
	t.Helper()
	if code, body := o.call("POST", "/sys/init", bkey(password)); code != 200 {
		t.Fatalf("HTTP %d %s", code, body)
	}
}

func kindOf(name string) kind {
	for _, k := range kinds {
		if k.name == name {
			return k
		}
	}
	panic("no kind " + name)
}
