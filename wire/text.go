package wire

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// printable makes text from outside fit for a log line or an error: characters that do not print, line breaks and
// direction marks among them, become '?', bytes that are not UTF-8 become U+FFFD, and it is cut to at most limit bytes.
func printable(s string, limit int) string {
	if len(s) > 4*limit {
		s = s[:4*limit]
	}
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
