package policy

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strings"
)

// plainScanner reads JSON of the plain form in which nearly everything is sent: without blanks, escapes, characters beyond ASCII
// or that encoding/json would escape, decimals and exponents, with few members in an object and none twice, and not deeper than depth.
// What is plain is well formed, is what encoding/json writes of it, and passes checkJSON; anything else may do so too, and is
// left to those. Of the outermost object's members it notes where they are, behind the offset.
type plainScanner struct {
	b       []byte
	at      int
	depth   int
	members *spanned // nil for none
	places  places
	offset  int
}

// all reports whether all of it is plain.
func (s *plainScanner) all() bool { return s.value(1) && s.at == len(s.b) }

// maxPlainMembers bounds what is compared with each other.
const maxPlainMembers = 48

// next returns the next byte without taking it; 0, which stands in no JSON, at the end.
func (s *plainScanner) next() byte {
	if s.at < len(s.b) {
		return s.b[s.at]
	}
	return 0
}

func (s *plainScanner) take(c byte) bool {
	if s.next() != c {
		return false
	}
	s.at++
	return true
}

func (s *plainScanner) value(depth int) bool {
	switch c := s.next(); {
	case c == '{':
		return depth <= s.depth && s.object(depth)
	case c == '[':
		return depth <= s.depth && s.array(depth)
	case c == '"':
		return s.text() != nil
	case c == '-' || isDigit(c):
		return s.number()
	}
	return s.word("null") || s.word("true") || s.word("false")
}

func (s *plainScanner) word(w string) bool {
	if len(s.b)-s.at < len(w) || string(s.b[s.at:s.at+len(w)]) != w {
		return false
	}
	s.at += len(w)
	return true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (s *plainScanner) number() bool {
	begin := s.at
	s.take('-')
	if !s.take('0') {
		digits := s.at
		for isDigit(s.next()) {
			s.at++
		}
		if s.at == digits {
			return false
		}
	}
	return s.at-begin <= maxNumberLength
}

// text returns the text with its quotes, nil for one that is not plain.
func (s *plainScanner) text() []byte {
	begin := s.at
	if s.next() != '"' {
		return nil
	}
	end := begin + 1
	end += plainLength(s.b[end:])
	if end == len(s.b) || s.b[end] != '"' {
		return nil
	}
	s.at = end + 1
	return s.b[begin:s.at]
}

// plainLength is how many characters of a text stand in JSON as they are, up to the first one that does not.
func plainLength(text []byte) int {
	n := 0
	for ; n+8 <= len(text); n += 8 {
		if odd := notPlain(binary.LittleEndian.Uint64(text[n:])); odd != 0 {
			return n + bits.TrailingZeros64(odd)/8
		}
	}
	for n < len(text) && plainCharacters[text[n]] {
		n++
	}
	return n
}

// notPlain has the high bit of the first of eight characters that is none of plainCharacters, and none of those before it; 0 where all are
// plain.
func notPlain(c uint64) uint64 {
	const each, high = 0x0101010101010101, 0x8080808080808080
	above := (c | high) - ' '*each                 // the high bits stay where a character of ASCII is no control character
	above &= (c | 4*each ^ '&'*each | high) - each // and where none is " or &, which are one but for a bit
	above &= (c | 2*each ^ '>'*each | high) - each // < or >
	above &= (c ^ '\\'*each | high) - each
	return (^above | c | (c + each)) & high // nor beyond ~; only what is carries into the next
}

// plainCharacters are those that are printable ASCII and that encoding/json does not escape.
var plainCharacters = func() (plain [256]bool) {
	for c := byte(' '); c < 0x7f; c++ {
		plain[c] = !strings.ContainsRune(`"\<>&`, rune(c))
	}
	return plain
}()

func (s *plainScanner) object(depth int) bool {
	s.at++
	if s.take('}') {
		return true
	}
	var names [maxPlainMembers]int // where they begin
	var marks uint64               // each name has one of 64
	for n := range maxPlainMembers {
		names[n] = s.at
		name := s.text()
		if name == nil || !s.take(':') {
			return false
		}
		mark := uint64(1) << ((len(name) + 5*int(name[1]) + 11*int(name[len(name)-2])) % 64)
		if marks&mark != 0 && s.isOneOf(name, names[:n]) {
			return false
		}
		marks |= mark
		begin := s.at
		if !s.value(depth + 1) {
			return false
		}
		if depth == 1 && s.members != nil {
			if i, wanted := s.members.members[string(name[1:len(name)-1])]; wanted {
				s.places.note(i, s.offset+begin, s.offset+s.at)
			}
		}
		switch s.next() {
		case '}':
			s.at++
			return true
		case ',':
			s.at++
		default:
			return false
		}
	}
	return false
}

// isOneOf reports whether a name, with its quotes, is one of those that begin there.
func (s *plainScanner) isOneOf(name []byte, begins []int) bool {
	for _, begin := range begins {
		if bytes.HasPrefix(s.b[begin:], name) { // its second quote ends the other one too
			return true
		}
	}
	return false
}

func (s *plainScanner) array(depth int) bool {
	s.at++
	if s.take(']') {
		return true
	}
	for s.value(depth + 1) {
		if s.take(']') {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
	return false
}
