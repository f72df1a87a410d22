package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxProblems = 16  // one is enough to refuse
	maxPointer  = 160 // bytes of a pointer that an error repeats
)

// parser takes strictly well-formed JSON apart by the known keys of each object. It remembers where it is, which keys it
// did not know and what made the body impossible to judge.
type parser struct {
	path    []string // keys and indices from the root to here
	lenient bool     // in tx_info: a value of the wrong kind is a Problem, not an error; null is an absent value
	// Those in tx_info are kept apart, because only they are signed in the canonical form: the others must not use up the
	// room for them.
	unknown, unknownTx []UnknownField
	problems           []Problem
}

// reader reads one value into its place.
type reader func(jsontext.Value) error

// member is a known key of an object.
type member struct {
	key  string
	read reader
}

func (p *parser) pointer() string {
	var at jsontext.Pointer
	for _, token := range p.path {
		at = at.AppendToken(token)
	}
	return string(at)
}

// below runs f one step further down.
func (p *parser) below(token string, f reader, value jsontext.Value) error {
	p.path = append(p.path, token)
	err := f(value)
	p.path = p.path[:len(p.path)-1]
	return err
}

// wrong reports a value of the wrong kind at the current place.
func (p *parser) wrong(reason string) error {
	if !p.lenient {
		return fmt.Errorf("%s %s", printable(p.pointer(), maxPointer), reason)
	}
	p.problem(reason)
	return nil
}

func (p *parser) problem(reason string) {
	if len(p.problems) < maxProblems {
		p.problems = append(p.problems, Problem{Pointer: printable(p.pointer(), maxPointer), Reason: reason})
	}
}

// object reads an object by its known members. A key that differs from one of them only in case (by Unicode folding, as
// other parsers match keys) is an error, another unknown key is kept.
func (p *parser) object(members ...member) reader {
	return func(value jsontext.Value) error {
		if p.absent(value) {
			return nil
		}
		if value.Kind() != '{' {
			return p.wrong("must be a JSON object")
		}
		return eachMember(value, func(key string, value jsontext.Value) error {
			i := slices.IndexFunc(members, func(m member) bool { return m.key == key })
			if i >= 0 {
				return p.below(key, members[i].read, value)
			}
			i = slices.IndexFunc(members, func(m member) bool { return strings.EqualFold(m.key, key) })
			if i >= 0 {
				return fmt.Errorf("the key %q in %q must be written %q", key, printable(p.pointer(), maxPointer), members[i].key)
			}
			return p.below(key, p.keep, value)
		})
	}
}

// keep remembers an unknown field, up to one more than may be judged.
func (p *parser) keep(value jsontext.Value) error {
	to := &p.unknown
	if p.lenient {
		to = &p.unknownTx
	}
	if len(*to) <= MaxUnknownFields {
		*to = append(*to, UnknownField{Pointer: p.pointer(), Value: json.RawMessage(value.Clone())})
	}
	return nil
}

// absent reports a null where null is allowed to stand for nothing.
func (p *parser) absent(value jsontext.Value) bool { return p.lenient && value.Kind() == 'n' }

// errListTooLong stops the reading of a list; it does not leave list.
var errListTooLong = errors.New("list too long")

// list reads an array; each is called for every element up to MaxListLength, and one with more is wrong.
func (p *parser) list(each reader) reader {
	return func(value jsontext.Value) error {
		if p.absent(value) {
			return nil
		}
		if value.Kind() != '[' {
			return p.wrong("must be a JSON array")
		}
		err := eachElement(value, func(i int, value jsontext.Value) error {
			if i == MaxListLength {
				return errListTooLong
			}
			return p.below(strconv.Itoa(i), each, value)
		})
		if err == errListTooLong {
			return p.wrong(fmt.Sprintf("must not have more than %d elements", MaxListLength))
		}
		return err
	}
}

// text reads a string.
func (p *parser) text(to *string) reader {
	return func(value jsontext.Value) (err error) {
		if p.absent(value) {
			return nil
		}
		if value.Kind() != '"' {
			return p.wrong("must be a string")
		}
		*to, err = unquote(value)
		return err
	}
}

// number reads a number, or a string that holds one, as it is written: no digit is lost.
func (p *parser) number(to *string) reader {
	return func(value jsontext.Value) error {
		if value.Kind() == '0' {
			*to = string(value)
			return nil
		}
		if value.Kind() != '"' && !p.absent(value) {
			return p.wrong("must be a number or a string")
		}
		return p.text(to)(value)
	}
}

// integer reads a whole number that fits an int, written without fraction and exponent.
func (p *parser) integer(to **int) reader {
	return func(value jsontext.Value) error {
		n, err := strconv.Atoi(string(value))
		if err != nil || value.Kind() != '0' {
			return p.wrong("must be a whole number")
		}
		*to = &n
		return nil
	}
}

// inString reads an object that may also come as a string holding it, and notes which it was.
func (p *parser) inString(asString *bool, read reader) reader {
	return func(value jsontext.Value) error {
		if value.Kind() != '"' {
			return read(value)
		}
		*asString = true
		text, err := unquote(value)
		if err != nil {
			return err
		}
		if err := scan([]byte(text), detailDepth); err != nil {
			return fmt.Errorf("%s is a string that does not hold a JSON object: %w", p.pointer(), err)
		}
		if jsontext.Value(text).Kind() != '{' {
			return errors.New(p.pointer() + " is a string that does not hold a JSON object")
		}
		return read(jsontext.Value(text))
	}
}
