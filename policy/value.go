package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync/atomic"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/open-policy-agent/opa/v1/ast"
)

// inputDoc is an input as it is evaluated.
type inputDoc struct {
	json   []byte    // all of it, which was checked
	places places    // of the parts that a spanTable lists, by their index
	given  given     // values that stand there as they are
	value  ast.Value // all of it as Rego sees it; nil where only parts are looked at
}

// span is one of the parts that are looked at; nil for one that is not there.
func (d *inputDoc) span(i int) []byte {
	at := d.places[i]
	if at[1] == 0 {
		return nil
	}
	return d.json[at[0]:at[1]:at[1]]
}

// whole is all of the input as Rego sees it.
func (d *inputDoc) whole() (ast.Value, error) {
	if d.value != nil {
		return d.value, nil
	}
	t, err := termOf(d.json)
	if err != nil {
		return nil, err
	}
	return t.Value, nil
}

// object is what a query sees of the input, with remembered values beside it.
func (d *inputDoc) object(n needs, found []*remembered) (*ast.Term, error) {
	pairs := make([][2]*ast.Term, 0, len(n))
	for i := range n {
		value, err := d.part(&n[i], found)
		if err != nil {
			return nil, err
		}
		if value != nil {
			pairs = append(pairs, [2]*ast.Term{n[i].key, value})
		}
	}
	return ast.ObjectTerm(pairs...), nil
}

func (d *inputDoc) part(n *need, found []*remembered) (*ast.Term, error) {
	if n.group >= 0 {
		return found[n.group].values, nil
	}
	span := d.span(n.span)
	if n.whole || len(span) == 0 || span[0] != '{' {
		return n.last.term(span)
	}
	pairs := make([][2]*ast.Term, 0, len(n.members))
	for i := range n.members {
		m := &n.members[i]
		value, err := m.last.term(d.span(m.span))
		if err != nil {
			return nil, err
		}
		if value != nil {
			pairs = append(pairs, [2]*ast.Term{m.key, value})
		}
	}
	return ast.ObjectTerm(pairs...), nil
}

// lastTerm keeps the value of a part of the input that hardly varies, as it was last. Safe for concurrent use.
type lastTerm struct {
	varies bool // nothing is kept
	kept   atomic.Pointer[keptTerm]
}

type keptTerm struct {
	json  string
	term  *ast.Term
	plain bool // its numbers
}

// term is the value of JSON that was checked; nil for none.
func (l *lastTerm) term(b []byte) (*ast.Term, error) {
	t, _, err := l.numbered(b)
	return t, err
}

// numbered is term that also reports whether all numbers are written in the one plain way.
func (l *lastTerm) numbered(b []byte) (t *ast.Term, plain bool, err error) {
	if len(b) == 0 {
		return nil, true, nil
	}
	if l.varies {
		return numberedTermOf(b)
	}
	if k := l.kept.Load(); k != nil && k.json == string(b) {
		return k.term, k.plain, nil
	}
	t, plain, err = numberedTermOf(b)
	if err == nil && len(b) <= maxKey {
		l.kept.Store(&keptTerm{string(b), t, plain})
	}
	return t, plain, err
}

// spanTable says which parts of an input are looked at, and gives each an index. nil: all of it is.
type spanTable struct {
	parts  map[string]*spanned
	fields []*spanned // by the fields of Input; nil for those at which nobody looks
	count  int
}

type spanned struct {
	name    string
	index   int
	members map[string]int // the members that are looked at by themselves
	fields  []int32        // by the fields of a struct: their indexes, or unseen
}

// unseen is in the place of the index of a field that nobody looks at by itself.
const unseen = -1

// of is what is looked at of a member of the input; nil for nothing.
func (t *spanTable) of(name string) *spanned {
	if t == nil {
		return nil
	}
	return t.parts[name]
}

// size is how many parts the table lists.
func (t *spanTable) size() int {
	if t == nil {
		return 0
	}
	return t.count
}

