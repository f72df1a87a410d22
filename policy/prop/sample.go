package prop

import (
	"regexp/syntax"
	"strings"
)

// sample is a text that a pattern matches, the shortest that is easily found. A pattern that cannot be read gives "".
func sample(pattern string) string {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return ""
	}
	var b strings.Builder
	write(&b, parsed)
	return b.String()
}

func write(b *strings.Builder, r *syntax.Regexp) {
	switch r.Op {
	case syntax.OpLiteral:
		b.WriteString(string(r.Rune))
	case syntax.OpCharClass:
		if len(r.Rune) > 0 {
			b.WriteRune(printableOf(r.Rune))
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('a')
	case syntax.OpConcat, syntax.OpCapture:
		for _, sub := range r.Sub {
			write(b, sub)
		}
	case syntax.OpAlternate, syntax.OpPlus:
		write(b, r.Sub[0])
	case syntax.OpRepeat:
		for range r.Min {
			write(b, r.Sub[0])
		}
	}
}

// printableOf is a printable character of a class, which is a list of ranges.
func printableOf(ranges []rune) rune {
	for i := 0; i+1 < len(ranges); i += 2 {
		if low := max(ranges[i], '0'); low <= ranges[i+1] {
			return low
		}
	}
	return ranges[0]
}
