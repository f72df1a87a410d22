package wire_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/wire"
)

// in puts a value into a check at a place: "body", "detail", "extra" or "tx" (inside the object, with a comma as needed).
func in(place, members string) string {
	part := func(name string) string {
		if name == place {
			return "," + members
		}
		return ""
	}
	return `{"callback_id":"c","request_type":"sign"` + part("body") +
		`,"request_detail":{"n":3` + part("detail") + `,"tx_info":{"amount":"1"` + part("tx") + `}}` +
		`,"extra_info":{"sino_id":"s"` + part("extra") + `}}`
}

func nested(levels int) string {
	return strings.Repeat("[", levels) + strings.Repeat("]", levels)
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ name, body, says string }{
		{"empty", ``, "empty"},
		{"white space alone", " \n", "empty"},
		{"an array", `[]`, "must be a JSON object"},
		{"a string", `"{}"`, "must be a JSON object"},
		{"null", `null`, "must be a JSON object"},
		{"cut off", `{"callback_id":"c"`, "cut off"},
		{"no JSON", `callback_id=c`, "not JSON"},
		{"single quotes", `{'a':1}`, "not JSON"},
		{"a comment", `{/**/}`, "not JSON"},
		{"a comma too many", `{"callback_id":"c",}`, "not JSON"},
		{"a byte order mark", "\ufeff{}", "not JSON"},
		{"NaN", in("tx", `"x":NaN`), "not JSON"},
		{"leading zero", in("tx", `"x":01`), "not JSON"},
		{"control character in a string", in("tx", "\"note\":\"a\nb\""), "not JSON"},

		{"trailing object", in("", "") + `{}`, "2 byte(s) follow"},
		{"trailing garbage", in("", "") + `x`, "1 byte(s) follow"},
		{"trailing NUL", in("", "") + "\x00", "1 byte(s) follow"},
		{"trailing line break", in("", "") + "\n", "1 byte(s) follow"},

		{"invalid UTF-8 in a value", in("tx", "\"note\":\"\xff\""), "not JSON"},
		{"invalid UTF-8 in a key", in("tx", "\"\xff\":1"), "not JSON"},
		{"overlong UTF-8", in("tx", "\"note\":\"\xc0\x80\""), "not JSON"},
		{"a surrogate in UTF-8", in("tx", "\"note\":\"\xed\xa0\x80\""), "not JSON"},
		{"a lone surrogate", in("tx", `"note":"\ud800"`), "not JSON"},

		{"duplicate in the body", in("body", `"callback_id":"c"`), "/callback_id is there twice"},
		{"duplicate in the detail", in("detail", `"n":3`), "/request_detail/n is there twice"},
		{"duplicate in the extra info", in("extra", `"sino_id":"s"`), "/extra_info/sino_id is there twice"},
		{"duplicate in tx_info", in("tx", `"amount":"1"`), "/request_detail/tx_info/amount is there twice"},
		{"duplicate by an escape", in("tx", `"\u0061mount":"1"`), "amount is there twice"},
		{"duplicate of an unknown key", in("tx", `"x":{"y":1,"y":1}`), "/request_detail/tx_info/x/y is there twice"},
		{"duplicate in a list", in("tx", `"brc20Details":[{"to":"a","to":"b"}]`), "/brc20Details/0/to is there twice"},

		{"case in the body", in("body", `"Request_Type":"sign"`), `must be written "request_type"`},
		{"case in the detail", in("detail", `"T":3`), `must be written "t"`},
		{"case of threshold", in("detail", `"Threshold":3`), `must be written "threshold"`},
		{"case of an absent key", in("detail", `"Party_IDs":[]`), `must be written "party_ids"`},
		{"case in the extra info", in("extra", `"Request_id":"r"`), `must be written "request_id"`},
		{"case in tx_info", in("tx", `"VaultId":"1"`), `must be written "vaultId"`},
		{"case by an escape", in("tx", `"\u0041mount":"1"`), `must be written "amount"`},
		{"case by Unicode folding", in("tx", "\"public\u212aey\":\"1\",\"walletId\":\"\",\"gaſPrice\":\"1\""), `must be written "gasPrice"`},
		{"case by the Kelvin sign", in("tx", "\"publick\u212aey\":\"1\""), `must be written "publickKey"`},
		{"case in extraData", in("tx", `"extraData":{"VinList":[]}`), `must be written "vinList"`},
		{"case in vinList", in("tx", `"extraData":{"vinList":[{"ID":1}]}`), `must be written "id"`},
		{"case in voutList", in("tx", `"extraData":{"voutList":[{"Amount":1}]}`), `must be written "amount"`},
		{"case in brc20Details", in("tx", `"brc20Details":[{"Ticker":"x"}]`), `must be written "ticker"`},
		{"case in runeDetails", in("tx", `"runeDetails":[{"runeid":"x"}]`), `must be written "runeId"`},
		{"case in requester", in("tx", `"requester":{"Key_id":"x"}`), `must be written "key_id"`},
		{"case of rawTx", in("tx", `"rawtx":"x"`), `must be written "rawTx"`},
		{"case of requester", in("tx", `"Requester":{}`), `must be written "requester"`},

		{"too deep", in("tx", `"x":`+nested(62)), "deeper than 64"},
		{"too deep by objects", strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65), "deeper than 64"},
		{"far too deep", in("tx", `"x":`+nested(20000)), "deeper than 64"},
		{"too deep in a string", `{"request_detail":"{\"x\":` + nested(63) + `}"}`, "deeper than 64"},

		{"callback_id is a number", `{"callback_id":1}`, "/callback_id must be a string"},
		{"callback_id is null", `{"callback_id":null}`, "/callback_id must be a string"},
		{"request_type is a list", `{"request_type":["sign"]}`, "/request_type must be a string"},
		{"detail is a list", `{"request_detail":[]}`, "/request_detail must be a JSON object"},
		{"detail is null", `{"request_detail":null}`, "/request_detail must be a JSON object"},
		{"extra is a number", `{"extra_info":1}`, "/extra_info must be a JSON object"},
		{"t is a string", in("detail", `"t":"3"`), "/request_detail/t must be a whole number"},
		{"t is a fraction", in("detail", `"t":3.0`), "/request_detail/t must be a whole number"},
		{"t has an exponent", in("detail", `"t":3e0`), "/request_detail/t must be a whole number"},
		{"t is too large", in("detail", `"t":9223372036854775808`), "/request_detail/t must be a whole number"},
		{"t is null", in("detail", `"t":null`), "/request_detail/t must be a whole number"},
		{"t and threshold differ", in("detail", `"t":2,"threshold":3`), "differ"},
		{"t is zero, threshold not", in("detail", `"t":0,"threshold":3`), "differ"},
		{"party_ids is a string", in("detail", `"party_ids":"a"`), "/request_detail/party_ids must be a JSON array"},
		{"party_ids holds null", in("detail", `"party_ids":["a",null]`), "/request_detail/party_ids/1 must be a string"},
		{"message is a number", in("detail", `"message":1`), "/request_detail/message must be a string"},
		{"sign_type is a number", in("detail", `"sign_type":1`), "/request_detail/sign_type must be a string"},
		{"sino_id is a number", in("extra", `"request_id":1`), "/extra_info/request_id must be a string"},

		{"detail is an empty string", `{"request_detail":""}`, "/request_detail is a string that does not hold a JSON object"},
		{"detail is a string with a list", `{"request_detail":"[]"}`, "/request_detail is a string that does not hold a JSON object"},
		{"detail is a string in a string", `{"request_detail":"\"{}\""}`, "/request_detail is a string that does not hold a JSON object"},
		{"extra is a string with more", `{"extra_info":"{} "}`, "1 byte(s) follow"},
		{"duplicate in a string", `{"extra_info":"{\"sino_id\":\"a\",\"sino_id\":\"a\"}"}`, "/sino_id is there twice"},
		{"case in a string", `{"extra_info":"{\"SINO_ID\":\"a\"}"}`, `must be written "sino_id"`},
		{"invalid UTF-8 by escapes in a string", `{"extra_info":"{\"sino_id\":\"\\ud800\"}"}`, "not JSON"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := wire.ParseCheck(wire.PathCheck, []byte(test.body))
			wantCode(t, err, wire.CodeParse, test.says)
			if len(err.Error()) > 600 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			// Signed, it is refused with the same code; the signature does not help.
			_, err = open(t, wire.PathCheck, test.body)
			wantCode(t, err, wire.CodeParse, test.says)
		})
	}
}

