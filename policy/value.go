package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/open-policy-agent/opa/v1/ast"
)

// inputDoc is an input as it is evaluated.
type inputDoc struct {
	value ast.Value
	spans [][]byte // JSON of the parts that a spanTable lists, by their index; nil for what is not there
}

// spanTable says which parts of an input are looked at, and gives each an index. nil: all of it is.
type spanTable map[string]*spanned

type spanned struct {
	index   int
	whole   bool           // it is looked at as a whole
	members map[string]int // the members that are looked at by themselves
}

func newSpanTable(r reads) (spanTable, map[inputPath]int) {
	t, index := spanTable{}, map[inputPath]int{}
	next := func() int { return len(index) }
	at := func(name string) *spanned {
		if t[name] == nil {
			t[name] = &spanned{index: next(), members: map[string]int{}}
			index[inputPath{name}] = t[name].index
		}
		return t[name]
	}
	for path, kind := range r {
		s := at(path[0])
		switch {
		case path[1] != "":
			index[path] = next()
			s.members[path[1]] = index[path]
		case kind == readsWhole:
			s.whole = true
		}
	}
	return t, index
}

// size is how many parts the table lists.
func (t spanTable) size() int {
	n := len(t)
	for _, s := range t {
		n += len(s.members)
	}
	return n
}

// readDocument reads a recorded input, checking it as checkJSON does on the way: what is evaluated was read once, by one
// parser. Parts that are not looked at are checked and left out.
func readDocument(b []byte, t spanTable) (inputDoc, error) {
	if len(b) > maxInputSize {
		return inputDoc{}, fmt.Errorf("is longer than %d bytes", maxInputSize)
	}
	r := valueReader{d: jsontext.NewDecoder(bytes.NewBuffer(b)), b: b, table: t}
	var out inputDoc
	var err error
	if t != nil && r.d.PeekKind() == '{' {
		out.spans = make([][]byte, t.size())
		out.value, err = r.parts(out.spans)
	} else {
		var term *ast.Term
		if term, err = r.next(); err == nil {
			out.value = term.Value
		}
	}
	if err != nil {
		return inputDoc{}, err
	}
	switch _, err := r.d.ReadToken(); {
	case err == nil:
		return inputDoc{}, errors.New("has more after its first value")
	case err != io.EOF:
		return inputDoc{}, jsonError(err)
	}
	return out, nil
}

type valueReader struct {
	d     *jsontext.Decoder
	b     []byte
	table spanTable
	blind bool       // what is read is checked only
	terms []ast.Term // made many at a time
}

func (r *valueReader) term(v ast.Value) *ast.Term {
	if len(r.terms) == cap(r.terms) {
		r.terms = make([]ast.Term, 0, 64)
	}
	r.terms = append(r.terms, ast.Term{Value: v})
	return &r.terms[len(r.terms)-1]
}

// parts reads the input's object.
func (r *valueReader) parts(spans [][]byte) (ast.Value, error) {
	var out [][2]*ast.Term
	err := r.members(func(name string) error {
		s := r.table[name]
		begin := r.d.InputOffset()
		value, err := r.part(s, spans)
		if err != nil || s == nil {
			return err
		}
		spans[s.index] = r.since(begin)
		out = append(out, [2]*ast.Term{r.term(ast.String(name)), value})
		return nil
	})
	return ast.NewObject(out...), err
}

// part reads one member of the input: of an object that is not looked at as a whole, those of its members that are.
func (r *valueReader) part(s *spanned, spans [][]byte) (*ast.Term, error) {
	if s == nil {
		return r.value(true)
	}
	if r.d.PeekKind() != '{' {
		return r.value(false)
	}
	var out [][2]*ast.Term
	err := r.members(func(name string) error {
		index, wanted := s.members[name]
		begin := r.d.InputOffset()
		value, err := r.value(!wanted && !s.whole)
		if err != nil {
			return err
		}
		if wanted {
			spans[index] = r.since(begin)
		}
		if wanted || s.whole {
			out = append(out, [2]*ast.Term{r.term(ast.String(name)), value})
		}
		return nil
	})
	return r.term(ast.NewObject(out...)), err
}

// since is the JSON of the value behind a member's name.
func (r *valueReader) since(name int64) []byte {
	return bytes.TrimLeft(r.b[name:r.d.InputOffset()], ": \t\r\n")
}

func (r *valueReader) value(blind bool) (*ast.Term, error) {
	r.blind = blind
	defer func() { r.blind = false }()
	return r.next()
}

// members reads an object, with read reading the value behind each name.
func (r *valueReader) members(read func(name string) error) error {
	if _, err := r.token(); err != nil { // {
		return err
	}
	for r.d.PeekKind() != '}' {
		name, err := r.d.ReadToken() // of a string: the decoder takes nothing else for a name
		if err != nil {
			return jsonError(err)
		}
		if err := read(name.String()); err != nil {
			return err
		}
	}
	_, err := r.token() // }
	return err
}

func (r *valueReader) token() (jsontext.Token, error) {
	token, err := r.d.ReadToken()
	switch {
	case err == io.EOF:
		return token, errors.New("is empty")
	case err != nil:
		return token, jsonError(err)
	case r.d.StackDepth() > maxJSONDepth:
		return token, fmt.Errorf("%s: is nested deeper than %d", place(r.d.StackPointer()), maxJSONDepth)
	}
	return token, nil
}

// next reads one value; nil where it is only to be checked.
func (r *valueReader) next() (*ast.Term, error) {
	if r.d.PeekKind() == '{' {
		var out [][2]*ast.Term
		err := r.members(func(name string) error {
			value, err := r.next()
			if err == nil && !r.blind {
				out = append(out, [2]*ast.Term{r.term(ast.String(name)), value})
			}
			return err
		})
		if err != nil || r.blind {
			return nil, err
		}
		return r.term(ast.NewObject(out...)), nil
	}
	token, err := r.token()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case '[':
		return r.array()
	case '0':
		text := token.String()
		if err := checkNumber(text, false); err != nil {
			return nil, fmt.Errorf("%s: %w", place(r.d.StackPointer()), err)
		}
		return r.term(ast.Number(text)), nil
	case 't', 'f':
		return ast.InternedTerm(token.Bool()), nil
	case 'n':
		return ast.InternedNullTerm, nil
	}
	if r.blind {
		return nil, nil
	}
	return r.term(ast.String(token.String())), nil
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
	if _, err := r.token(); err != nil || r.blind {
		return nil, err
	}
	return r.term(ast.NewArray(elements...)), nil
}
