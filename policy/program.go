package policy

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/countersign-mpc/countersign/policy/direct"
)

// program asks a policy that was split.
type program struct {
	store  storage.Store
	items  []*item
	left   []left
	always marks // the rules that are left and have no condition
	groups []*memory[remembered]
	joint  *joint     // what they know together
	steady *questions // of items, about the policy as it is
	rest   *questions // of rules that are left, about the policy with what is remembered in its place; nil where direct knows all of them
	direct *directly  // those rules, as far as they are evaluated without OPA

	split    *ast.Compiler // of the rules that are left
	compiled []compiledSet // by it, for direct
	table    *spanTable
	index    map[inputPath]int
	fleeting map[inputPath]bool
}

// maxQuestions bounds the items and the rules that are left; a policy with more is asked as a whole.
const maxQuestions = 512

// marks is a set of questions, by their indexes.
type marks [maxQuestions / 64]uint64

func (m *marks) add(i int)     { m[i/64] |= 1 << (i % 64) }
func (m marks) has(i int) bool { return m[i/64]>>(i%64)&1 != 0 }

func (m marks) without(other marks) marks {
	for i, word := range other {
		m[i] &^= word
	}
	return m
}

func (m *marks) union(other marks) {
	for i, word := range other {
		m[i] |= word
	}
}

// newProgram splits the rules by which parts of the input are fleeting. It returns nil where that cannot be done.
func newProgram(f *readsFinder, shared *sharing, base documents, rules []outcomeRule, table *spanTable, index map[inputPath]int, fleeting []inputPath) *program {
	s := &splitter{
		compiler: f.compiler, finder: f, fleeting: map[inputPath]bool{}, docs: map[string]*item{},
		helpers: map[*ast.Rule]*helper{}, known: map[*ast.Rule]bool{},
	}
	for _, path := range fleeting {
		s.fleeting[path] = true
	}
	s.split(rules)
	if len(s.items) > maxQuestions || len(s.left) > maxQuestions {
		return nil
	}
	p := &program{items: s.items, left: s.left, table: table, index: index, fleeting: s.fleeting}
	all := reads{}
	for _, r := range s.group() {
		p.groups = append(p.groups, newMemory[remembered](r, index))
		all.update(r)
	}
	p.joint = &joint{memory: newMemory[known](all, index)}
	for _, it := range p.items {
		if it.name != "" {
			it.place = p.groups[it.group].named
			p.groups[it.group].named++
		}
	}
	p.split = ast.NewCompiler().WithCapabilities(capabilities())
	if p.split.Compile(s.modules()); p.split.Failed() {
		return nil
	}
	shared.modules(p.split.Modules)
	for i := range p.left {
		p.left[i].says = s.replacing().term(p.left[i].says)
		if !p.left[i].condition {
			p.always.add(i)
		}
	}
	p.steady = newQuestions(f.compiler, table, s.fleeting, len(p.items), func(i int) *ast.Term { return p.items[i].value })
	p.rest = newQuestions(p.split, table, s.fleeting, len(p.left), func(i int) *ast.Term { return p.left[i].says })
	for _, l := range p.left {
		c := compileSet(p.split, l.says)
		if c.set != nil {
			c.set.Term = shared.term(c.set.Term)
			shared.body(c.set.Body)
		}
		p.compiled = append(p.compiled, c)
	}
	if p = p.over(base); p.direct.knows(p.left) {
		p.settle()
	}
	return p
}

// settle lets go of all that OPA would have to be asked with for the rules that are left: direct knows them, and where it fails the
// policy is asked as a whole. What is kept is what direct is made of where the data changes.
func (p *program) settle() {
	p.rest = nil
	for i := range p.left {
		p.left[i].says = nil
	}
	c := p.split
	c.Modules, c.ModuleTree, c.Graph, c.TypeEnv, c.RewrittenVars, c.Required = nil, nil, nil, nil, nil, nil
	c.RuleTree.DepthFirst(func(n *ast.TreeNode) bool {
		n.Index = nil
		return false
	})
}

// complete reports whether all rules can be asked.
func (p *program) complete() bool { return p.rest != nil || p.direct.knows(p.left) }

