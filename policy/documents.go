package policy

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/countersign-mpc/countersign/internal/pace"
)

// documents hold the data as Rego values, made once, so that no evaluation converts them.
type documents struct {
	values ast.Object
	plain  bool          // all numbers are known to be written in the one plain way
	store  storage.Store // of the values
}

// documents gives way to others; p may be nil.
func (d *Data) documents(p *pace.Pacer) (documents, error) {
	r := termReader{b: d.canonical, pace: p, terms: make([]ast.Term, 0, bytes.Count(d.canonical, []byte{'"'})/2)}
	t, err := r.value()
	if err == nil {
		err = r.finished()
	}
	if err != nil {
		return documents{}, fmt.Errorf("load the policy's data: %w", err)
	}
	obj, ok := t.Value.(ast.Object)
	if !ok {
		return documents{}, errors.New("load the policy's data: it is no object")
	}
	shareTexts(t, map[ast.Value]ast.Value{})
	return documents{obj, !r.odd, inmem.NewFromASTObject(obj)}, nil
}

// maxSharedTexts is how many texts are looked for again.
const maxSharedTexts = 64

// shareTexts makes texts that are alike one value, such as what lists say of thousands of addresses.
func shareTexts(t *ast.Term, known map[ast.Value]ast.Value) {
	switch v := t.Value.(type) {
	case ast.String:
		if one, is := known[t.Value]; is {
			t.Value = one
		} else if len(known) < maxSharedTexts {
			known[t.Value] = t.Value
		}
	case *ast.Array:
		v.Foreach(func(element *ast.Term) { shareTexts(element, known) })
	case ast.Object:
		v.Foreach(func(_, value *ast.Term) { shareTexts(value, known) })
	}
}

// store is the store of the data's documents.
func (d *Data) store() (storage.Store, error) {
	base, err := d.documents(nil)
	return base.store, err
}
