package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/policy"
)

// TestDataDiff: whatever differs in data can be read, also in a list and in what is long.
func TestDataDiff(t *testing.T) {
	tier := `{"above":"1000","above_base":1000000000,"expiry_seconds":3600,"group":"treasury","not_requester":true,"rejection_final":false,"threshold":1,"wait_seconds":30}`
	limit := func(max string) string {
		return `{"approvals":[` + tier + `],"max":"` + max + `","vaults":[],"wallets":[]}`
	}
	long := strings.Repeat("x", 300)
	for name, test := range map[string]struct {
		at, from, to string
		want         string
	}{
		"a limit":            {"/limits/ETH/USDT", "[" + limit("10000") + "]", "[" + limit("1000000000") + "]", `~ /limits/ETH/USDT/0/max "10000" -> "1000000000"`},
		"a tier of it":       {"/limits/ETH/USDT", "[" + limit("5") + "]", "[" + strings.Replace(limit("5"), `"threshold":1`, `"threshold":2`, 1) + "]", `~ /limits/ETH/USDT/0/approvals/0/threshold 1 -> 2`},
		"a limit more":       {"/l", `[{"max":"1"}]`, `[{"max":"1"},{"max":"2"}]`, `+ /l/1 {"max":"2"}`},
		"a limit in front":   {"/l", `[{"max":"1"}]`, `[{"max":"2"},{"max":"1"}]`, `+ /l/0 {"max":"2"}`},
		"a member less":      {"/groups/security/members", `["alice","bob","carol"]`, `["alice","carol"]`, `- /groups/security/members/1 "bob"`},
		"another member":     {"/m", `["alice","bob"]`, `["alice","mallory"]`, `~ /m/1 "bob" -> "mallory"`},
		"another order":      {"/m", `[1,2]`, `[2,1]`, "~ /m/0 1 -> 2\n~ /m/1 2 -> 1"},
		"new and short":      {"/windows/day", "", `{"max":"5"}`, `+ /windows/day {"max":"5"}`},
		"new and long":       {"/limits/ETH/USDT", "", "[" + limit("7") + "]", `+ /limits/ETH/USDT/0/approvals [{"above":"1000",`},
		"its end":            {"/limits/ETH/USDT", "", "[" + limit("7") + "]", `+ /limits/ETH/USDT/0/max "7"`},
		"gone and long":      {"/limits/ETH/USDT", "[" + limit("7") + "]", "", `- /limits/ETH/USDT/0/max "7"`},
		"a long text":        {"/messages/k/text/0", `"` + long + `a"`, `"` + long + `b"`, `b"`},
		"another kind":       {"/x", `[1]`, `{"a":1}`, `~ /x [1] -> {"a":1}`},
		"a key with a slash": {"/paths", `{"m/44~":1}`, `{"m/44~":2}`, `~ /paths/m~144~0 1 -> 2`},
		"a large number":     {"/x/max_base", `1000000000000000000000000000000001`, `1000000000000000000000000000000002`, `000000001 -> 1000000000000000000000000000000002`},
		"no JSON":            {"/x", `{`, `1`, `~ /x { -> 1`},
		"a control code":     {"/x", `"a"`, "\"\\u001b[2J\u202e\"", `~ /x "a" -> "\u001b[2J\u202e"`},
		"what is not seen":   {"/x", "\"pay\u200b\"", "\"pay\u200c\"", `~ /x "pay\u200b" -> "pay\u200c"`},
		"a blank":            {"/x", `"a?b"`, "\"a\u00a0b\"", `~ /x "a?b" -> "a\u00a0b"`},
		"in a key":           {"/x", `{}`, "{\"a\u00a0\u3164\":1}", `+ /x/a\u00a0\u3164 1`},
		"numbers in a key":   {"/x", `{}`, `{"a\\u00a0":1}`, `+ /x/a\\u00a0 1`},
		"a mark and a tag":   {"/x", `"e"`, "\"e\u0301\U000e0041é\"", `"e\u0301\U000e0041é"`},
	} {
		raw := func(text string) json.RawMessage {
			if text == "" {
				return nil
			}
			return json.RawMessage(text)
		}
		var out bytes.Buffer
		d := dataDiff{out: &out}
		d.print(policy.DataChange{Pointer: test.at, From: raw(test.from), To: raw(test.to)})
		d.end()
		if !strings.Contains(out.String(), test.want) {
			t.Errorf("%s: %q, want %q", name, out.String(), test.want)
		}
	}
}

// TestDataDiffIsBounded: what is not shown is counted.
func TestDataDiffIsBounded(t *testing.T) {
	var list []int
	for i := range maxShown + 7 {
		list = append(list, i)
	}
	value, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	d := dataDiff{out: &out}
	d.print(policy.DataChange{Pointer: "/addresses/list", To: value})
	d.print(policy.DataChange{Pointer: "/addresses/zz", To: json.RawMessage("true")})
	d.print(policy.DataChange{Pointer: "/limits/ETH", To: json.RawMessage("1")})
	unseen := d.end()
	begin := fmt.Sprintf("1 lines of data differ in /limits\n%d lines of data differ in /addresses\n+ /limits/ETH 1\n+ /addresses/zz true\n+ /addresses/list/0 0\n", len(list)+1)
	if !strings.HasPrefix(out.String(), begin) {
		t.Errorf("it begins with %q", out.String()[:200])
	}
	if lines := strings.Count(out.String(), "\n"); unseen != 8 || lines != 2+1+maxShown+1 || !strings.HasSuffix(out.String(), "and 8 more lines of data in /addresses that are not shown here: --json has all\n") {
		t.Errorf("%d lines, %d unseen, the last %q", lines, unseen, out.String()[out.Len()-100:])
	}
}
