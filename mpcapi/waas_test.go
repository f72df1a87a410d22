package mpcapi_test

import (
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/bolt/coordstore/coordtest"
	"github.com/countersign-mpc/countersign/coordinator"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

const (
	signMessagePath = "/v1/waas/mpc/web3/sign_message"
	signRawPath     = "/v1/waas/mpc/wallet/advance/sign_raw_data"
	signResultPath  = "/v1/waas/mpc/web3/sign_result"
)

// offered is what the first node is asked for.
func (s *surface) offered(t *testing.T) manifest.Terms {
	t.Helper()
	o := s.Lives[0].Receive()[0].GetOffer().Terms
	return manifest.Terms{Type: o.Type, RequestID: o.RequestId, KeyID: o.KeyId, Path: o.Path, SignType: o.SignType, Message: o.Message, TxInfo: o.TxInfo, TapScriptRoot: o.TapScriptRoot}
}

// The mail of the EIP-712 specification, whose digest it states.
const mail = `{"types":{"EIP712Domain":[{"name":"name","type":"string"},{"name":"version","type":"string"},{"name":"chainId","type":"uint256"},{"name":"verifyingContract","type":"address"}],
"Person":[{"name":"name","type":"string"},{"name":"wallet","type":"address"}],"Mail":[{"name":"from","type":"Person"},{"name":"to","type":"Person"},{"name":"contents","type":"string"}]},
"primaryType":"Mail","domain":{"name":"Ether Mail","version":"1","chainId":1,"verifyingContract":"0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"},
"message":{"from":{"name":"Cow","wallet":"0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},"to":{"name":"Bob","wallet":"0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},"contents":"Hello, Bob!"}}`

func TestSignMessageCall(t *testing.T) {
	s := newSurface(t, 2, coordinator.Limits{})
	key := s.Key(2)
	s.KeyOf(s.Ed25519, 2) // it signs no such message: the other key is meant
	s.Drain()
	a := s.call(t, "POST", signMessagePath, encode(t, map[string]any{"requestId": "m1", "chainSymbol": "ETH", "hdPath": "m/1", "signAlgorithm": "eth_signTypedData_v4", "message": mail}))
	st := s.Status("m1")
	expect(t, "answer", encode(t, a.body), encode(t, map[string]any{"code": 200, "msg": "success", "success": true, "data": map[string]any{"sinoId": st.Request.SinoID,
		"messageHash": "0xbe609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"}}))
	terms := s.offered(t)
	want := manifest.Terms{Type: wire.TypeSign, RequestID: "m1", KeyID: key.ID, Path: "m/1", SignType: "2", Message: mail, TxInfo: []byte(`{"requestId":"m1","chainSymbol":"ETH"}`)}
	if terms.ContentHash() != want.ContentHash() {
		t.Errorf("the nodes are asked for %+v", terms)
	}
	result := func() answer { return s.call(t, "POST", signResultPath, `{"requestId":"m1"}`) }
	expect(t, "in progress", []any{result().at("data", "state"), result().at("data", "signature"), result().at("data", "message")}, []any{0, "", mail})
	signed := s.Wallet.Signed(t, "m/1", coordtest.Digest("x"))
	for _, m := range s.Members(s.Run("m1")) {
		m.Must(m.Report(t, m.Session, signed))
	}
	v := coordtest.Hex([]byte{27 + signed.RecoveryID})
	expect(t, "success", []any{result().at("data", "state"), result().at("data", "sinoId"), result().at("data", "signature")}, []any{1, st.Request.SinoID, coordtest.Hex(signed.Result) + v})
	text := s.call(t, "POST", signMessagePath, `{"requestId":"m2","chainSymbol":"ETH","hdPath":"m/1","signAlgorithm":"personal_sign","message":"hello"}`)
	expect(t, "EIP-191", text.at("data", "messageHash"), "0x50b2c43fd39106bafbba0da34fc430e1f91e3c96ea2acee2bc34119f92b37750")
	again := s.call(t, "POST", signMessagePath, `{"requestId":"m2","chainSymbol":"ETH","hdPath":"m/1","signAlgorithm":"personal_sign","message":"hello"}`)
	expect(t, "the same again", again.at("data", "sinoId"), text.at("data", "sinoId"))
}

func TestSignRawDataCall(t *testing.T) {
	s := newSurface(t, 2, coordinator.Limits{})
	secp, ed := s.Key(2).ID, s.KeyOf(s.Ed25519, 2).ID
	s.Drain()
	hash, tree := coordtest.Hex(coordtest.Digest("payment")), coordtest.Hex(coordtest.Digest("tree"))
	for name, c := range map[string]struct {
		fields string
		want   manifest.Terms
	}{
		"ecdsa":   {`"walletId":"` + secp + `","rawData":"` + hash + `"`, manifest.Terms{Type: wire.TypeSign, KeyID: secp, Message: hash, TxInfo: []byte(`{"vaultId":"v","walletId":"` + secp + `","requestId":"ecdsa"}`)}},
		"ed25519": {`"walletId":"` + ed + `","rawData":"00","algorithmType":0`, manifest.Terms{Type: wire.TypeSign, KeyID: ed, Message: "00", TxInfo: []byte(`{"vaultId":"v","walletId":"` + ed + `","requestId":"ed25519"}`)}},
		"bip340":  {`"rawData":"` + hash + `","algorithmType":1`, manifest.Terms{Type: wire.TypeBIP340SchnorrSign, KeyID: secp, Message: hash, TxInfo: []byte(`{"vaultId":"v","requestId":"bip340"}`)}},
		"taproot": {`"rawData":"` + hash + `","algorithmType":2,"tapScriptRoot":""`, manifest.Terms{Type: wire.TypeTaprootSign, KeyID: secp, Message: hash, TxInfo: []byte(`{"vaultId":"v","requestId":"taproot"}`)}},
		"tree": {`"rawData":"` + hash + `","algorithmType":2,"tapScriptRoot":"` + tree + `"`,
			manifest.Terms{Type: wire.TypeTaprootSign, KeyID: secp, Message: hash, TapScriptRoot: tree, TxInfo: []byte(`{"vaultId":"v","requestId":"tree","tapScriptRoot":"` + tree + `"}`)}},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.call(t, "POST", signRawPath, `{"vaultId":"v","requestId":"`+name+`","hdPath":"m/1",`+c.fields+`}`)
			expect(t, "answer", []any{a.status, a.at("code"), a.at("success"), a.at("msg")}, "[200 200 true success]")
			c.want.RequestID, c.want.Path, c.want.SignType = name, "m/1", "3"
			if terms := s.offered(t); terms.ContentHash() != c.want.ContentHash() {
				t.Errorf("the nodes are asked for %+v", terms)
			}
			wallet := map[bool]*coordtest.Wallet{true: s.Ed25519, false: s.Wallet}[name == "ed25519"]
			signed := wallet.Sign(t, c.want, map[bool][]byte{true: {0}, false: coordtest.Digest("payment")}[name == "ed25519"])
			for _, m := range s.Members(s.Run(name)) {
				m.Must(m.Report(t, m.Session, signed))
			}
			r := s.call(t, "POST", signResultPath, `{"sinoId":"`+a.at("data", "sinoId").(string)+`"}`)
			expect(t, "result", []any{r.at("data", "state"), r.at("data", "signature"), r.at("data", "requestId")}, []any{1, coordtest.Hex(signed.Result), name})
		})
	}
}

