package policy

import (
	"context"
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/countersign-mpc/countersign/policy/direct"
)

// directly evaluates the rules that are left without OPA, as far as package direct knows how. It does not change; safe for
// concurrent use.
type directly struct {
	program *direct.Program
	rules   []directRule // by the program's numbers
	known   marks        // the rules that are left that are among them

	table *spanTable
	spans int            // how many parts of the input there are; items with a name follow
	last  []lastTerm     // by part
	fixed []bool         // by part: joint looks at all of it, so that it is the same for all inputs that are alike to joint
	items []*item        // behind them
	named map[string]int // their indexes, by the names under which OPA finds them
	given givenPlaces
}

// directRule is a rule that is left and evaluated directly.
type directRule struct {
	left    int // its index
	outcome string
	always  *verdict // what it says whenever it says something, nil if that depends on the input
}

// newDirectly compiles what is left of a program, over the data. What it cannot compile stays OPA's.
func newDirectly(p *program, base documents) *directly {
	d := &directly{
		table: p.table, spans: len(p.index), last: make([]lastTerm, len(p.index)), fixed: make([]bool, len(p.index)),
		items: p.items, named: map[string]int{}, given: newGivenPlaces(p.index),
	}
	for _, r := range p.joint.memory.reads {
		d.fixed[r.span] = r.kind == readsWhole
	}
	for path, i := range p.index {
		d.last[i].varies = p.fleeting[path]
	}
	for i, it := range p.items {
		if it.name != "" {
			d.named[groupName(it.group)+it.name] = i
		}
	}
	var err error
	if d.program, err = direct.New(direct.Config{
		Compiler: p.split, Data: base.values, Plain: base.plain, Part: d.part, Steady: d.steady,
	}); err != nil {
		return d // about such data OPA is asked
	}
	for i, c := range p.compiled {
		if c.set == nil {
			continue
		}
		if number, err := d.program.Add(c.set, func(t *ast.Term) bool { return c.indexed[t] }); err == nil {
			d.known.add(i)
			d.rules = append(d.rules, directRule{left: i, outcome: p.left[i].outcome, always: d.constant(number, p.left[i].outcome)})
		}
	}
	return d
}

// knows reports whether all rules that are left are evaluated without OPA.
func (d *directly) knows(all []left) bool {
	for i := range all {
		if !d.known.has(i) {
			return false
		}
	}
	return true
}

// compiledSet is what a rule says, as a query compiler leaves it; without a set where that is not one set.
type compiledSet struct {
	set     *ast.SetComprehension
	indexed map[*ast.Term]bool // the comprehensions in it that OPA would evaluate by an index
}

func compileSet(c *ast.Compiler, says *ast.Term) compiledSet {
	local := c.QueryCompiler()
	body, err := local.Compile(ast.NewBody(ast.Equality.Expr(ast.VarTerm("answer"), says)))
	if err != nil || len(body) != 1 || !body[0].IsEquality() || body[0].Negated {
		return compiledSet{}
	}
	set, isSet := body[0].Operand(1).Value.(*ast.SetComprehension)
	if !isSet {
		return compiledSet{}
	}
	out := compiledSet{set: set}
	ast.WalkTerms(set, func(t *ast.Term) bool {
		if local.ComprehensionIndex(t) != nil {
			if out.indexed == nil {
				out.indexed = map[*ast.Term]bool{}
			}
			out.indexed[t] = true
		}
		return false
	})
	return out
}

// constant is what a rule says whenever it says something, nil if that depends on the input or cannot be read.
func (d *directly) constant(number int, outcome string) *verdict {
	says := d.program.Constant(number)
	if says == nil {
		return nil
	}
	var v verdict
	if err := v.readElements(outcome, []*ast.Term{says}); err != nil {
		return nil
	}
	return &v
}

// part names a part of the input for package direct.
func (d *directly) part(ref ast.Ref) (part, length int, ok bool) {
	if len(ref) < 2 {
		return 0, 0, false
	}
	name, isString := ref[1].Value.(ast.String)
	if !isString {
		return 0, 0, false
	}
	var member ast.String
	if len(ref) > 2 {
		member, isString = ref[2].Value.(ast.String)
		isString = isString && member != ""
	} else {
		isString = false
	}
	if strings.HasPrefix(string(name), rememberedPrefix) {
		i, known := d.named[string(name+member)]
		return d.spans + i, 3, isString && known
	}
	s := d.table.of(string(name))
	if s == nil {
		return 0, 0, false
	}
	if i, known := s.members[string(member)]; isString && known {
		return i, 3, true
	}
	return s.index, 2, true
}

