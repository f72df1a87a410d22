package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestMasks: what is hidden, in objects and arrays, and what no input can have.
func TestMasks(t *testing.T) {
	const input = `{"request":{"message":"m","path":"p"},"utxo":{"outputs":[{"address":"a","amount_base":1},{"address":"b","amount_base":2}]},"windows":{"day":{"used":1}},"tx_info":{"note":[1,2]}}`
	const outputs = `{"outputs":[{"address":"a","amount_base":1},{"address":"b","amount_base":2}]}`
	for _, c := range []struct{ mask, member, want, hidden string }{
		{"/input/request/message", "request", `{"message":"[masked]","path":"p"}`, "/input/request/message"},
		{"-/input/request/message", "request", `{"path":"p"}`, "/input/request/message"},
		{"/input/utxo/outputs/*/address", "utxo", strings.NewReplacer(`"a"`, `"[masked]"`, `"b"`, `"[masked]"`).Replace(outputs), "/input/utxo/outputs/*/address"},
		{"/input/utxo/outputs/1", "utxo", `{"outputs":[{"address":"a","amount_base":1},"[masked]"]}`, "/input/utxo/outputs/1"},
		{"-/input/utxo/outputs/0", "utxo", `{"outputs":[null,{"address":"b","amount_base":2}]}`, "/input/utxo/outputs/0"},
		{"/input/utxo/outputs/2/address", "utxo", outputs, ""},
		{"/input/windows/day/used", "windows", `{"day":{"used":"[masked]"}}`, "/input/windows/day/used"},
		{"/input/tx_info/note/0", "tx_info", `{"note":["[masked]",2]}`, "/input/tx_info/note/0"},
		{"/input/tx_info/other/deep", "tx_info", `{"note":[1,2]}`, ""},
	} {
		masks, err := parseMasks([]string{c.mask})
		if err != nil {
			t.Errorf("%s: %v", c.mask, err)
			continue
		}
		out, hidden, erased, err := applyMasks(json.RawMessage(input), masks)
		var got map[string]json.RawMessage
		if err != nil || json.Unmarshal(out, &got) != nil {
			t.Fatalf("%s: %s, %v", c.mask, out, err)
		}
		if string(got[c.member]) != c.want || len(got) != 4 {
			t.Errorf("%s: %s is %s, want %s", c.mask, c.member, got[c.member], c.want)
		}
		if named := strings.Join(append(hidden, erased...), " "); named != c.hidden {
			t.Errorf("%s: hidden is %q, want %q", c.mask, named, c.hidden)
		}
	}
	for _, bad := range []string{"/input/nothing", "/input/request/mesage", "/input/utxo/outputs/first/address", "/input/utxo/outputs/*/adress", "/input/request/message/deep", "/input/now/unix/0", "/input/", "request"} {
		if _, err := parseMasks([]string{bad}); err == nil {
			t.Errorf("--mask %s is taken", bad)
		}
	}
}
