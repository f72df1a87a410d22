package policy_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/countersign-mpc/countersign/policy"
)

// FuzzInputValue: an input is read as OPA's own reader reads it, and refused wherever it could be read in two ways.
func FuzzInputValue(f *testing.F) {
	for _, seed := range []string{
		`{"format":"x","a":[1,-2,3.5,"1",true,false,null,{}],"b":{"a":{"a":[]}}}`, `{"a":1,"a":2}`, `{"a":1} x`, `{"a":1}{}`, ``, `{`, `[1,`, `{"a"`,
		`{"a":1e5}`, `1`, `"\ud800"`, `"\u0000<>"`, "\"\xff\"", `{"a":` + strings.Repeat("9", 101) + `}`, strings.Repeat("[", 81) + strings.Repeat("]", 81),
		`{"":{"é":"\u00e9"}}`, ` { "a" : 1 } `, `{"a":01}`, `{1:2}`, `[}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := policy.InputValue(b)
		strict := policy.CheckInput(b)
		if (err == nil) != (strict == nil) {
			t.Fatalf("read: %v; checked: %v", err, strict)
		}
		if err != nil {
			return
		}
		want, err := ast.ValueFromReader(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("OPA does not read it: %v", err)
		}
		if got.Compare(want) != 0 {
			t.Fatalf("got  %v\nwant %v", got, want)
		}
	})
}