// A result that is for a recipient is ciphertext here too; a request that failed says so.
func TestSignResultCall(t *testing.T) {
	s := newSurface(t, 2, coordinator.Limits{})
	s.Parties[1].EncryptResults(t)
	s.Key(2)
	s.Drain()
	post := func(path, body string) answer { return s.call(t, "POST", path, body) }
	post(signMessagePath, `{"requestId":"m","chainSymbol":"ETH","hdPath":"","signAlgorithm":"personal_sign","message":"hello"}`)
	m := s.Members(s.Run("m"))
	signed := s.Wallet.Signed(t, "", coordtest.Digest("x"))
	sealed := m[1].Sealed(t, signed)
	m[0].Must(m[0].Report(t, m[0].Session, coordtest.Released(signed)))
	m[1].Must(m[1].Report(t, m[1].Session, sealed))
	expect(t, "ciphertext", post(signResultPath, `{"requestId":"m"}`).at("data", "signature"), coordtest.Hex(sealed.Result))
	post(signRawPath, `{"requestId":"f","rawData":"`+coordtest.Hex(coordtest.Digest("x"))+`","hdPath":"m"}`)
	s.Lives[0].Must(coordtest.Answer(s.Last("f").ID, 4, "no")) // rejected
	expect(t, "failed", []any{post(signResultPath, `{"requestId":"f"}`).at("data", "state"), post(signResultPath, `{"requestId":"f"}`).at("data", "signature")}, []any{2, ""})
	s.Submit(s.KeygenOrder(2, "k"))
	for name, c := range map[string]struct{ body, want string }{
		"nothing": {`{}`, "404 not_found"}, "unknown": {`{"sinoId":"x"}`, "404 not_found"}, "keygen": {`{"requestId":"k"}`, "400 invalid_request"},
		"another's": {`{"requestId":"f","sinoId":"` + s.Status("m").Request.SinoID + `"}`, "400 invalid_request"}, "unknown field": {`{"id":"m"}`, "400 invalid_request"},
	} {
		a := post(signResultPath, c.body)
		expectRefusal(t, name, a, c.want)
	}
	expectRefusal(t, "another account", s.call(t, "POST", signResultPath, `{"requestId":"m"}`, "X-API-Key", otherKey), "404 not_found")
	for _, path := range []string{signMessagePath, signRawPath, signResultPath} {
		expectRefusal(t, "no API key, "+path, s.call(t, "POST", path, `{"requestId":"m"}`, "X-API-Key", ""), "401 unauthorized")
	}
}

