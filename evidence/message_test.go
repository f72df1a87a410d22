package evidence_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/wire"
	"github.com/ethereum/go-ethereum/accounts"
	"github.com/ethereum/go-ethereum/crypto"
	"pgregory.net/rapid"
)

// mail is the example of EIP-712.
const mail = `{"types":{
 "EIP712Domain":[{"name":"name","type":"string"},{"name":"version","type":"string"},{"name":"chainId","type":"uint256"},{"name":"verifyingContract","type":"address"}],
 "Person":[{"name":"name","type":"string"},{"name":"wallet","type":"address"}],
 "Mail":[{"name":"from","type":"Person"},{"name":"to","type":"Person"},{"name":"contents","type":"string"}]},
 "primaryType":"Mail",
 "domain":{"name":"Ether Mail","version":"1","chainId":1,"verifyingContract":"0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"},
 "message":{"from":{"name":"Cow","wallet":"0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
  "to":{"name":"Bob","wallet":"0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},"contents":"Hello, Bob!"}}`

// permit is ERC-2612's.
const permit = `{"types":{
 "EIP712Domain":[{"name":"name","type":"string"},{"name":"version","type":"string"},{"name":"chainId","type":"uint256"},{"name":"verifyingContract","type":"address"}],
 "Permit":[{"name":"owner","type":"address"},{"name":"spender","type":"address"},{"name":"value","type":"uint256"},{"name":"nonce","type":"uint256"},{"name":"deadline","type":"uint256"}]},
 "primaryType":"Permit",
 "domain":{"name":"USD Coin","version":"2","chainId":"0x1","verifyingContract":"0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"},
 "message":{"owner":"0x742d35Cc6634C0532925a3b844Bc454e4438f44e","spender":"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
  "value":"115792089237316195423570985008687907853269984665640564039457584007913129639935","nonce":0,"deadline":1900000000}}`

func TestEIP712Example(t *testing.T) {
	f := evidence.CheckMessage(mail)
	if f.Status != evidence.Verified || f.Decoded.Kind != evidence.KindEIP712 ||
		f.Decoded.Digest != "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2" {
		t.Fatalf("%+v %+v", f, f.Decoded)
	}
	data := f.Decoded.TypedData
	if want := "Mail(Person from,Person to,string contents)Person(string name,address wallet)"; data.EncodedType != want {
		t.Errorf("encodeType: %s, want %s", data.EncodedType, want)
	}
	if data.PrimaryType != "Mail" || *data.Domain.Name != "Ether Mail" || *data.Domain.ChainID != "1" || data.Domain.Salt != nil ||
		*data.Domain.VerifyingContract != "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC" ||
		data.Message["to"].(map[string]any)["name"] != "Bob" {
		t.Errorf("decoded %+v", data)
	}
}

func TestPermit(t *testing.T) {
	data := evidence.CheckMessage(permit).Decoded.TypedData
	// PERMIT_TYPEHASH of ERC-2612.
	if got := crypto.Keccak256Hash([]byte(data.EncodedType)).Hex(); got != "0x6e71edae12b1b97f4d1f60370fef10105fa2faae0126114a169c64845d6126c9" {
		t.Errorf("type hash %s of %s", got, data.EncodedType)
	}
	if *data.Domain.VerifyingContract != "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48" || *data.Domain.ChainID != "1" ||
		data.Message["deadline"] != "1900000000" || !strings.HasPrefix(data.Message["value"].(string), "11579208923731619542") {
		t.Errorf("decoded %+v", data)
	}
}

// TestTypedDataProperty compares the digest with the second implementation's over random types and values, then reads
// the decoded message again: it must be the same message.
func TestTypedDataProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		doc := genDocument().Draw(rt, "document")
		f := evidence.CheckMessage(doc.json())
		digest := doc.digest()
		if f.Status != evidence.Verified || f.Decoded.Digest != hex.EncodeToString(digest[:]) {
			rt.Fatalf("%s: %+v %+v, want digest %x", doc.json(), f, f.Decoded, digest)
		}
		if f.Decoded.TypedData.EncodedType != doc.encodeType(doc.PrimaryType) {
			rt.Fatalf("encodeType %s", f.Decoded.TypedData.EncodedType)
		}
		doc.Message = f.Decoded.TypedData.Message
		if again := evidence.CheckMessage(doc.json()); again.Status != evidence.Verified || again.Decoded.Digest != f.Decoded.Digest {
			rt.Fatalf("the decoded message reads as %+v", again)
		}
	})
}

