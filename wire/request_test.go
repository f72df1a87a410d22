package wire_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/countersign-mpc/countersign/wire"
)

func TestSignatureHeader(t *testing.T) {
	tests := []struct {
		name          string
		right, sigat  []string
		want, errSays string
	}{
		{"Signature", []string{"ab"}, nil, "ab", ""},
		{"Sigature", nil, []string{"ab"}, "ab", ""},
		{"both, equal", []string{"ab"}, []string{"ab"}, "ab", ""},
		{"repeated, equal", []string{"ab", "ab"}, nil, "ab", ""},
		{"none", nil, nil, "", "missing"},
		{"empty", []string{""}, nil, "", "missing"},
		{"both, different", []string{"ab"}, []string{"cd"}, "", "differ"},
		{"both, different case", []string{"ab"}, []string{"AB"}, "", "differ"},
		{"both, the second empty", []string{"ab"}, []string{""}, "", "differ"},
		{"both, the first empty", []string{""}, []string{"ab"}, "", "missing"},
		{"repeated, different", []string{"ab", "cd"}, nil, "", "differ"},
		{"misspelled, repeated, different", nil, []string{"ab", "cd"}, "", "differ"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := http.Header{"Content-Type": {"application/json"}}
			for _, v := range test.right {
				h.Add("signature", v)
			}
			for _, v := range test.sigat {
				h.Add("SIGATURE", v)
			}
			got, err := wire.SignatureHeader(h)
			equal(t, "signature", got, test.want)
			if test.errSays != "" {
				wantCode(t, err, wire.CodeSignature, test.errSays)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestReadBody(t *testing.T) {
	for size, limit := range map[int]int64{0: 0, 5: 5, 4: 5} {
		body := must[[]byte](t)(wire.ReadBody(strings.NewReader(strings.Repeat("x", size)), limit))
		equal(t, "size", len(body), size)
	}
	_, err := wire.ReadBody(strings.NewReader("123456"), 5)
	wantCode(t, err, wire.CodeTooLarge, "5 bytes")
	// However long it is, no more is read than is needed to know.
	endless := &counting{r: iotest.DataErrReader(strings.NewReader(strings.Repeat("x", 1<<20)))}
	_, err = wire.ReadBody(endless, 100)
	wantCode(t, err, wire.CodeTooLarge, "")
	equal(t, "bytes read", endless.n <= 101, true)
	_, err = wire.ReadBody(iotest.ErrReader(io.ErrUnexpectedEOF), 100)
	equal(t, "wrapped", errors.Is(err, io.ErrUnexpectedEOF), true)
}

type counting struct {
	r io.Reader
	n int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

const simple = `{"callback_id":"c","request_type":"sign","request_detail":{"message":"m"},"extra_info":{}}`

func TestOpenRequestSignature(t *testing.T) {
	pub, other := publicKey(t, "mpc_node"), publicKey(t, "callback_server")
	good := sign(t, nodeKey(t), simple)
	der := must[[]byte](t)(hex.DecodeString(good))
	digest := sha256.Sum256([]byte(simple))
	tests := []struct {
		name      string
		signature string
		keys      []*ecdsa.PublicKey
		key       int // -1: refused
	}{
		{"good", good, []*ecdsa.PublicKey{pub}, 0},
		{"upper-case hex", strings.ToUpper(good), []*ecdsa.PublicKey{pub}, 0},
		{"second key", good, []*ecdsa.PublicKey{other, pub}, 1},
		{"beside a missing key", good, []*ecdsa.PublicKey{nil, pub}, 1},
		{"another node's key", good, []*ecdsa.PublicKey{other}, -1},
		{"another node's signature", sign(t, serverKey(t), simple), []*ecdsa.PublicKey{pub}, -1},
		{"no key", good, nil, -1},
		{"empty", "", []*ecdsa.PublicKey{pub}, -1},
		{"no hex", "zz", []*ecdsa.PublicKey{pub}, -1},
		{"odd hex", good + "0", []*ecdsa.PublicKey{pub}, -1},
		{"a byte more", good + "00", []*ecdsa.PublicKey{pub}, -1},
		{"0x in front", "0x" + good, []*ecdsa.PublicKey{pub}, -1},
		{"white space", good + " ", []*ecdsa.PublicKey{pub}, -1},
		{"r and s without DER", strings.Repeat("11", 64), []*ecdsa.PublicKey{pub}, -1},
		{"very long", strings.Repeat("30", 1<<16), []*ecdsa.PublicKey{pub}, -1},
		{"over another body", sign(t, nodeKey(t), simple+" "), []*ecdsa.PublicKey{pub}, -1},
		{"over the digest", sign(t, nodeKey(t), string(digest[:])), []*ecdsa.PublicKey{pub}, -1},
		{"the digest's hex", hex.EncodeToString(der[:20]), []*ecdsa.PublicKey{pub}, -1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, err := wire.OpenRequest(wire.PathCheck, []byte(simple), test.signature, test.keys)
			if test.key < 0 {
				wantCode(t, err, wire.CodeSignature, "")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "key", r.Key, test.key)
			equal(t, "signed", string(r.Signed), simple)
		})
	}
}

// A client in another language may have signed the form that Go would write: it is verified too, and what that form does
// not carry is dropped.
func TestOpenRequestSignedOverCanonicalForm(t *testing.T) {
	tests := []struct{ name, sent, signed, unknown string }{
		{"white space and order",
			`{ "request_type":"sign", "extra_info":{}, "request_detail":{"message":"<m>"}, "callback_id":"c" }`,
			`{"callback_id":"c","request_type":"sign","request_detail":{"message":"\u003cm\u003e"},"extra_info":{}}`, ""},
		{"unknown fields",
			`{"callback_id":"c","x":1,"request_type":"sign","request_detail":{"x":2,"tx_info":{"x":3, "requester":{"x":4}}},"extra_info":{"x":5}}`,
			`{"callback_id":"c","request_type":"sign","request_detail":{"tx_info":{"x":3,"requester":{"x":4}}},"extra_info":{}}`,
			"/request_detail/tx_info/x /request_detail/tx_info/requester/x"},
		{"objects as strings",
			`{"callback_id":"c","request_type":"sign","request_detail":"{ \"message\":\"<\",\"x\":1 }","extra_info":"{}"}`,
			`{"callback_id":"c","request_type":"sign","request_detail":"{\"message\":\"\\u003c\"}","extra_info":"{}"}`, ""},
		{"threshold", `{"callback_id":"c","request_type":"keygen","request_detail":{"threshold":2}}`,
			`{"callback_id":"c","request_type":"keygen","request_detail":{"t":2},"extra_info":{}}`, ""},
	}
	keys := []*ecdsa.PublicKey{publicKey(t, "mpc_node")}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, err := wire.OpenRequest(wire.PathCheck, []byte(test.sent), sign(t, nodeKey(t), test.signed), keys)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "signed", string(r.Signed), test.signed)
			var unknown []string
			for _, f := range r.UnknownFields {
				unknown = append(unknown, f.Pointer)
			}
			equal(t, "unknown fields", strings.Join(unknown, " "), test.unknown)

			// The same body signed as sent keeps them all, and other bytes own the callback_id.
			r, err = open(t, wire.PathCheck, test.sent)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "signed as sent", string(r.Signed), test.sent)
			equal(t, "kept", len(r.UnknownFields) >= len(unknown), true)
			equal(t, "all kept", len(r.UnknownFields), strings.Count(test.sent, `"x":`)+strings.Count(test.sent, `\"x\":`))
		})
	}
}

