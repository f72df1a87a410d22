package policy_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/rego"
)

// ofEveryForm has what is shared, and what is not, in every form that a rule can have.
const ofEveryForm = `package countersign.rules.own

import data.countersign.lib

names := {"a": {"x", input.tx.chain}, "b": [1, 1, lib.kind, [y | some y in [1, 2]]]}

default limit(_) := 0

limit(x) := 1 if {
	is_string(input.tx.chain)
	x == input.tx.chain
} else := 2 if {
	every k, v in input.tx.gas {
		k != v
		v != data.custom[input.tx.chain]
	}
} else := 3 if {
	not input.tx.gas.limit == 1
	input.tx.chain == "ETH"
}

by[name] := total if {
	some name, wanted in names
	total := count({w | some w in wanted; w != name})
	object.get({n: v | some n, v in input.tx}, "chain", null) != null
}

odd if input.tx.chain == "ETH" with input.tx.chain as "BTC"
`

// TestSharing: what is shared says the same, from the same lines, and every reference and comprehension stays a term of its own, by which
// readsFinder knows those of which only the type is asked.
func TestSharing(t *testing.T) {
	s, err := policy.Load(rego.FS(), "../rego/data.json")
	must(t, err)
	s.Modules["own.rego"] = []byte(ofEveryForm)
	plain, shared, err := s.Compiled()
	must(t, err)
	for name, m := range shared {
		for _, r := range plain[name].Rules {
			for each := r; each != nil; each = each.Else {
				each.Annotations = nil
			}
		}
		plain[name].Annotations = nil
		if got, want := m.String(), plain[name].String(); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
		if got, want := lines(m), lines(plain[name]); !slices.Equal(got, want) {
			t.Errorf("%s: lines\n%v\nwant\n%v", name, got, want)
		}
		for _, r := range m.Rules {
			for each := r; each != nil; each = each.Else {
				if each.Module != m {
					t.Errorf("%s:%d: a rule is not of its module", name, r.Location.Row)
				}
			}
		}
		if got, want := len(ownTerms(m)), len(ownTerms(plain[name])); got != want {
			t.Errorf("%s: %d references and comprehensions, want %d", name, got, want)
		}
		if got, want := len(inputTerms(m)), len(inputTerms(plain[name])); got > 3 || name == "own.rego" && want < 6 {
			t.Errorf("%s: %d terms for the input, and unshared %d", name, got, want)
		}
	}
	if len(shared) < 20 {
		t.Errorf("%d modules", len(shared))
	}
}

// ownTerms are the terms of rules that are references or comprehensions.
func ownTerms(m *ast.Module) map[*ast.Term]bool {
	return terms(m, func(t *ast.Term) bool {
		switch t.Value.(type) {
		case ast.Ref, *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension:
			return true
		}
		return false
	})
}

func inputTerms(m *ast.Module) map[*ast.Term]bool { return terms(m, ast.InputRootDocument.Equal) }

func terms(m *ast.Module, such func(*ast.Term) bool) map[*ast.Term]bool {
	out := map[*ast.Term]bool{}
	for _, r := range m.Rules {
		ast.WalkTerms(r, func(t *ast.Term) bool {
			if such(t) {
				out[t] = true
			}
			return false
		})
	}
	return out
}

// lines are those of a module's rules and expressions, in order.
func lines(m *ast.Module) (out []string) {
	add := func(at *ast.Location) bool {
		if at == nil {
			out = append(out, "")
		} else {
			out = append(out, fmt.Sprintf("%s:%d", at.File, at.Row))
		}
		return false
	}
	for _, r := range m.Rules {
		for each := r; each != nil; each = each.Else {
			add(each.Location)
			add(each.Head.Location)
		}
		ast.WalkExprs(r, func(e *ast.Expr) bool { return add(e.Location) })
	}
	return out
}