// TestTypedDataRefuses breaks the example in one place each. None may fall back to being signed as text.
func TestTypedDataRefuses(t *testing.T) {
	replace := func(old, new string) string {
		if !strings.Contains(mail, old) {
			t.Fatalf("%q is not in the example", old)
		}
		return strings.Replace(mail, old, new, 1)
	}
	deep := strings.Repeat(`[`, 20000)
	for name, c := range map[string]struct{ message, want string }{
		"trailing bytes":        {mail + "x", "strict JSON"},
		"second object":         {mail + "{}", "strict JSON"},
		"duplicate key":         {replace(`"contents":"Hello`, `"contents":"x","contents":"Hello`), "duplicate"},
		"duplicate in domain":   {replace(`"version":"1"`, `"version":"2","version":"1"`), "duplicate"},
		"duplicate type":        {replace(`"Mail":[`, `"Mail":[],"Mail":[`), "duplicate"},
		"unknown member":        {replace(`"primaryType"`, `"extra":1,"primaryType"`), "strict JSON"},
		"case variant":          {replace(`"domain":{`, `"Domain":{`), "strict JSON"},
		"no domain":             {replace(`"domain":{`, `"x":{`), "strict JSON"},
		"domain null":           {replace(`"domain":{"name":"Ether Mail","version":"1","chainId":1,"verifyingContract":"0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"}`, `"domain":null`), "an object of type EIP712Domain"},
		"lone surrogate":        {replace(`Hello, Bob!`, `\ud800`), "strict JSON"},
		"extra field of type":   {replace(`{"name":"contents","type":"string"}`, `{"name":"contents","type":"string","x":1}`), "strict JSON"},
		"no EIP712Domain":       {replace(`"EIP712Domain"`, `"EIP712Domains"`), "must define EIP712Domain"},
		"domain without fields": {replace(`{"name":"name","type":"string"},{"name":"version","type":"string"},{"name":"chainId","type":"uint256"},{"name":"verifyingContract","type":"address"}`, ``), "has no field"},
		"duplicate in nested":   {replace(`"name":"Bob"`, `"name":"Bob","name":"Eve"`), "duplicate"},
		"long duplicate":        {replace(`"contents":"Hello`, `"`+strings.Repeat("x", 4096)+`":1,"`+strings.Repeat("x", 4096)+`":1,"contents":"Hello`), "duplicate"},
		"primary not defined":   {replace(`"primaryType":"Mail"`, `"primaryType":"Letter"`), "primaryType"},
		"primary is domain":     {replace(`"primaryType":"Mail"`, `"primaryType":"EIP712Domain"`), "primaryType"},
		"primary empty":         {replace(`"primaryType":"Mail"`, `"primaryType":""`), "primaryType"},
		"field missing":         {replace(`,"contents":"Hello, Bob!"`, ``), "message.contents: missing"},
		"member over":           {replace(`"contents":"Hello`, `"contents2":"","contents":"Hello`), "not a field"},
		"nested missing":        {replace(`"name":"Bob",`, ``), "message.to.name: missing"},
		"domain member over":    {replace(`"version":"1",`, `"version":"1","salt":"0x00",`), "not a field"},
		"domain member missing": {replace(`"version":"1",`, ``), "domain.version: missing"},
		"domain field unknown":  {replace(`{"name":"version","type":"string"}`, `{"name":"release","type":"string"}`), "EIP-712 knows"},
		"domain field retyped":  {replace(`{"name":"chainId","type":"uint256"}`, `{"name":"chainId","type":"uint64"}`), "EIP-712 knows"},
		"struct is a string":    {replace(`{"name":"Bob","wallet":"0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"}`, `"Bob"`), "message.to: an object"},
		"struct is null":        {replace(`{"name":"Bob","wallet":"0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"}`, `null`), "message.to: an object"},
		"address misspelt":      {replace(`0xbBbBBBB`, `0xbbbBBBB`), "message.to.wallet: address"},
		"address short":         {replace(`bBbbBBbB"`, `bBbbBB"`), "message.to.wallet: address"},
		"address is number":     {replace(`"0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"`, `1`), "JSON string"},
		"string is number":      {replace(`"Hello, Bob!"`, `1`), "JSON string"},
		"type of nothing":       {replace(`{"name":"contents","type":"string"}`, `{"name":"contents","type":""}`), "neither elementary"},
		"type unknown":          {replace(`{"name":"contents","type":"string"}`, `{"name":"contents","type":"str"}`), "neither elementary"},
		"type fixed point":      {replace(`{"name":"contents","type":"string"}`, `{"name":"contents","type":"fixed128x18"}`), "neither elementary"},
		"field used twice":      {replace(`{"name":"to","type":"Person"}`, `{"name":"from","type":"Person"}`), "used twice"},
		"two members over":      {replace(`"contents":"Hello`, `"b":"","a":"","contents":"Hello`), `"a" is not a field`},
		"two broken types":      {replace(`"Mail":[`, `"B":[{"name":"x","type":"y"}],"A":[{"name":"x","type":"y"}],"Mail":[`), "type A"},
		"field misnamed":        {replace(`{"name":"to","type":"Person"}`, `{"name":"to,uint x","type":"Person"}`), "malformed"},
		"type misnamed":         {replace(`"Person":[`, `"A":[],"Person(x":[`), "malformed or reserved"},
		"type redefined":        {replace(`"Person":[`, `"address":[],"Person":[`), "malformed or reserved"},
		"type holds itself":     {replace(`{"name":"wallet","type":"address"}]`, `{"name":"wallet","type":"Person"}]`), "Person"},
		"nesting":               {replace(`"Hello, Bob!"`, deep+strings.Repeat(`]`, 20000)), "strict JSON"},
		"oversized":             {replace(`Hello, Bob!`, strings.Repeat("x", 64<<10)), "at most"},
		"not JSON":              {`{"primaryType": oops`, "strict JSON"},
	} {
		f := evidence.CheckMessage(c.message)
		if f.Status != evidence.Unverifiable || f.Code != evidence.CodeUndecodable || f.Decoded != nil || !strings.Contains(f.Reason, c.want) {
			t.Errorf("%s: %s %q %+v, want %q", name, f.Status, f.Reason, f.Decoded, c.want)
		}
		for range 5 { // findings are recorded and replayed
			if again := evidence.CheckMessage(c.message); again.Reason != f.Reason {
				t.Errorf("%s: %q, then %q", name, f.Reason, again.Reason)
			}
		}
		if len(f.Reason) > 1000 {
			t.Errorf("%s: a reason of %d bytes", name, len(f.Reason))
		}
		r := evidence.Request{RequestType: wire.TypeSign, Cryptography: wire.ECDSASecp256k1, SignType: wire.SignTypeMessage, Message: c.message}
		if p, err := evidence.SigningDigest(r); err == nil || p.Digest != nil {
			t.Errorf("%s: would be signed", name)
		}
	}
}

