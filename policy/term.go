package policy

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/countersign-mpc/countersign/internal/pace"
	"github.com/countersign-mpc/countersign/policy/direct"
)

// termOf reads a value of JSON that was checked (readDocument) into Rego's form. Numbers keep all their digits.
func termOf(b []byte) (*ast.Term, error) {
	t, _, err := numberedTermOf(b)
	return t, err
}

// numberedTermOf is termOf that also reports whether all numbers are written in the one plain way.
func numberedTermOf(b []byte) (t *ast.Term, plain bool, err error) {
	var p termReader
	return p.read(b)
}

// read is numberedTermOf. The terms are the reader's own until it is reset.
func (p *termReader) read(b []byte) (t *ast.Term, plain bool, err error) {
	p.b, p.at, p.odd, p.texts = b, 0, false, ""
	if t, err = p.value(); err == nil {
		err = p.finished()
	}
	if err != nil {
		return nil, false, fmt.Errorf("read a part of the input: %w", err)
	}
	return t, !p.odd, nil
}

// reset forgets all terms, so that there is room for others. Nobody may look at them any more.
func (p *termReader) reset() {
	clear(p.terms)
	clear(p.members[:cap(p.members)])
	clear(p.elements[:cap(p.elements)])
	*p = termReader{terms: p.terms[:0], members: p.members[:0], elements: p.elements[:0]}
}

// termReader reads what jsontext has found to be one well-formed value, and fails where it is not.
type termReader struct {
	b     []byte
	at    int
	odd   bool   // a number could be written in another way
	texts string // all of b, once one is needed: texts and numbers are parts of it
	terms []ast.Term
	pace  *pace.Pacer // nil: no others are given way to

	members  [][2]*ast.Term // of the objects that are being read, one behind the other
	elements []*ast.Term    // likewise of arrays
}

// part is what stands between two places.
func (p *termReader) part(begin, end int) string {
	if p.texts == "" {
		p.texts = string(p.b)
	}
	return p.texts[begin:end]
}

// maxTermsAtOnce is how many terms are made room for at once, at most.
const maxTermsAtOnce = 16

// term is ast.NewTerm, with some made at once.
func (p *termReader) term(v ast.Value) *ast.Term {
	if len(p.terms) == cap(p.terms) {
		p.terms = make([]ast.Term, 0, min(2*cap(p.terms)+1, maxTermsAtOnce))
	}
	p.terms = append(p.terms, ast.Term{Value: v})
	return &p.terms[len(p.terms)-1]
}

var errNotJSON = errors.New("it is not well-formed JSON")

func (p *termReader) blanks() {
	for p.at < len(p.b) && (p.b[p.at] == ' ' || p.b[p.at] == '\n' || p.b[p.at] == '\t' || p.b[p.at] == '\r') {
		p.at++
	}
}

// finished fails unless nothing stands behind the value.
func (p *termReader) finished() error {
	if p.blanks(); p.at != len(p.b) {
		return errNotJSON
	}
	return nil
}

// skip skips blanks, and behind them a character, if it is there.
func (p *termReader) skip(c byte) bool {
	p.blanks()
	if p.at < len(p.b) && p.b[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *termReader) value() (*ast.Term, error) {
	switch {
	case p.skip('{'):
		return p.object()
	case p.skip('['):
		return p.array()
	case p.at == len(p.b):
		return nil, errNotJSON
	}
	switch c := p.b[p.at]; c {
	case '"':
		text, err := p.text()
		return p.term(ast.String(text)), err
	case 't', 'f':
		p.at += len("true")
		if c == 'f' {
			p.at++
		}
		return ast.InternedTerm(c == 't'), nil
	case 'n':
		p.at += len("null")
		return ast.InternedNullTerm, nil
	}
	begin := p.at
	for p.at < len(p.b) && (p.b[p.at] >= '0' && p.b[p.at] <= '9' || p.b[p.at] == '-' || p.b[p.at] == '.') {
		p.at++
	}
	if begin == p.at {
		return nil, errNotJSON
	}
	n := ast.Number(p.part(begin, p.at))
	p.odd = p.odd || !direct.PlainNumber(n)
	return p.term(n), nil
}

func (p *termReader) text() (string, error) {
	begin, plain, err := p.quoted()
	switch {
	case err != nil:
		return "", err
	case plain:
		return p.part(begin+1, p.at-1), nil
	}
	text, err := jsontext.AppendUnquote(nil, p.b[begin:p.at])
	return string(text), err
}

// quoted passes over a text, and tells where it begins, with its quote, and whether it holds no escapes.
func (p *termReader) quoted() (begin int, plain bool, err error) {
	if !p.skip('"') {
		return 0, false, errNotJSON
	}
	begin, plain = p.at-1, true
	for ; p.at < len(p.b) && p.b[p.at] != '"'; p.at++ {
		if p.b[p.at] == '\\' {
			plain = false
			p.at++
		}
	}
	if p.at++; p.at > len(p.b) {
		return 0, false, errNotJSON
	}
	return begin, plain, nil
}

func (p *termReader) object() (*ast.Term, error) {
	outer := len(p.members)
	for !p.skip('}') {
		p.skip(',')
		name, err := p.text()
		if err != nil || !p.skip(':') {
			return nil, errNotJSON
		}
		value, err := p.value()
		if err != nil {
			return nil, err
		}
		p.members = append(p.members, [2]*ast.Term{p.name(name), value})
		p.pace.Step()
	}
	made := ast.NewObject(p.members[outer:]...) // it keeps a copy
	p.members = p.members[:outer]
	p.pace.Pause()
	return p.term(made), nil
}

func (p *termReader) array() (*ast.Term, error) {
	outer := len(p.elements)
	for !p.skip(']') {
		p.skip(',')
		value, err := p.value()
		if err != nil {
			return nil, err
		}
		p.elements = append(p.elements, value)
	}
	made := ast.NewArray(append([]*ast.Term(nil), p.elements[outer:]...)...)
	p.elements = p.elements[:outer]
	return p.term(made), nil
}

// name is the term of a member's name, of which most are the input's own.
func (p *termReader) name(name string) *ast.Term {
	if known := memberTerms[name]; known != nil {
		return known
	}
	return p.term(ast.String(name))
}

// memberTerms are the names of the input's members and of theirs.
var memberTerms = func() map[string]*ast.Term {
	out := map[string]*ast.Term{}
	addMemberTerms(reflect.TypeFor[Input](), out)
	return out
}()

func addMemberTerms(t reflect.Type, to map[string]*ast.Term) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		addMemberTerms(t.Elem(), to)
	case reflect.Struct:
		for _, f := range jsonFields(t) {
			to[f.name] = ast.StringTerm(f.name)
			addMemberTerms(f.of, to)
		}
	}
}
