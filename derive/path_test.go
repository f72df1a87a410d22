package derive_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/derive"
)

func TestParsePath(t *testing.T) {
	for in, want := range map[string]derive.Path{
		"":                       {},
		"m":                      {},
		"m/0":                    {0},
		"m/44/60/0/0/0":          {44, 60, 0, 0, 0},
		"m/2147483647":           {1<<31 - 1},
		"m/1/2/3/4/5/6/7/8/9/10": {1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
	} {
		got, err := derive.ParsePath(in)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("ParsePath(%q) = %v, %v; want %v", in, got, err, want)
		}
		if in != "" && got.String() != in {
			t.Errorf("ParsePath(%q).String() = %q", in, got)
		}
	}
}

func TestParsePathRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"m/":                        "empty",
		"m//0":                      "empty",
		"m/0/":                      "empty",
		"/0":                        "must be",
		"0/1":                       "must be",
		"M/0":                       "must be",
		"m44":                       "must be",
		"m/00":                      "leading zeros",
		"m/01":                      "leading zeros",
		"m/+1":                      "not a decimal",
		"m/-1":                      "not a decimal",
		"m/ 1":                      "not a decimal",
		"m/0x1":                     "not a decimal",
		"m/１":                       "not a decimal",
		"m/4294967296":              "over 2^32-1",
		"m/99999999999999999999999": "over 2^32-1",
		"m/1/2/3/4/5/6/7/8/9/10/11": "at most 10",
	} {
		_, err := derive.ParsePath(in)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParsePath(%q): error %v, want one with %q", in, err, want)
		}
		if errors.Is(err, derive.ErrHardened) {
			t.Errorf("ParsePath(%q): called hardened", in)
		}
	}
}

func TestParsePathRefusesHardened(t *testing.T) {
	for _, in := range []string{"m/44'", "m/44h", "m/44H", "m/44/60'/0", "m/2147483648", "m/4294967295"} {
		_, err := derive.ParsePath(in)
		if !errors.Is(err, derive.ErrHardened) || !strings.Contains(err.Error(), "exists nowhere") {
			t.Errorf("ParsePath(%q): error %v, want ErrHardened with its reason", in, err)
		}
	}
}

func TestParsePathErrorIsBounded(t *testing.T) {
	for _, in := range []string{strings.Repeat("9", 1<<20), "m/" + strings.Repeat("9", 1<<20), strings.Repeat("m/", 1<<20)} {
		if _, err := derive.ParsePath(in); err == nil || len(err.Error()) > 400 {
			t.Errorf("error of a path of %d bytes is missing or long", len(in))
		}
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"", "m", "m/0", "m/44/60/0/0/0", "m/44'/0", "m/2147483648", "m/01", "m//", "m/1/2/3/4/5/6/7/8/9/10/11"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := derive.ParsePath(s)
		if err != nil {
			return
		}
		if s != "" && p.String() != s {
			t.Fatalf("%q reads as %q", s, p)
		}
		for _, index := range p {
			if index >= derive.HardenedStart {
				t.Fatalf("%q has a hardened index", s)
			}
		}
	})
}
