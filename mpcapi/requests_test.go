package mpcapi_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/bolt/coordstore/coordtest"
	"github.com/countersign-mpc/countersign/coordinator"
	"github.com/countersign-mpc/countersign/derive"
)

func TestKeygen(t *testing.T) {
	s := newSurface(t, 2, coordinator.Limits{})
	a := s.call(t, "POST", "/api/v1/mpc/keygen", keygenBody(`,"request_id":"key/1"`))
	expect(t, "status", a.status, 201)
	st := s.Status("key/1")
	sess := st.Sessions[0]
	expect(t, "answer", encode(t, a.body), encode(t, map[string]any{
		"session_id": sess.ID, "session_type": "keygen", "request_id": "key/1", "sino_id": st.Request.SinoID, "account_id": coordtest.Account,
		"key_id": st.Request.KeyID, "threshold_n": 2, "threshold_t": 2, "join_tokens": map[string]string{"a": sess.Members[0].Token, "b": sess.Members[1].Token},
		"status": "created", "expires_at": st.Request.Expires.Unix(), "revision": st.Request.Revision,
	}))
	again := s.call(t, "POST", "/api/v1/mpc/keygen", keygenBody(`,"request_id":"key/1"`))
	expect(t, "again", []any{again.status, again.at("sino_id"), again.at("join_tokens", "a")}, []any{200, st.Request.SinoID, sess.Members[0].Token})
	other := s.call(t, "POST", "/api/v1/mpc/keygen", `{"threshold_n":2,"threshold_t":2,"participants":[{"party_id":"b"},{"party_id":"a"}],"request_id":"key/1"}`)
	expect(t, "other content", []any{other.status, other.at("error")}, "[409 request_conflict]")
	header := s.call(t, "POST", "/api/v1/mpc/keygen", keygenBody(""), "Idempotency-Key", "key/1")
	expect(t, "by header", header.at("sino_id"), st.Request.SinoID)
	both := s.call(t, "POST", "/api/v1/mpc/keygen", keygenBody(`,"request_id":"x"`), "Idempotency-Key", "key/1")
	expect(t, "header and body differ", both.status, 400)

	for _, path := range []string{"/api/v1/sessions/", "/api/v1/mpc/sessions/"} {
		a := s.call(t, "GET", path+sess.ID, "")
		expect(t, "session", []any{a.at("session_id"), a.at("status"), a.at("threshold_t"), a.at("threshold_n"), a.at("completed_parties"), a.at("total_parties")},
			[]any{sess.ID, "created", 2, 2, 0, 2})
		p := a.at("participants", 0)
		expect(t, "participant", encode(t, p), encode(t, map[string]any{"party_id": "a", "party_index": 0, "share_index": 1, "name": "a",
			"node_id": s.Parties[0].ID, "device_type": "iOS", "device_id": "phone", "status": "waiting"}))
	}
	s.Lives[0].Must(coordtest.Answer(sess.ID, linkv1.Answer_WAITING, "two approvers are missing"))
	r := s.call(t, "GET", "/api/v1/requests/"+url.PathEscape("key/1"), "")
	expect(t, "request", []any{r.at("sino_id"), r.at("state"), r.at("key_state"), r.at("parties", 0, "answer"), r.at("parties", 0, "reason"), r.at("parties", 1, "answer")},
		[]any{st.Request.SinoID, "created", "pending", "waiting", "two approvers are missing", nil})
	if r.at("public_key") != nil {
		t.Error("the public key of a pending key is shown")
	}
	s.Lives[0].Must(coordtest.Answer(sess.ID, linkv1.Answer_REJECTED, "keygen/parties: b is not listed"))
	r = s.call(t, "GET", "/api/v1/requests/"+st.Request.SinoID, "")
	expect(t, "rejected", []any{r.at("state"), r.at("error"), r.at("error_code"), r.at("sessions", 0, "status"), r.at("parties", 0, "answer")},
		"[failed party a rejected: keygen/parties: b is not listed party_rejected failed rejected]")
}

