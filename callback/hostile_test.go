package callback_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/wire"
)

// What one body may cost at most: time on a machine that does other things too, and bytes allocated in all.
const (
	hostileTime  = 10 * time.Second
	hostileBytes = 256 << 20
)

// padded repeats an element until a list of them has about so many bytes.
func padded(element string, size int) string {
	return "[" + strings.TrimSuffix(strings.Repeat(element+",", size/(len(element)+1)), ",") + "]"
}

// hostileBodies are bodies of nearly the largest size that is taken, each hostile to another part.
func hostileBodies(t *testing.T) map[string]string {
	t.Helper()
	const size = 900 << 10
	var transfer map[string]any
	c := payment{callbackID: "cb-h", requestID: "r-h", amount: 500}.check(t)
	ok(t, json.Unmarshal(c.RequestDetail.TxInfo, &transfer))
	withInfo := func(key, value string) string {
		info := map[string]any{}
		for k, v := range transfer {
			info[k] = v
		}
		info[key] = json.RawMessage(value)
		raw := must[[]byte](t)(json.Marshal(info))
		changed := *c
		changed.RequestDetail.TxInfo = raw
		return string(must[[]byte](t)(changed.Marshal()))
	}
	onBitcoin := func(raw []byte) string {
		body := withInfo("rawTx", `"`+base64.StdEncoding.EncodeToString(raw)+`"`)
		body = strings.Replace(body, `"chainSymbol":"ETH"`, `"chainSymbol":"BTC"`, 1)
		return strings.Replace(body, `"assetId":"USDT_ETH"`, `"assetId":"BTC_BTC"`, 1)
	}
	transactionOf := func(outputs int) []byte { // one input, outputs of nothing
		out := append([]byte("\x02\x00\x00\x00\x01"), make([]byte, 41)...)
		out[5] = 1
		out = append(out, 0xfe, byte(outputs), byte(outputs>>8), byte(outputs>>16), 0)
		out = append(out, make([]byte, 9*outputs+4)...)
		head := []byte("psbt\xff\x01\x00\xfe")
		n := len(out)
		head = append(head, byte(n), byte(n>>8), byte(n>>16), 0)
		return append(append(head, out...), make([]byte, 2+outputs)...)
	}
	chainOfTypes := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"T%d":[{"name":"a","type":"T%d"},{"name":"b","type":"T%d[]"}],`, i, i+1, i+1)
		}
		return b.String() + fmt.Sprintf(`"T%d":[{"name":"a","type":"uint256"}]`, n)
	}
	message := func(text string) string {
		return string(must[[]byte](t)((&wire.Check{CallbackID: "cb-h", RequestType: wire.TypeSign, RequestDetail: wire.RequestDetail{
			Cryptography: wire.ECDSASecp256k1, SignType: wire.SignTypeMessage, PublicKey: rootKey, Path: "m", Message: text,
		}}).Marshal()))
	}
	field := func(name, value string) string {
		return `{"callback_id":"cb-h","request_type":"sign","request_detail":{"` + name + `":` + value + `},"extra_info":{}}`
	}
	var unknown strings.Builder
	for i := 0; unknown.Len() < size; i++ {
		fmt.Fprintf(&unknown, `,"field%d":{"a":[1]}`, i)
	}
	typed := func(types, primary, message string) string {
		return `{"types":{"EIP712Domain":[{"name":"name","type":"string"}],` + types + `},"primaryType":"` + primary + `","domain":{"name":"x"},"message":` + message + `}`
	}
	deep := strings.Repeat(`{"a":`, 60) + "1" + strings.Repeat("}", 60)
	return map[string]string{
		"nothing but brackets":          strings.Repeat("[", size),
		"brackets in tx_info":           field("tx_info", strings.Repeat(`{"a":`, size/7)+"1"+strings.Repeat("}", size/7)),
		"objects as deep as is taken":   withInfo("unknown", padded(deep, size)),
		"a number of a million digits":  withInfo("extraData", `{"vinList":[{"id":`+strings.Repeat("9", size)+`,"amount":1}],"voutList":[]}`),
		"an amount of a million digits": withInfo("amount", `"`+strings.Repeat("9", size)+`"`),
		"many unknown fields":           `{"callback_id":"cb-h","request_type":"sign","request_detail":{},"extra_info":{}` + unknown.String() + `}`,
		"many parties":                  field("party_ids", padded(`"a"`, size)),
		"many inputs":                   withInfo("extraData", `{"vinList":`+padded(`{"id":1,"amount":"1","address":"x"}`, size)+`}`),
		"many runes":                    withInfo("runeDetails", padded(`{"runeId":"1:1","runeAmount":"1","runeName":"A","runeSpacedName":"A","runeDivisibility":1}`, size)),
		"many brc20 entries":            withInfo("brc20Details", padded(`{"method":"transfer","ticker":"ordi","quantity":"1","step":1}`, size)),
		"long calldata":                 withInfo("inputdata", `"0x`+strings.Repeat("ab", size/2)+`"`),
		"long rawTx":                    withInfo("rawTx", `"02`+strings.Repeat("c0", size/2-1)+`"`),
		"lists in lists of rawTx":       withInfo("rawTx", `"`+hex.EncodeToString([]byte(strings.Repeat("\xc1", size/2)))+`"`),
		"a multicall of multicalls":     withInfo("inputdata", `"0x`+strings.Repeat("ac9650d8"+strings.Repeat("0", 62)+"20", size/72)+`"`),
		"a PSBT of many outputs": withInfo("rawTx", `"`+base64.StdEncoding.EncodeToString(append([]byte("psbt\xff\x01\x00\xfe\x00\x00\x09\x00\x02\x00\x00\x00\x00\xfe\xff\xff\x00\x00"),
			[]byte(strings.Repeat("\x00", 600<<10))...))+`"`),
		"a PSBT of many pairs":          withInfo("rawTx", `"`+base64.StdEncoding.EncodeToString([]byte("psbt\xff"+strings.Repeat("\x02\xfc\x00\x00", 150<<10)))+`"`),
		"typed data that holds itself":  message(typed(`"A":[{"name":"a","type":"A"}]`, "A", strings.Repeat(`{"a":`, 50)+"{}"+strings.Repeat("}", 50))),
		"a chain of types":              message(typed(chainOfTypes(4000), "T0", `{}`)),
		"a chain of types that is read": message(typed(chainOfTypes(900), "T0", `{}`)),
		"a long array that is read":     message(typed(`"A":[{"name":"a","type":"uint256[]"}]`, "A", `{"a":`+padded("1", evidence.MaxMessage-300)+`}`)),
		"fields that are read":          message(typed(`"A":`+padded(`{"name":"a","type":"uint256"}`, evidence.MaxMessage-300), "A", `{"a":1}`)),
		"rawTx that is read":            withInfo("rawTx", `"02`+strings.Repeat("c0", evidence.MaxRawTx-1)+`"`),
		"a PSBT of outputs":             onBitcoin(transactionOf(50_000)),
		"a PSBT of fewer outputs":       onBitcoin(transactionOf(10_000)),
		"a PSBT of pairs":               onBitcoin([]byte("psbt\xff" + strings.Repeat("\x02\xfc\x00\x00", 60<<10))),
		"a type of many fields":         message(typed(`"A":`+padded(`{"name":"a","type":"uint256"}`, size/2), "A", `{"a":1}`)),
		"an array of arrays":            message(typed(`"A":[{"name":"a","type":"uint256`+strings.Repeat("[]", 20_000)+`"}]`, "A", `{"a":[[[[]]]]}`)),
		"a long array":                  message(typed(`"A":[{"name":"a","type":"uint256[]"}]`, "A", `{"a":`+padded("1", size/2)+`}`)),
		"a long text":                   message(strings.Repeat("hello ", size/6)),
		"bytes":                         message("0x" + strings.Repeat("ab", size/2)),
		"names of a million letters":    field("path", `"`+strings.Repeat("m/1", size/3)+`"`),
		"escapes":                       field("coin", `"`+strings.Repeat(`\u0041`, size/6)+`"`),
	}
}

