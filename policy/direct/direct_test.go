package direct_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/countersign-mpc/countersign/policy/direct"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// rules are modules that are evaluated both ways.
type rules struct {
	compiler *ast.Compiler
	data     ast.Object
	store    storage.Store
	parts    []string // members of the input
	maxSteps int
}

// compileRules compiles modules, each with its name.
func compileRules(data string, modules map[string]string) (*rules, error) {
	parsed := map[string]*ast.Module{}
	for name, text := range modules {
		m, err := ast.ParseModuleWithOpts(name, text, ast.ParserOptions{RegoVersion: ast.RegoV1})
		if err != nil {
			return nil, err
		}
		parsed[name] = m
	}
	r := &rules{compiler: ast.NewCompiler()}
	if r.compiler.Compile(parsed); r.compiler.Failed() {
		return nil, r.compiler.Errors
	}
	r.data = ast.MustParseTerm(data).Value.(ast.Object)
	r.store = inmem.NewFromASTObject(r.data)
	return r, nil
}

// isSteady is so for two of three parts.
func isSteady(part int) bool { return part%3 != 1 }

// part tells the parts of the input by its members' names; there are no others.
func (r *rules) part(ref ast.Ref) (part, length int, ok bool) {
	if len(ref) < 2 {
		return 0, 0, false
	}
	name, isString := ref[1].Value.(ast.String)
	if !isString {
		return 0, 0, false
	}
	for i, known := range r.parts {
		if known == string(name) {
			return i, 2, true
		}
	}
	r.parts = append(r.parts, string(name))
	return len(r.parts) - 1, 2, true
}

type input struct {
	rules *rules
	value ast.Object
}

func (in input) Part(part int) (*ast.Term, error) {
	t := in.value.Get(ast.StringTerm(in.rules.parts[part]))
	if t != nil && !direct.PlainNumbers(t) {
		return nil, direct.ErrNumber
	}
	return t, nil
}

// Member has every other part looked at as a whole.
func (in input) Member(part int, names []string) (t *ast.Term, ok bool, err error) {
	if part%2 == 1 {
		return nil, false, nil
	}
	t = in.value.Get(ast.StringTerm(in.rules.parts[part]))
	for _, name := range names {
		if t == nil {
			break
		}
		object, isObject := t.Value.(ast.Object)
		if !isObject {
			return nil, true, nil
		}
		t = object.Get(ast.StringTerm(name))
	}
	if t != nil && !direct.PlainNumbers(t) {
		return nil, true, direct.ErrNumber
	}
	return t, true, nil
}

// Elements has parts looked at as Member has.
func (in input) Elements(part int, names []string) (list []*ast.Term, ok bool, err error) {
	if part%2 == 1 {
		return nil, false, nil
	}
	t := in.value.Get(ast.StringTerm(in.rules.parts[part]))
	if t == nil {
		return nil, false, nil
	}
	elements, isArray := t.Value.(*ast.Array)
	if !isArray {
		return nil, false, nil
	}
	for i := range elements.Len() {
		for _, name := range names {
			var held *ast.Term
			if object, isObject := elements.Elem(i).Value.(ast.Object); isObject {
				held = object.Get(ast.StringTerm(name))
			}
			if held != nil && !direct.PlainNumbers(held) {
				return nil, false, direct.ErrNumber
			}
			list = append(list, held)
		}
	}
	return list, true, nil
}

// question is a set, compiled both ways.
type question struct {
	rules  *rules
	local  ast.QueryCompiler
	body   ast.Body
	direct *direct.Program
	number int
}