// TestTypedValues is about single values of single types.
func TestTypedValues(t *testing.T) {
	for _, c := range []struct {
		typ, value string
		want       any // nil: refused
	}{
		{"uint8", `255`, "255"}, {"uint8", `256`, nil}, {"uint8", `-1`, nil}, {"uint8", `"255"`, "255"}, {"uint8", `"0xff"`, "255"},
		{"uint8", `"0x00ff"`, "255"}, {"uint8", `"0x"`, nil}, {"uint8", `""`, nil}, {"uint8", `"010"`, nil}, {"uint8", `" 1"`, nil},
		{"uint8", `"+1"`, nil}, {"uint8", `1.0`, nil}, {"uint8", `1e1`, nil}, {"uint8", `-0`, nil}, {"uint8", `"-0"`, nil},
		{"uint8", `true`, nil}, {"uint8", `null`, nil}, {"uint8", `[1]`, nil}, {"uint8", `"0XFF"`, nil}, {"uint8", `"１"`, nil},
		{"int8", `-128`, "-128"}, {"int8", `-129`, nil}, {"int8", `127`, "127"}, {"int8", `128`, nil}, {"int8", `"-128"`, "-128"},
		{"int8", `"0xff"`, nil}, {"int8", `"-0x1"`, nil},
		{"uint256", `9007199254740991`, "9007199254740991"}, {"uint256", `9007199254740992`, nil},
		{"uint256", `"9007199254740993"`, "9007199254740993"}, {"int256", `-9007199254740992`, nil},
		{"uint", `1`, "1"}, {"int", `-1`, "-1"},
		{"uint0", `0`, nil}, {"uint7", `0`, nil}, {"uint264", `0`, nil}, {"uint08", `0`, nil}, {"int+8", `0`, nil},
		{"bytes1", `"0xAB"`, "0xab"}, {"bytes1", `"0x"`, nil}, {"bytes1", `"0xabcd"`, nil}, {"bytes1", `"ab"`, nil},
		{"bytes32", `"0xab"`, nil}, {"bytes33", `"0xab"`, nil}, {"bytes0", `"0x"`, nil},
		{"bytes", `"0x"`, "0x"}, {"bytes", `"0xABCD"`, "0xabcd"}, {"bytes", `"0xabc"`, nil}, {"bytes", `"text"`, nil}, {"bytes", `[1,2]`, nil},
		{"bool", `true`, true}, {"bool", `false`, false}, {"bool", `1`, nil}, {"bool", `"true"`, nil}, {"bool", `null`, nil},
		{"string", `""`, ""}, {"string", `"0x01"`, "0x01"}, {"string", `null`, nil},
		{"uint8[]", `{}`, nil}, {"uint8[]", `null`, nil}, {"uint8[]", `[null]`, nil}, {"uint8[]", `[1,"x"]`, nil},
		{"uint8[2]", `[1]`, nil}, {"uint8[2]", `[1,2,3]`, nil}, {"uint8[0]", `[]`, nil}, {"uint8[02]", `[1,2]`, nil},
		{"uint8[", `[]`, nil}, {"uint8]", `[]`, nil}, {"uint8[]x", `[]`, nil}, {"uint8[][", `[[]]`, nil}, {"uint8[-1]", `[]`, nil},
		{"uint8[][][][]", `[]`, []any{}}, {"uint8[][][][][]", `[]`, nil}, {"[]", `[]`, nil},
	} {
		doc := `{"types":{"EIP712Domain":[{"name":"name","type":"string"}],"T":[{"name":"v","type":"` + c.typ + `"}]},` +
			`"primaryType":"T","domain":{"name":""},"message":{"v":` + c.value + `}}`
		f := evidence.CheckMessage(doc)
		if c.want == nil {
			if f.Status != evidence.Unverifiable {
				t.Errorf("%s %s: accepted as %v", c.typ, c.value, f.Decoded.TypedData.Message)
			}
			continue
		}
		if f.Status != evidence.Verified {
			t.Errorf("%s %s: %s", c.typ, c.value, f.Reason)
			continue
		}
		got, want := mustT(json.Marshal(f.Decoded.TypedData.Message["v"]))(t), mustT(json.Marshal(c.want))(t)
		if string(got) != string(want) {
			t.Errorf("%s %s: %s, want %s", c.typ, c.value, got, want)
		}
	}
}

