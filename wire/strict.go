package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxDepth is how deeply a request or a reply may be nested: the body itself is 1.
const MaxDepth = 64

const (
	detailDepth = 1 // depth outside request_detail and extra_info
	txInfoDepth = 2 // depth outside tx_info
)

// scan checks that data is exactly one JSON value, to its last byte: RFC 8259 grammar, valid UTF-8 and surrogate pairs, no
// object with the same key twice (compared unescaped), nested no deeper than MaxDepth when it stands depth levels deep.
// Values that passed can be taken apart without looking for syntax errors again.
func scan(data []byte, depth int) error {
	rest, err := scanValue(data, depth)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return fmt.Errorf("%d byte(s) follow the JSON value: send it alone", len(rest))
	}
	return nil
}

// scanValue is scan that returns what follows the value.
func scanValue(data []byte, depth int) (rest []byte, err error) {
	if len(bytes.Trim(data, " \t\r\n")) == 0 {
		return nil, errors.New("no JSON value: it is empty")
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(data))
	for {
		if _, err := dec.ReadToken(); err != nil {
			return nil, syntaxError(err)
		}
		if depth+dec.StackDepth() > MaxDepth {
			return nil, fmt.Errorf("nested deeper than %d levels", MaxDepth)
		}
		if dec.StackDepth() == 0 {
			return data[dec.InputOffset():], nil
		}
	}
}

// syntaxError says where and why without repeating a value. The key of a duplicate is named: it is what to look for.
func syntaxError(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errors.New("the JSON value is cut off")
	}
	var se *jsontext.SyntacticError
	if !errors.As(err, &se) {
		return fmt.Errorf("not JSON: %v", err)
	}
	where := printable(string(se.JSONPointer), maxPointer)
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return fmt.Errorf("the key at %s is there twice", where)
	}
	return fmt.Errorf("not JSON: %s at byte %d, in %q", printable(fmt.Sprint(se.Err), maxPointer), se.ByteOffset, where)
}

// inside reads a value that passed scan: looking for duplicates once is enough.
func inside(value jsontext.Value) *jsontext.Decoder {
	return jsontext.NewDecoder(bytes.NewBuffer(value), jsontext.AllowDuplicateNames(true))
}

// eachMember calls f with the key and the raw value of every member of an object that passed scan.
func eachMember(object jsontext.Value, f func(key string, value jsontext.Value) error) error {
	dec := inside(object)
	if _, err := dec.ReadToken(); err != nil {
		return syntaxError(err)
	}
	for dec.PeekKind() != '}' {
		key, err := dec.ReadToken()
		if err != nil {
			return syntaxError(err)
		}
		name := key.String()
		value, err := dec.ReadValue()
		if err != nil {
			return syntaxError(err)
		}
		if err := f(name, value); err != nil {
			return err
		}
	}
	return nil
}

// eachElement calls f with every raw element of an array that passed scan.
func eachElement(array jsontext.Value, f func(i int, value jsontext.Value) error) error {
	dec := inside(array)
	if _, err := dec.ReadToken(); err != nil {
		return syntaxError(err)
	}
	for i := 0; dec.PeekKind() != ']'; i++ {
		value, err := dec.ReadValue()
		if err != nil {
			return syntaxError(err)
		}
		if err := f(i, value); err != nil {
			return err
		}
	}
	return nil
}

// unquote returns the text of a JSON string that passed scan.
func unquote(value jsontext.Value) (string, error) {
	text, err := jsontext.AppendUnquote(nil, value)
	if err != nil {
		return "", errors.New("not a JSON string")
	}
	return string(text), nil
}