// A key that is being made shows neither public key nor address; one that is active shows both.
func TestKeys(t *testing.T) {
	s := newSurface(t, 2, coordinator.Limits{})
	st := s.Submit(s.KeygenOrder(2, "k"))
	for _, m := range s.Members(s.Run("k")) {
		m.Must(m.Report(t, m.Session, s.Wallet.Made()))
	}
	s.Lives[0].Must(s.Parties[0].Confirmation(t, st.Request.KeyID, 1, "share", false))
	path := "/api/v1/keys/" + st.Request.KeyID
	a := s.call(t, "GET", path, "")
	expect(t, "pending", []any{a.status, a.at("state"), a.at("public_key"), a.at("evm_address"), a.at("parties", 0, "confirmed"), a.at("parties", 1, "confirmed")},
		"[200 pending <nil> <nil> true false]")
	a = s.call(t, "GET", path+"?path=m/1", "")
	expect(t, "address of a pending key", []any{a.status, a.at("error")}, "[409 key_not_active]")
	if done := s.call(t, "GET", "/api/v1/sessions/"+st.Sessions[0].ID, ""); done.at("status") != "completed" || done.at("public_key") != nil {
		t.Errorf("session of a pending key: %v", done.body)
	}
	for i, l := range s.Lives {
		l.Must(l.Confirmation(t, st.Request.KeyID, byte(i+1), "share", true))
	}
	a = s.call(t, "GET", path+"?path=m/44/60/0/0/0", "")
	child := must(derive.Secp256k1Child(s.Wallet.PublicKey, s.Wallet.ChainCode, derive.Path{44, 60, 0, 0, 0}))(t)
	expect(t, "active", []any{a.at("state"), a.at("public_key"), a.at("chain_code"), a.at("path"), a.at("derived_key"), a.at("evm_address"), a.at("epoch")},
		[]any{"active", coordtest.Hex(s.Wallet.PublicKey), coordtest.Hex(s.Wallet.ChainCode), "m/44/60/0/0/0", coordtest.Hex(child.PublicKey[:]),
			must(derive.EVMAddress(child.PublicKey[:]))(t), 1})
	expect(t, "root", s.call(t, "GET", path, "").at("derived_key"), coordtest.Hex(s.Wallet.PublicKey))
	expect(t, "hardened path", s.call(t, "GET", path+"?path="+url.QueryEscape("m/44'"), "").status, 400)
	expect(t, "session of the active key", s.call(t, "GET", "/api/v1/mpc/sessions/"+st.Sessions[0].ID, "").at("public_key"), coordtest.Hex(s.Wallet.PublicKey))
	expect(t, "unknown key", s.call(t, "GET", "/api/v1/keys/none", "").status, 404)
	expect(t, "another's key", s.call(t, "GET", path, "", "X-API-Key", otherKey).status, 404)

	s.Submit(s.KeygenOrder(2, "second"))
	first := s.call(t, "GET", "/api/v1/keys?limit=1", "")
	second := s.call(t, "GET", "/api/v1/keys?limit=1&after="+first.at("next").(string), "")
	if first.at("keys", 0, "key_id") == second.at("keys", 0, "key_id") || len(second.at("keys").([]any)) != 1 {
		t.Errorf("pages %v and %v", first.body, second.body)
	}
	last := s.call(t, "GET", "/api/v1/keys?limit=5&after="+second.at("next").(string), "")
	expect(t, "last page", encode(t, last.body), `{"keys":[]}`)
	for _, query := range []string{"limit=0", "limit=1001", "limit=x", "after=" + strings.Repeat("x", 65)} {
		expect(t, query, s.call(t, "GET", "/api/v1/keys?"+query, "").status, 400)
	}
}