// ask compiles a set comprehension; the error is that of package direct, or of Rego's compiler with broken set.
func (r *rules) ask(set string) (q *question, broken bool, err error) {
	q = &question{rules: r, local: r.compiler.QueryCompiler()}
	body, err := ast.ParseBodyWithOpts("answer = "+set, ast.ParserOptions{RegoVersion: ast.RegoV1})
	if err != nil {
		return nil, true, err
	}
	if q.body, err = q.local.Compile(body); err != nil {
		return nil, true, err
	}
	q.direct, err = direct.New(direct.Config{
		Compiler: r.compiler, Data: r.data, Part: r.part, Steady: isSteady, MaxSteps: r.maxSteps,
	})
	if err != nil {
		return nil, true, err
	}
	if len(q.body) != 1 {
		return nil, true, errors.New("it is no set alone")
	}
	c, isSet := q.body[0].Operand(1).Value.(*ast.SetComprehension)
	if !isSet {
		return nil, true, errors.New("it is no set")
	}
	q.number, err = q.direct.Add(c, func(t *ast.Term) bool { return q.local.ComprehensionIndex(t) != nil })
	return q, false, err
}

// directly is what package direct answers.
func (q *question) directly(ctx context.Context, value ast.Object) (string, error) {
	return q.steadily(ctx, value, nil)
}

// steadily is what it answers when the steady parts are known.
func (q *question) steadily(ctx context.Context, value ast.Object, steady *direct.Steady) (string, error) {
	answer := "set()"
	err := q.direct.Evaluate(ctx, input{q.rules, value}, steady, []int{q.number}, func(_ int, s ast.Set) error {
		if s != nil {
			answer = s.String()
		}
		return nil
	})
	return answer, err
}

// asOPA is what OPA answers.
func (q *question) asOPA(ctx context.Context, value ast.Object) (string, error) {
	txn, err := q.rules.store.NewTransaction(ctx)
	if err != nil {
		return "", err
	}
	defer q.rules.store.Abort(ctx, txn)
	answer := ""
	err = topdown.NewQuery(q.body).
		WithQueryCompiler(q.local).WithCompiler(q.rules.compiler).WithStore(q.rules.store).WithTransaction(txn).
		WithInput(ast.NewTerm(value)).WithStrictBuiltinErrors(true).
		Iter(ctx, func(r topdown.QueryResult) error {
			for _, t := range r {
				answer = t.String()
			}
			return nil
		})
	return answer, err
}

// outcome is what comes of one comparison.
type outcome int

const (
	same   outcome = iota // both answer, and alike
	failed                // both fail
	gaveUp                // package direct leaves it to OPA
)

// compare asks both ways, some times, and fails the test where OPA would say anything else: also of inputs that are alike in their steady
// parts, once what is known of those is used.
func (q *question) compare(t *testing.T, what string, value ast.Object) outcome {
	t.Helper()
	steady := q.direct.Steady(input{q.rules, value}.Part)
	is := q.compareKnown(t, what, value, nil, steady, steady) // the second time in what the first has used
	for i := len(what) % 3; i < len(caseInputs); i += 3 {
		q.compareKnown(t, what, q.rules.alike(value, object(t, caseInputs[i])), steady)
	}
	return is
}

// alike is an input with the steady parts of one and the others of another one.
func (r *rules) alike(one, another ast.Object) ast.Object {
	out := ast.NewObject()
	for i, name := range r.parts {
		key, from := ast.StringTerm(name), another
		if isSteady(i) {
			from = one
		}
		if v := from.Get(key); v != nil {
			out.Insert(key, v)
		}
	}
	return out
}

func (q *question) compareKnown(t *testing.T, what string, value ast.Object, steady ...*direct.Steady) (is outcome) {
	t.Helper()
	want, wantErr := q.asOPA(t.Context(), value)
	for _, known := range steady {
		got, err := q.steadily(t.Context(), value, known)
		switch {
		case err == nil && wantErr != nil:
			t.Fatalf("%s\ninput %v: answered %s, and OPA fails: %v", what, value, got, wantErr)
		case err == nil && got != want:
			t.Fatalf("%s\ninput %v: answered %s, and OPA %s", what, value, got, want)
		case err != nil && strings.Contains(err.Error(), "panic"):
			t.Fatalf("%s\ninput %v: %v", what, value, err)
		case err != nil && wantErr != nil:
			is = failed
		case err != nil:
			is = gaveUp
		}
	}
	return is
}

