package coordinator_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/bolt/coordstore/coordtest"
	"github.com/countersign-mpc/countersign/coordinator"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

func TestSubmitRefusals(t *testing.T) {
	w := coordtest.NewWorld(t, 3, coordinator.Limits{})
	key := w.Key(2)
	pending := w.Submit(w.KeygenOrder(2, "pending")).Request.KeyID
	keygen := func(change func(*coordinator.Order)) coordinator.Order {
		o := w.KeygenOrder(2, "")
		change(&o)
		return o
	}
	sign := func(change func(*coordinator.Order)) coordinator.Order {
		o := coordtest.SignOrder(key.ID, "m/1", "", "payment")
		change(&o)
		return o
	}
	parties := func(names ...string) (out []coordinator.Participant) {
		for _, n := range names {
			out = append(out, coordinator.Participant{Party: n})
		}
		return out
	}
	type order = coordinator.Order
	for name, c := range map[string]struct {
		order coordinator.Order
		code  coordinator.Code
		field string
	}{
		"no type":             {sign(func(o *order) { o.Terms.Type = "" }), coordinator.CodeInvalid, "request_type"},
		"unknown type":        {sign(func(o *order) { o.Terms.Type = "signe" }), coordinator.CodeInvalid, "request_type"},
		"type of later":       {sign(func(o *order) { o.Terms.Type = wire.TypePreSignOnline }), coordinator.CodeUnsupported, "request_type"},
		"unknown curve":       {keygen(func(o *order) { o.Terms.Cryptography = "rsa" }), coordinator.CodeInvalid, "cryptography"},
		"too few parties":     {keygen(func(o *order) { o.Participants = o.Participants[1:] }), coordinator.CodeThreshold, "participants"},
		"t of one":            {keygen(func(o *order) { o.Terms.T = 1 }), coordinator.CodeInvalid, ""},
		"t over n":            {keygen(func(o *order) { o.Terms.T = 4 }), coordinator.CodeInvalid, ""},
		"unbound party":       {keygen(func(o *order) { o.Participants = parties("a", "b", "z") }), coordinator.CodeInvalid, "participants[2].party_id"},
		"garbage party":       {keygen(func(o *order) { o.Participants = parties("a", "b", "||") }), coordinator.CodeInvalid, "participants[2].party_id"},
		"one party twice":     {keygen(func(o *order) { o.Participants = parties("a", "b", string(w.Parties[0].ID)) }), coordinator.CodeInvalid, "participants[2].party_id"},
		"ten parties":         {keygen(func(o *order) { o.Participants = parties(strings.Split("abcdefghij", "")...) }), coordinator.CodeInvalid, "participants"},
		"long device":         {keygen(func(o *order) { o.Participants[0].DeviceID = strings.Repeat("x", 129) }), coordinator.CodeInvalid, "participants"},
		"keygen with a path":  {keygen(func(o *order) { o.Terms.Path = "m/1" }), coordinator.CodeInvalid, ""},
		"unknown key":         {sign(func(o *order) { o.Terms.KeyID = "none" }), coordinator.CodeNotFound, "key_id"},
		"long key id":         {sign(func(o *order) { o.Terms.KeyID = strings.Repeat("k", 2000) }), coordinator.CodeNotFound, "key_id"},
		"another's key":       {sign(func(o *order) { o.Account = "other" }), coordinator.CodeNotFound, "key_id"},
		"pending key":         {sign(func(o *order) { o.Terms.KeyID = pending }), coordinator.CodeKeyNotActive, "key_id"},
		"hardened path":       {sign(func(o *order) { o.Terms.Path = "m/44'/60" }), coordinator.CodeInvalid, "path"},
		"no sign_type":        {sign(func(o *order) { o.Terms.SignType = "" }), coordinator.CodeInvalid, "sign_type"},
		"no message":          {sign(func(o *order) { o.Terms.Message = "" }), coordinator.CodeInvalid, "message"},
		"short digest":        {sign(func(o *order) { o.Terms.Message = "00ff" }), coordinator.CodeInvalid, "message"},
		"text as raw data":    {sign(func(o *order) { o.Terms.Message = "hello" }), coordinator.CodeInvalid, "message"},
		"bad UTF-8":           {sign(func(o *order) { o.Terms.Message = "\xff"; o.Terms.SignType = "2" }), coordinator.CodeInvalid, ""},
		"huge message":        {sign(func(o *order) { o.Terms.Message = strings.Repeat("x", manifest.MaxMessage+1); o.Terms.SignType = "2" }), coordinator.CodeInvalid, ""},
		"long request id":     {sign(func(o *order) { o.Terms.RequestID = strings.Repeat("r", manifest.MaxTextSize+1) }), coordinator.CodeInvalid, ""},
		"too few signers":     {sign(func(o *order) { o.Participants = parties("a") }), coordinator.CodeThreshold, "participants"},
		"too many signers":    {sign(func(o *order) { o.Participants = parties("a", "b", "c") }), coordinator.CodeInvalid, "participants"},
		"signature, no id":    {sign(func(o *order) { o.Authorization = &manifest.Authorization{} }), coordinator.CodeInvalid, "request_id"},
		"no account":          {sign(func(o *order) { o.Account = "" }), coordinator.CodeInvalid, ""},
		"account of two":      {sign(func(o *order) { o.Account = "acme|x" }), coordinator.CodeInvalid, ""},
		"life too short":      {sign(func(o *order) { o.Life = time.Second }), coordinator.CodeInvalid, "expires_in_seconds"},
		"life too long":       {sign(func(o *order) { o.Life = 25 * time.Hour }), coordinator.CodeInvalid, "expires_in_seconds"},
		"no key of the other": {sign(func(o *order) { o.Account, o.Terms.KeyID = "other", "" }), coordinator.CodeKeyNotActive, "key_id"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := w.C.Submit(t.Context(), c.order)
			expect(t, "code", coordtest.CodeOf(err), c.code)
			var e *coordinator.Error
			if e, _ = err.(*coordinator.Error); e == nil {
				t.Fatal(err)
			}
			if _, ok := e.Details[c.field]; c.field != "" && !ok {
				t.Errorf("details %v do not name %s", e.Details, c.field)
			}
			if len(e.Message) > 500 {
				t.Errorf("the message has %d bytes", len(e.Message))
			}
		})
	}
	expect(t, "open requests", len(w.Lives[0].Receive()), 1) // the pending keygen: nothing else was offered
}