// TestTypedDataIsBounded: recursion through arrays, many structs and many types are refused, and what is just within
// the bounds takes no long time.
func TestTypedDataIsBounded(t *testing.T) {
	document := func(types, message string) string {
		return `{"types":{"EIP712Domain":[{"name":"name","type":"string"}],` + types + `},"primaryType":"T","domain":{"name":"x"},"message":` + message + `}`
	}
	tree := `"T":[{"name":"c","type":"T[]"}]`
	if f := evidence.CheckMessage(document(tree, `{"c":[{"c":[]},{"c":[{"c":[]}]}]}`)); f.Status != evidence.Verified {
		t.Errorf("a small tree: %s", f.Reason)
	}
	nested := strings.Repeat(`{"c":[`, 100) + strings.Repeat(`]}`, 100)
	wide := func(n int) string { return `{"c":[` + strings.TrimSuffix(strings.Repeat(`{"c":[]},`, n), ",") + `]}` }
	var many, fields []string
	for i := range 25 {
		many = append(many, `"T`+strings.Repeat("x", i)+`":[]`)
	}
	for i := range 129 {
		fields = append(fields, `{"name":"f`+strings.Repeat("x", i%60)+string(rune('a'+i/60))+`","type":"bool"}`)
	}
	for name, doc := range map[string]string{
		"levels": document(tree, nested), "structs": document(tree, wide(600)), "types": document(strings.Join(many, ","), `{}`),
		"fields": document(`"T":[`+strings.Join(fields, ",")+`]`, `{}`), "name": document(`"T":[],"`+strings.Repeat("a", 65)+`":[]`, `{}`),
	} {
		if f := evidence.CheckMessage(doc); f.Status != evidence.Unverifiable || !strings.Contains(f.Reason, "EIP-712") {
			t.Errorf("%s: %s %s", name, f.Status, f.Reason)
		}
	}
	start := time.Now()
	empty := `{"c":[]` + strings.Repeat(`,"x":[]`, 20) + `}`
	for i := range 20 {
		empty = strings.Replace(empty, `"x"`, `"c`+string(rune('a'+i))+`"`, 1)
	}
	costly := strings.Replace(empty, `[]`, `[`+strings.TrimSuffix(strings.Repeat(empty+",", 250), ",")+`]`, 1)
	if f := evidence.CheckMessage(document(chain(20, tree), costly)); f.Status != evidence.Verified {
		t.Errorf("250 structs: %s", f.Reason)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("250 structs with long types took %s", took)
	}
}