// Fields that were not signed cannot change how a request is judged, however many they are.
func TestUnsignedFieldsDoNotCount(t *testing.T) {
	signed := `{"callback_id":"c","request_type":"sign","request_detail":{"tx_info":{"new":1}},"extra_info":{}}`
	var noise strings.Builder
	for range 100 {
		noise.WriteString(`"x` + strings.Repeat("y", noise.Len()%97) + hex.EncodeToString([]byte{byte(noise.Len())}) + `":0,`)
	}
	sent := `{` + noise.String() + signed[1:]
	keys := []*ecdsa.PublicKey{publicKey(t, "mpc_node")}
	r, err := wire.OpenRequest(wire.PathCheck, []byte(sent), sign(t, nodeKey(t), signed), keys)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "problems", len(r.Problems), 0)
	equalJSON(t, "unknown fields", r.UnknownFields, []wire.UnknownField{{Pointer: "/request_detail/tx_info/new", Value: []byte("1")}})
}

// Whatever is wrong with a body that nobody signed, it is the signature that is reported.
func TestUnsignedBodiesAreRefusedAsUnsigned(t *testing.T) {
	keys := []*ecdsa.PublicKey{publicKey(t, "mpc_node")}
	signature := sign(t, nodeKey(t), "something else")
	for name, body := range map[string]string{
		"well formed": simple, "malformed": "{", "duplicate": `{"callback_id":"a","callback_id":"a"}`,
		"wrong path": `{"callback_id":"c","request_type":"outcome"}`, "problem": `{"request_type":"sign"}`,
	} {
		_, err := wire.OpenRequest(wire.PathCheck, []byte(body), signature, keys)
		wantCode(t, err, wire.CodeSignature, "no configured key made it")
		equal(t, name+": one code", strings.Count(err.Error(), "parse: "), 0)
	}
}

// The path is checked for a body that was signed over its canonical form as for any other.
func TestCanonicalFormIsForOnePath(t *testing.T) {
	sent := ` {"callback_id":"c","request_type":"outcome"}`
	signed := `{"callback_id":"c","request_type":"outcome","request_detail":{},"extra_info":{}}`
	keys := []*ecdsa.PublicKey{publicKey(t, "mpc_node")}
	_, err := wire.OpenRequest(wire.PathCheck, []byte(sent), sign(t, nodeKey(t), signed), keys)
	wantCode(t, err, wire.CodePath, "/outcome")
}

