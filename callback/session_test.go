package callback_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/e2e/bitcoin"
	"github.com/countersign-mpc/countersign/wire"
)

// sessions allows two keygens in 30 days, and one presignature a day for each key, path and requester.
func sessions(data map[string]any) {
	data["request_types"] = []string{"keygen", "refresh", "pre-sign"}
	data["pre_sign"] = map[string]any{rootKey: map[string]any{"any_requester": true, "paths": []string{"m", "m/1"}}}
	data["windows"] = map[string]any{
		"keys":   map[string]any{"measure": "count", "kinds": []string{"keygen"}, "rolling_seconds": 30 * 86400, "max": "2"},
		"nonces": map[string]any{"measure": "count", "kinds": []string{"pre_sign"}, "scope": []string{"key", "path", "requester"}, "rolling_seconds": 86400, "max": "1"},
	}
}

func keygen(callbackID, session string, changes ...func(*wire.Check)) *wire.Check {
	c := &wire.Check{
		CallbackID: callbackID, RequestType: wire.TypeKeygen,
		RequestDetail: wire.RequestDetail{T: 3, N: 3, Cryptography: wire.ECDSASecp256k1, PartyIDs: []string{party("0"), party("1"), party("2")}},
		ExtraInfo:     wire.ExtraInfo{SinoID: session},
	}
	for _, change := range changes {
		change(c)
	}
	return c
}

// TestWindowOfKeygens: a session counts once, whichever nodes ask for it, and stands for one keygen.
func TestWindowOfKeygens(t *testing.T) {
	w := newWorld(t, options{data: sessions})
	ask := func(c *wire.Check) *wire.Decision {
		d, _ := w.ask(c)
		return d
	}
	refresh := func(c *wire.Check) { c.RequestType = wire.TypeRefresh }
	ed25519 := func(c *wire.Check) {
		c.RequestDetail.Cryptography, c.RequestDetail.T = wire.EdDSAEd25519, 2
	}
	otherOrder := func(c *wire.Check) { c.RequestDetail.PartyIDs = []string{party("2"), party("0"), party("1")} }
	want(t, ask(keygen("k-1", "one")), wire.Approve)
	want(t, w.askB(keygen("k-1b", "one", otherOrder)), wire.Approve) // the same session at another node
	want(t, ask(keygen("k-2", "one", ed25519)), wire.Reject, "ledger.execution: session one")
	want(t, ask(keygen("k-3", "one", refresh)), wire.Reject, "ledger.execution: session one")
	want(t, ask(keygen("k-4", "two", refresh)), wire.Approve)
	want(t, ask(keygen("k-5", "three")), wire.Reject, "window.max: window keys would come to 3")
	want(t, ask(keygen("k-6", "")), wire.Reject, "window.scope: /extra_info/sino_id")

	want(t, ask(outcome("k-4", wire.OutcomeNotSigned, "")), wire.Approve)
	want(t, ask(keygen("k-7", "three")), wire.Approve) // the room of session two is free again
	want(t, ask(outcome("k-1", wire.OutcomeNotSigned, "")), wire.Approve)
	want(t, ask(keygen("k-8", "four")), wire.Reject, "window.max") // node b may still make key one

	w.clock.step(7 * 24 * time.Hour)
	want(t, ask(keygen("k-9", "one")), wire.Approve) // the last moment at which it is the same session
	w.clock.step(time.Second)
	want(t, w.askB(keygen("k-10b", "one", otherOrder)), wire.Reject, "ledger.execution: it was first approved on")
}

// TestWindowOfPresignatures counts by key, path and who asked; who does not say rejects itself.
func TestWindowOfPresignatures(t *testing.T) {
	w := newWorld(t, options{data: sessions})
	alice, bob := keyID(t, newKey(t)), keyID(t, newKey(t))
	for i, c := range []struct {
		session, path, requester string
		want                     wire.Action
		says                     string
	}{
		{"one", "m", alice, wire.Approve, ""},
		{"one", "m", alice, wire.Approve, ""}, // the same session again
		{"two", "m", alice, wire.Reject, "window.max: window nonces"},
		{"two", "m/1", alice, wire.Approve, ""},
		{"three", "m", bob, wire.Approve, ""},
		{"one", "m/1", bob, wire.Reject, "ledger.execution: session one"},
		{"four", "m", "", wire.Reject, "window.scope: requester"},
		{"", "m/1", bob, wire.Reject, "window.scope: /extra_info/sino_id"},
	} {
		check := &wire.Check{
			CallbackID: fmt.Sprint("p-", i), RequestType: wire.TypePreSign, ExtraInfo: wire.ExtraInfo{SinoID: c.session},
			RequestDetail: wire.RequestDetail{T: 3, N: 3, Cryptography: wire.ECDSASecp256k1, PublicKey: rootKey, Path: c.path},
		}
		if c.requester != "" {
			check.RequestDetail.TxInfo = fmt.Appendf(nil, `{"requester":{"key_id":%q,"signature":"00"}}`, c.requester)
		}
		d, _ := w.ask(check)
		want(t, d, c.want, c.says)
	}
}

// TestSessionsWithoutAWindow are approved as ever, also without a name.
func TestSessionsWithoutAWindow(t *testing.T) {
	w := newWorld(t, options{})
	for i, session := range []string{"one", "one", ""} {
		d, _ := w.ask(keygen(fmt.Sprint("k-", i), session))
		want(t, d, wire.Approve)
	}
}

// TestWindowOfTokens: a rune and a ticker have windows of their own. What spends the same coins is a replacement.
func TestWindowOfTokens(t *testing.T) {
	w := newWorld(t, options{data: func(data map[string]any) {
		bitcoinData(data)
		window := func(asset, most string) map[string]any {
			return map[string]any{"measure": "amount", "chain": "BTC", "asset": asset, "scope": []string{"key", "recipient"}, "lifetime": true, "max": most}
		}
		data["windows"] = map[string]any{
			"runes": window(bitcoin.Rune.ID, "200"), "tickers": window(bitcoin.Ticker, "3000"),
			"often": map[string]any{"measure": "count", "chain": "BTC", "asset": bitcoin.Ticker, "lifetime": true, "max": "3"},
		}
	}})
	ask := func(id string, s spending) *wire.Decision {
		d, _ := w.ask(s.check(id))
		return d
	}
	want(t, ask("r-1", rune150(150_00)), wire.Approve)
	want(t, ask("r-2", rune150(200_00)), wire.Approve)
	want(t, w.askB(rune150(200_00).check("r-2b")), wire.Approve)
	want(t, ask("r-3", rune150(200_01)), wire.Reject, "window.max: window runes would come to 20001")
	want(t, ask("t-1", inscription("1000")), wire.Approve)
	want(t, ask("t-2", inscription("2000.5")), wire.Reject, "window.max: window tickers would come to 3000500000000000000000")
	want(t, ask("t-3", inscription("1999")), wire.Approve)
	want(t, ask("t-4", inscription("0.5")), wire.Approve)
	want(t, ask("t-5", inscription("0.25")), wire.Reject, "window.max: window often would come to 4")
	want(t, ask("t-6", inscription("1000")), wire.Approve) // the same one again
}