// over is the same about other data, with nothing remembered. The queries are shared: they do not look at the data.
func (p *program) over(base documents) *program {
	out := *p
	out.store, out.groups = base.store, make([]*memory[remembered], len(p.groups))
	for i, m := range p.groups {
		out.groups[i] = m.empty()
	}
	out.joint = &joint{memory: p.joint.memory.empty()}
	out.direct = newDirectly(&out, base)
	return &out
}

// evaluate adds what the rules say.
func (p *program) evaluate(ctx context.Context, d *inputDoc, a *asked) error {
	k, steady, err := p.known(ctx, d)
	if err != nil {
		return err
	}
	active := k.active
	decided, err := p.direct.evaluate(ctx, d, k, steady, a)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, direct.ErrFails): // OPA might find that what is remembered makes a rule needless, and the policy as a whole may not
		return err
	case err == nil:
		active = active.without(decided)
	}
	if err == nil && active == (marks{}) && p.direct.alwaysSays(a) {
		if c := k.concluded.Load(); c != nil && c.fired == a.fired {
			a.concluded = c
			return nil
		}
		a.known = k
	}
	a.verdict.add(&k.says)
	before := a.verdict
	if err == nil && p.direct.add(a) != nil {
		a.verdict, active = before, k.active
	}
	return p.ask(ctx, d, k.found, active, &a.verdict)
}

// errNoRest says that only the policy as a whole can be asked.
var errNoRest = errors.New("OPA cannot be asked for the rules that are left by themselves")

// ask asks OPA for the rules that are left.
func (p *program) ask(ctx context.Context, d *inputDoc, found []*remembered, active marks, out *verdict) error {
	if active == (marks{}) {
		return nil
	}
	if p.rest == nil {
		return errNoRest
	}
	q, err := p.rest.of(active)
	if err != nil {
		return err
	}
	answers, err := q.ask(ctx, p.store, d, found)
	if err != nil {
		return err
	}
	for i, rule := range q.asked {
		if err := out.readMember(p.left[rule].outcome, answers[i]); err != nil {
			return err
		}
	}
	return nil
}

// learn asks for the items of groups of which nothing is remembered.
func (p *program) learn(ctx context.Context, d *inputDoc, missing marks, found []*remembered) error {
	var asked marks
	for i, it := range p.items {
		if missing.has(it.group) {
			asked.add(i)
		}
	}
	q, err := p.steady.of(asked)
	if err != nil {
		return err
	}
	answers, err := q.ask(ctx, p.store, d, nil)
	if err != nil {
		return err
	}
	values := make([][][2]*ast.Term, len(p.groups))
	for g := range p.groups {
		if missing.has(g) {
			found[g] = &remembered{terms: make([]*ast.Term, p.groups[g].named)}
		}
	}
	for i, index := range q.asked {
		it := p.items[index]
		r := found[it.group]
		if it.outcome != "" {
			if err := r.says.readMember(it.outcome, answers[i]); err != nil {
				return err
			}
			continue
		}
		list, isArray := answers[i].(*ast.Array)
		switch {
		case !isArray:
			return errUndefined
		case list.Len() == 0:
		case it.rule >= 0:
			r.holds.add(it.rule)
		default:
			r.terms[it.place] = list.Elem(0)
			r.odd = r.odd || !direct.PlainNumbers(list.Elem(0))
			values[it.group] = append(values[it.group], [2]*ast.Term{ast.StringTerm(it.name), list.Elem(0)})
		}
	}
	for g := range p.groups {
		if missing.has(g) {
			found[g].values = ast.ObjectTerm(values[g]...)
			p.groups[g].keep(d, found[g])
		}
	}
	return nil
}

// questions are asked together, in one query for each set of them. Safe for concurrent use.
type questions struct {
	compiler *ast.Compiler
	table    *spanTable
	fleeting map[inputPath]bool
	terms    []*ast.Term

	mu      sync.Mutex // guards queries
	queries map[marks]*query
}

// maxQueries bounds the sets of questions for which a query is kept. There are few, since few kinds of requests are made.
const maxQueries = 256

func newQuestions(c *ast.Compiler, table *spanTable, fleeting map[inputPath]bool, n int, term func(i int) *ast.Term) *questions {
	q := &questions{compiler: c, table: table, fleeting: fleeting, queries: map[marks]*query{}}
	for i := range n {
		q.terms = append(q.terms, term(i))
	}
	return q
}

