// Package wellformed takes JSON apart that has passed package wire's strict reading: only the ends of values are looked for,
// and nothing is copied. It does not check: of what has not passed, it may call well formed what is not.
package wellformed

import (
	"bytes"
	"errors"

	"github.com/go-json-experiment/json/jsontext"
)

// ErrEnds is what JSON that has not passed may give: a value, or the object or list around it, does not come to its end.
var ErrEnds = errors.New("not well-formed JSON")

// Kind is the first byte of a value, 0 for none.
func Kind(value []byte) byte {
	if value = skipBlanks(value); len(value) > 0 {
		return value[0]
	}
	return 0
}

func skipBlanks(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	return b
}

func isBlank(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }

// EachMember calls f with every member of an object: its name as it is written, the key that this stands for, and the
// value as it is written. All three are parts of the object, but for a key whose name has escapes.
func EachMember(object []byte, f func(name, key, value []byte) error) error {
	c := cursor{rest: object}
	if !c.take('{') {
		return ErrEnds
	}
	if c.take('}') {
		return nil
	}
	for {
		name, plain := c.text()
		if name == nil || !c.take(':') {
			return ErrEnds
		}
		key := name[1 : len(name)-1 : len(name)-1]
		if !plain {
			unquoted, err := jsontext.AppendUnquote(nil, name)
			if err != nil {
				return ErrEnds
			}
			key = unquoted
		}
		value := c.value()
		if value == nil {
			return ErrEnds
		}
		if err := f(name, key, value); err != nil {
			return err
		}
		if c.take('}') {
			return nil
		}
		if !c.take(',') {
			return ErrEnds
		}
	}
}

// EachElement calls f with every element of an array, as it is written.
func EachElement(array []byte, f func(i int, value []byte) error) error {
	c := cursor{rest: array}
	if !c.take('[') {
		return ErrEnds
	}
	if c.take(']') {
		return nil
	}
	for i := 0; ; i++ {
		value := c.value()
		if value == nil {
			return ErrEnds
		}
		if err := f(i, value); err != nil {
			return err
		}
		if c.take(']') {
			return nil
		}
		if !c.take(',') {
			return ErrEnds
		}
	}
}

// Text is what a string stands for; false for what is no string.
func Text(value []byte) (text string, ok bool) {
	n, plain := 0, false
	if len(value) > 0 && value[0] == '"' {
		n, plain = textLength(value)
	}
	if n == 0 || n != len(value) {
		return "", false
	}
	if plain {
		return string(value[1 : n-1]), true
	}
	unquoted, err := jsontext.AppendUnquote(nil, value)
	return string(unquoted), err == nil
}

// cursor walks over well-formed JSON.
type cursor struct{ rest []byte }

// take skips a byte and the blanks before it, if it comes next.
func (c *cursor) take(b byte) bool {
	c.rest = skipBlanks(c.rest)
	if len(c.rest) == 0 || c.rest[0] != b {
		return false
	}
	c.rest = c.rest[1:]
	return true
}

// text takes the next value, as it is written, if it is a string to its end, else nil. A plain one has no escapes.
func (c *cursor) text() (text []byte, plain bool) {
	c.rest = skipBlanks(c.rest)
	if len(c.rest) == 0 || c.rest[0] != '"' {
		return nil, false
	}
	n, plain := textLength(c.rest)
	if n == 0 {
		return nil, false
	}
	text = c.rest[:n:n]
	c.rest = c.rest[n:]
	return text, plain
}

// value takes the next value, as it is written; nil if none is there to its end.
func (c *cursor) value() []byte {
	c.rest = skipBlanks(c.rest)
	end := 0
	for depth := 0; end < len(c.rest); {
		switch b := c.rest[end]; b {
		case '{', '[':
			depth++
			end++
		case '}', ']':
			depth--
			end++
		case '"':
			n, _ := textLength(c.rest[end:])
			if n == 0 {
				return nil
			}
			end += n
		case ',', ':', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return nil
			}
			end++
			continue
		default:
			end += literalLength(c.rest[end:])
		}
		if depth < 0 {
			return nil
		}
		if depth == 0 {
			value := c.rest[:end:end]
			c.rest = c.rest[end:]
			return value
		}
	}
	return nil
}

// textLength is the length of the string at the start of JSON, 0 for one without an end, and whether it is plain, without
// escapes. It looks at each byte twice at most.
func textLength(b []byte) (n int, plain bool) {
	quote := 0 // the first quotation mark from at on
	for at := 1; at < len(b); {
		if quote < at {
			i := bytes.IndexByte(b[at:], '"')
			if i < 0 {
				return 0, false
			}
			quote = at + i
		}
		escape := bytes.IndexByte(b[at:quote], '\\')
		if escape < 0 {
			return quote + 1, at == 1
		}
		at += escape + 2 // behind what is escaped, which may be that very quotation mark
	}
	return 0, false
}

// literalLength is the length of the number or word at the start of JSON.
func literalLength(b []byte) int {
	n := 1
	for n < len(b) && !isBlank(b[n]) && b[n] != ',' && b[n] != '}' && b[n] != ']' {
		n++
	}
	return n
}