func TestIdempotency(t *testing.T) {
	w := coordtest.NewWorld(t, 3, coordinator.Limits{})
	keygen := w.KeygenOrder(2, "key 1")
	first := w.Submit(keygen)
	again, created, err := w.C.Submit(t.Context(), keygen)
	if err != nil || created || again.Request.SinoID != first.Request.SinoID || again.Sessions[0].Members[0].Token != first.Sessions[0].Members[0].Token {
		t.Errorf("the same again is another request: %v, created %t", err, created)
	}
	key := w.Key(2)
	order := coordtest.SignOrder(key.ID, "m/1", "pay 1", "payment")
	order.Authorization = &manifest.Authorization{KeyID: "k", Nonce: "1"}
	sign := w.Submit(order)
	order.Authorization = &manifest.Authorization{KeyID: "k", Nonce: "2"} // signed anew: the same terms
	expect(t, "signed anew", w.Submit(order).Request.SinoID, sign.Request.SinoID)
	order.Terms.KeyID = "" // the account's only key
	expect(t, "without the key", w.Submit(order).Request.SinoID, sign.Request.SinoID)

	for name, change := range map[string]func(*coordinator.Order){
		"another type":    func(o *coordinator.Order) { *o = w.KeygenOrder(2, "pay 1") },
		"another message": func(o *coordinator.Order) { o.Terms.Message = coordtest.Hex(coordtest.Digest("other")) },
		"another path":    func(o *coordinator.Order) { o.Terms.Path = "m/2" },
		"named signers":   func(o *coordinator.Order) { o.Participants = []coordinator.Participant{{Party: "a"}, {Party: "b"}} },
		"a tx_info":       func(o *coordinator.Order) { o.Terms.TxInfo = []byte(`{}`) },
	} {
		other := order
		change(&other)
		_, _, err := w.C.Submit(t.Context(), other)
		expect(t, name, coordtest.CodeOf(err), coordinator.CodeRequestConflict)
	}
	key2 := w.Key(2)
	other := order
	other.Terms.KeyID = key2.ID
	_, _, err = w.C.Submit(t.Context(), other)
	expect(t, "another key", coordtest.CodeOf(err), coordinator.CodeRequestConflict)
	order.Terms.RequestID = "pay 2"
	_, _, err = w.C.Submit(t.Context(), order)
	expect(t, "no key named, where there are two", coordtest.CodeOf(err), coordinator.CodeInvalid)
	order.Terms.KeyID = key.ID
	order.Account = "other"
	if _, err := w.C.Request(t.Context(), "other", sign.Request.SinoID); coordtest.CodeOf(err) != coordinator.CodeNotFound {
		t.Errorf("another account reads the request: %v", err)
	}
	if _, _, err := w.C.Session(t.Context(), "other", sign.Sessions[0].ID); coordtest.CodeOf(err) != coordinator.CodeNotFound {
		t.Errorf("another account reads the session: %v", err)
	}
	if _, err := w.C.Key(t.Context(), "other", key.ID); coordtest.CodeOf(err) != coordinator.CodeNotFound {
		t.Errorf("another account reads the key: %v", err)
	}
}

