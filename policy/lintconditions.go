package policy

import (
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// comparisons are the operators that compare two terms, and whether they order them.
var comparisons = map[string]bool{
	ast.Equality.Name: false, ast.Equal.Name: false, ast.NotEqual.Name: false,
	ast.LessThan.Name: true, ast.LessThanEq.Name: true, ast.GreaterThan.Name: true, ast.GreaterThanEq.Name: true,
}

// textAmounts are the fields that hold an amount as text.
var textAmounts = []string{"amount", "fee", "gas_price", "gas_limit", "quantity", "max", "above", "max_fee"}

var capitalAddress = regexp.MustCompile(`^0x[0-9a-fA-F]*[A-F][0-9a-fA-F]*$`)

// conditions looks at the expressions of one rule.
func (l *linter) conditions(s scope, r *ast.Rule, test bool) {
	ast.WalkTerms(ruleWithoutElse(r), func(t *ast.Term) bool {
		switch v := t.Value.(type) {
		case ast.Ref:
			l.checkRef(s, t.Location, v)
		case ast.Call:
			l.objectGet(s, t.Location, v)
		}
		return false
	})
	ast.WalkExprs(ruleWithoutElse(r), func(e *ast.Expr) bool {
		if terms, isCall := e.Terms.([]*ast.Term); isCall {
			l.objectGet(s, e.Location, terms)
		}
		l.condition(s, e, test, slices.Contains(outcomes, ruleName(r)))
		return false
	})
	if !test {
		l.contradictions(r.Body)
		l.absences(s, r)
	}
}

// objectGet tells of object.get(input.tx, "walet_id", ""), which gives the default for ever.
func (l *linter) objectGet(s scope, at *ast.Location, call []*ast.Term) {
	if len(call) < 3 || call[0].String() != ast.ObjectGet.Name {
		return
	}
	path := []*ast.Term{call[2]}
	if list, isList := call[2].Value.(*ast.Array); isList {
		path = path[:0]
		list.Foreach(func(t *ast.Term) { path = append(path, t) })
	}
	of := s.of(call[1])
	ref, isRef := call[1].Value.(ast.Ref)
	if !isRef {
		ref = ast.Ref{call[1]}
	}
	for _, key := range path {
		below, known := of.step(key.Value)
		if !known {
			l.unknownField(at, ref.Append(key), len(ref), of)
			return
		}
		of, ref = below, ref.Append(key)
	}
}

// written is an expression as it stands in the module, on one line.
func written(e *ast.Expr) string {
	if e.Location == nil || len(e.Location.Text) == 0 {
		return oneLine(e.String(), maxWritten)
	}
	return oneLine(strings.Join(strings.Fields(string(e.Location.Text)), " "), maxWritten)
}

// maxWritten bounds how much of a module a finding repeats, in bytes.
const maxWritten = 120

// ruleWithoutElse is the rule without those behind its else, which are looked at by themselves.
func ruleWithoutElse(r *ast.Rule) *ast.Rule {
	own := *r
	own.Else = nil
	return &own
}

// condition looks at one expression; has says that its rule has its say in the decision.
func (l *linter) condition(s scope, e *ast.Expr, test, has bool) {
	switch terms := e.Terms.(type) {
	case *ast.Term:
		if b, isBool := terms.Value.(ast.Boolean); isBool && has && !test && bool(b) == e.Negated { // a helper may be switched off so
			l.add(e.Location, "never-true", "the condition `%s` cannot hold", written(e))
		}
	case []*ast.Term:
		operator := terms[0].String()
		switch orders, compares := comparisons[operator]; {
		case compares && len(terms) == 3:
			l.comparison(s, e, operator, orders, terms[1], terms[2], test)
		case strings.HasPrefix(operator, "internal.member_2") && len(terms) == 3 && !test:
			l.membership(s, e, terms[1], terms[2])
		case !e.Negated && !test:
			l.match(s, e, operator, terms[1:])
		}
	}
}

func (l *linter) comparison(s scope, e *ast.Expr, operator string, orders bool, a, b *ast.Term, test bool) {
	if a.IsGround() && b.IsGround() && isConstant(a) && isConstant(b) {
		if !test && compares(operator, a.Value.Compare(b.Value)) == e.Negated {
			l.add(e.Location, "never-true", "the condition `%s` cannot hold", written(e))
		}
		return
	}
	if orders || operator == ast.NotEqual.Name {
		if a.Equal(b) && compares(operator, 0) == e.Negated {
			l.add(e.Location, "never-true", "the condition `%s` cannot hold: it compares a thing with itself", written(e))
		}
	}
	left, right := s.of(a), s.of(b)
	if orders && (l.amountText(e, a, left, right) || l.amountText(e, b, right, left)) || left == nil || right == nil {
		return
	}
	switch x, y := left.kind(), right.kind(); {
	case x == "null" && right.nullable, y == "null" && left.nullable:
	case x == "null" || y == "null":
		l.add(e.Location, "type-mismatch", "`%s`: it is never null; what is not known is absent, so ask `not is_%s(...)`", written(e), theOther(x, y))
	case (left.mixed || right.mixed) && !orders:
	case x != y || left.mixed || right.mixed:
		l.add(e.Location, "type-mismatch", "`%s` compares a %s with a %s", written(e), left.said(), right.said())
	case !orders && !test:
		l.text(e, operator, a, left, b)
		l.text(e, operator, b, right, a)
		l.ownCapitals(e.Location, a, left, right.capital)
		l.ownCapitals(e.Location, b, right, left.capital)
	}
}

func theOther(x, y string) string {
	if x == "null" {
		return y
	}
	return x
}

// compares evaluates a comparison of two values of which a.Compare(b) is c.
func compares(operator string, c int) bool {
	switch operator {
	case ast.NotEqual.Name:
		return c != 0
	case ast.LessThan.Name:
		return c < 0
	case ast.LessThanEq.Name:
		return c <= 0
	case ast.GreaterThan.Name:
		return c > 0
	case ast.GreaterThanEq.Name:
		return c >= 0
	}
	return c == 0
}

func isConstant(t *ast.Term) bool {
	switch t.Value.(type) {
	case ast.String, ast.Number, ast.Boolean, ast.Null:
		return true
	}
	return false
}

// kind is the shape's type, as comparisons see it.
func (s *shape) kind() string {
	if s.Type == "integer" {
		return "number"
	}
	return s.Type
}

// said is the kind as a message has it.
func (s *shape) said() string {
	if s.mixed {
		return "value that is a text here and no text there"
	}
	return s.kind()
}

// amountText tells of an amount that is compared as text.
func (l *linter) amountText(e *ast.Expr, t *ast.Term, of, other *shape) bool {
	if of == nil || !of.amount || other != nil && other.Type == "null" {
		return false
	}
	instead := "the integer in base units beside it"
	if ref, isRef := t.Value.(ast.Ref); isRef {
		instead = integerBeside(ref)
	}
	l.add(e.Location, "amount-as-text", "`%s`: %s is the text as it was sent or written, no number; compare %s", written(e), oneLine(t.String(), maxWritten), instead)
	return true
}

// integerBeside names the integer that belongs to an amount as text.
func integerBeside(ref ast.Ref) string {
	name, _ := ref[len(ref)-1].Value.(ast.String)
	switch name {
	case "gas_price":
		return "input.tx.gas.price_base"
	case "gas_limit":
		return "input.tx.gas.limit"
	}
	if ref.HasPrefix(ast.MustParseRef("input.request")) {
		return "input.tx." + string(name) + "_base"
	}
	if ref.HasPrefix(ast.MustParseRef("input.evidence.transfer")) {
		return "input.tx.amount_base"
	}
	return ref.String() + "_base"
}

// text tells of a text that the other side cannot be equal to.
func (l *linter) text(e *ast.Expr, operator string, t *ast.Term, of *shape, other *ast.Term) {
	ref, isRef := t.Value.(ast.Ref)
	value, isText := other.Value.(ast.String)
	if !isRef || !isText {
		return
	}
	if len(of.Enum) > 0 && !slices.Contains(of.Enum, string(value)) {
		said := `"` + strings.Join(of.Enum, `", "`) + `"`
		l.add(e.Location, "unknown-value", "%s is never %q: it is one of %s", ref, string(value), said)
	}
	l.capitals(e, ref, value)
}

func (l *linter) capitals(e *ast.Expr, ref ast.Ref, value ast.String) {
	if !capitalAddress.MatchString(string(value)) || isOpen(ref) {
		return
	}
	l.add(e.Location, "address-case", "%s is never %q: rules see it in lower case", ref, string(value))
}

// isOpen says that a reference is into a part of the input that is not in canonical form.
func isOpen(ref ast.Ref) bool {
	if len(ref) < 2 {
		return false
	}
	member, _ := ref[1].Value.(ast.String)
	if !isInput(ref) {
		return ref[0].Equal(ast.DefaultRootDocument) && member == "custom"
	}
	switch member {
	case "tx_info", "evidence", "unknown_fields", "request", "brc20", "runes":
		return true
	}
	return false
}

// membership looks at `x in {...}`.
func (l *linter) membership(s scope, e *ast.Expr, t, in *ast.Term) {
	ref, isRef := t.Value.(ast.Ref)
	of := s.of(t)
	if list := s.of(in).elements(); list != nil && of != nil {
		if x, y := of.kind(), list.kind(); x != y && !list.mixed && !of.mixed && x != "null" && y != "null" {
			l.add(e.Location, "type-mismatch", "`%s` looks for a %s in a list of a %s each", written(e), x, y)
			return
		}
		l.ownCapitals(e.Location, t, of, list.capital)
	}
	if !isRef || of == nil || of.Type != "string" {
		return
	}
	each := func(element *ast.Term) {
		switch v := element.Value.(type) {
		case ast.String:
			l.text(e, ast.Equal.Name, t, of, element)
		case ast.Number, ast.Boolean, ast.Null:
			l.add(e.Location, "type-mismatch", "`%s`: %s is a string, and %v is not", written(e), ref, v)
		}
	}
	switch v := in.Value.(type) {
	case ast.Set:
		v.Foreach(each)
	case *ast.Array:
		v.Foreach(each)
	}
}

// match tells of patterns and parts of text that match more than they name.
func (l *linter) match(s scope, e *ast.Expr, operator string, args []*ast.Term) {
	if len(args) < 2 {
		return
	}
	switch operator {
	case ast.RegexMatch.Name:
		pattern, isText := args[0].Value.(ast.String)
		text := string(pattern)
		if isText && isInputText(s, args[1]) && !anchored(text) {
			l.add(e.Location, "loose-match", "the pattern %q is not anchored: it matches every text that has it inside", text)
		}
	case ast.Contains.Name, ast.StartsWith.Name, ast.EndsWith.Name:
		if isInputText(s, args[0]) {
			l.add(e.Location, "loose-match", "`%s` also holds for every other text with this part", written(e))
		}
	}
}

func anchored(pattern string) bool {
	begins := strings.HasPrefix(pattern, "^") || strings.HasPrefix(pattern, `\A`)
	ends := strings.HasSuffix(pattern, "$") && !strings.HasSuffix(pattern, `\$`) || strings.HasSuffix(pattern, `\z`)
	if !begins || !ends {
		return false
	}
	depth := 0
	for i := 0; i < len(pattern); i++ { // ^a|b$ is anchored on one side each
		switch pattern[i] {
		case '\\':
			i++
		case '(', '[':
			depth++
		case ')', ']':
			depth--
		case '|':
			if depth <= 0 {
				return false
			}
		}
	}
	return true
}

// isInputText says that a term is text of the input.
func isInputText(s scope, t *ast.Term) bool {
	ref, isRef := t.Value.(ast.Ref)
	if !isRef || ref[0].Value.Compare(ast.Var("data")) == 0 {
		return false
	}
	of := s.of(t)
	return of != nil && of.Type == "string"
}

// contradictions tells of a body that wants one thing to be two.
func (l *linter) contradictions(body ast.Body) {
	wanted := map[string]*ast.Term{}
	for _, e := range body {
		terms, isCall := e.Terms.([]*ast.Term)
		if !isCall || e.Negated || len(terms) != 3 || terms[0].String() != ast.Equal.Name && terms[0].String() != ast.Equality.Name {
			continue
		}
		t, value := terms[1], terms[2]
		if isConstant(t) {
			t, value = value, t
		}
		ref, isRef := t.Value.(ast.Ref)
		if !isRef || !ref.IsGround() || !isConstant(value) {
			continue
		}
		if before := wanted[ref.String()]; before != nil && !before.Equal(value) {
			l.add(e.Location, "never-true", "%s cannot be %s and %s at once", ref, before, value)
		}
		wanted[ref.String()] = value
	}
}

// absences tells of what an allow finds missing and takes for good.
func (l *linter) absences(s scope, r *ast.Rule) {
	if ruleName(r) != "allow" {
		return
	}
	for _, e := range r.Body {
		for _, inner := range negated(e) {
			var missing ast.Ref
			ast.WalkRefs(inner, func(ref ast.Ref) bool {
				if missing == nil && l.mayBeMissing(s, ref, r.Body) {
					missing = ref
				}
				return false
			})
			if missing != nil {
				l.add(e.Location, "allow-by-absence", "`%s` also holds where %s is missing", written(e), missing)
			}
		}
	}
}

// negated returns what an expression denies.
func negated(e *ast.Expr) []*ast.Expr {
	if n, isNot := e.Terms.(*ast.Not); isNot {
		return n.Body
	}
	if !e.Negated {
		return nil
	}
	plain := e.Copy()
	plain.Negated = false
	return []*ast.Expr{plain}
}

// mayBeMissing says that a part of a reference into the input can be undefined, and that nothing else in the body asks for it.
func (l *linter) mayBeMissing(s scope, ref ast.Ref, body ast.Body) bool {
	if ref[0].Value.Compare(ast.Var("input")) != 0 || len(ref) < 3 {
		return false
	}
	for i := 1; i < len(ref); i++ {
		below, _, _ := s.walk(ref[:i])
		if below != nil && below.nullable && asksForObject(body, ref[:i]) {
			known := *below
			known.nullable = false
			below = &known
		}
		if below.optional(ref[i].Value) && !asksFor(body, ref[:i+1]) {
			return true
		}
	}
	return false
}

// asksForObject says that a body fails where a reference is null: by is_object, or for tx by lib.kind == "transaction".
func asksForObject(body ast.Body, ref ast.Ref) bool {
	for _, e := range body {
		terms, isCall := e.Terms.([]*ast.Term)
		switch {
		case !isCall || e.Negated:
		case len(terms) == 2 && terms[0].String() == ast.IsObject.Name && terms[1].Value.Compare(ref) == 0:
			return true
		case len(terms) == 3 && terms[0].String() == ast.Equal.Name && ref.String() == "input.tx" && strings.HasSuffix(terms[1].String(), "lib.kind"):
			return terms[2].Value.Compare(ast.String("transaction")) == 0
		}
	}
	return false
}

// asksFor says that an expression of a body fails where a reference is undefined.
func asksFor(body ast.Body, ref ast.Ref) bool {
	for _, e := range body {
		if e.Negated {
			continue
		}
		if _, isNot := e.Terms.(*ast.Not); isNot {
			continue
		}
		found := false
		ast.WalkRefs(e, func(other ast.Ref) bool {
			found = found || other.HasPrefix(ref)
			return found
		})
		if found {
			return true
		}
	}
	return false
}