func object(t testing.TB, text string) ast.Object {
	t.Helper()
	term, err := ast.ParseTerm(text)
	must(t, err)
	return term.Value.(ast.Object)
}

// TestBreaksOff: an evaluation ends with its context, and after the steps that it may take.
func TestBreaksOff(t *testing.T) {
	r, err := compileRules(`{}`, map[string]string{"t.rego": "package t\n\nn := count([1 | some a in input.l; some b in input.l; some c in input.l; a + b + c < 0])\n"})
	must(t, err)
	q, _, err := r.ask("{x | x = data.t.n}")
	must(t, err)
	long := object(t, `{"l": [`+strings.Repeat("1,", 99)+`1]}`)
	if got, err := q.directly(t.Context(), long); err == nil {
		t.Errorf("a million steps are taken: %s", got)
	}
	if got, err := q.directly(t.Context(), object(t, `{"l": [1, 2]}`)); err != nil || got != "{0}" {
		t.Errorf("%s, %v", got, err)
	}
	r.maxSteps = 1 << 30
	if q, _, err = r.ask("{x | x = data.t.n}"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.directly(ctx, long); !errors.Is(err, context.Canceled) {
		t.Errorf("it goes on without its context: %v", err)
	}
	later := &countdown{Context: t.Context(), left: 3}
	if _, err := q.directly(later, long); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it goes on when its context has ended: %v", err)
	}
}

// TestTogether: evaluations at the same time know nothing of each other, also one that fails among them.
func TestTogether(t *testing.T) {
	r, err := compileRules(baseData, map[string]string{"t.rego": `package t

f(x) := [y | some y in x; y > input.a]

r contains [x, f(input.l), count(q)] if some x in input.l

q contains x if x := data.limits[_][_][_].max

q contains input.a + 1`})
	must(t, err)
	q, _, err := r.ask("{x | x = data.t.r}")
	must(t, err)
	var running sync.WaitGroup
	first := object(t, `{"a": 0, "l": [0, 3, 5, "x"]}`)
	alike := q.direct.Steady(input{r, first}.Part)
	for g := range 8 {
		value := object(t, fmt.Sprintf(`{"a": %d, "l": [%d, 3, 5, "x"]}`, g, g))
		if g == 7 {
			value = object(t, `{"a": "7", "l": [1]}`)
		}
		var steady *direct.Steady
		if g%2 == 1 { // these know together what is the same for them
			value, steady = r.alike(first, value), alike
		}
		want, wantErr := q.asOPA(t.Context(), value)
		running.Go(func() {
			for range 200 {
				got, err := q.steadily(t.Context(), value, steady)
				if (err == nil) != (wantErr == nil) || err == nil && got != want {
					t.Errorf("%v: %s, %v, and OPA %s, %v", value, got, err, want, wantErr)
					return
				}
			}
		})
	}
	running.Wait()
}

// countdown is a context that ends when it was looked at a number of times.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// TestConfig: a program is not made of what is missing.
func TestConfig(t *testing.T) {
	r, err := compileRules(`{}`, nil)
	must(t, err)
	good := direct.Config{Compiler: r.compiler, Data: r.data, Part: r.part}
	if _, err := direct.New(good); err != nil {
		t.Fatal(err)
	}
	for _, change := range []func(*direct.Config){
		func(c *direct.Config) { c.Compiler = nil },
		func(c *direct.Config) { c.Data = nil },
		func(c *direct.Config) { c.Part = nil },
		func(c *direct.Config) { c.MaxSteps = -1 },
	} {
		bad := good
		change(&bad)
		if _, err := direct.New(bad); err == nil {
			t.Errorf("%+v makes a program", bad)
		}
	}
}