func expectRefusal(t *testing.T, name string, a answer, want string) {
	t.Helper()
	status, code, _ := strings.Cut(want, " ")
	expect(t, name, []any{a.status, a.at("code"), a.at("success"), a.at("data")}, "["+status+" "+status+" false <nil>]")
	if msg, _ := a.at("msg").(string); !strings.HasPrefix(msg, code+": ") || len(msg) > 500 {
		t.Errorf("%s: %q, want %s", name, msg, code)
	}
}

func TestWalletServiceRefusals(t *testing.T) {
	s := newSurface(t, 2, coordinator.Limits{})
	secp, ed := s.Key(2).ID, s.KeyOf(s.Ed25519, 2).ID
	s.Drain()
	hash := coordtest.Hex(coordtest.Digest("payment"))
	message := func(algorithm, text string) string {
		return encode(t, map[string]any{"requestId": "m", "chainSymbol": "ETH", "hdPath": "m/1", "signAlgorithm": algorithm, "message": text})
	}
	for name, c := range map[string]struct{ path, body, want string }{
		"typed data as text":   {signMessagePath, message("personal_sign", mail), "400 invalid_request"},
		"text as typed data":   {signMessagePath, message("eth_signTypedData_v4", "hello"), "400 invalid_request"},
		"typed data, legacy":   {signMessagePath, message("signTypedData", `[{"type":"string","name":"a","value":"b"}]`), "400 invalid_request"},
		"unknown algorithm":    {signMessagePath, message("eth_sign", hash), "400 invalid_request"},
		"no message":           {signMessagePath, message("personal_sign", ""), "400 invalid_request"},
		"no request id":        {signMessagePath, `{"hdPath":"m","signAlgorithm":"personal_sign","message":"x"}`, "400 invalid_request"},
		"message for Ed25519":  {signMessagePath, `{"requestId":"m","walletId":"` + ed + `","hdPath":"m","signAlgorithm":"personal_sign","message":"x"}`, "400 invalid_request"},
		"hardened":             {signMessagePath, `{"requestId":"m","hdPath":"m/44'","signAlgorithm":"personal_sign","message":"x"}`, "400 invalid_request"},
		"which key":            {signRawPath, `{"requestId":"m","hdPath":"m","rawData":"` + hash + `"}`, "400 invalid_request"},
		"unknown key":          {signRawPath, `{"requestId":"m","walletId":"none","hdPath":"m","rawData":"` + hash + `"}`, "404 not_found"},
		"algorithm 3":          {signRawPath, `{"requestId":"m","hdPath":"m","rawData":"` + hash + `","algorithmType":3}`, "400 invalid_request"},
		"algorithm -1":         {signRawPath, `{"requestId":"m","hdPath":"m","rawData":"` + hash + `","algorithmType":-1}`, "400 invalid_request"},
		"taproot with Ed25519": {signRawPath, `{"requestId":"m","walletId":"` + ed + `","hdPath":"m","rawData":"` + hash + `","algorithmType":2}`, "400 invalid_request"},
		"root without taproot": {signRawPath, `{"requestId":"m","walletId":"` + secp + `","hdPath":"m","rawData":"` + hash + `","tapScriptRoot":"` + hash + `"}`, "400 invalid_request"},
		"short data":           {signRawPath, `{"requestId":"m","walletId":"` + secp + `","hdPath":"m","rawData":"00"}`, "400 invalid_request"},
		"bad authorization":    {signRawPath, `{"requestId":"m","walletId":"` + secp + `","hdPath":"m","rawData":"` + hash + `","authorization":{}}`, "400 invalid_request"},
		"twice":                {signRawPath, `{"requestId":"m","requestId":"n"}`, "400 invalid_request"},
		"another account":      {signRawPath, `{"requestId":"m","walletId":"` + secp + `","hdPath":"m","rawData":"` + hash + `"}`, "404 not_found"},
	} {
		t.Run(name, func(t *testing.T) {
			header := map[bool]string{true: otherKey, false: apiKey}[name == "another account"]
			expectRefusal(t, name, s.call(t, "POST", c.path, c.body, "X-API-Key", header), c.want)
		})
	}
	s.call(t, "POST", signRawPath, `{"requestId":"r","walletId":"`+secp+`","hdPath":"m","rawData":"`+hash+`"}`)
	expectRefusal(t, "other content", s.call(t, "POST", signRawPath, `{"requestId":"r","walletId":"`+secp+`","hdPath":"m","rawData":"`+hash+`","algorithmType":1}`), "409 request_conflict")
	expect(t, "offers", len(s.Lives[0].Receive()), 1)
	auth := s.call(t, "POST", signRawPath, `{"requestId":"s","walletId":"`+secp+`","hdPath":"m","rawData":"`+hash+`","authorization":{"key_id":"k","expiry":7,"nonce":"00","signature":"00ff"}}`)
	expect(t, "signed", auth.status, 200)
	expect(t, "authorization", s.Lives[0].Receive()[0].GetOffer().Authorization.KeyId, "k")
}

