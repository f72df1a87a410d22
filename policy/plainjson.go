package policy

import "bytes"

// plainJSON reports whether JSON is of the plain form in which nearly everything is sent: without blanks, escapes, characters
// beyond ASCII or that encoding/json would escape, decimals and exponents, with few members in an object and none twice, and not
// deeper than depth. What is plain is well formed, is what encoding/json writes of it, and passes checkJSON; anything else
// may do so too, and is left to those. each is given the place of every member of the outermost object.
func plainJSON(b []byte, depth int, each func(name []byte, begin, end int)) bool {
	s := plainScanner{b: b, depth: depth, each: each}
	return s.value(1) && s.at == len(b)
}

// maxPlainMembers bounds what is compared with each other.
const maxPlainMembers = 48

type plainScanner struct {
	b     []byte
	at    int
	depth int
	each  func(name []byte, begin, end int)
}

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
	if !bytes.HasPrefix(s.b[s.at:], []byte(w)) {
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
	if !s.take('"') {
		return nil
	}
	for s.at < len(s.b) {
		c := s.b[s.at]
		s.at++
		if c == '"' {
			return s.b[begin:s.at]
		}
		if c < ' ' || c >= 0x7f || special[c] {
			return nil
		}
	}
	return nil
}

func (s *plainScanner) object(depth int) bool {
	s.at++
	if s.take('}') {
		return true
	}
	var names [maxPlainMembers][]byte
	for n := 0; n < maxPlainMembers; n++ {
		name := s.text()
		if name == nil || !s.take(':') {
			return false
		}
		for _, other := range names[:n] {
			if bytes.Equal(other, name) {
				return false
			}
		}
		names[n] = name
		begin := s.at
		if !s.value(depth + 1) {
			return false
		}
		if depth == 1 && s.each != nil {
			s.each(name[1:len(name)-1], begin, s.at)
		}
		if s.take('}') {
			return true
		}
		if !s.take(',') {
			return false
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