// What a requester submitted reaches the nodes as it was, byte for byte.
func TestTermsReachTheNodes(t *testing.T) {
	w := coordtest.NewWorld(t, 2, coordinator.Limits{})
	key := w.Key(2)
	terms := manifest.Terms{Type: wire.TypeSign, RequestID: "r | ü", KeyID: key.ID, Path: "m/1", SignType: "2", Message: "<a>\u2028\x01\"&",
		TxInfo: []byte("{ \"b\" : 1.00,\n\"a\":\"<\\u003c\" }"), TapScriptRoot: ""}
	auth := &manifest.Authorization{KeyID: "k", Expiry: 7, Nonce: "n", Signature: []byte{0, 1, 255}}
	w.Submit(coordinator.Order{Account: coordtest.Account, Terms: terms, Authorization: auth})
	offer := w.Lives[0].Receive()[0].GetOffer()
	got := manifest.Terms{Type: offer.Terms.Type, RequestID: offer.Terms.RequestId, KeyID: offer.Terms.KeyId, Path: offer.Terms.Path,
		SignType: offer.Terms.SignType, Message: offer.Terms.Message, TxInfo: offer.Terms.TxInfo}
	if got.ContentHash() != terms.ContentHash() {
		t.Errorf("the terms arrive as %+v", got)
	}
	a := offer.Authorization
	expect(t, "authorization", []any{a.KeyId, a.Expiry, a.Nonce, a.Signature}, []any{auth.KeyID, auth.Expiry, auth.Nonce, auth.Signature})
}

func TestSignersAreThoseOnline(t *testing.T) {
	w := coordtest.NewWorld(t, 3, coordinator.Limits{})
	key := w.Key(2)
	for i, c := range []struct {
		away []int
		want string
	}{{nil, "[1 2]"}, {[]int{0}, "[2 3]"}, {[]int{1}, "[1 3]"}, {[]int{0, 1}, "[1 3]"}, {[]int{0, 1, 2}, "[1 2]"}} {
		for _, a := range c.away {
			w.Disconnect(a)
		}
		var got []byte
		for _, m := range w.Submit(coordtest.SignOrder(key.ID, "", fmt.Sprint(i), "x")).Sessions[0].Members {
			got = append(got, m.Index)
		}
		expect(t, fmt.Sprintf("signers without %v", c.away), got, c.want)
		for _, a := range c.away {
			w.Connect(a)
		}
	}
}

func TestOpenRequestsAreBounded(t *testing.T) {
	w := coordtest.NewWorld(t, 2, coordinator.Limits{OpenRequests: 2})
	w.Submit(w.KeygenOrder(2, "1"))
	second := w.Submit(w.KeygenOrder(2, "2"))
	_, _, err := w.C.Submit(t.Context(), w.KeygenOrder(2, "3"))
	expect(t, "the third", coordtest.CodeOf(err), coordinator.CodeTooMany)
	w.Submit(w.KeygenOrder(2, "2")) // the same again needs no room
	w.Lives[0].Must(coordtest.Answer(second.Sessions[0].ID, rejected, ""))
	w.Submit(w.KeygenOrder(2, "3"))
}

func TestBind(t *testing.T) {
	w := coordtest.NewWorld(t, 2, coordinator.Limits{BoundNodes: 3})
	a, other := w.Parties[0], coordtest.NewParty(t, "x")
	for name, c := range map[string]struct {
		account, id, name string
		code              coordinator.Code
	}{
		"again":                 {coordtest.Account, string(a.ID), "a", ""},
		"under another name":    {coordtest.Account, string(a.ID), "a2", coordinator.CodeAlreadyBound},
		"under a taken name":    {coordtest.Account, string(other.ID), "a", coordinator.CodeNameTaken},
		"by another account":    {"other", string(a.ID), "theirs", ""},
		"no node id":            {coordtest.Account, "sino", "x", coordinator.CodeInvalid},
		"node id with a blank":  {coordtest.Account, string(other.ID) + " ", "x", coordinator.CodeInvalid},
		"no name":               {coordtest.Account, string(other.ID), "", coordinator.CodeInvalid},
		"name with a separator": {coordtest.Account, string(other.ID), "a|b", coordinator.CodeInvalid},
		"long name":             {coordtest.Account, string(other.ID), strings.Repeat("x", 65), coordinator.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := w.C.Bind(t.Context(), c.account, c.id, c.name)
			expect(t, "code", coordtest.CodeOf(err), c.code)
			if c.code == "" && (err != nil || n.Name != c.name || !n.Online) {
				t.Errorf("%+v, %v", n, err)
			}
		})
	}
	must(w.C.Bind(t.Context(), coordtest.Account, string(other.ID), "x"))(t)
	_, err := w.C.Bind(t.Context(), coordtest.Account, string(coordtest.NewParty(t, "y").ID), "y")
	expect(t, "one too many", coordtest.CodeOf(err), coordinator.CodeTooMany)
	nodes := must(w.C.Nodes(t.Context(), coordtest.Account))(t)
	expect(t, "nodes", []any{len(nodes), nodes[0].Name, nodes[0].Online, nodes[0].Software, nodes[2].Name, nodes[2].Online, nodes[2].LastSeen.IsZero()},
		[]any{3, "a", true, "test", "x", false, true})
}
