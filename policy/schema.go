package policy

import (
	"bytes"
	_ "embed" // the schemas
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/countersign-mpc/countersign/internal/spelling"
)

// The JSON schemas (draft 7) of what a policy reads: `input`; data.json as it is written; and data.json as rules see it,
// which is `data`. Tests hold them to the Go types and to what the engine builds.
var (
	//go:embed input.schema.json
	inputSchemaJSON []byte
	//go:embed data.schema.json
	dataSchemaJSON []byte
	//go:embed rules-data.schema.json
	rulesDataSchemaJSON []byte
)

// InputSchema returns the JSON schema of `input`.
func InputSchema() []byte { return bytes.Clone(inputSchemaJSON) }

// DataSchema returns the JSON schema of data.json as it is written. [ParseData] checks more than a schema can.
func DataSchema() []byte { return bytes.Clone(dataSchemaJSON) }

// RulesDataSchema returns the JSON schema of data.json as rules see it: `data`.
func RulesDataSchema() []byte { return bytes.Clone(rulesDataSchemaJSON) }

// CompilerSchema returns the schema of `input` in the form that OPA's compiler can use (`opa check --schema`): OPA takes a
// value that may be null for one of which nothing is known, so that null is left out.
func CompilerSchema() ([]byte, error) {
	v, err := compilerSchema()
	if err != nil {
		return nil, err
	}
	return json.MarshalIndent(v, "", "  ")
}

func compilerSchema() (any, error) {
	var v any
	if err := json.Unmarshal(inputSchemaJSON, &v); err != nil {
		return nil, fmt.Errorf("read the schema of the input: %w", err)
	}
	return withoutNull(v), nil
}

// withoutNull replaces anyOf [null, X] by X.
func withoutNull(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if options, ok := v["anyOf"].([]any); ok {
			for _, one := range options {
				if m, ok := one.(map[string]any); ok && m["type"] != "null" {
					return withoutNull(m)
				}
			}
		}
		for key, value := range v {
			v[key] = withoutNull(value)
		}
	case []any:
		for i, value := range v {
			v[i] = withoutNull(value)
		}
	}
	return v
}

// withoutText removes what a schema says to people.
func withoutText(v any) {
	switch v := v.(type) {
	case map[string]any:
		if text, isText := v["description"].(string); isText && text != "" {
			delete(v, "description")
		}
		for _, value := range v {
			withoutText(value)
		}
	case []any:
		for _, value := range v {
			withoutText(value)
		}
	}
}

// schemaSet is what OPA's compiler is given.
var schemaSet = sync.OnceValues(func() (*ast.SchemaSet, error) {
	v, err := compilerSchema()
	if err != nil {
		return nil, err
	}
	withoutText(v) // each compiler reads all of it anew
	set := ast.NewSchemaSet()
	set.Put(ast.SchemaRootRef, v)
	return set, nil
})

// shape is a schema as the linter reads it. A nil shape is that of a value of which nothing is known.
type shape struct {
	Type       string            `json:"type"` // "" where anything may be there
	Properties map[string]*shape `json:"properties"`
	Required   []string          `json:"required"`
	Items      *shape            `json:"items"`
	AnyOf      []*shape          `json:"anyOf"`
	Enum       []string          `json:"enum"`
	Additional json.RawMessage   `json:"additionalProperties"` // false, or a schema

	nullable bool
	values   *shape // of an object whose keys are names
	amount   bool   // an amount as text
	lax      bool   // of a part of the input that is not in canonical form

	own      bool   // of data.custom, whose members may be others tomorrow
	mixed    bool   // values of several types
	capital  string // an EVM address with capitals that is among the values
	constant string // the text, where it is known
	keyed    string // an EVM address with capitals that is a key
}

// shapes are the schemas of input and data, read once.
var shapes = sync.OnceValues(func() (map[ast.Var]*shape, error) {
	out := map[ast.Var]*shape{}
	for name, text := range map[ast.Var][]byte{"input": inputSchemaJSON, "data": rulesDataSchemaJSON} {
		s := &shape{}
		if err := json.Unmarshal(text, s); err != nil {
			return nil, fmt.Errorf("read the schema of %s: %w", name, err)
		}
		read, err := s.read()
		if err != nil {
			return nil, fmt.Errorf("read the schema of %s: %w", name, err)
		}
		out[name] = read
		if name == "input" {
			for _, open := range []string{"evidence", "unknown_fields", "request", "brc20", "runes"} {
				read.Properties[open].relax()
			}
		}
	}
	return out, nil
})

// read completes a schema as it was decoded, and returns what stands for it.
func (s *shape) read() (*shape, error) {
	for _, one := range s.AnyOf {
		if one.Type == "null" {
			continue
		}
		read, err := one.read()
		if read != nil {
			read.nullable = true
		}
		return read, err
	}
	if s.Type == "" {
		return nil, nil
	}
	for name, of := range s.Properties {
		read, err := of.read()
		if err != nil {
			return nil, err
		}
		if s.Properties[name] = read; read != nil && read.Type == "string" {
			read.amount = slices.Contains(textAmounts, name)
		}
	}
	var err error
	if s.Items != nil {
		if s.Items, err = s.Items.read(); err != nil {
			return nil, err
		}
	}
	if len(s.Additional) > 0 && s.Additional[0] == '{' {
		s.values = &shape{}
		if err := json.Unmarshal(s.Additional, s.values); err != nil {
			return nil, err
		}
		s.values, err = s.values.read()
	}
	return s, err
}

// step returns what lies below a value under a key. known is false for a key that cannot be there.
func (s *shape) step(key ast.Value) (below *shape, known bool) {
	if s == nil {
		return nil, true
	}
	name, isName := key.(ast.String)
	switch s.Type {
	case "object":
		if len(s.Properties) == 0 { // an object of names, or one that holds anything
			return s.values, true
		}
		if !isName {
			return s.values, true
		}
		below, known = s.Properties[string(name)]
		return below, known || s.own
	case "array":
		return s.Items, !isName
	}
	_, isVar := key.(ast.Var)
	return nil, isVar // a variable may stand for nothing, which is no fault of spelling
}

// elements is what a loop over a value gives.
func (s *shape) elements() *shape {
	switch {
	case s == nil:
		return nil
	case s.Type == "array":
		return s.Items
	case s.Type == "object":
		return s.values
	}
	return nil
}

// optional says that a key of an object may be absent, or names an entry that may be.
func (s *shape) optional(key ast.Value) bool {
	if s == nil || s.nullable || len(s.Properties) == 0 {
		return true
	}
	name, isName := key.(ast.String)
	return !isName || !slices.Contains(s.Required, string(name))
}

// nearest returns the one of the names that is closest to name, or "" if none is close.
func nearest(name string, names []string) string {
	for _, candidate := range slices.Sorted(slices.Values(names)) { // such as wallet for wallet_id
		if len(name) > 2 && strings.HasPrefix(candidate, name+"_") {
			return candidate
		}
	}
	best, least := "", 1+max(1, len(name)/3)
	for _, candidate := range slices.Sorted(slices.Values(names)) {
		if d := spelling.Distance(name, candidate); d < least {
			best, least = candidate, d
		}
	}
	return best
}