func TestSealCheck(t *testing.T) {
	c := &wire.Check{
		CallbackID: must[string](t)(wire.NewCallbackID(nil)), RequestType: wire.TypeSign,
		RequestDetail: wire.RequestDetail{Message: "<>&\u2028", TxInfo: []byte(`{ "note" : "<" }`)},
		ExtraInfo:     wire.ExtraInfo{SinoID: "s", RequestID: "r"},
	}
	body, signature, err := wire.SealCheck(nodeKey(t), c)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "body", string(body), `{"callback_id":"`+c.CallbackID+`","request_type":"sign","request_detail":`+
		`{"message":"\u003c\u003e\u0026\u2028","tx_info":{"note":"\u003c"}},"extra_info":{"sino_id":"s","request_id":"r"}}`)
	r, err := wire.OpenRequest(wire.PathCheck, body, signature, []*ecdsa.PublicKey{publicKey(t, "mpc_node")})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "canonical is raw", string(must[[]byte](t)(r.Canonical())), string(body))
	again, signatureAgain, err := wire.SealCheck(nodeKey(t), c)
	equal(t, "again", string(again)+signatureAgain, string(body)+signature)
	equal(t, "error", err, nil)

	for path, c := range map[wire.Path]*wire.Check{
		wire.PathRawdata: {CallbackID: "c", RequestDetail: wire.RequestDetail{Message: "m", Signature: "aa"}},
		wire.PathOutcome: {CallbackID: "c", RequestType: wire.TypeOutcome, RequestDetail: wire.RequestDetail{Message: wire.OutcomeUnknown}},
	} {
		body, signature, err := wire.SealCheck(nodeKey(t), c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wire.OpenRequest(path, body, signature, []*ecdsa.PublicKey{publicKey(t, "mpc_node")}); err != nil {
			t.Error(err)
		}
	}
}

// A node does not send what a server would refuse, nor anything whose bytes would not be what was meant.
func TestSealCheckRefuses(t *testing.T) {
	key := nodeKey(t)
	with := func(f func(*wire.Check)) *wire.Check {
		c := &wire.Check{CallbackID: "c", RequestType: "sign"}
		f(c)
		return c
	}
	tx := func(text string) *wire.Check {
		return with(func(c *wire.Check) { c.RequestDetail.TxInfo = []byte(text) })
	}
	for says, checks := range map[string][]*wire.Check{
		"callback_id": {with(func(c *wire.Check) { c.CallbackID = "" })},
		"UTF-8": {
			with(func(c *wire.Check) { c.CallbackID = "\xff" }), with(func(c *wire.Check) { c.RequestType = "\xff" }),
			with(func(c *wire.Check) { c.RequestDetail.Cryptography = "\xff" }),
			with(func(c *wire.Check) { c.RequestDetail.PartyIDs = []string{"a", "\xff"} }),
			with(func(c *wire.Check) { c.RequestDetail.SignType = "\xff" }), with(func(c *wire.Check) { c.RequestDetail.PublicKey = "\xff" }),
			with(func(c *wire.Check) { c.RequestDetail.Path = "\xff" }), with(func(c *wire.Check) { c.RequestDetail.Message = "\xff" }),
			with(func(c *wire.Check) { c.RequestDetail.Coin = "\xff" }), with(func(c *wire.Check) { c.RequestDetail.FromAddress = "\xff" }),
			with(func(c *wire.Check) { c.RequestDetail.ToAddress = "\xff" }), with(func(c *wire.Check) { c.RequestDetail.Amount = "\xff" }),
			with(func(c *wire.Check) { c.RequestDetail.Fee = "\xff" }), with(func(c *wire.Check) { c.RequestDetail.GasPrice = "\xff" }),
			with(func(c *wire.Check) { c.RequestDetail.GasLimit = "\xff" }), with(func(c *wire.Check) { c.RequestDetail.Signature = "\xff" }),
			with(func(c *wire.Check) { c.ExtraInfo.SinoID = "\xff" }), with(func(c *wire.Check) { c.ExtraInfo.RequestID = "\xff" }),
		},
		"twice":                   {tx(`{"a":1,"a":1}`)},
		"tx_info":                 {tx(`{`), tx(`{} x`), tx("{\"a\":\"\xff\"}"), tx(`null`), tx(`"{}"`), tx(`[]`)},
		"deeper":                  {tx(`{"x":` + nested(62) + `}`)},
		`must be written "amount`: {tx(`{"Amount":"1"}`)},
	} {
		for _, c := range checks {
			_, _, err := wire.SealCheck(key, c)
			wantError(t, err, says)
		}
	}
	_, _, err := wire.SealCheck(nil, with(func(*wire.Check) {}))
	wantError(t, err, "P-256")
}

func TestNewCallbackID(t *testing.T) {
	id := must[string](t)(wire.NewCallbackID(strings.NewReader("0123456789abcdefxxx")))
	equal(t, "hex of 16 bytes", id, hex.EncodeToString([]byte("0123456789abcdef")))
	if _, err := wire.NewCallbackID(strings.NewReader("short")); err == nil {
		t.Error("an id of too few random bytes")
	}
	a, b := must[string](t)(wire.NewCallbackID(nil)), must[string](t)(wire.NewCallbackID(nil))
	equal(t, "length", len(a), 32)
	equal(t, "fresh", a != b, true)
}
