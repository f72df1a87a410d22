package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/countersign-mpc/countersign/wire/wellformed"
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

	detail detail
	steps  [6]string // room for path
}

// reader reads one value into its place in a T. What is read is part of the body, and is copied where it is kept.
type reader[T any] func(p *parser, to *T, value jsontext.Value) error

// member is a known key of an object.
type member[T any] struct {
	key  string
	read reader[T]
}

// parsers are those that nobody uses, without anything in them.
var parsers = sync.Pool{New: func() any { return new(parser) }}

func newParser() *parser {
	p, _ := parsers.Get().(*parser)
	p.path = p.steps[:0]
	return p
}

// release gives a parser back, which keeps nothing of what it has read.
func (p *parser) release() {
	*p = parser{}
	parsers.Put(p)
}

func (p *parser) pointer() string {
	var at jsontext.Pointer
	for _, token := range p.path {
		at = at.AppendToken(token)
	}
	return string(at)
}

// down goes one step further down, and up back.
func (p *parser) down(token string) { p.path = append(p.path, token) }
func (p *parser) up()               { p.path = p.path[:len(p.path)-1] }

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

// readObject reads an object by its known members. A key that differs from one of them only in case (by Unicode folding, as
// other parsers match keys) is an error, another unknown key is kept.
func readObject[T any](p *parser, to *T, value jsontext.Value, members []member[T]) error {
	if p.absent(value) {
		return nil
	}
	if value.Kind() != '{' {
		return p.wrong("must be a JSON object")
	}
	next := 0 // most objects have their keys in the order of the members
	return wellformed.EachMember(value, func(_, key, value []byte) error {
		i := indexOf(members, key, next)
		if i < 0 {
			return p.unknownKey(string(key), value, func(key string) string { return folded(members, key) })
		}
		next = i + 1
		p.down(members[i].key)
		err := members[i].read(p, to, value)
		p.up()
		return err
	})
}

// indexOf finds a key among the members, of which it is looked for from next on first; -1 if it is none of them.
func indexOf[T any](members []member[T], key []byte, next int) int {
	for i := next; i < len(members); i++ {
		if members[i].key == string(key) {
			return i
		}
	}
	for i := range next {
		if members[i].key == string(key) {
			return i
		}
	}
	return -1
}

// folded is the member that a key differs from only in case; "" for none.
func folded[T any](members []member[T], key string) string {
	for i := range members {
		if strings.EqualFold(members[i].key, key) {
			return members[i].key
		}
	}
	return ""
}

// unknownKey keeps a key that is none of the members, unless it is one in another case.
func (p *parser) unknownKey(key string, value jsontext.Value, folded func(string) string) error {
	if known := folded(key); known != "" {
		return fmt.Errorf("the key %q in %q must be written %q", key, printable(p.pointer(), maxPointer), known)
	}
	p.down(key)
	p.keep(value)
	p.up()
	return nil
}

// keep remembers an unknown field, up to one more than may be judged.
func (p *parser) keep(value jsontext.Value) {
	to := &p.unknown
	if p.lenient {
		to = &p.unknownTx
	}
	if len(*to) <= MaxUnknownFields {
		*to = append(*to, UnknownField{Pointer: p.pointer(), Value: json.RawMessage(value.Clone())})
	}
}

// absent reports a null where null is allowed to stand for nothing.
func (p *parser) absent(value jsontext.Value) bool { return p.lenient && value.Kind() == 'n' }

// object reads the object at a place of a T.
func object[T, S any](at func(*T) *S, members []member[S]) reader[T] {
	return func(p *parser, to *T, value jsontext.Value) error { return readObject(p, at(to), value, members) }
}

// objectOrNone is object for a place that is set only where the value is an object.
func objectOrNone[T, S any](at func(*T) **S, members []member[S]) reader[T] {
	return func(p *parser, to *T, value jsontext.Value) error {
		if value.Kind() == '{' {
			*at(to) = new(S)
		}
		return readObject(p, *at(to), value, members)
	}
}

// errListTooLong stops the reading of a list; it does not leave list.
var errListTooLong = errors.New("list too long")

// list reads an array; each is called for every element up to MaxListLength, and one with more is wrong.
func (p *parser) list(value jsontext.Value, each func(jsontext.Value) error) error {
	if p.absent(value) {
		return nil
	}
	if value.Kind() != '[' {
		return p.wrong("must be a JSON array")
	}
	err := wellformed.EachElement(value, func(i int, value []byte) error {
		if i == MaxListLength {
			return errListTooLong
		}
		p.down(strconv.Itoa(i))
		err := each(value)
		p.up()
		return err
	})
	if err == errListTooLong {
		return p.wrong(fmt.Sprintf("must not have more than %d elements", MaxListLength))
	}
	return err
}

// objects reads a list of objects, where null stands for nothing that could be meant.
func objects[T, E any](at func(*T) *[]E, members []member[E]) reader[T] {
	return func(p *parser, to *T, value jsontext.Value) error {
		list := at(to)
		return p.list(value, func(value jsontext.Value) error {
			*list = append(*list, *new(E))
			if value.Kind() == 'n' {
				return p.wrong("must be a JSON object")
			}
			return readObject(p, &(*list)[len(*list)-1], value, members)
		})
	}
}

// texts reads a list of strings.
func texts[T any](at func(*T) *[]string) reader[T] {
	return func(p *parser, to *T, value jsontext.Value) error {
		list := at(to)
		return p.list(value, func(value jsontext.Value) error {
			*list = append(*list, "")
			return p.text(&(*list)[len(*list)-1], value)
		})
	}
}

// text reads a string.
func text[T any](at func(*T) *string) reader[T] {
	return func(p *parser, to *T, value jsontext.Value) error { return p.text(at(to), value) }
}

func (p *parser) text(to *string, value jsontext.Value) (err error) {
	if p.absent(value) {
		return nil
	}
	if value.Kind() != '"' {
		return p.wrong("must be a string")
	}
	*to, err = unquote(value)
	return err
}

// unquote returns the text of a JSON string that passed scan.
func unquote(value jsontext.Value) (string, error) {
	text, ok := wellformed.Text(value)
	if !ok {
		return "", errors.New("not a JSON string")
	}
	return text, nil
}

// number reads a number, or a string that holds one, as it is written: no digit is lost.
func number[T any](at func(*T) *string) reader[T] {
	return func(p *parser, to *T, value jsontext.Value) error {
		if value.Kind() == '0' {
			*at(to) = string(value)
			return nil
		}
		if value.Kind() != '"' && !p.absent(value) {
			return p.wrong("must be a number or a string")
		}
		return p.text(at(to), value)
	}
}

// whole is a whole number that may be given.
type whole struct {
	value int
	given bool
}

// integer reads a whole number that fits an int, written without fraction and exponent.
func integer[T any](at func(*T) *whole) reader[T] {
	return func(p *parser, to *T, value jsontext.Value) error {
		n, err := strconv.Atoi(string(value))
		if err != nil || value.Kind() != '0' {
			return p.wrong("must be a whole number")
		}
		*at(to) = whole{n, true}
		return nil
	}
}

// inString reads an object that may also come as a string holding it, and notes which it was.
func inString[T any](asString func(*T) *bool, read reader[T]) reader[T] {
	return func(p *parser, to *T, value jsontext.Value) error {
		if value.Kind() != '"' {
			return read(p, to, value)
		}
		*asString(to) = true
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
		return read(p, to, jsontext.Value(text))
	}
}
