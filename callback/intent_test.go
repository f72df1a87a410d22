package callback_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"fmt"
	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
	"time"
)

const intentTxInfo = `{"requestId":"pay-1","chainSymbol":"BTC","amount":"22000","curInputId":"0","extraData":{"toTag":"x","vinList":[{"id":1,"requestId":"in-1"},{"id":2}],"voutList":[{"address":"a","amount":1}]},"rawTx":"cHNidP8=","requester":{"key_id":"k1","signature":"s1"}}`

func intentOf(t testing.TB, requestType, txInfo string, change func(*wire.Check)) ledger.Hash {
	t.Helper()
	c := &wire.Check{CallbackID: "cb", RequestType: requestType, RequestDetail: wire.RequestDetail{
		Cryptography: "ecdsa-secp256k1", SignType: "1", PublicKey: rootKey, Path: "m/0", Message: "00", TxInfo: []byte(txInfo),
	}}
	if txInfo == "" {
		c.RequestDetail.TxInfo = nil
	}
	if change != nil {
		change(c)
	}
	p := must[*wire.Parsed](t)(wire.ParseCheck(wire.PathCheck, must[[]byte](t)(c.Marshal())))
	return must[ledger.Hash](t)(callback.IntentHash(p))
}

// TestIntentVector fixes the hash (docs/FORMATS.md): approvals that are stored must count after an update.
func TestIntentVector(t *testing.T) {
	want := "f1097a92ad157d83d16c7d3eb3a37028b8b4395c7d0c870d4aed2224ad747906"
	if got := intentOf(t, "sign", intentTxInfo, nil).String(); got != want {
		t.Errorf("the intent hash is %s, want %s", got, want)
	}
	payment := strings.NewReplacer(`"curInputId":"0",`, "", `,"requestId":"in-1"`, "", `,"requester":{"key_id":"k1","signature":"s1"}`, "").Replace(intentTxInfo)
	raw, _ := hex.DecodeString(sha256Hex("cHNidP8="))
	by := sha256Hex(string(wire.SigningBytes("intent", []byte("sign"), []byte("ecdsa-secp256k1"), []byte(rootKey), []byte("m/0"), []byte("1"), []byte(payment), raw, []byte("k1"))))
	if by != want {
		t.Errorf("by the document's words it is %s, want %s", by, want)
	}
}

func TestIntentCovers(t *testing.T) {
	base := intentOf(t, "sign", intentTxInfo, nil)
	replaced := func(old, new string) ledger.Hash {
		if !strings.Contains(intentTxInfo, old) {
			t.Fatalf("the base has no %s", old)
		}
		return intentOf(t, "sign", strings.Replace(intentTxInfo, old, new, 1), nil)
	}
	for name, got := range map[string]ledger.Hash{
		"callback_id":             intentOf(t, "sign", intentTxInfo, func(c *wire.Check) { c.CallbackID = "cb-2" }),
		"sino_id and request_id":  intentOf(t, "sign", intentTxInfo, func(c *wire.Check) { c.ExtraInfo = wire.ExtraInfo{SinoID: "s", RequestID: "r"} }),
		"the input":               replaced(`"curInputId":"0"`, `"curInputId":"1"`),
		"an input's request":      replaced(`"requestId":"in-1"`, `"requestId":"in-2"`),
		"no input's request":      replaced(`,"requestId":"in-1"`, ``),
		"the requester's signing": replaced(`"signature":"s1"`, `"signature":"s2"`),
		"white space":             replaced(`"amount":"22000"`, `"amount" : "22000"`),
	} {
		if got != base {
			t.Errorf("%s: the intent differs and should not", name)
		}
	}
	for name, got := range map[string]ledger.Hash{
		"request type":       intentOf(t, "taproot-sign", intentTxInfo, nil),
		"cryptography":       intentOf(t, "sign", intentTxInfo, func(c *wire.Check) { c.RequestDetail.Cryptography = "" }),
		"sign type":          intentOf(t, "sign", intentTxInfo, func(c *wire.Check) { c.RequestDetail.SignType = "3" }),
		"public key":         intentOf(t, "sign", intentTxInfo, func(c *wire.Check) { c.RequestDetail.PublicKey = "02" }),
		"path":               intentOf(t, "sign", intentTxInfo, func(c *wire.Check) { c.RequestDetail.Path = "m/1" }),
		"no claim":           intentOf(t, "sign", "", nil),
		"amount":             replaced("22000", "22001"),
		"payment":            replaced("pay-1", "pay-2"),
		"an output":          replaced(`"address":"a"`, `"address":"b"`),
		"an input's id":      replaced(`{"id":2}`, `{"id":3}`),
		"one input less":     replaced(`,{"id":2}`, ``),
		"rawTx":              replaced("cHNidP8=", "cHNidP9="),
		"no rawTx":           replaced(`"rawTx":"cHNidP8=",`, ``),
		"who asks":           replaced(`"key_id":"k1"`, `"key_id":"k2"`),
		"an unknown field":   replaced(`"chainSymbol"`, `"gift":1,"chainSymbol"`),
		"requestId of a sum": replaced(`"extraData":{`, `"extraData":{"requestId":"x",`),
	} {
		if got == base {
			t.Errorf("%s: the intent is the same and should not be", name)
		}
	}
}

