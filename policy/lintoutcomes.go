package policy

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// members are the keys that an element of an outcome may have, those that it has to have first.
var members = map[string][]string{"allow": {"id", "message"}, "reject": {"id", "message"}, "wait": {"id", "message", "seconds", "requirement"}}

// needed is how many of members have to be there.
var needed = map[string]int{"allow": 1, "reject": 2, "wait": 3}

// collectIDs reads which ids rules declare, prove and require.
func (l *linter) collectIDs() {
	l.ids, l.produced, l.asked = map[string]bool{}, map[string]bool{}, map[string]bool{}
	for name, m := range l.modules {
		if isTest(name) {
			continue
		}
		for _, r := range m.Rules {
			l.ids[annotatedID(r)] = true
			outcome := ruleName(r)
			gives := outcome == "allow" || outcome == "wait"
			switch {
			case gives && m.Package.Path.String() != rootPackage && r.Head.Key != nil:
				if id, isText := idOf(r.Head.Key); isText {
					l.produced[id] = true
				} else {
					l.computed = true
				}
			case outcome == "reject" && r.Head.Key != nil:
			default:
				l.texts(r.Head)
			}
			l.texts(r.Body)
			if r.Else != nil {
				l.texts(r.Else)
			}
		}
	}
}

// texts notes every text that looks like an id: require may name it, by whatever way.
func (l *linter) texts(x any) {
	ast.WalkTerms(x, func(t *ast.Term) bool {
		if text, isText := t.Value.(ast.String); isText && ruleIDPattern.MatchString(string(text)) {
			l.asked[string(text)] = true
		}
		return false
	})
}

// idOf is the id of an element that is written out.
func idOf(key *ast.Term) (string, bool) {
	obj, isObject := key.Value.(ast.Object)
	if !isObject {
		return "", false
	}
	id := obj.Get(ast.StringTerm("id"))
	if id == nil {
		return "", false
	}
	text, isText := id.Value.(ast.String)
	return string(text), isText
}

// checkOutcome looks at what a rule adds to allow, reject, wait or require.
func (l *linter) checkOutcome(r *ast.Rule, name string) {
	if r.Head.RuleKind() != ast.MultiValue {
		l.add(r.Location, "outcome-shape", "rule %s: it has to be a set, written `%s contains ... if { ... }`", name, name)
		return
	}
	if name == "require" {
		l.checkRequire(r)
		return
	}
	label := annotatedID(r)
	if label == "" {
		l.add(r.Location, "missing-id", "rule %s: its METADATA has no label id, which is what decisions and logs call it (docs/POLICY.md)", name)
	}
	obj, isObject := r.Head.Key.Value.(ast.Object)
	if !isObject {
		switch r.Head.Key.Value.(type) {
		case ast.Var, ast.Ref, ast.Call:
		default:
			l.add(r.Location, "outcome-shape", "rule %s: an element is an object such as {\"id\": %q}", name, "own.rule")
		}
		return
	}
	l.checkMembers(r, name, obj)
	id, written := idOf(r.Head.Key)
	switch {
	case !written:
	case label != "" && id != label && !l.ids[id]:
		l.add(r.Location, "outcome-shape", "rule %s: its id is %q, and the label of its METADATA %q; no rule declares the former", name, id, label)
	case name == "allow" && !l.asked[id]:
		l.add(r.Location, "unrequired-allow", "nothing requires %q, so that this allow decides nothing", id)
	}
}

func (l *linter) checkMembers(r *ast.Rule, name string, obj ast.Object) {
	known := members[name]
	constant := true
	obj.Foreach(func(k, v *ast.Term) {
		key, isText := k.Value.(ast.String)
		if !isText {
			constant = false
			return
		}
		if !slices.Contains(known, string(key)) {
			l.add(r.Location, "outcome-shape", "rule %s: an element has no member %q: there are %s", name, string(key), strings.Join(known, ", "))
		}
		switch v.Value.(type) {
		case ast.Number:
			if key != "seconds" {
				l.add(r.Location, "outcome-shape", "rule %s: %s is a number", name, string(key))
			}
		case ast.Boolean, ast.Null, *ast.Array, ast.Set:
			l.add(r.Location, "outcome-shape", "rule %s: %s is of another type than it has to be", name, string(key))
		case ast.String:
			if key == "seconds" {
				l.add(r.Location, "outcome-shape", "rule %s: seconds is a text: it has to be a whole number", name)
			}
		}
	})
	for _, key := range known[:needed[name]] {
		if constant && obj.Get(ast.StringTerm(key)) == nil {
			l.add(r.Location, "outcome-shape", "rule %s: an element has to have %s", name, strings.Join(known[:needed[name]], ", "))
			return
		}
	}
}

func (l *linter) checkRequire(r *ast.Rule) {
	switch id := r.Head.Key.Value.(type) {
	case ast.String:
		if !l.computed && !l.produced[string(id)] {
			l.add(r.Location, "unprovable-require", "no allow and no wait gives %q: every request for which it is required is rejected", string(id))
		}
	case ast.Object, ast.Number, ast.Boolean, ast.Null, *ast.Array, ast.Set:
		l.add(r.Location, "outcome-shape", "rule require: an element is an id, such as \"own.rule\"")
	}
}

// checkTest tells of a test that asks nothing, or with an input that is none.
func (l *linter) checkTest(r *ast.Rule, name string) {
	if !strings.HasPrefix(name, "test_") {
		return
	}
	asks := false
	ast.WalkTerms(r, func(t *ast.Term) bool {
		switch v := t.Value.(type) {
		case ast.Ref:
			if _, builtin := ast.BuiltinMap[v.String()]; builtin {
				return true
			}
			asks = asks || v[0].Value.Compare(ast.Var("input")) != 0
		case ast.Var:
			asks = asks || !v.IsWildcard() && v != "input" && !isHead(r, v)
		}
		return false
	})
	if !asks {
		l.add(r.Location, "empty-test", "%s asks no rule: it passes whatever the policy does", name)
	}
	ast.WalkExprs(r, func(e *ast.Expr) bool {
		for _, w := range e.With {
			if ref, isRef := w.Target.Value.(ast.Ref); isRef {
				below, _, _ := scope{shapes: l.shapes}.walk(ref)
				if w.Target.Equal(ast.InputRootDocument) {
					below = l.shapes["input"]
				}
				l.testInput(below, w.Target.String(), w.Value)
			} else if w.Target.Equal(ast.InputRootDocument) {
				l.testInput(l.shapes["input"], "input", w.Value)
			}
		}
		return false
	})
}

func isHead(r *ast.Rule, v ast.Var) bool { return string(v) == ruleName(r) }

// testInput compares an object that a test writes out with what requests and data look like.
func (l *linter) testInput(s *shape, at string, value *ast.Term) {
	if s == nil || !strings.HasPrefix(at, "input") {
		return
	}
	switch v := value.Value.(type) {
	case ast.Object:
		v.Foreach(func(k, member *ast.Term) {
			name, isText := k.Value.(ast.String)
			if !isText {
				return
			}
			below, known := s.step(k.Value)
			if !known {
				l.add(k.Location, "test-input", "no request has %s.%s%s", at, string(name), meant(ast.MustParseRef("input"), string(name), s))
				return
			}
			l.testInput(below, at+"."+string(name), member)
		})
	case *ast.Array:
		v.Foreach(func(element *ast.Term) { l.testInput(s.elements(), at+"[_]", element) })
	}
}