// steady reports whether a part is the same for all inputs of which the same is known.
func (d *directly) steady(part int) bool { return part >= d.spans || d.fixed[part] }

// values are those of the steady parts of an input, and so of all that are alike to joint; nil where they cannot be found, and then are
// looked for as in any part.
func (d *directly) values(doc *inputDoc, found []*remembered) (values *direct.Steady) {
	if d.program == nil {
		return nil
	}
	defer func() {
		if recover() != nil {
			values = nil
		}
	}()
	in := directInput{directly: d, document: doc, found: found}
	return d.program.Steady(in.Part)
}

// directInput is the input as package direct looks at it.
type directInput struct {
	*directly
	document *inputDoc
	found    []*remembered
	reader   termReader // of what varies
	elements []*ast.Term
}

var _ direct.Input = (*directInput)(nil)

func (in *directInput) Part(part int) (*ast.Term, error) {
	if part >= in.spans {
		it := in.items[part-in.spans]
		if r := in.found[it.group]; !r.odd {
			return r.terms[it.place], nil
		}
		return nil, direct.ErrNumber
	}
	last, span := &in.last[part], in.document.span(part)
	if last.varies {
		if v := in.document.given.part(&in.given, part); v != nil && len(span) > 0 {
			return in.reader.term(v), nil
		}
		return in.read(span)
	}
	t, plain, err := last.numbered(span)
	if err == nil && !plain {
		err = direct.ErrNumber
	}
	return t, err
}

// Member reads a member of what varies, and not the whole of it.
func (in *directInput) Member(part int, names []string) (t *ast.Term, ok bool, err error) {
	if part >= in.spans || !in.last[part].varies {
		return nil, false, nil
	}
	if v, is := in.document.given.member(&in.given, part, names); is {
		if v == nil {
			return nil, true, nil
		}
		return in.reader.term(v), true, nil
	}
	span := in.document.span(part)
	for _, name := range names {
		if span, err = memberOf(span, name); err != nil {
			return nil, false, err
		}
	}
	t, err = in.read(span)
	return t, true, err
}

// Elements are those of what moves, as far as that is given.
func (in *directInput) Elements(part int, names []string) (list []*ast.Term, ok bool, err error) {
	given := &in.document.given
	if !given.is || given.call == nil || part != in.given.movements {
		return nil, false, nil
	}
	begin := len(in.elements)
	for i := range given.call.Movements {
		for _, name := range names {
			var held *ast.Term
			if v := given.call.Movements[i].member(name); v != nil {
				held = in.reader.term(v)
			}
			in.elements = append(in.elements, held)
		}
	}
	return in.elements[begin:len(in.elements):len(in.elements)], true, nil
}

func (in *directInput) read(b []byte) (*ast.Term, error) {
	if len(b) == 0 {
		return nil, nil
	}
	t, plain, err := in.reader.read(b)
	if err == nil && !plain {
		err = direct.ErrNumber
	}
	return t, err
}

// evaluate finds what those of the active rules say that it knows, and tells which these are. After an error OPA has to be asked
// about all of them.
func (d *directly) evaluate(ctx context.Context, doc *inputDoc, k *known, steady *direct.Steady, a *asked) (known marks, err error) {
	for number, r := range d.rules {
		if k.active.has(r.left) {
			a.numbers = append(a.numbers, number)
			known.add(r.left)
		}
	}
	if len(a.numbers) == 0 {
		return known, nil
	}
	a.input.directly, a.input.document, a.input.found = d, doc, k.found
	err = d.program.Evaluate(ctx, &a.input, steady, a.numbers, func(number int, says ast.Set) error {
		if says != nil {
			a.says = append(a.says, directSays{number, says.Slice()})
		}
		return nil
	})
	if err != nil {
		return marks{}, fmt.Errorf("evaluate directly: %w", err)
	}
	return known, nil
}

// alwaysSays reports whether all rules that say something say what they always do, and notes which these are.
func (d *directly) alwaysSays(a *asked) bool {
	for i := range a.says {
		if d.rules[a.says[i].number].always == nil {
			return false
		}
		a.fired.add(a.says[i].number)
	}
	return true
}

// add adds what was said to the verdict. It fails for what cannot be read.
func (d *directly) add(a *asked) error {
	for _, s := range a.says {
		r := &d.rules[s.number]
		if r.always != nil {
			a.verdict.add(r.always)
			continue
		}
		if err := a.verdict.readElements(r.outcome, s.elements); err != nil {
			return err
		}
	}
	return nil
}