func TestSign(t *testing.T) {
	s := newSurface(t, 3, coordinator.Limits{})
	key := s.Key(2)
	hash := coordtest.Hex(coordtest.Digest("payment"))
	a := s.call(t, "POST", "/api/v1/mpc/sign", `{"account_id":"acme","key_id":"`+key.ID+`","message_hash":"`+hash+`","path":"m/1","request_id":"p",
		"participants":[{"party_id":"a"},{"party_id":"c"}]}`)
	st := s.Status("p")
	expect(t, "answer", []any{a.status, a.at("session_type"), a.at("account_id"), a.at("message_hash"), a.at("threshold_t"), a.at("threshold_n"), a.at("key_id"), len(a.at("join_tokens").(map[string]any))},
		[]any{201, "sign", "acme", hash, 2, 3, key.ID, 2})
	for _, m := range s.Members(s.Run("p")) {
		m.Must(m.Report(t, m.Session, s.Wallet.Signed(t, "m/1", coordtest.Digest("payment"))))
	}
	r := s.call(t, "GET", "/api/v1/requests/p", "")
	result := s.Status("p").Request.Result
	expect(t, "request", []any{r.at("state"), r.at("signature"), r.at("recovery_id"), r.at("digest"), r.at("derived_key"), r.at("public_key"), r.at("error")},
		[]any{"completed", coordtest.Hex(result.Signature), result.RecoveryID, hash, coordtest.Hex(result.DerivedKey), coordtest.Hex(key.PublicKey), nil})
	v := s.call(t, "GET", "/api/v1/mpc/sessions/"+st.Sessions[0].ID, "")
	expect(t, "session", []any{v.at("status"), v.at("completed_parties"), v.at("total_parties"), v.at("signature"), v.at("participants", 1, "party_index"), v.at("participants", 1, "status")},
		[]any{"completed", 2, 2, coordtest.Hex(result.Signature), 2, "completed"})
}

// What stands in the terms for what stood in the body.
func TestTerms(t *testing.T) {
	s := newSurface(t, 2, coordinator.Limits{})
	key := s.Key(2)
	hash := strings.Repeat("ab", 32)
	for name, c := range map[string]struct {
		fields string
		want   string // "status error" or the offer's sign_type, message and tx_info
	}{
		"only a hash":             {`"message_hash":"` + hash + `"`, "3 " + hash + " "},
		"hash with 0x":            {`"message_hash":"0x` + hash + `"`, "3 0x" + hash + " "},
		"hash with a tx_info":     {`"message_hash":"` + hash + `","tx_info":{"a":1}`, `1 ` + hash + ` {"a":1}`},
		"hash and the same again": {`"message_hash":"` + hash + `","message":"0x` + strings.ToUpper(hash) + `"`, "3 0x" + strings.ToUpper(hash) + " "},
		"hash and another":        {`"message_hash":"` + hash + `","message":"` + strings.Repeat("00", 32) + `"`, "400 invalid_request"},
		"hash and a text":         {`"message_hash":"` + hash + `","message":"hello"`, "400 invalid_request"},
		"hash of a text":          {`"message_hash":"` + hash + `","message":"hello","sign_type":"2"`, "400 invalid_request"},
		"hash alone as a text":    {`"message_hash":"` + hash + `","sign_type":"2"`, "400 invalid_request"},
		"short hash":              {`"message_hash":"abcd"`, "400 invalid_request"},
		"text":                    {`"message":"he said: \u003chi\u003e\n","sign_type":"2"`, "2 he said: <hi>\n "},
		"text without a type":     {`"message":"hello"`, "400 invalid_request"},
		"nothing":                 {`"path":"m/1"`, "400 invalid_request"},
		"tx_info alone": {`"tx_info": { "rawTx" : "0x02", "amount":1.0,
			"to":"\u0041" } `, "1  { \"rawTx\" : \"0x02\", \"amount\":1.0,\n\t\t\t\"to\":\"\\u0041\" }"},
		"tx_info no object": {`"tx_info":"{}"`, "400 invalid_request"},
		"tx_info null":      {`"tx_info":null`, "400 invalid_request"},
		"tx_info twice in":  {`"tx_info":{"a":1,"a":2}`, "400 invalid_request"},
		"keygen as a sign":  {`"request_type":"keygen","message_hash":"` + hash + `"`, "400 invalid_request"},
		"taproot":           {`"request_type":"taproot-sign","tapScriptRoot":"` + hash + `","message_hash":"` + hash + `"`, "3 " + hash + " "},
		"short root":        {`"request_type":"taproot-sign","tapScriptRoot":"00","message_hash":"` + hash + `"`, "400 invalid_request"},
		"root without tap":  {`"tapScriptRoot":"` + hash + `","message_hash":"` + hash + `"`, "400 invalid_request"},
		"type of later":     {`"request_type":"pre-sign","message_hash":"` + hash + `"`, "400 not_supported"},
		"other account":     {`"account_id":"other","message_hash":"` + hash + `"`, "404 not_found"},
		"wrong threshold":   {`"threshold_t":3,"message_hash":"` + hash + `"`, "400 threshold_not_met"},
		"unknown key":       {`"key_id":"none","message_hash":"` + hash + `"`, "404 not_found"},
		"too short a life":  {`"expires_in_seconds":1,"message_hash":"` + hash + `"`, "400 invalid_request"},
		"a day":             {`"expires_in_seconds":86400,"message_hash":"` + hash + `"`, "3 " + hash + " "},
		"more than a day":   {`"expires_in_seconds":86401,"message_hash":"` + hash + `"`, "400 invalid_request"},
		"negative life":     {`"expires_in_seconds":-1,"message_hash":"` + hash + `"`, "400 invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.call(t, "POST", "/api/v1/mpc/sign", "{"+c.fields+"}")
			got := fmt.Sprint(a.status, " ", a.at("error"))
			if a.status == 201 {
				terms := s.Lives[0].Receive()[0].GetOffer().Terms
				got = terms.SignType + " " + terms.Message + " " + string(terms.TxInfo)
				expect(t, "key", terms.KeyId, key.ID)
			}
			expect(t, "terms", got, c.want)
		})
	}
}

