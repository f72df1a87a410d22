package policy

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Literals are the constants that stand in the modules of a policy: what its rules compare requests with.
type Literals struct {
	Numbers []json.Number // each once, as written; the lint has refused any that is not whole
	Strings []string      // each once; the names of fields are not among them
}

// Literals collects the constants of the policy's modules, its tests apart. Both lists are sorted.
func (e *Engine) Literals() (Literals, error) {
	modules, err := e.source.parse()
	if err != nil {
		return Literals{}, err
	}
	numbers, texts := map[json.Number]bool{}, map[string]bool{}
	visitor := ast.NewGenericVisitor(func(x any) bool {
		switch v := x.(type) {
		case ast.Ref: // names of fields
			return true
		case ast.Number:
			numbers[json.Number(v)] = true
		case ast.String:
			texts[string(v)] = true
		}
		return false
	})
	for name, m := range modules {
		if isTest(name) {
			continue
		}
		for _, r := range m.Rules {
			visitor.Walk(r)
		}
	}
	return Literals{Numbers: slices.Sorted(maps.Keys(numbers)), Strings: slices.Sorted(maps.Keys(texts))}, nil
}

// DataDocument is what rules see as data, as JSON with sorted keys (Data.Canonical).
func (e *Engine) DataDocument() []byte { return e.data.Canonical() }
