package policy_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/countersign-mpc/countersign/policy"
)

// FuzzMemberOf holds the members of checked JSON against what encoding/json reads.
func FuzzMemberOf(f *testing.F) {
	for _, seed := range []string{
		`{"a":1,"b":[{"a":"x y"},[]],"c":null}`, `{"a":{"b":-10},"b":""}`, `["a",true,false]`, `{"\u0061":1,"b":"\"a\":2"}`, `{}`, `"a"`, `null`, `12`,
		"{ \"b\" : [ 1 , { } ] ,\n\t\"a\" : true }", `{"b":{"a":{"a":"}"}},"a":{"b":"]"}}`, `{"a\\":1,"a":2}`, `{"":0,"a":false}`,
	} {
		f.Add([]byte(seed), "a")
	}
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		if policy.CheckInput(b) != nil {
			policy.MemberOf(b, name) // does not panic
			return
		}
		var want map[string]json.RawMessage
		if json.Unmarshal(b, &want) != nil {
			want = nil
		}
		for _, name := range append(slices.Collect(maps.Keys(want)), name) {
			got, err := policy.MemberOf(b, name)
			if value, there := want[name]; err != nil || (got != nil) != there || !bytes.Equal(got, value) {
				t.Errorf("%q: member %q is %q, %v, and encoding/json reads %q", b, name, got, err, value)
			}
		}
	})
}
