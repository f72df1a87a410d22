package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
)

// InputValue reads a recorded input as a policy sees it that looks at all of it.
func InputValue(b []byte) (ast.Value, error) {
	d, err := readDocument(b, nil)
	if err != nil {
		return nil, err
	}
	return d.whole()
}

// CheckInput is the check that reading has to be as strict as.
func CheckInput(b []byte) error { return checkJSON(b, maxInputSize, false, false) }

// InParts reports whether the engine asks its policy package by package.
func (e *Engine) InParts() bool { return e.parts != nil }

// Whole returns the engine that asks the same policy as a whole.
func (e *Engine) Whole() *Engine {
	whole := *e
	whole.parts = nil
	return &whole
}

// Over builds an engine of another source as a reload does once that is proven: where it has the same modules, they are not compiled
// again.
func (e *Engine) Over(ctx context.Context, s *Source) (*Engine, error) {
	return NewUntested(ctx, Config{Source: s, Timeout: e.timeout, proven: true, like: e})
}

// MaxRemembered is how many answers about the same parts of the input are remembered at the most.
const MaxRemembered = maxRemembered

// MostRemembered is how many there are of those of which there are the most.
func (e *Engine) MostRemembered() int {
	most := 0
	for _, p := range []*program{e.parts.plain, e.parts.any} {
		for _, m := range p.groups {
			most = max(most, len(m.answers))
		}
	}
	return most
}

// Remembered is how many answers the engine remembers.
func (e *Engine) Remembered() int {
	n := 0
	for _, p := range []*program{e.parts.plain, e.parts.any} {
		for _, m := range p.groups {
			n += len(m.answers)
		}
	}
	return n
}

// SharesModules reports whether two engines have one set of compiled modules.
func (e *Engine) SharesModules(other *Engine) bool { return e.compiler == other.compiler }

// LeftToOPA are the rules that are asked each time and that OPA has to evaluate.
func (e *Engine) LeftToOPA() (rules []string) {
	for _, p := range []*program{e.parts.plain, e.parts.any} {
		for i, l := range p.left {
			if !p.direct.known.has(i) {
				rules = append(rules, l.says.String())
			}
		}
	}
	return rules
}

// AskedOPA reports whether OPA was asked for rules that are asked each time, by themselves.
func (e *Engine) AskedOPA() bool {
	asked := false
	for _, p := range []*program{e.parts.plain, e.parts.any} {
		asked = asked || p.rest != nil && len(p.rest.queries) > 0
	}
	return asked
}

// WithoutWhole returns the engine that fails where it would ask the policy as a whole.
func (e *Engine) WithoutWhole() *Engine {
	parts := *e
	parts.query = rego.PreparedEvalQuery{}
	return &parts
}

// Compiled are the modules of a policy as OPA's compiler leaves them, and the same with what is alike in them shared.
func (s *Source) Compiled() (plain, shared map[string]*ast.Module, err error) {
	for i := range 2 {
		modules, err := s.parse()
		if err != nil {
			return nil, nil, err
		}
		maps.DeleteFunc(modules, func(name string, _ *ast.Module) bool { return isTest(name) })
		c := newCompiler()
		if c.Compile(modules); c.Failed() {
			return nil, nil, c.Errors
		}
		if i == 1 {
			newSharing(termsOfPolicy).modules(c.Modules)
			return plain, c.Modules, nil
		}
		plain = c.Modules
	}
	return nil, nil, nil
}

// FileData is the type of data.json as it is written.
var FileData = reflect.TypeFor[fileData]()

// AddressList is the type of its lists of addresses.
var AddressList = reflect.TypeFor[addressList]()

// QuickInput reports whether an input is written without encoding/json.
func (e *Engine) QuickInput(in Input) bool {
	_, ok := in.write(e.spans())
	return ok && in.validate() == nil
}

// SameInput reports whether an input is written as encoding/json writes it, with the parts that reading it finds, or not at all:
// the parts that the policy looks at, and all that have names.
func (e *Engine) SameInput(t testing.TB, in Input) bool {
	return sameInput(t, in, e.spans()) && sameInput(t, in, allSpans)
}

var allSpans = func() *spanTable {
	r := reads{{"windows", "usdt-a-day"}: readsWhole, {"tx_info", "amount"}: readsWhole}
	for _, f := range jsonFields(reflect.TypeFor[Input]()) {
		r[inputPath{f.name}] = readsWhole
		for _, m := range jsonFields(f.of) {
			r[inputPath{f.name, m.name}] = readsWhole
		}
	}
	t, _ := newSpanTable(r)
	return t
}()