// paymentByTokens is callback.PaymentOf by a decoder that reads every token.
func paymentByTokens(t testing.TB, txInfo []byte) []byte {
	t.Helper()
	var without func(d *jsontext.Decoder, path string) []byte
	without = func(d *jsontext.Decoder, path string) []byte {
		kind := d.PeekKind()
		inVins, inVin := path == "/extraData/vinList", path == "/extraData/vinList/*"
		if (path != "" && path != "/extraData" && !inVins && !inVin) || (kind != '{' && kind != '[') || (kind == '[') != inVins {
			return must[jsontext.Value](t)(d.ReadValue()).Clone()
		}
		out := []byte(must[jsontext.Token](t)(d.ReadToken()).String())
		for d.PeekKind() != '}' && d.PeekKind() != ']' {
			name, at := []byte(nil), path+"/*"
			if kind == '{' {
				name = must[jsontext.Value](t)(d.ReadValue()).Clone()
				at = path + "/" + string(must[[]byte](t)(jsontext.AppendUnquote(nil, name)))
			}
			value := without(d, at)
			if at == "/curInputId" || at == "/requester" || at == "/extraData/vinList/*/requestId" {
				continue
			}
			if len(out) > 1 {
				out = append(out, ',')
			}
			if name != nil {
				out = append(append(out, name...), ':')
			}
			out = append(out, value...)
		}
		return append(out, must[jsontext.Token](t)(d.ReadToken()).String()...)
	}
	return without(jsontext.NewDecoder(bytes.NewReader(txInfo)), "")
}