// Each is answered in time, with a Reject or an error, and without memory that grows beyond its size by orders.
func TestHostileBodies(t *testing.T) {
	w := newWorld(t, options{})
	asked := 0
	for name, body := range hostileBodies(t) {
		asked++
		body = strings.Replace(body, `"cb-h"`, fmt.Sprintf(`"cb-h%d"`, asked), 1)
		if len(body) > 1<<20 {
			t.Errorf("%s: %d bytes are refused unread", name, len(body))
		}
		signature := hex.EncodeToString(must[[]byte](t)(wire.SignP256(w.nodeKey, []byte(body))))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		a := w.send("/v1/check", body, http.Header{"Signature": {signature}})
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		allocated := after.TotalAlloc - before.TotalAlloc
		if strings.Contains(a.body, "conflict") {
			t.Errorf("%s was not looked at", name)
		}
		if a.status != http.StatusBadRequest && (a.status != http.StatusOK || !strings.Contains(a.body, `"Reject"`)) {
			t.Errorf("%s: HTTP %d %.300s", name, a.status, a.body)
		}
		if took > hostileTime || allocated > hostileBytes {
			t.Errorf("%s: it took %v and %d MiB", name, took, allocated>>20)
		}
		if len(a.body) > 4<<10 {
			t.Errorf("%s: the answer has %d bytes", name, len(a.body))
		}
		t.Logf("%-32s HTTP %d  %8v  %4d MiB  %.90s", name, a.status, took.Round(time.Millisecond), allocated>>20, a.body)
	}
	d, _ := w.ask(payment{callbackID: "cb-after", requestID: "r-after", amount: 500}.check(t))
	want(t, d, wire.Approve) // it serves on
}