// Whatever a client sends: an answer in the published envelope, never a failure of the server.
func FuzzWalletService(f *testing.F) {
	s := newSurface(f, 2, coordinator.Limits{OpenRequests: 50})
	s.Key(2)
	for _, body := range []string{
		`{"requestId":"m","chainSymbol":"ETH","hdPath":"m/1","signAlgorithm":"personal_sign","message":"0x00"}`, `{"requestId":"m","sinoId":"x"}`,
		`{"vaultId":"v","requestId":"r","walletId":"","hdPath":"m","rawData":"` + strings.Repeat("ab", 32) + `","algorithmType":2,"tapScriptRoot":"` + strings.Repeat("cd", 32) + `"}`,
		`{"requestId":"m","signAlgorithm":"eth_signTypedData_v4","message":"{\"types\":{\"EIP712Domain\":[]},\"primaryType\":\"EIP712Domain\",\"domain\":{},\"message\":{}}"}`, "null", "",
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, path := range []string{signMessagePath, signRawPath, signResultPath} {
			a := s.call(t, "POST", path, body)
			if a.status >= 500 || a.at("success") != (a.status == 200) || int(a.at("code").(float64)) != a.status {
				t.Fatalf("%s answers %d %v", path, a.status, a.body)
			}
		}
	})
}
