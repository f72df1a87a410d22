package policy_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/policy"
)

// checkPlain holds that plain JSON passes the strict check and is what encoding/json writes of it, where it may not be deeper
// than 80 levels.
func checkPlain(t *testing.T, b []byte) bool {
	t.Helper()
	plain, members := policy.PlainJSON(b)
	if !plain {
		return false
	}
	if err := policy.CheckInput(b); err != nil {
		t.Errorf("%q is called plain, but %v", b, err)
	}
	if again, err := json.Marshal(json.RawMessage(b)); err != nil || !bytes.Equal(again, b) {
		t.Errorf("%q is called plain, and is written as %q, %v", b, again, err)
	}
	var read map[string]json.RawMessage
	if json.Unmarshal(b, &read) == nil && read != nil {
		if len(read) != len(members) {
			t.Errorf("%q: %d members are found", b, len(members))
		}
		for name, value := range read {
			if !bytes.Equal(members[name], value) {
				t.Errorf("%q: the member %s is found as %q", b, name, members[name])
			}
		}
	}
	return true
}

func TestPlainJSON(t *testing.T) {
	for text, plain := range map[string]bool{
		`{}`: true, `[]`: true, `""`: true, `0`: true, `-1`: true, `-0`: true, `null`: true, `true`: true, `false`: true,
		`{"a":1,"b":[{"a":"x y"},[]],"c":null}`: true, `{"a":{"a":1}}`: true,
		``: false, ` 1`: false, `1 `: false, `01`: false, `-`: false, `1.5`: false, `1e5`: false, `nul`: false, `truefalse`: false, `"`: false,
		`"a\"b"`: false, "\"\x01\"": false, `"é"`: false, `"<"`: false, `{"a":1,"a":2}`: false, `{"a":1,}`: false, `{"a"}`: false, `{a:1}`: false,
		`[1,]`: false, `[1 ,2]`: false, `[`: false, `{`: false, `{"a":`: false, `[1]]`: false, `{"a":1}{}`: false,
		strings.Repeat("9", 100): true, strings.Repeat("9", 101): false,
		strings.Repeat("[", 80) + strings.Repeat("]", 80): true, strings.Repeat("[", 81) + strings.Repeat("]", 81): false,
	} {
		if got := checkPlain(t, []byte(text)); got != plain {
			t.Errorf("%q: plain is %v", text, got)
		}
	}
}

// TestPlainCharacters: a text is plain if none of its characters needs an escape or is beyond ASCII, wherever it stands and whatever
// stands beside it.
func TestPlainCharacters(t *testing.T) {
	for c := range 256 {
		for length := range 20 {
			for at := range length {
				for _, others := range []string{" ", "~", "a", "\x00", "\xff"} {
					text := []byte(`"` + strings.Repeat(others, length) + `"`)
					text[1+at] = byte(c)
					want := (length == 1 || others[0] >= ' ' && others[0] <= '~') && c >= ' ' && c <= '~' && !strings.ContainsRune(`"\<>&`, rune(c))
					if got, _ := policy.PlainJSON(text); got != want {
						t.Fatalf("%q: plain is %v", text, got)
					}
				}
			}
		}
	}
}

func FuzzPlainJSON(f *testing.F) {
	for _, seed := range []string{`{"a":1,"b":[{"a":"x y"},[]],"c":null}`, `{"a":{"b":-10}}`, `["",true,false]`, `{"a":1,"a":2}`, `{"\u0061":1,"a":2}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkPlain(t, b) })
}