func newSpanTable(r reads) (*spanTable, map[inputPath]int) {
	t, index := &spanTable{parts: map[string]*spanned{}}, map[inputPath]int{}
	next := func() int { return len(index) }
	at := func(name string) *spanned {
		if t.parts[name] == nil {
			t.parts[name] = &spanned{name: name, index: next(), members: map[string]int{}}
			index[inputPath{name}] = t.parts[name].index
		}
		return t.parts[name]
	}
	for path := range r {
		if s := at(path[0]); path[1] != "" {
			index[path] = next()
			s.members[path[1]] = index[path]
		}
	}
	t.count = len(index)
	for _, f := range jsonFields(reflect.TypeFor[Input]()) {
		s := t.parts[f.name]
		t.fields = append(t.fields, s)
		if s == nil {
			continue
		}
		for _, m := range jsonFields(f.of) {
			i, known := s.members[m.name]
			if !known {
				i = unseen
			}
			s.fields = append(s.fields, int32(i))
		}
	}
	return t, index
}

// jsonField is a field of a Go struct by its name in JSON.
type jsonField struct {
	name string
	of   reflect.Type
}

// jsonFields lists the fields of a struct, or of what a pointer points to, in order; of other types none.
func jsonFields(t reflect.Type) (out []jsonField) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); name != "" && name != "-" {
			out = append(out, jsonField{name, t.Field(i).Type})
		}
	}
	return out
}

// readDocument checks a recorded input, as checkJSON does, and finds the parts of it that are looked at.
func readDocument(b []byte, t *spanTable) (inputDoc, error) {
	found, err := findParts(b, t)
	if err != nil {
		return inputDoc{}, err
	}
	d := inputDoc{json: b, places: found}
	if t == nil {
		d.value, err = d.whole()
	}
	return d, err
}

// findParts checks JSON and finds the parts of it that are looked at.
func findParts(b []byte, t *spanTable) (places, error) {
	if len(b) > maxInputSize {
		return nil, fmt.Errorf("is longer than %d bytes", maxInputSize)
	}
	r := partsReader{d: jsontext.NewDecoder(bytes.NewBuffer(b)), b: b, table: t, found: make(places, t.size())}
	var err error
	if r.d.PeekKind() == '{' {
		err = r.parts()
	} else {
		err = r.next()
	}
	if err != nil {
		return nil, err
	}
	switch _, err := r.d.ReadToken(); {
	case err == nil:
		return nil, errors.New("has more after its first value")
	case err != io.EOF:
		return nil, jsonError(err)
	}
	return r.found, nil
}

// places are where parts begin and end, by their index; an end of 0 is nowhere. maxInputSize is within their range.
type places [][2]uint32

func (p places) note(i, begin, end int) { p[i] = [2]uint32{uint32(begin), uint32(end)} }

// partsReader reads for findParts.
type partsReader struct {
	d     *jsontext.Decoder
	b     []byte
	table *spanTable
	found places
}

// parts finds the parts of the input's object.
func (r *partsReader) parts() error {
	return r.members(func(name string) error {
		s := r.table.of(name)
		begin := r.d.InputOffset()
		if err := r.part(s); err != nil || s == nil {
			return err
		}
		r.note(s.index, begin)
		return nil
	})
}

// part finds the parts of one member of the input.
func (r *partsReader) part(s *spanned) error {
	if s == nil || len(s.members) == 0 || r.d.PeekKind() != '{' {
		return r.next()
	}
	return r.members(func(name string) error {
		index, wanted := s.members[name]
		begin := r.d.InputOffset()
		if err := r.next(); err != nil || !wanted {
			return err
		}
		r.note(index, begin)
		return nil
	})
}

// note notes where the value stands that was just read behind a member's name.
func (r *partsReader) note(index int, name int64) {
	end := int(r.d.InputOffset())
	r.found.note(index, end-len(bytes.TrimLeft(r.b[name:end], ": \t\r\n")), end)
}

// members reads an object, with read reading the value behind each name.
func (r *partsReader) members(read func(name string) error) error {
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

func (r *partsReader) token() (jsontext.Token, error) {
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

// next reads one value.
func (r *partsReader) next() error {
	for open := 0; ; {
		token, err := r.token()
		if err != nil {
			return err
		}
		switch token.Kind() {
		case '{', '[':
			open++
		case '}', ']':
			open--
		case '0':
			if err := checkNumber(token.String(), false); err != nil {
				return fmt.Errorf("%s: %w", place(r.d.StackPointer()), err)
			}
		}
		if open == 0 {
			return nil
		}
	}
}