// query asks some of the questions.
type query struct {
	compiler *ast.Compiler
	local    ast.QueryCompiler
	body     ast.Body
	asked    []int
	vars     []ast.Var // of the answers, in the order of asked
	needs    needs
}

// of returns the query for a set of questions.
func (q *questions) of(set marks) (*query, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if known := q.queries[set]; known != nil {
		return known, nil
	}
	made := &query{compiler: q.compiler, local: q.compiler.QueryCompiler()}
	var body ast.Body
	for i, term := range q.terms {
		if set.has(i) {
			v := ast.Var("answer " + strconv.Itoa(i)) // no rule has a variable of this name
			made.asked, made.vars = append(made.asked, i), append(made.vars, v)
			body.Append(ast.Equality.Expr(ast.NewTerm(v), term))
		}
	}
	var err error
	if made.body, err = made.local.Compile(body); err != nil {
		return nil, err
	}
	r, ok := newReadsFinder(q.compiler).ofBody(made.body)
	if !ok {
		return nil, errUndefined
	}
	if made.needs, ok = needsOf(r, q.table, q.fleeting); !ok {
		return nil, errUndefined
	}
	shared := newSharing(termsOfQuery)
	shared.placeless = true
	shared.body(made.body)
	if len(q.queries) >= maxQueries {
		clear(q.queries)
	}
	q.queries[set] = made
	return made, nil
}

// ask evaluates the query, errUndefined where a question has no answer.
func (q *query) ask(ctx context.Context, store storage.Store, d *inputDoc, found []*remembered) ([]ast.Value, error) {
	input, err := d.object(q.needs, found)
	if err != nil {
		return nil, err
	}
	ctx = waitedFor(ctx)
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return nil, err
	}
	defer store.Abort(ctx, txn)
	cancel := topdown.NewCancel()
	defer context.AfterFunc(ctx, cancel.Cancel)()
	var answers []ast.Value
	err = topdown.NewQuery(q.body).
		WithQueryCompiler(q.local).WithCompiler(q.compiler).WithStore(store).WithTransaction(txn).
		WithInput(input).WithCancel(cancel).WithStrictBuiltinErrors(true).WithMetrics(metrics.NoOp()).
		Iter(ctx, func(r topdown.QueryResult) error {
			if answers != nil {
				return errUndefined // two answers
			}
			answers = make([]ast.Value, len(q.vars))
			for i, v := range q.vars {
				term := r[v]
				if term == nil {
					return errUndefined
				}
				answers[i] = term.Value
			}
			return nil
		})
	if err == nil && answers == nil {
		err = errUndefined
	}
	return answers, err
}

// needs are the parts of the input that a query looks at.
type needs []need

// need is a member of the input.
type need struct {
	key     *ast.Term
	group   int // of remembered values, else -1
	span    int
	whole   bool // it is looked at as a whole
	last    *lastTerm
	members []needMember
}

// needMember is a member of a member that is looked at by itself.
type needMember struct {
	key  *ast.Term
	span int
	last *lastTerm
}

// needsOf lists what is read; ok is false for what the table does not list.
func needsOf(r reads, table *spanTable, fleeting map[inputPath]bool) (out needs, ok bool) {
	byName := map[string]*need{}
	for _, path := range slices.SortedFunc(maps.Keys(r), func(a, b inputPath) int { return slices.Compare(a[:], b[:]) }) {
		name := path[0]
		n := byName[name]
		if n == nil {
			n = &need{key: ast.StringTerm(name), group: -1, last: &lastTerm{varies: fleeting[inputPath{name}]}}
			byName[name] = n
		}
		if number, is := strings.CutPrefix(name, rememberedPrefix); is {
			var err error
			if n.group, err = strconv.Atoi(number); err != nil {
				return nil, false
			}
			continue
		}
		s := table.of(name)
		if s == nil {
			return nil, false
		}
		n.span = s.index
		if path[1] == "" {
			n.whole = n.whole || r[path] == readsWhole
			continue
		}
		span, known := s.members[path[1]]
		if !known {
			return nil, false
		}
		n.members = append(n.members, needMember{ast.StringTerm(path[1]), span, &lastTerm{varies: fleeting[path]}})
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, *byName[name])
	}
	return out, true
}
