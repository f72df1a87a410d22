package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/open-policy-agent/opa/v1/ast"
)

// inputValue reads a recorded input into the value that Rego sees, checking it as checkJSON does on the way: what is
// evaluated was read once, by one parser.
func inputValue(b []byte) (ast.Value, error) {
	if len(b) > maxInputSize {
		return nil, fmt.Errorf("is longer than %d bytes", maxInputSize)
	}
	r := valueReader{d: jsontext.NewDecoder(bytes.NewBuffer(b))}
	t, err := r.next()
	if err != nil {
		return nil, err
	}
	switch _, err := r.d.ReadToken(); {
	case err == nil:
		return nil, errors.New("has more after its first value")
	case err != io.EOF:
		return nil, jsonError(err)
	}
	return t.Value, nil
}

type valueReader struct {
	d     *jsontext.Decoder
	terms []ast.Term // made many at a time
}

func (r *valueReader) term(v ast.Value) *ast.Term {
	if len(r.terms) == cap(r.terms) {
		r.terms = make([]ast.Term, 0, 64)
	}
	r.terms = append(r.terms, ast.Term{Value: v})
	return &r.terms[len(r.terms)-1]
}

// next reads one value.
func (r *valueReader) next() (*ast.Term, error) {
	token, err := r.d.ReadToken()
	switch {
	case err == io.EOF:
		return nil, errors.New("is empty")
	case err != nil:
		return nil, jsonError(err)
	case r.d.StackDepth() > maxJSONDepth:
		return nil, fmt.Errorf("%s: is nested deeper than %d", place(r.d.StackPointer()), maxJSONDepth)
	}
	switch token.Kind() {
	case '{':
		return r.object()
	case '[':
		return r.array()
	case '"':
		return r.term(ast.String(token.String())), nil
	case '0':
		text := token.String()
		if err := checkNumber(text, false); err != nil {
			return nil, fmt.Errorf("%s: %w", place(r.d.StackPointer()), err)
		}
		return r.term(ast.Number(text)), nil
	case 't', 'f':
		return ast.InternedTerm(token.Bool()), nil
	}
	return ast.InternedNullTerm, nil
}

func (r *valueReader) object() (*ast.Term, error) {
	var members [][2]*ast.Term
	for r.d.PeekKind() != '}' {
		name, err := r.d.ReadToken() // of a string: the decoder takes nothing else for a name
		if err != nil {
			return nil, jsonError(err)
		}
		key := ast.InternedTerm(name.String())
		value, err := r.next()
		if err != nil {
			return nil, err
		}
		members = append(members, [2]*ast.Term{key, value})
	}
	if _, err := r.d.ReadToken(); err != nil {
		return nil, jsonError(err)
	}
	return r.term(ast.NewObject(members...)), nil
}

func (r *valueReader) array() (*ast.Term, error) {
	var elements []*ast.Term
	for r.d.PeekKind() != ']' {
		element, err := r.next()
		if err != nil {
			return nil, err
		}
		elements = append(elements, element)
	}
	if _, err := r.d.ReadToken(); err != nil {
		return nil, jsonError(err)
	}
	return r.term(ast.NewArray(elements...)), nil
}
