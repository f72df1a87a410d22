package mpcapi_test

import (
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/bolt/coordstore/coordtest"
	"github.com/countersign-mpc/countersign/coordinator"
	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/ecies"
	"github.com/countersign-mpc/countersign/manifest"
)

// Each kind from the call that asks for it to the result that it shows.
func TestKinds(t *testing.T) {
	s := newSurface(t, 3, coordinator.Limits{})
	secp, ed := s.KeyOf(s.Wallet, 2), s.KeyOf(s.Ed25519, 2)
	hash, tree, message := coordtest.Hex(coordtest.Digest("payment")), coordtest.Hex(coordtest.Digest("tree")), coordtest.Digest("payment")
	for name, c := range map[string]struct {
		key    coordinator.Key
		wallet *coordtest.Wallet
		fields string
		terms  manifest.Terms
		scheme string
	}{
		"ecdsa":    {secp, s.Wallet, `"message_hash":"` + hash + `"`, manifest.Terms{Type: "sign", Path: "m/1"}, "ecdsa"},
		"bip340":   {secp, s.Wallet, `"request_type":"bip340-schnorr-sign","message":"` + hash + `"`, manifest.Terms{Type: "bip340-schnorr-sign", Path: "m/1"}, "bip340"},
		"key path": {secp, s.Wallet, `"request_type":"taproot-sign","message":"` + hash + `"`, manifest.Terms{Type: "taproot-sign", Path: "m/1"}, "taproot"},
		"tree": {secp, s.Wallet, `"request_type":"taproot-sign","tapScriptRoot":"` + tree + `","message":"` + hash + `"`,
			manifest.Terms{Type: "taproot-sign", Path: "m/1", TapScriptRoot: tree}, "taproot"},
		"ed25519": {ed, s.Ed25519, `"request_type":"sign","message":"` + hash + `"`, manifest.Terms{Type: "sign", Path: "m/1"}, "ed25519"},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.call(t, "POST", "/api/v1/mpc/sign", `{"key_id":"`+c.key.ID+`","request_id":"`+name+`","path":"m/1",`+c.fields+`}`)
			expect(t, "taken", []any{a.status, a.at("session_type")}, "[201 sign]")
			signed := c.wallet.Sign(t, c.terms, message)
			session := s.Run(name)
			for _, m := range s.Members(session) {
				m.Must(m.Report(t, m.Session, signed))
			}
			child := must(derive.Child(c.key.Cryptography, c.key.PublicKey, c.key.ChainCode, derive.Path{1}))(t)
			for _, v := range []answer{s.call(t, "GET", "/api/v1/requests/"+strings.ReplaceAll(name, " ", "%20"), ""), s.call(t, "GET", "/api/v1/sessions/"+session.ID, "")} {
				expect(t, "result", []any{v.at("scheme"), v.at("signature"), v.at("encrypted"), v.at("recipient")}, []any{c.scheme, coordtest.Hex(signed.Result), nil, nil})
				expect(t, "recovery id is there", v.at("recovery_id") != nil, c.scheme == "ecdsa")
				verifying := must(derive.Scheme(c.scheme).VerifyingKey(child.PublicKey, map[bool][]byte{true: coordtest.Digest("tree")}[c.terms.TapScriptRoot != ""]))(t)
				expect(t, "verifying key", v.at("verifying_key"), coordtest.Hex(verifying))
			}
			v := s.call(t, "GET", "/api/v1/requests/"+strings.ReplaceAll(name, " ", "%20"), "")
			expect(t, "request", []any{v.at("request_type"), v.at("cryptography"), v.at("public_key"), v.at("derived_key"), v.at("digest")},
				[]any{c.terms.Type, c.key.Cryptography, coordtest.Hex(c.key.PublicKey), coordtest.Hex(child.PublicKey), coordtest.Hex(signed.Digest)})
		})
	}
	text := s.call(t, "POST", "/api/v1/mpc/sign", `{"key_id":"`+ed.ID+`","request_type":"taproot-sign","message":"`+hash+`"}`)
	expect(t, "taproot with Ed25519", []any{text.status, text.at("error"), text.at("details", "request_type")}, "[400 invalid_request not for this key]")
}

