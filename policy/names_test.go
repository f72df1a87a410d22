package policy_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/policy"
)

// FuzzIsName holds the check of a name against the pattern that it stands for.
func FuzzIsName(f *testing.F) {
	pattern := regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9._:-]{0,63}\z`)
	for _, seed := range []string{
		"", "a", "-", "a-", "ETH", "usdt-a-day", "a.b_c:d-e", ".a", "_", ":", "a b", "a\n", "é", "aé", "a\x00", "\xff", "a/", "a@", "a[", "a`", "a{",
		strings.Repeat("9", 64), strings.Repeat("9", 65), strings.Repeat("Z", 63) + "-",
	} {
		f.Add(seed)
	}
	for c := range 256 {
		f.Add(string([]byte{byte(c)}))
		f.Add("a" + string([]byte{byte(c)}))
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, want := policy.IsName(text), pattern.MatchString(text); got != want {
			t.Errorf("%q: %v, and the pattern says %v", text, got, want)
		}
	})
}
