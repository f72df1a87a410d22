package policy

import (
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// memberOf is where the value of an object's member stands, in JSON that was checked; nil where there is no such member, and for
// what is no object.
func memberOf(b []byte, name string) ([]byte, error) {
	p := termReader{b: b}
	if !p.skip('{') {
		return nil, nil
	}
	for !p.skip('}') {
		p.skip(',')
		is, err := p.isName(name)
		if err != nil || !p.skip(':') {
			return nil, fmt.Errorf("look for a member of the input: %w", errNotJSON)
		}
		p.blanks()
		begin := p.at
		if err := p.pass(); err != nil {
			return nil, fmt.Errorf("look for a member of the input: %w", err)
		}
		if is {
			return b[begin:p.at], nil
		}
	}
	return nil, nil
}

// isName passes over a member's name, and reports whether it is this one.
func (p *termReader) isName(name string) (bool, error) {
	begin, plain, err := p.quoted()
	if err != nil || plain {
		return err == nil && string(p.b[begin+1:p.at-1]) == name, err
	}
	text, err := jsontext.AppendUnquote(nil, p.b[begin:p.at])
	return string(text) == name, err
}

// pass passes over a value.
func (p *termReader) pass() error {
	for open := 0; ; {
		p.blanks()
		if p.at == len(p.b) {
			return errNotJSON
		}
		switch p.b[p.at] {
		case '"':
			if _, _, err := p.quoted(); err != nil {
				return err
			}
		case '{', '[':
			open++
			p.at++
		case '}', ']':
			open--
			p.at++
		case ',', ':':
			p.at++
			continue
		default:
			p.word()
		}
		if open <= 0 {
			return nil
		}
	}
}

// word passes over a number, true, false or null.
func (p *termReader) word() {
	for ; p.at < len(p.b); p.at++ {
		switch p.b[p.at] {
		case ',', '}', ']', ' ', '\n', '\t', '\r':
			return
		}
	}
}
