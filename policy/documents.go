package policy

import (
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
	r := termReader{b: d.canonical, pace: p}
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
	return documents{obj, !r.odd, inmem.NewFromASTObject(obj)}, nil
}

// store is the store of the data's documents.
func (d *Data) store() (storage.Store, error) {
	base, err := d.documents(nil)
	return base.store, err
}