func sameInput(t testing.TB, in Input, table *spanTable) bool {
	b, d, err := in.canonical(table)
	want, wantErr := in.marshal()
	if in.validate() != nil || wantErr != nil {
		return err != nil
	}
	read, wantErr := readDocument(want, table)
	if wantErr != nil || err != nil {
		return wantErr != nil && err != nil
	}
	same := bytes.Equal(b, want) && len(d.places) == len(read.places)
	for i := range read.places {
		if same && ((d.span(i) == nil) != (read.span(i) == nil) || !bytes.Equal(d.span(i), read.span(i))) {
			t.Logf("part %d: %s, and read: %s", i, d.span(i), read.span(i))
			same = false
		}
	}
	return same
}

// PlainJSON reports whether JSON is plain that stands by itself, and finds the members of an object.
func PlainJSON(b []byte) (bool, map[string][]byte) {
	var names map[string]json.RawMessage
	json.Unmarshal(b, &names) // of what is no object nothing is found
	at := spanned{members: map[string]int{}}
	for name := range names {
		at.members[name] = len(at.members)
	}
	s := plainScanner{b: b, depth: maxJSONDepth, members: &at, places: make(places, len(names))}
	plain := s.all()
	d, found := inputDoc{json: b, places: s.places}, map[string][]byte{}
	for name, i := range at.members {
		if d.span(i) != nil {
			found[name] = d.span(i)
		}
	}
	return plain, found
}

// MemberOf is the value of an object's member.
func MemberOf(b []byte, name string) ([]byte, error) { return memberOf(b, name) }

// MaxConclusions is how many decisions are kept at the most.
const MaxConclusions = maxConclusions

// Conclusions is how many decisions the engine has kept.
func (e *Engine) Conclusions() int { return len(e.concluded.decisions) }

// MaxJoint is how many answers about all of an input are remembered where no input is like another one.
const MaxJoint = missesAtFirst

// Joint is how many answers about all steady parts of plain inputs are remembered.
func (e *Engine) Joint() int { return len(e.parts.plain.joint.memory.answers) }

// IsName is whether something may have this name.
func IsName(text string) bool { return isName(text) }

// UnjudgedPowers are the methods that data.json may list under powers only.
var UnjudgedPowers = unjudgedPowers

// TakenApart reports whether modules can be taken apart.
func TakenApart(modules map[string]*ast.Module) bool {
	return newParts(modules, newCompiler(), documents{}) != nil
}

func (in *Input) validate() error { return errors.Join(in.consistent(), in.exact()) }

// CheckGiven fails the test where what is given of an input that is written by hand is not what is read from its JSON.
func (e *Engine) CheckGiven(t testing.TB, in Input) {
	t.Helper()
	doc, ok := in.write(e.spans())
	if !ok {
		return
	}
	read := doc
	read.given = given{}
	for _, p := range []*program{e.parts.plain, e.parts.any} {
		at := p.direct.given
		if at.to < 0 || at.amount < 0 || at.amountBase < 0 || at.gas < 0 || at.movements < 0 || at.windows < 0 {
			t.Fatalf("nobody looks at some of %+v", at)
		}
		a, b := directInput{directly: p.direct, document: &doc}, directInput{directly: p.direct, document: &read}
		same := func(what string, got, want *ast.Term, gotErr, wantErr error) {
			t.Helper()
			if (got == nil) != (want == nil) || got != nil && got.Value.Compare(want.Value) != 0 || gotErr != wantErr {
				t.Fatalf("%s: %v, %v is given, and %v, %v is read, of %s", what, got, gotErr, want, wantErr, doc.json)
			}
		}
		for _, part := range []int{at.to, at.amount, at.amountBase, at.gas, at.movements, at.windows} {
			got, gotErr := a.Part(part)
			want, wantErr := b.Part(part)
			same("a part", got, want, gotErr, wantErr)
			for _, name := range []string{"price_base", "limit", "fee_base", "source", "usdt-a-day", "1", "nothing", ""} {
				for _, names := range [][]string{{name}, {name, "used"}, {name, "reserved"}, {name, "after"}, {name, "more"}} {
					got, gotOK, gotErr := a.Member(part, names)
					want, wantOK, wantErr := b.Member(part, names)
					if same("a member", got, want, gotErr, wantErr); gotOK != wantOK {
						t.Fatalf("%v of part %d: %v, %v", names, part, gotOK, wantOK)
					}
				}
			}
		}
		names := []string{"to", "kind", "amount_base", "contract", "more", "token_id"}
		list, ok, err := a.Elements(at.movements, names)
		whole, wholeErr := b.Part(at.movements)
		if !ok {
			if err != nil || whole != nil && in.Call != nil {
				t.Fatalf("%v, %v is not given", whole, err)
			}
			continue
		}
		elements := whole.Value.(*ast.Array)
		if len(list) != elements.Len()*len(names) {
			t.Fatalf("%d members of %v", len(list), elements)
		}
		for i, got := range list {
			same("an element", got, elements.Elem(i/len(names)).Value.(ast.Object).Get(ast.StringTerm(names[i%len(names)])), err, wholeErr)
		}
	}
}
