package wire_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/countersign-mpc/countersign/wire"
)

func TestCompactTxInfo(t *testing.T) {
	tests := []struct{ name, raw, want string }{
		{"empty", " {\n}", `{}`},
		{"white space and order", "{ \"b\" : [ 1 , 2.50 ] ,\t\"a\" : { } }", `{"b":[1,2.50],"a":{}}`},
		{"HTML", `{"note":"<b>&'\u003c"}`, `{"note":"\u003cb\u003e\u0026'\u003c"}`},
		{"line separators", "{\"note\":\"\u2028\u2029\"}", `{"note":"\u2028\u2029"}`},
		{"other escapes stay", `{"note":"\/\u00e9é\ud83d\ude00\t"}`, `{"note":"\/\u00e9é\ud83d\ude00\t"}`},
		{"numbers stay", `{"x":[123456789012345678901234567890,1E5,-0.0]}`, `{"x":[123456789012345678901234567890,1E5,-0.0]}`},
		{"HTML in a key", `{"<":1}`, `{"\u003c":1}`},
		{"values of the wrong kind", `{"amount":1,"extraData":"x","to":null}`, `{"amount":1,"extraData":"x","to":null}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			raw := []byte(test.raw)
			got := must[[]byte](t)(wire.CompactTxInfo(raw))
			equal(t, "compact", string(got), test.want)
			equal(t, "input untouched", string(raw), test.raw)
			equal(t, "idempotent", string(must[[]byte](t)(wire.CompactTxInfo(got))), test.want)
			inGo := must[[]byte](t)(json.Marshal(json.RawMessage(test.raw)))
			equal(t, "as Go writes it", string(inGo), test.want)
		})
	}
}

func TestReadTxInfo(t *testing.T) {
	raw := []byte(` {"chainSymbol":"BTC","curInputId":"7","tapScriptRoot":"ab","publickKey":"02","rawTx":"cHNidP8=","extraData":{"vinList":[{"id":7},{}]}}`)
	got, problems, err := wire.ReadTxInfo(raw)
	if err != nil || len(problems) != 0 {
		t.Fatal(err, problems)
	}
	equal(t, "chain", got.ChainSymbol, "BTC")
	equal(t, "input", got.CurInputID, "7")
	equal(t, "root", got.TapScriptRoot, "ab")
	equal(t, "key", got.PublicKey, "02")
	equal(t, "rawTx", got.RawTx, "cHNidP8=")
	equal(t, "id", got.ExtraData.VinList[0].ID, "7")
	body := append(append([]byte(`{"callback_id":"x","request_type":"sign","request_detail":{"tx_info":`), raw...), `},"extra_info":{}}`...)
	within, err := wire.ParseCheck(wire.PathCheck, body)
	if err != nil || !reflect.DeepEqual(*within.TxInfo, got) {
		t.Errorf("inside a request it reads as %+v (%v), by itself as %+v", within, err, got)
	}
	if _, problems, err = wire.ReadTxInfo([]byte(`{"amount":1}`)); err != nil || len(problems) != 1 || problems[0].Pointer != "/amount" {
		t.Errorf("a value of the wrong kind: %v, %v", problems, err)
	}
	for _, bad := range []string{"", "[]", `{"a":1,"a":1}`, `{"Amount":"1"}`, "{} "} {
		if _, _, err := wire.ReadTxInfo([]byte(bad)); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

func TestCompactTxInfoRefuses(t *testing.T) {
	for raw, says := range map[string]string{
		"": "empty", " ": "empty", "null": "object", "[]": "object", `"{}"`: "object", "1": "object", "{": "cut off",
		"{} ": "follow", "{}{}": "follow", "{}x": "follow", `{"a":1,"a":1}`: "/a is there twice", "{\"a\":\"\xff\"}": "not JSON",
		`{"a":"\udc00"}`: "not JSON", `{"Amount":"1"}`: `"amount"`, `{"extraData":{"vinlist":[]}}`: `"vinList"`,
		`{"x":` + nested(62) + `}`: "deeper", "{'a':1}": "not JSON",
	} {
		got, err := wire.CompactTxInfo([]byte(raw))
		wantError(t, err, says)
		equal(t, "result", len(got), 0)
	}
	if _, err := wire.CompactTxInfo([]byte(`{"x":` + nested(61) + `}`)); err != nil {
		t.Errorf("as deep as a request allows: %v", err)
	}
}

func TestSetRequester(t *testing.T) {
	me := wire.Requester{KeyID: "k<1>", Signature: "ab"}
	const mine = `"requester":{"key_id":"k\u003c1\u003e","signature":"ab"}`
	tests := []struct {
		name, txInfo string
		requester    wire.Requester
		want         string
	}{
		{"none before", `{ "amount" : "1" }`, me, `{"amount":"1",` + mine + `}`},
		{"empty object", `{}`, me, `{` + mine + `}`},
		{"no tx_info", ``, me, `{` + mine + `}`},
		{"replaced, at the end", `{"requester":{"key_id":"evil","signature":"x","more":1},"to":"<"}`, me, `{"to":"\u003c",` + mine + `}`},
		{"replaced by an escaped name", `{"\u0072equester":{},"to":"x"}`, me, `{"to":"x",` + mine + `}`},
		{"of the wrong kind", `{"to":"x","requester":"evil"}`, me, `{"to":"x",` + mine + `}`},
		{"inner requester stays", `{"x":{"requester":1}}`, me, `{"x":{"requester":1},` + mine + `}`},
		{"empty signature", `{}`, wire.Requester{KeyID: "k"}, `{"requester":{"key_id":"k","signature":""}}`},
		{"removed", `{"requester":{"key_id":"evil"},"to":"x"}`, wire.Requester{}, `{"to":"x"}`},
		{"removed, alone", `{"requester":null}`, wire.Requester{}, `{}`},
		{"nothing to remove", `{"to":"x"}`, wire.Requester{}, `{"to":"x"}`},
		{"nothing at all", ``, wire.Requester{}, ``},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := must[[]byte](t)(wire.SetRequester([]byte(test.txInfo), test.requester))
			equal(t, "tx_info", string(got), test.want)
			if len(got) == 0 {
				return
			}
			again := must[[]byte](t)(wire.SetRequester(got, test.requester))
			equal(t, "idempotent", string(again), test.want)
			if compact := must[[]byte](t)(wire.CompactTxInfo(got)); !bytes.Equal(compact, got) {
				t.Errorf("not compact: %s", got)
			}
			p := must[*wire.Parsed](t)(wire.ParseCheck(wire.PathCheck, []byte(`{"callback_id":"c","request_type":"sign","request_detail":{"tx_info":`+string(got)+`}}`)))
			if test.requester == (wire.Requester{}) {
				equal(t, "requester", p.TxInfo.Requester, nil)
			} else {
				equal(t, "requester", *p.TxInfo.Requester, test.requester)
			}
		})
	}
}

func TestSetRequesterRefuses(t *testing.T) {
	for raw, says := range map[string]string{
		"null": "object", "[]": "object", `{"Requester":{}}`: `"requester"`, `{"requester":1,"requester":2}`: "twice", "{": "cut off",
	} {
		_, err := wire.SetRequester([]byte(raw), wire.Requester{KeyID: "k"})
		wantError(t, err, says)
	}
	for _, r := range []wire.Requester{{KeyID: "\xff"}, {Signature: "\xff"}} {
		_, err := wire.SetRequester(nil, r)
		wantError(t, err, "UTF-8")
	}
}