// TestLongestLife: the bound that is named is the one that holds.
func TestLongestLife(t *testing.T) {
	s := newSurface(t, 2, coordinator.Limits{})
	s.Key(2)
	for _, seconds := range []string{"86401", "172800", "9000000000000000000"} {
		a := s.call(t, "POST", "/api/v1/mpc/sign", `{"message_hash":"`+strings.Repeat("ab", 32)+`","expires_in_seconds":`+seconds+`}`)
		expect(t, seconds+" seconds", fmt.Sprint(a.status, " ", a.at("details", "expires_in_seconds")), "400 it is a number of seconds, 86400 at most")
	}
}

func TestAuthorization(t *testing.T) {
	s := newSurface(t, 2, coordinator.Limits{})
	s.Key(2)
	post := func(auth string) answer {
		return s.call(t, "POST", "/api/v1/mpc/sign", `{"request_id":"r`+fmt.Sprint(len(auth))+`","message_hash":"`+strings.Repeat("ab", 32)+`","authorization":`+auth+`}`)
	}
	expect(t, "taken", post(`{"key_id":"k","expiry":1700000000,"nonce":"00","signature":"00ff"}`).status, 201)
	a := s.Lives[0].Receive()[0].GetOffer().Authorization
	expect(t, "as it reaches the nodes", []any{a.KeyId, a.Expiry, a.Nonce, a.Signature}, "[k 1700000000 00 [0 255]]")
	for name, auth := range map[string]string{
		"no signature": `{"key_id":"k","expiry":1,"nonce":"00","signature":""}`, "no hex": `{"key_id":"k","expiry":1,"nonce":"00","signature":"xx"}`,
		"long":         `{"key_id":"k","expiry":1,"nonce":"00","signature":"` + strings.Repeat("00", 129) + `"}`,
		"no nonce":     `{"key_id":"k","expiry":1,"signature":"00"}`,
		"no key":       `{"nonce":"00","expiry":1,"signature":"00"}`,
		"fraction":     `{"key_id":"k","expiry":1.5,"nonce":"00","signature":"00"}`,
		"unknown part": `{"key_id":"k","expiry":1,"nonce":"00","signature":"00","alg":"none"}`,
	} {
		a := post(auth)
		expect(t, name, []any{a.status, a.at("error")}, "[400 invalid_request]")
	}
	missing := s.call(t, "POST", "/api/v1/mpc/sign", `{"message_hash":"`+strings.Repeat("ab", 32)+`","authorization":{"key_id":"k","expiry":1,"nonce":"00","signature":"00"}}`)
	expect(t, "without a request_id", missing.status, 400)
}

