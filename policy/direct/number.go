package direct

import (
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// To OPA 1, 1.0 and 1e0 are one number, of which it keeps the text that it met first: in a set, as the key of an object, as the
// argument of a function that it has called before. So that nothing depends on what was met first, numbers are evaluated here only
// if they are written in the one way in which each can be.

// PlainNumber reports whether a number is written in digits alone, or with a decimal point and no needless zero.
func PlainNumber(n ast.Number) bool {
	text := strings.TrimPrefix(string(n), "-")
	digits, fraction, hasPoint := strings.Cut(text, ".")
	switch {
	case !allDigits(digits) || len(digits) > 1 && digits[0] == '0':
		return false
	case hasPoint:
		return allDigits(fraction) && fraction[len(fraction)-1] != '0'
	}
	return n != "-0"
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// PlainNumbers reports whether all numbers in a term are.
func PlainNumbers(t *ast.Term) bool {
	switch v := t.Value.(type) {
	case ast.Number:
		return PlainNumber(v)
	case *ast.Array:
		for i := range v.Len() {
			if !PlainNumbers(v.Elem(i)) {
				return false
			}
		}
	case ast.Set:
		for _, member := range v.Slice() {
			if !PlainNumbers(member) {
				return false
			}
		}
	case ast.Object:
		return !v.Until(func(key, member *ast.Term) bool { return !PlainNumbers(key) || !PlainNumbers(member) })
	}
	return true
}

// selects are built-ins that make no numbers: they say what they were given, or a part of it, or a text or a truth.
var selects = map[string]bool{
	ast.ObjectGet.Name: true, ast.ObjectKeys.Name: true, ast.ArrayConcat.Name: true, ast.ArraySlice.Name: true, ast.Sort.Name: true,
	ast.And.Name: true, ast.Or.Name: true, ast.Member.Name: true, ast.MemberWithKey.Name: true, ast.Sprintf.Name: true,
	ast.Concat.Name: true, ast.Split.Name: true, ast.FormatInt.Name: true, ast.ObjectSubset.Name: true, ast.RegexMatch.Name: true,
	ast.StartsWith.Name: true, ast.EndsWith.Name: true, ast.Contains.Name: true,
}