// A result for a recipient shows ciphertext, whose it is, and nothing else of the signature.
func TestEncryptedResult(t *testing.T) {
	s := newSurface(t, 3, coordinator.Limits{})
	s.Parties[2].EncryptResults(t)
	key := s.Key(2)
	a := s.call(t, "POST", "/api/v1/mpc/sign", `{"request_id":"p","message_hash":"`+coordtest.Hex(coordtest.Digest("payment"))+`","participants":[{"party_id":"a"},{"party_id":"b"}]}`)
	expect(t, "without the recipient", []any{a.status, a.at("error"), a.at("details", "participants")}, "[400 invalid_request without the recipient]")
	order := coordtest.SignOrder(key.ID, "m/1", "p", "payment")
	s.Submit(order)
	m := s.Members(s.Run("p"))
	signed := s.Wallet.Sign(t, order.Terms, coordtest.Digest("payment"))
	m[0].Must(m[0].Report(t, m[0].Session, coordtest.Released(signed)))
	m[1].Must(m[1].Report(t, m[1].Session, m[1].Sealed(t, signed)))
	recipient := map[string]any{"share_index": 3, "name": "c", "node_id": s.Parties[2].ID, "public_key": s.Parties[2].Recipient(t)}
	for _, path := range []string{"/api/v1/requests/p", "/api/v1/sessions/" + m[0].Session} {
		v := s.call(t, "GET", path, "")
		expect(t, "result", []any{v.at("encrypted"), v.at("scheme"), v.at("recovery_id"), len(v.at("signature").(string))}, []any{true, "ecdsa", nil, 2 * (64 + ecies.Overhead)})
		expect(t, "recipient", encode(t, v.at("recipient")), encode(t, recipient))
		if strings.Contains(encode(t, v.body), coordtest.Hex(signed.Result[:16])) {
			t.Error("the signature is shown")
		}
	}
	v := s.call(t, "GET", "/api/v1/requests/p", "")
	expect(t, "parties", []any{v.at("parties", 0, "name"), v.at("parties", 0, "released"), v.at("parties", 1, "released")}, []any{"a", true, nil})
	k := s.call(t, "GET", "/api/v1/keys/"+key.ID, "")
	expect(t, "key", []any{k.at("cryptography"), k.at("threshold_t"), k.at("threshold_n"), encode(t, k.at("recipient"))}, []any{"ecdsa-secp256k1", 2, 3, encode(t, recipient)})
}

func TestAddresses(t *testing.T) {
	s := newSurface(t, 2, coordinator.Limits{})
	secp, ed := s.KeyOf(s.Wallet, 2), s.KeyOf(s.Ed25519, 2)
	child := must(derive.Secp256k1Child(secp.PublicKey, secp.ChainCode, derive.Path{86, 1}))(t)
	tree := coordtest.Digest("tree")
	a := s.call(t, "GET", "/api/v1/keys/"+secp.ID+"?path=m/86/1&network=regtest&tapScriptRoot="+coordtest.Hex(tree), "")
	expect(t, "bitcoin", []any{a.status, a.at("bitcoin", "network"), a.at("bitcoin", "p2tr"), a.at("bitcoin", "p2wpkh"), a.at("bitcoin", "taproot_output_key"), a.at("bitcoin", "x_only_key")},
		[]any{200, "regtest", must(derive.P2TRAddress(derive.Regtest, child.PublicKey, tree))(t), must(derive.P2WPKHAddress(derive.Regtest, child.PublicKey))(t),
			coordtest.Hex(must(derive.SchemeTaproot.VerifyingKey(child.PublicKey, tree))(t)), coordtest.Hex(child.PublicKey[1:])})
	a = s.call(t, "GET", "/api/v1/keys/"+secp.ID, "")
	expect(t, "by default", []any{a.at("bitcoin", "network"), a.at("bitcoin", "p2pkh"), a.at("bitcoin", "p2sh_p2wpkh"), a.at("solana_address")},
		[]any{"mainnet", must(derive.P2PKHAddress(derive.Mainnet, secp.PublicKey))(t), must(derive.P2SHP2WPKHAddress(derive.Mainnet, secp.PublicKey))(t), nil})
	child = must(derive.Ed25519Child(ed.PublicKey, ed.ChainCode, derive.Path{44, 501}))(t)
	a = s.call(t, "GET", "/api/v1/keys/"+ed.ID+"?path=m/44/501", "")
	expect(t, "Ed25519", []any{a.at("cryptography"), a.at("derived_key"), a.at("solana_address"), a.at("evm_address"), a.at("bitcoin")},
		[]any{"eddsa-ed25519", coordtest.Hex(child.PublicKey), must(derive.SolanaAddress(child.PublicKey))(t), nil, nil})
	for _, query := range []string{"network=testnet9", "tapScriptRoot=00", "tapScriptRoot=xx", "path=m/1h"} {
		expect(t, query, s.call(t, "GET", "/api/v1/keys/"+secp.ID+"?"+query, "").status, 400)
	}
	pending := s.Submit(s.KeygenOrder(2, "k")).Request.KeyID
	for _, query := range []string{"path=m", "network=regtest"} {
		expect(t, "pending, "+query, s.call(t, "GET", "/api/v1/keys/"+pending+"?"+query, "").at("error"), "key_not_active")
	}
}