// The published create-session call, of both types.
func TestSessions(t *testing.T) {
	s := newSurface(t, 2, coordinator.Limits{})
	a := s.call(t, "POST", "/api/v1/sessions", `{"session_type":"keygen",`+keygenBody(`,"expires_in_seconds":300`)[1:])
	expect(t, "keygen", []any{a.status, a.at("session_type"), int64(a.at("expires_at").(float64)), len(a.at("join_tokens").(map[string]any))},
		[]any{201, "keygen", s.Clock.Now().Unix() + 300, 2})
	s.Key(2)
	hash := strings.Repeat("ab", 32)
	a = s.call(t, "POST", "/api/v1/sessions", `{"session_type":"sign","threshold_n":2,"threshold_t":2,"message_hash":"`+hash+`","path":"m/1"}`)
	expect(t, "sign", []any{a.status, a.at("session_type"), a.at("message_hash")}, []any{201, "sign", hash})
	for name, body := range map[string]string{
		"no type":              keygenBody(""),
		"unknown type":         `{"session_type":"refresh"}`,
		"keygen with a hash":   `{"session_type":"keygen","message_hash":"` + hash + `",` + keygenBody("")[1:],
		"sign with a curve":    `{"session_type":"sign","cryptography":"ecdsa-secp256k1","message_hash":"` + hash + `"}`,
		"keygen, of one party": `{"session_type":"keygen","threshold_n":2,"threshold_t":2,"participants":[{"party_id":"a"}]}`,
	} {
		expect(t, name, s.call(t, "POST", "/api/v1/sessions", body).status, 400)
	}
}

// Calls that wait end when what they wait for is there, or when their time is over.
func TestWaiting(t *testing.T) {
	s := newSurface(t, 2, coordinator.Limits{})
	for _, query := range []string{"wait=61", "wait=-1", "wait=x", "wait=1&since=x"} {
		expect(t, query, s.call(t, "POST", "/api/v1/mpc/keygen?"+query, keygenBody("")).status, 400)
		expect(t, query, s.call(t, "GET", "/api/v1/requests/x?"+query, "").status, 400)
		expect(t, query, s.call(t, "GET", "/api/v1/sessions/x?"+query, "").status, 400)
	}
	expect(t, "unknown request", s.call(t, "GET", "/api/v1/requests/x?wait=60", "").status, 404)
	expect(t, "unknown session", s.call(t, "GET", "/api/v1/sessions/x?wait=60", "").status, 404)

	type result struct{ a answer }
	posted := make(chan result)
	go func() {
		posted <- result{s.call(t, "POST", "/api/v1/mpc/keygen?wait=60", keygenBody(`,"request_id":"w"`))}
	}()
	var session string
	for session == "" { // the request is there before the call returns
		if st, err := s.C.Request(t.Context(), coordtest.Account, "w"); err == nil {
			session = st.Sessions[0].ID
		}
	}
	revision := s.Status("w").Request.Revision
	now := s.call(t, "GET", fmt.Sprintf("/api/v1/requests/w?wait=60&since=%d", revision-1), "")
	expect(t, "changed since", now.at("revision"), revision)
	s.Lives[0].Must(coordtest.Answer(session, linkv1.Answer_WAITING, "approvers"))
	changed := s.call(t, "GET", fmt.Sprintf("/api/v1/sessions/%s?wait=60&since=%d", session, revision), "")
	expect(t, "changed", changed.at("participants", 0, "answer"), "waiting")
	s.Lives[0].Must(coordtest.Answer(session, linkv1.Answer_REJECTED, "no"))
	over := (<-posted).a
	expect(t, "posted", []any{over.status, over.at("status"), over.at("request", "state"), over.at("request", "error")}, "[201 failed failed party a rejected: no]")
	expect(t, "over already", s.call(t, "GET", "/api/v1/requests/w?wait=60", "").at("state"), "failed")
	s.Submit(s.KeygenOrder(2, "open"))
	expect(t, "time is over", s.call(t, "GET", "/api/v1/requests/open?wait=1", "").at("state"), "created")
}