// Errors may repeat keys, cut and printable, but no value.
func TestParseErrorsDoNotRepeatValues(t *testing.T) {
	long := strings.Repeat("k", 5000)
	for _, body := range []string{
		in("tx", `"note":"sesame","note":"sesame"`),
		in("tx", `"note":"sesame`+"\x01"+`"`),
		in("tx", `"Note":"sesame"`),
		in("detail", `"t":"sesame"`),
		`{"extra_info":"sesame"}`,
		`{"callback_id":"sesame"} sesame`,
		in("tx", `"`+long+`":1,"`+long+`":2`),
		in("tx", `"`+long+`":{"sesame":sesame}`),
		in("tx", `"\u001b[31m":1,"\u001b[31m":"sesame"`),
	} {
		_, err := wire.ParseCheck(wire.PathCheck, []byte(body))
		if err == nil {
			t.Fatal("accepted")
		}
		if text := err.Error(); strings.Contains(text, "sesame") || len(text) > 600 || strings.ContainsRune(text, 0x1b) {
			t.Errorf("error repeats too much: %q", text)
		}
	}
}

func TestParseAccepts(t *testing.T) {
	parse := func(body string) *wire.Parsed {
		t.Helper()
		return must[*wire.Parsed](t)(wire.ParseCheck(wire.PathCheck, []byte(body)))
	}
	equal(t, "threshold", parse(in("detail", `"threshold":2`)).Check.RequestDetail.T, 2)
	equal(t, "t and threshold", parse(in("detail", `"threshold":2,"t":2`)).Check.RequestDetail.T, 2)
	equal(t, "negative t", parse(in("detail", `"t":-1`)).Check.RequestDetail.T, -1)
	equal(t, "white space", parse("\n { \"callback_id\" : \"c\" , \"request_type\":\"sign\" }").Check.CallbackID, "c")
	equal(t, "escapes", parse(`{"callback_id":"\u0063\ud83d\ude00\/","request_type":"sign"}`).Check.CallbackID, "c😀/")
	equal(t, "deepest", len(parse(in("tx", `"x":`+nested(61))).UnknownFields), 1)
	equal(t, "deepest in a string", parse(`{"callback_id":"c","request_type":"sign","request_detail":"{\"x\":`+nested(62)+`}"}`).DetailAsString, true)
	equal(t, "no detail", string(must[[]byte](t)(parse(`{"callback_id":"c","request_type":"sign"}`).Canonical())),
		`{"callback_id":"c","request_type":"sign","request_detail":{},"extra_info":{}}`)
	equal(t, "key of another object", parse(in("body", `"Amount":"1"`)).UnknownFields[0].Pointer, "/Amount")
	equal(t, "unknown type", parse(`{"callback_id":"c","request_type":"teleport"}`).Check.RequestType, "teleport")

	d := parse(in("detail", `"t":1,"cryptography":"a","party_ids":["b","b"],"sign_type":"c","public_key":"d","path":"e","message":"f",`+
		`"coin":"g","from_address":"h","to_address":"i","amount":"j","fee":"k","gas_price":"l","gas_limit":"m","signature":"n"`)).Check
	equalJSON(t, "all fields", d, wire.Check{CallbackID: "c", RequestType: "sign", RequestDetail: wire.RequestDetail{
		T: 1, N: 3, Cryptography: "a", PartyIDs: []string{"b", "b"}, SignType: "c", PublicKey: "d", Path: "e", Message: "f",
		Coin: "g", FromAddress: "h", ToAddress: "i", Amount: "j", Fee: "k", GasPrice: "l", GasLimit: "m", Signature: "n",
		TxInfo: []byte(`{"amount":"1"}`),
	}, ExtraInfo: wire.ExtraInfo{SinoID: "s"}})
}

