package policy

import (
	"cmp"
	"encoding/json"
	"maps"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/open-policy-agent/opa/v1/ast"
)

// withCustom adds what a data.json has under /custom. Of data that cannot be read nothing is added: [ParseData] tells of it.
func withCustom(known map[ast.Var]*shape, data []byte) map[ast.Var]*shape {
	var of struct {
		Custom customData `json:"custom"`
	}
	if err := jsonv2.Unmarshal(data, &of, jsontext.AllowDuplicateNames(true)); err != nil {
		return known
	}
	out := maps.Clone(known)
	root := *known["data"]
	root.Properties = maps.Clone(root.Properties)
	root.Properties["custom"] = shapeOf(map[string]any(of.Custom))
	out["data"] = &root
	return out
}

// shapeOf is the shape of a value of data.custom.
func shapeOf(value any) *shape {
	switch v := value.(type) {
	case string:
		s := &shape{Type: "string", own: true}
		if isCapitalAddress(v) {
			s.capital = v
		}
		return s
	case json.Number:
		return &shape{Type: "number", own: true}
	case bool:
		return &shape{Type: "boolean", own: true}
	case []any:
		s := &shape{Type: "array", own: true}
		for i, one := range v {
			s.Items = merged(s.Items, shapeOf(one), i == 0)
		}
		return s
	case map[string]any:
		s := &shape{Type: "object", own: true, Properties: map[string]*shape{}}
		for i, name := range sortedKeys(v) {
			s.Properties[name] = shapeOf(v[name])
			s.values = merged(s.values, s.Properties[name], i == 0)
			if isCapitalAddress(name) {
				s.keyed = name
			}
		}
		return s
	}
	return nil
}

// merged is the shape of a value that has one of two, nil where they have little in common.
func merged(a, b *shape, first bool) *shape {
	switch {
	case first:
		return b
	case a == nil || b == nil:
		return nil
	case a == b:
		return a
	case a.own && b.own && a.Type == b.Type && !a.scalar():
		return joined(a, b)
	case !a.scalar() || !b.scalar() || a.Type == "null" || b.Type == "null":
		return nil
	}
	out := &shape{Type: a.kind(), own: a.own && b.own, mixed: a.mixed || b.mixed, nullable: a.nullable || b.nullable, amount: a.amount && b.amount, lax: a.lax || b.lax, capital: cmp.Or(a.capital, b.capital)}
	if a.kind() != b.kind() {
		out.mixed = true
		if b.kind() == "string" { // the one that is more than any number
			out.Type = b.kind()
		}
	}
	return out
}

// joined is the shape of two lists, or of two objects, of data.custom. What is empty says nothing.
func joined(a, b *shape) *shape {
	out := &shape{
		Type: a.Type, own: true, nullable: a.nullable || b.nullable, Properties: maps.Clone(a.Properties), keyed: cmp.Or(a.keyed, b.keyed),
		Items: merged(a.Items, b.Items, a.Items == nil), values: merged(a.values, b.values, len(a.Properties) == 0),
	}
	if b.Items == nil {
		out.Items = a.Items
	}
	if len(b.Properties) == 0 {
		out.values = a.values
	}
	for name, of := range b.Properties {
		had, there := out.Properties[name]
		out.Properties[name] = merged(had, of, !there)
	}
	return out
}

func (s *shape) scalar() bool { return s.Type != "object" && s.Type != "array" }

// relax marks a part of the input that is not in canonical form.
func (s *shape) relax() {
	if s == nil {
		return
	}
	s.lax = true
	s.Items.relax()
	s.values.relax()
	for _, below := range s.Properties {
		below.relax()
	}
}

func isCapitalAddress(text string) bool { return len(text) == 42 && capitalAddress.MatchString(text) }

// checkCustom tells of a name of data.custom that data.json does not have. Tests bring their own.
func (l *linter) checkCustom(s scope, at *ast.Location, ref ast.Ref) {
	root := s.shapes["data"]
	if len(ref) < 3 || ref[0].Value.Compare(ast.Var("data")) != 0 || ref[1].Value.Compare(ast.String("custom")) != 0 || root == nil {
		return
	}
	of := root.Properties["custom"]
	for i := 2; i < len(ref); i++ {
		name, isName := s.key(ref[i]).Value.(ast.String)
		if of == nil || !of.own || of.Type != "object" || !isName {
			return
		}
		below, there := of.Properties[string(name)]
		if !there {
			l.missingCustom(at, ref[:i], string(name), of)
			return
		}
		of = below
	}
}

func (l *linter) missingCustom(at *ast.Location, ref ast.Ref, name string, of *shape) {
	whole := ref.Append(ast.StringTerm(name))
	if len(of.Properties) == 0 {
		l.add(at, "missing-custom", "%s is not in data.json: %s holds nothing there", whole, ref)
		return
	}
	l.add(at, "missing-custom", "%s is not in data.json%s", whole, meant(ref, name, of))
}