// chain makes types T, C0, C1, ... that refer to each other, so that the text of T's type is long.
func chain(n int, tree string) string {
	out := strings.TrimSuffix(tree, "]")
	for i := range n {
		out += `,{"name":"c` + string(rune('a'+i)) + `","type":"C` + string(rune('a'+i)) + `[]"}`
	}
	out += "]"
	for i := range n {
		out += `,"C` + string(rune('a'+i)) + `":[{"name":"` + strings.Repeat("n", 60) + `","type":"T[]"}]`
	}
	return out
}

// TestEIP191 uses the example of go-ethereum's documentation and its own hash function.
func TestEIP191(t *testing.T) {
	f := evidence.CheckMessage("Hello Joe")
	if f.Decoded.Digest != "a080337ae51c4e064c189e113edd0ba391df9206e2f49db658bb32cf2911730b" || f.Decoded.Text != "Hello Joe" {
		t.Errorf("%+v", f.Decoded)
	}
	rapid.Check(t, func(rt *rapid.T) {
		data := rapid.SliceOf(rapid.Byte()).Draw(rt, "data")
		f := evidence.CheckMessage("0x" + hex.EncodeToString(data))
		if f.Decoded.Digest != hex.EncodeToString(accounts.TextHash(data)) || f.Decoded.Data != "0x"+hex.EncodeToString(data) {
			rt.Fatalf("%x: %+v", data, f.Decoded)
		}
	})
	for message, text := range map[string]bool{
		"0x": false, "0x00": false, "0xABCD": false, "0xabc": true, "0X00": true, "0xzz": true, " 0x00": true, "00": true, "{}": true,
		`{"types":1}`: true, `say "primaryType"`: true, "é😀": true, "\x00": true,
	} {
		f := evidence.CheckMessage(message)
		if f.Status != evidence.Verified || f.Decoded.Kind != evidence.KindEIP191 || (f.Decoded.Text == message) != text || (f.Decoded.Data == "") != text {
			t.Errorf("%q: %+v %+v", message, f, f.Decoded)
		}
		if text && f.Decoded.Digest != hex.EncodeToString(accounts.TextHash([]byte(message))) {
			t.Errorf("%q: digest %s", message, f.Decoded.Digest)
		}
	}
	for name, message := range map[string]string{"empty": "", "not UTF-8": "a\xff", "oversized": strings.Repeat("x", evidence.MaxMessage+1)} {
		if f := evidence.CheckMessage(message); f.Status != evidence.Unverifiable || f.Code != evidence.CodeUndecodable {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// TestCallbackVector is the EIP-712 request among the vendor's vectors.
func TestCallbackVector(t *testing.T) {
	path := filepath.Join("..", "testdata", "evm", "eip712-callback-vector.json")
	message := strings.TrimSpace(string(mustT(os.ReadFile(path))(t)))
	var doc refDocument
	if err := json.Unmarshal([]byte(message), &doc); err != nil {
		t.Fatal(err)
	}
	digest := doc.digest()
	if f := evidence.CheckMessage(message); f.Status != evidence.Verified || f.Decoded.Digest != hex.EncodeToString(digest[:]) {
		t.Errorf("%+v, want digest %x", f, digest)
	}
}

func FuzzCheckMessage(f *testing.F) {
	for _, s := range []string{mail, permit, "Hello Joe", "0x00", "", `{"primaryType":`, "{}", "\xff",
		`{"types":{"EIP712Domain":[{"name":"salt","type":"bytes32"}],"T":[{"name":"t","type":"T[]"}]},"primaryType":"T","domain":{"salt":"0x` +
			strings.Repeat("00", 32) + `"},"message":{"t":[{"t":[]}]}}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		found := evidence.CheckMessage(s)
		p, err := evidence.SigningDigest(evidence.Request{RequestType: wire.TypeSign, Cryptography: wire.ECDSASecp256k1,
			SignType: wire.SignTypeMessage, Message: s})
		if (err == nil) != (found.Status == evidence.Verified) {
			t.Fatalf("node and callback disagree: %v, %+v", err, found)
		}
		if err != nil {
			return
		}
		if hex.EncodeToString(p.Digest) != found.Decoded.Digest || p.Kind != found.Decoded.Kind {
			t.Fatalf("node signs %x, the callback saw %s", p.Digest, found.Decoded.Digest)
		}
		if p.Kind != evidence.KindEIP712 {
			return
		}
		var doc refDocument
		if err := json.Unmarshal([]byte(s), &doc); err != nil {
			t.Fatal(err)
		}
		doc.Message = found.Decoded.TypedData.Message
		if again := evidence.CheckMessage(doc.json()); again.Decoded == nil || again.Decoded.Digest != found.Decoded.Digest {
			t.Fatalf("the decoded message reads as %+v", again)
		}
	})
}