// TestPaymentByTokens: what is bound to a payment is the same by another reading of the same rules, down to blanks and escapes.
func TestPaymentByTokens(t *testing.T) {
	all := []string{
		intentTxInfo, "{}", "[]", `"x"`, "null", "12", ` { "a" : [ 1 , { "b" : "]}\\\"," } ] , "curInputId" : "1" , "e" : -1.5e+3 } `,
		`{"\u0063urInputId":"0","request\u0065r":{},"extraData":null}`, `{"extraData":[{"vinList":1}]}`,
		`{"extraData": {"vinList": [ {"requestId":1} , 2, [ {"requestId":3} ], {"a":{"requestId":4},"requestId":[{}]} ], "requestId": 5}}`,
		`{"a\\":"\\","\"":"\\\"\\\\","b":"","c":"x\\\\\"y"}`, `{"extraData":{"vinList":{"requestId":1}},"vinList":[{"requestId":2}]}`, `{"extraData":{"vinList":[]},"requester":null}`, `{"requester":1,"curInputId":2}`,
	}
	for _, c := range caseRequests(t) {
		if info := c.RequestDetail.TxInfo; len(info) > 0 {
			all = append(all, string(info))
		}
	}
	for _, txInfo := range all {
		if got, want := must[[]byte](t)(callback.PaymentOf([]byte(txInfo))), paymentByTokens(t, []byte(txInfo)); strings.TrimSpace(string(got)) != string(want) {
			t.Errorf("%s\ngives   %s\nand not %s", txInfo, got, want)
		}
	}
	for _, broken := range []string{"{", `{"a`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1]`, `{a:1}`, `{"a" 1}`, `{"a":}`, `{"a":[1}`, `{"extraData":{"vinList":[1`, `{"a":"\`, `{"a":"b\"`, `{"a":"b\"}`} {
		if got, err := callback.PaymentOf([]byte(broken)); err == nil {
			t.Errorf("%s gives %s", broken, got)
		}
	}
}

// plainIntent is callback.IntentHash by the document's words.
func plainIntent(p *wire.Parsed, payment []byte) ledger.Hash {
	d := &p.Check.RequestDetail
	var raw, requester []byte
	if t := p.TxInfo; t != nil && t.RawTx != "" {
		sum := sha256.Sum256([]byte(t.RawTx))
		raw = sum[:]
	}
	if t := p.TxInfo; t != nil && t.Requester != nil {
		requester = []byte(t.Requester.KeyID)
	}
	return sha256.Sum256(wire.SigningBytes("intent", []byte(p.Check.RequestType), []byte(d.Cryptography), []byte(d.PublicKey), []byte(d.Path),
		[]byte(d.SignType), payment, raw, requester))
}

func FuzzIntentHash(f *testing.F) {
	f.Add(intentTxInfo)
	f.Add(strings.Replace(intentTxInfo, "cHNidP8=", strings.Repeat("cHNidP8", 700), 1)) // of more than there is room for at first
	f.Add(`{"extraData":null}`)
	f.Add(`{"extraData":{"vinList":[1,[],{"requestId":{}}]}}`)
	f.Add(`{"\u0063urInputId":"0","a":1e5}`)
	f.Fuzz(func(t *testing.T, txInfo string) {
		c := &wire.Check{CallbackID: "cb", RequestType: "sign", RequestDetail: wire.RequestDetail{TxInfo: []byte(txInfo)}}
		body, err := c.Marshal()
		if err != nil {
			return // not JSON: it cannot stand in a request
		}
		p, err := wire.ParseCheck(wire.PathCheck, body)
		if err != nil {
			return // not a request: it is refused before there is an intent
		}
		intent, err := callback.IntentHash(p)
		if err != nil {
			t.Fatalf("a parsed request has no intent: %v", err)
		}
		info := p.Check.RequestDetail.TxInfo
		if plain := plainIntent(p, must[[]byte](t)(callback.PaymentOf(info))); intent != plain {
			t.Errorf("%s has the intent %s, and by the document's words %s", info, intent, plain)
		}
		if p.TxInfo == nil {
			return
		}
		if got, want := must[[]byte](t)(callback.PaymentOf(info)), paymentByTokens(t, info); !bytes.Equal(got, want) {
			t.Errorf("%s gives\n%s\nand by its tokens\n%s", info, got, want)
		}
		signedBy := func(signature string) ledger.Hash {
			c.RequestDetail.TxInfo = must[[]byte](t)(wire.SetRequester(p.Check.RequestDetail.TxInfo, wire.Requester{KeyID: "k", Signature: signature}))
			again := must[*wire.Parsed](t)(wire.ParseCheck(wire.PathCheck, must[[]byte](t)(c.Marshal())))
			return must[ledger.Hash](t)(callback.IntentHash(again))
		}
		if signedBy("one") != signedBy("two") {
			t.Errorf("the requester's signature changes the intent of %s", txInfo)
		}
	})
}

// TestPaymentOfEscapes: a text of a million escapes, as large as a body may be, takes no longer than its length asks for: some
// milliseconds, where a search for its end behind each escape took many seconds.
func TestPaymentOfEscapes(t *testing.T) {
	const size, most = 1 << 20, 5 * time.Second
	for _, escape := range []string{`\n`, `\\`, `\"`, `\u00e9`} {
		txInfo := fmt.Appendf(nil, `{"extraData":{"vinList":[{"memo":"%s"}]}}`, strings.Repeat(escape, size/len(escape)))
		begin := time.Now()
		if _, err := callback.PaymentOf(txInfo); err != nil {
			t.Errorf("%s: %v", escape, err)
		}
		if took := time.Since(begin); took > most {
			t.Errorf("%s: %v for %d bytes", escape, took, len(txInfo))
		}
	}
}
