package policy

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// scope tells the shapes of what names stand for at a place of a module, as far as the schemas of input and data say.
type scope struct {
	shapes map[ast.Var]*shape // input and data
	module map[ast.Var]*shape // imports, and rules that are another name for a part of input or data
	locals map[ast.Var]*shape
	pkg    string              // path of the module's package
	params map[string][]*shape // of functions, by path
}

// scopeOf reads a module's imports, and its rules of one definition without arguments.
func (l *linter) scopeOf(m *ast.Module, test bool) scope {
	s := scope{shapes: l.shapes, module: map[ast.Var]*shape{}, pkg: m.Package.Path.String(), params: l.params}
	if test {
		s.shapes = l.open
	}
	for _, i := range m.Imports {
		if ref, ok := i.Path.Value.(ast.Ref); ok {
			if found, _, ok := s.walk(ref); ok && found != nil {
				s.module[ast.Var(importName(i))] = found
			}
		}
	}
	definitions := map[string]int{}
	for _, r := range m.Rules {
		definitions[ruleName(r)]++
	}
	for range 2 { // a rule may stand before the one that it names
		for _, r := range m.Rules {
			name := ruleName(r)
			if definitions[name] == 1 && r.Else == nil && !r.Default && len(r.Head.Args) == 0 && len(r.Head.Ref()) == 1 &&
				r.Head.RuleKind() == ast.SingleValue && r.Head.Value != nil {
				s.module[ast.Var(name)] = s.in(r).of(r.Head.Value)
			}
		}
	}
	return s
}

// in adds the variables of a rule. A name that is bound to different things is one of which nothing is known.
func (s scope) in(r *ast.Rule) scope {
	s.locals = map[ast.Var]*shape{}
	given := s.params[s.pkg+"."+r.Head.Ref().String()]
	for i, arg := range r.Head.Args {
		ast.WalkVars(arg, func(v ast.Var) bool { s.locals[v] = nil; return false })
		if v := varOf(arg); v != "" && i < len(given) {
			s.locals[v] = given[i]
		}
	}
	for range 2 {
		bound := map[ast.Var]int{}
		bind := func(t *ast.Term, to *shape) {
			v, isVar := t.Value.(ast.Var)
			if !isVar {
				return
			}
			if known, twice := s.locals[v]; twice && bound[v] > 0 && known != to {
				to = nil
			}
			bound[v]++
			s.locals[v] = to
		}
		ast.WalkExprs(r, func(e *ast.Expr) bool {
			s.binds(e, bind)
			return false
		})
	}
	return s
}

// binds tells what an expression binds to variables.
func (s scope) binds(e *ast.Expr, bind func(*ast.Term, *shape)) {
	switch terms := e.Terms.(type) {
	case *ast.SomeDecl:
		for _, symbol := range terms.Symbols {
			call, isCall := symbol.Value.(ast.Call)
			switch {
			case isCall && len(call) == 3:
				bind(call[1], s.of(call[2]).elements())
			case isCall && len(call) == 4:
				bind(call[1], nil)
				bind(call[2], s.of(call[3]).elements())
			default:
				bind(symbol, nil)
			}
		}
	case *ast.Every:
		if terms.Key != nil {
			bind(terms.Key, nil)
		}
		bind(terms.Value, s.of(terms.Domain).elements())
	case []*ast.Term:
		if len(terms) == 3 && (terms[0].String() == ast.Assign.Name || terms[0].String() == ast.Equality.Name) {
			if _, known := s.locals[varOf(terms[1])]; terms[0].String() == ast.Assign.Name || !known {
				bind(terms[1], s.of(terms[2]))
			}
		}
	}
}

func varOf(t *ast.Term) ast.Var {
	v, _ := t.Value.(ast.Var)
	return v
}

// of returns the shape of a term, nil where nothing is known.
func (s scope) of(t *ast.Term) *shape {
	switch v := t.Value.(type) {
	case ast.Ref:
		found, _, _ := s.walk(v)
		return found
	case ast.Var:
		return s.named(v)
	case ast.String:
		return &shape{Type: "string", constant: string(v)}
	case ast.Number:
		return &shape{Type: "number"}
	case ast.Boolean:
		return &shape{Type: "boolean"}
	case ast.Null:
		return &shape{Type: "null"}
	}
	return nil
}

func (s scope) named(v ast.Var) *shape {
	if found, isLocal := s.locals[v]; isLocal {
		return found
	}
	if found, known := s.module[v]; known {
		return found
	}
	return s.shapes[v]
}

// walk follows a reference. ok is false where the part at the index failed is one that cannot be there.
func (s scope) walk(ref ast.Ref) (found *shape, failed int, ok bool) {
	head, isVar := ref[0].Value.(ast.Var)
	if !isVar {
		return nil, 0, true
	}
	found = s.named(head)
	for i, part := range ref[1:] {
		if i == 0 && head == "data" && part.Value.Compare(ast.String("countersign")) == 0 {
			return nil, 0, true // the policy's own packages
		}
		if found, ok = found.step(s.key(part).Value); !ok {
			return nil, i + 1, false
		}
	}
	return found, 0, true
}

// key is a part of a reference; a variable that stands for a known text is that text.
func (s scope) key(part *ast.Term) *ast.Term {
	v := varOf(part)
	if v == "" {
		return part
	}
	if of := s.named(v); of != nil && of.constant != "" {
		return &ast.Term{Value: ast.String(of.constant), Location: part.Location}
	}
	return part
}

// checkRef tells of a reference to what does not exist.
func (l *linter) checkRef(s scope, at *ast.Location, ref ast.Ref) {
	l.checkOwn(s, at, ref)
	l.checkCustom(s, at, ref)
	_, i, ok := s.walk(ref)
	if ok {
		return
	}
	ref = slices.Clone(ref)
	ref[i] = s.key(ref[i])
	before, _, _ := s.walk(ref[:i])
	l.unknownField(at, ref, i, before)
}

// unknownField says which field was meant.
func (l *linter) unknownField(at *ast.Location, ref ast.Ref, i int, before *shape) {
	if ref[i].Location != nil && ref[i].Location.File != "" && ref[i].Location.Row == at.Row {
		at = ref[i].Location
	}
	name, isName := ref[i].Value.(ast.String)
	switch {
	case !isName || before == nil || before.Type != "object":
		kind := "no object"
		if before != nil {
			kind = "of type " + before.Type
		}
		l.add(at, "unknown-field", "%s does not exist: %s is %s", ref[:i+1], ref[:i], kind)
		return
	case i == 1 && ref[0].Value.Compare(ast.Var("data")) == 0:
		l.add(at, "unknown-field", "%s does not exist (docs/POLICY.md, \"data.json\")%s; own data is data.custom", ref[:i+1], meant(ref[:i], string(name), before))
		return
	}
	l.add(at, "unknown-field", "%s does not exist%s", ref[:i+1], meant(ref[:i], string(name), before))
}

// meant names the nearest field, or, where none is near, all of them.
func meant(ref ast.Ref, name string, of *shape) string {
	names := sortedKeys(of.Properties)
	if near := nearest(name, names); near != "" {
		return ": did you mean " + ref.String() + "." + near + "?"
	}
	return ": there are " + strings.Join(names, ", ")
}