// The canonical form has the order and the escaping that WIRE.md fixes, whatever the body's.
func TestCanonical(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"order and white space",
			`{ "extra_info":{"request_id":"r","sino_id":"s"}, "request_detail":{"tx_info":{ "b" : 1.50, "a":[1, 2] },"signature":"g",` +
				`"gas_limit":"f","gas_price":"e","fee":"d","amount":"c","to_address":"b","from_address":"a","coin":"z","message":"y",` +
				`"path":"x","public_key":"w","sign_type":"v","party_ids":["u"],"cryptography":"q","n":2,"t":1},` +
				`"request_type":"sign","callback_id":"c"}`,
			`{"callback_id":"c","request_type":"sign","request_detail":{"t":1,"n":2,"cryptography":"q","party_ids":["u"],` +
				`"sign_type":"v","public_key":"w","path":"x","message":"y","coin":"z","from_address":"a","to_address":"b",` +
				`"amount":"c","fee":"d","gas_price":"e","gas_limit":"f","signature":"g","tx_info":{"b":1.50,"a":[1,2]}},` +
				`"extra_info":{"sino_id":"s","request_id":"r"}}`},
		{"escaping",
			"{\"callback_id\":\"<&>\u2028\u2029é\\u00e9\\/\",\"request_type\":\"sign\",\"request_detail\":{\"tx_info\":{\"note\":\"<&>\u2028\u2029é\\u00e9\\/\"}}}",
			`{"callback_id":"\u003c\u0026\u003e\u2028\u2029éé/","request_type":"sign","request_detail":` +
				`{"tx_info":{"note":"\u003c\u0026\u003e\u2028\u2029é\u00e9\/"}},"extra_info":{}}`},
		{"empty fields",
			`{"callback_id":"c","request_type":"sign","request_detail":{"t":0,"coin":"","party_ids":[],"tx_info":{}},"extra_info":{"sino_id":""}}`,
			`{"callback_id":"c","request_type":"sign","request_detail":{"tx_info":{}},"extra_info":{}}`},
		{"threshold", `{"callback_id":"c","request_type":"sign","request_detail":{"threshold":2}}`,
			`{"callback_id":"c","request_type":"sign","request_detail":{"t":2},"extra_info":{}}`},
		{"unknown fields", `{"callback_id":"c","x":1,"request_type":"sign","request_detail":{"x":1,"tx_info":{"x":1}},"extra_info":{"x":1}}`,
			`{"callback_id":"c","request_type":"sign","request_detail":{"tx_info":{"x":1}},"extra_info":{}}`},
		{"detail as a string", `{"callback_id":"c","request_type":"sign","request_detail":" {\"message\":\"<\", \"x\":1}","extra_info":{}}`,
			`{"callback_id":"c","request_type":"sign","request_detail":"{\"message\":\"\\u003c\"}","extra_info":{}}`},
		{"extra as a string", `{"callback_id":"c","request_type":"sign","extra_info":"{\"request_id\":\"r\",\"sino_id\":\"s\"}"}`,
			`{"callback_id":"c","request_type":"sign","request_detail":{},"extra_info":"{\"sino_id\":\"s\",\"request_id\":\"r\"}"}`},
		{"empty objects as strings", `{"callback_id":"c","request_type":"sign","request_detail":"{}","extra_info":"{}"}`,
			`{"callback_id":"c","request_type":"sign","request_detail":"{}","extra_info":"{}"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := must[*wire.Parsed](t)(wire.ParseCheck(wire.PathCheck, []byte(test.body)))
			got := string(must[[]byte](t)(p.Canonical()))
			equal(t, "canonical", got, test.want)
			again := must[*wire.Parsed](t)(wire.ParseCheck(wire.PathCheck, []byte(got)))
			equal(t, "canonical of the canonical", string(must[[]byte](t)(again.Canonical())), test.want)
		})
	}
}

func TestUnknownFields(t *testing.T) {
	body := `{"callback_id":"c","a/b":{"c": 1},"request_type":"sign","request_detail":"{\"x~y\":null}","extra_info":{"z":"1"}}`
	p := must[*wire.Parsed](t)(wire.ParseCheck(wire.PathCheck, []byte(body)))
	equalJSON(t, "outside tx_info", p.UnknownFields, []wire.UnknownField{
		{Pointer: "/a~1b", Value: []byte(`{"c": 1}`)}, {Pointer: "/request_detail/x~0y", Value: []byte("null")},
		{Pointer: "/extra_info/z", Value: []byte(`"1"`)},
	})

	body = in("tx", `"new":1,"extraData":{"new":2,"vinList":[{},{"new":3}],"voutList":[{"new":4}]},"brc20Details":[{"new":5}],`+
		`"runeDetails":[{"new":6}],"requester":{"new":7}`)
	p = must[*wire.Parsed](t)(wire.ParseCheck(wire.PathCheck, []byte(body)))
	const tx = "/request_detail/tx_info"
	want := []string{tx + "/new=1", tx + "/extraData/new=2", tx + "/extraData/vinList/1/new=3", tx + "/extraData/voutList/0/new=4",
		tx + "/brc20Details/0/new=5", tx + "/runeDetails/0/new=6", tx + "/requester/new=7"}
	var got []string
	for _, f := range p.UnknownFields {
		got = append(got, f.Pointer+"="+string(f.Value))
	}
	equal(t, "in tx_info", strings.Join(got, " "), strings.Join(want, " "))
	equal(t, "problems", len(p.Problems), 0)
}

func TestTooManyUnknownFieldsCannotBeJudged(t *testing.T) {
	fields := func(n int) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf(`"x%d":0`, i))
		}
		return strings.Join(list, ",")
	}
	for _, place := range []string{"body", "detail", "extra", "tx"} {
		p := must[*wire.Parsed](t)(wire.ParseCheck(wire.PathCheck, []byte(in(place, fields(wire.MaxUnknownFields)))))
		equal(t, place+": problems at the limit", len(p.Problems), 0)
		equal(t, place+": kept at the limit", len(p.UnknownFields), wire.MaxUnknownFields)
		for _, n := range []int{wire.MaxUnknownFields + 1, 5000} {
			p = must[*wire.Parsed](t)(wire.ParseCheck(wire.PathCheck, []byte(in(place, fields(n)))))
			equal(t, place+": problems over the limit", len(p.Problems), 1)
			r := must[*wire.Request](t)(open(t, wire.PathCheck, in(place, fields(n))))
			equal(t, place+": problems of the request", len(r.Problems), 1)
			equal(t, place+": kept over the limit", len(p.UnknownFields), wire.MaxUnknownFields)
		}
	}
}

// What parses but cannot be judged is not an error: the server owes it a signed Reject.
func TestProblems(t *testing.T) {
	tests := []struct{ name, body, pointer, reason string }{
		{"no callback_id", `{"request_type":"sign"}`, "/callback_id", "empty"},
		{"empty callback_id", `{"callback_id":"","request_type":"sign"}`, "/callback_id", "empty"},
		{"tx_info is a string", in("detail", `"tx_info":"{}"`), "/request_detail/tx_info", "object"},
		{"tx_info is a list", in("detail", `"tx_info":[]`), "/request_detail/tx_info", "object"},
		{"tx_info is null", in("detail", `"tx_info":null`), "/request_detail/tx_info", "object"},
		{"a number for a string", in("tx", `"gasPrice":21000000000`), "/request_detail/tx_info/gasPrice", "string"},
		{"a boolean", in("tx", `"note":true`), "/request_detail/tx_info/note", "string"},
		{"an object", in("tx", `"fee":{}`), "/request_detail/tx_info/fee", "string"},
		{"extraData is a string", in("tx", `"extraData":"{}"`), "/request_detail/tx_info/extraData", "object"},
		{"vinList is an object", in("tx", `"extraData":{"vinList":{}}`), "/request_detail/tx_info/extraData/vinList", "array"},
		{"an input is null", in("tx", `"extraData":{"vinList":[null]}`), "/request_detail/tx_info/extraData/vinList/0", "object"},
		{"an output is a number", in("tx", `"extraData":{"voutList":[1]}`), "/request_detail/tx_info/extraData/voutList/0", "object"},
		{"an amount is a boolean", in("tx", `"extraData":{"voutList":[{"amount":true}]}`),
			"/request_detail/tx_info/extraData/voutList/0/amount", "number or a string"},
		{"brc20Details is a string", in("tx", `"brc20Details":"[]"`), "/request_detail/tx_info/brc20Details", "array"},
		{"runeAmount is a number", in("tx", `"runeDetails":[{"runeAmount":1}]`), "/request_detail/tx_info/runeDetails/0/runeAmount", "string"},
		{"requester is a string", in("tx", `"requester":"me"`), "/request_detail/tx_info/requester", "object"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			body := test.body
			if strings.Count(body, `"tx_info"`) == 2 { // one given: take out the other
				body = strings.Replace(body, `,"tx_info":{"amount":"1"}`, "", 1)
			}
			r := must[*wire.Request](t)(open(t, wire.PathCheck, body))
			if len(r.Problems) != 1 {
				t.Fatalf("problems: %v", r.Problems)
			}
			equal(t, "pointer", r.Problems[0].Pointer, test.pointer)
			if !strings.Contains(r.Problems[0].Reason, test.reason) {
				t.Errorf("reason %q does not say %q", r.Problems[0].Reason, test.reason)
			}
			if canonical := must[[]byte](t)(r.Canonical()); strings.Contains(test.pointer, "tx_info") && !strings.Contains(string(canonical), "tx_info") {
				t.Error("the canonical form lost tx_info")
			}
		})
	}
	many := in("tx", `"extraData":{"vinList":[`+strings.Repeat("1,", 1000)+`1]}`)
	equal(t, "bounded", len(must[*wire.Request](t)(open(t, wire.PathCheck, many)).Problems), 16)
}

func TestListsAreBounded(t *testing.T) {
	list := func(n int, element string) string { return `[` + strings.Repeat(element+",", n-1) + element + `]` }
	tests := []struct {
		element, before, after string
		count                  func(*wire.TxInfo) int
	}{
		{`{}`, `"extraData":{"vinList":`, `}`, func(x *wire.TxInfo) int { return len(x.ExtraData.VinList) }},
		{`{}`, `"extraData":{"voutList":`, `}`, func(x *wire.TxInfo) int { return len(x.ExtraData.VoutList) }},
		{`{}`, `"brc20Details":`, ``, func(x *wire.TxInfo) int { return len(x.BRC20Details) }},
		{`{}`, `"runeDetails":`, ``, func(x *wire.TxInfo) int { return len(x.RuneDetails) }},
	}
	for _, test := range tests {
		r := must[*wire.Request](t)(open(t, wire.PathCheck, in("tx", test.before+list(wire.MaxListLength, test.element)+test.after)))
		equal(t, test.before+" at the limit: problems", len(r.Problems), 0)
		equal(t, test.before+" at the limit: read", test.count(r.TxInfo), wire.MaxListLength)
		r = must[*wire.Request](t)(open(t, wire.PathCheck, in("tx", test.before+list(wire.MaxListLength+1, test.element)+test.after)))
		equal(t, test.before+" over the limit: problems", len(r.Problems), 1)
		equal(t, test.before+" over the limit: read", test.count(r.TxInfo), wire.MaxListLength)
	}
	r := must[*wire.Request](t)(open(t, wire.PathCheck, in("detail", `"party_ids":`+list(wire.MaxListLength, `"p"`))))
	equal(t, "party_ids", len(r.Check.RequestDetail.PartyIDs), wire.MaxListLength)
	_, err := open(t, wire.PathCheck, in("detail", `"party_ids":`+list(wire.MaxListLength+1, `"p"`)))
	wantCode(t, err, wire.CodeParse, "more than 4096")
}

func TestTxInfoNullIsAbsent(t *testing.T) {
	body := in("tx", `"to":null,"extraData":null,"brc20Details":null,"rawTx":null,"requester":null,"note":"n"`)
	r := must[*wire.Request](t)(open(t, wire.PathCheck, body))
	equal(t, "problems", len(r.Problems), 0)
	equalJSON(t, "tx_info", r.TxInfo, wire.TxInfo{Amount: "1", Note: "n"})
	body = in("tx", `"extraData":{"vinList":null,"voutList":[{"amount":null}],"toTag":null}`)
	r = must[*wire.Request](t)(open(t, wire.PathCheck, body))
	equal(t, "problems", len(r.Problems), 0)
	equalJSON(t, "extraData", r.TxInfo.ExtraData, wire.ExtraData{VoutList: []wire.Vout{{}}})
}

// Numbers keep every digit and their spelling: what they may look like is for those who calculate with them.
func TestTxInfoNumbersAreKeptAsWritten(t *testing.T) {
	r := must[*wire.Request](t)(open(t, wire.PathCheck, in("tx", `"extraData":{"voutList":[{"amount":123456789012345678901234567890},`+
		`{"amount":1.50},{"amount":1e2},{"amount":"22000"}]}`)))
	equalJSON(t, "amounts", r.TxInfo.ExtraData.VoutList, []wire.Vout{
		{Amount: "123456789012345678901234567890"}, {Amount: "1.50"}, {Amount: "1e2"}, {Amount: "22000"}})
}

func TestTxInfoAllKeys(t *testing.T) {
	body := `{"callback_id":"c","request_type":"sign","request_detail":{"tx_info":{"vaultId":"1","walletId":"2","requestId":"3",` +
		`"chainSymbol":"4","assetId":"5","from":"6","to":"7","toTag":"8","amount":"9","fee":"10","fee_rate":"11","gasPrice":"12",` +
		`"gasLimit":"13","inputdata":"14","remark":"15","note":"16","curInputId":"17","tapScriptRoot":"18","publickKey":"19",` +
		`"extraData":{"toTag":"20","vinList":[],"voutList":[]},"brc20Details":[],"runeDetails":[],"rawTx":"21",` +
		`"requester":{"key_id":"22","signature":"23"}}}}`
	p := must[*wire.Parsed](t)(wire.ParseCheck(wire.PathCheck, []byte(body)))
	equal(t, "unknown", len(p.UnknownFields), 0)
	equalJSON(t, "tx_info", p.TxInfo, wire.TxInfo{
		VaultID: "1", WalletID: "2", RequestID: "3", ChainSymbol: "4", AssetID: "5", From: "6", To: "7", ToTag: "8", Amount: "9",
		Fee: "10", FeeRate: "11", GasPrice: "12", GasLimit: "13", InputData: "14", Remark: "15", Note: "16", CurInputID: "17",
		TapScriptRoot: "18", PublicKey: "19", ExtraData: &wire.ExtraData{ToTag: "20"}, RawTx: "21",
		Requester: &wire.Requester{KeyID: "22", Signature: "23"},
	})
}

// No body is good for two paths.
func TestPathAndTypeBelongTogether(t *testing.T) {
	paths := []wire.Path{wire.PathCheck, wire.PathRawdata, wire.PathOutcome, "/v1/check", ""}
	for requestType, path := range map[string]wire.Path{
		"": wire.PathRawdata, wire.TypeOutcome: wire.PathOutcome, wire.TypeKeygen: wire.PathCheck, wire.TypeSign: wire.PathCheck,
		wire.TypeBIP340SchnorrSign: wire.PathCheck, wire.TypeTaprootSign: wire.PathCheck, wire.TypeRefresh: wire.PathCheck,
		wire.TypeReshare: wire.PathCheck, wire.TypePreSign: wire.PathCheck, wire.TypePreSignOnline: wire.PathCheck,
		"teleport": wire.PathCheck, "Outcome": wire.PathCheck,
	} {
		body := must[[]byte](t)((&wire.Check{CallbackID: "c", RequestType: requestType}).Marshal())
		for _, p := range paths {
			_, parseErr := wire.ParseCheck(p, body)
			_, openErr := open(t, p, string(body))
			if p == path {
				if parseErr != nil || openErr != nil {
					t.Errorf("%q on %s: %v, %v", requestType, p, parseErr, openErr)
				}
				continue
			}
			wantCode(t, parseErr, wire.CodePath, "")
			wantCode(t, openErr, wire.CodePath, "")
		}
	}
}
