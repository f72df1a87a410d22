package direct

import "github.com/open-policy-agent/opa/v1/ast"

type kind int

const (
	complete kind = iota + 1
	function
	partialSet
	partialObject
)

// group are the rules of one name.
type group struct {
	kind     kind
	number   int     // of its answer in a run
	args     []int   // of a function: where its arguments are
	rules    []*rule // without the default
	standard *rule   // the default, or nil
	total    bool    // it cannot fail
	early    bool    // one body that holds is enough
	varies   bool    // they look at something that varies, beside the arguments
}

// rule is one body, with those behind else.
type rule struct {
	body      step
	otherwise *rule
}

// ruleOf finds the rules that a reference begins with, and how much of the reference names them. There are none where it
// begins with a base document.
func (p *Program) ruleOf(ref ast.Ref) (g *group, length int, err error) {
	node := p.config.Compiler.RuleTree.Child(ref[0].Value)
	for i := 1; i < len(ref) && node != nil; i++ {
		name, isString := ref[i].Value.(ast.String)
		if !isString {
			return nil, 0, unsupported("rules by %v", ref)
		}
		if node = node.Child(name); node == nil {
			return nil, 0, nil
		}
		if node.External != nil {
			return nil, 0, unsupported("rules from elsewhere: %v", ref)
		}
		if len(node.Values) > 0 {
			g, err := p.group(node)
			return g, i + 1, err
		}
	}
	if node != nil {
		return nil, 0, unsupported("all rules of %v", ref)
	}
	return nil, 0, nil
}

// compiled is a group, or why it is none.
type compiled struct {
	group *group
	err   error
}

// group compiles rules, once.
func (p *Program) group(node *ast.TreeNode) (*group, error) {
	c, known := p.groups[node]
	if !known {
		c.group, c.err = p.compile(node)
		p.groups[node] = c
	}
	return c.group, c.err
}

func (p *Program) compile(node *ast.TreeNode) (*group, error) {
	first := node.Values[0]
	g := &group{kind: kindOf(first), number: p.size.groups, total: true}
	p.size.groups++
	if len(node.Children) > 0 {
		return nil, unsupported("rules below rules: %v", first.Head)
	}
	for range first.Head.Args {
		g.args = append(g.args, p.register())
	}
	for _, r := range node.Values {
		if kindOf(r) != g.kind || len(r.Head.Args) != len(g.args) || len(r.Ref()) != len(first.Ref()) {
			return nil, unsupported("rules of several kinds: %v", r.Head)
		}
	}
	g.early = g.oneValue(node.Values)
	for _, r := range node.Values {
		made, err := g.compile(p, r)
		switch {
		case err != nil:
			return nil, err
		case !r.Default:
			g.rules = append(g.rules, made)
		case g.standard != nil || g.kind != complete && g.kind != function:
			return nil, unsupported("default of %v", r.Head)
		default:
			g.standard = made
		}
	}
	// The bodies end at the first solution only if nothing is lost by it.
	g.early = g.early && g.total
	g.total = g.total && (g.early || g.kind == partialSet)
	return g, nil
}

// kindOf is 0 for a rule of a form that is not supported.
func kindOf(r *ast.Rule) kind {
	ref := r.Ref()
	ground := ref.IsGround()
	switch {
	case len(r.Head.Args) > 0 && ground && r.Head.RuleKind() == ast.SingleValue:
		return function
	case len(r.Head.Args) > 0:
		return 0
	case r.Head.RuleKind() == ast.MultiValue && ground && r.Else == nil:
		return partialSet
	case r.Head.RuleKind() == ast.MultiValue:
		return 0
	case ground:
		return complete
	case ref[:len(ref)-1].IsGround() && r.Else == nil:
		return partialObject
	}
	return 0
}

// oneValue reports whether all rules but the default say the same if they hold.
func (g *group) oneValue(rules []*ast.Rule) bool {
	if g.kind != complete && g.kind != function {
		return false
	}
	var one *ast.Term
	for _, r := range rules {
		for each := r; each != nil && !r.Default; each = each.Else {
			v := each.Head.Value
			if !isConstant(v.Value) || one != nil && !one.Equal(v) {
				return false
			}
			one = v
		}
	}
	return true
}

func (g *group) compile(p *Program, r *ast.Rule) (*rule, error) {
	if g.kind == 0 {
		return nil, unsupported("%v", r.Head)
	}
	s := newScope(p, r, func(t *ast.Term) bool { return p.config.Compiler.ComprehensionIndex(t) != nil })
	args, err := g.takeArgs(s, r.Head.Args)
	if err != nil {
		return nil, err
	}
	body, err := s.body(r.Body)
	if err != nil {
		return nil, err
	}
	end, err := g.end(s, r)
	if err != nil {
		return nil, err
	}
	made := &rule{body: join(args, p.join(body, end))}
	g.total, g.varies = g.total && s.total, g.varies || s.lowest == varied
	if r.Else != nil {
		made.otherwise, err = g.compile(p, r.Else)
	}
	return made, err
}

// takeArgs matches what a function is given with its head.
func (g *group) takeArgs(s *scope, args []*ast.Term) ([]link, error) {
	if len(args) != len(g.args) {
		return nil, unsupported("a function of %d or %d arguments", len(args), len(g.args))
	}
	var links []link
	s.level = argued
	defer func() { s.level = outermost }()
	for i, t := range args {
		at := g.args[i]
		if v, isVar := t.Value.(ast.Var); isVar && !s.bound[v] {
			s.places[v] = at
			s.bind(v)
			continue
		}
		m, err := s.matchMember(t)
		if err != nil {
			return nil, err
		}
		links = append(links, func(next step) step {
			out := m(next)
			return func(r *run) error { return out(r, r.registers[at]) }
		})
	}
	return links, nil
}

// end compiles what is done with each solution of a rule's body.
func (g *group) end(s *scope, r *ast.Rule) (step, error) {
	said := r.Head.Value
	if g.kind == partialSet {
		said = r.Head.Key
	}
	v, err := s.value(said)
	if err != nil {
		return nil, err
	}
	number := g.number
	switch g.kind {
	case partialSet:
		return func(r *run) error {
			a := &r.groups[number]
			if a.latest == nil {
				a.latest = ast.SetTerm(v.of(r))
			} else {
				a.latest.Value.(ast.Set).Add(v.of(r))
			}
			return nil
		}, nil
	case partialObject:
		ref := r.Ref()
		key, err := s.value(ref[len(ref)-1])
		return func(r *run) error {
			a := &r.groups[number]
			if a.latest == nil {
				a.latest = ast.ObjectTerm()
			}
			return insert(a.latest.Value.(ast.Object), key.of(r), v.of(r))
		}, err
	}
	return func(r *run) error {
		a := &r.groups[number]
		a.holds = true
		found := v.of(r)
		if a.latest == nil {
			a.latest = found
		} else if !a.latest.Equal(found) {
			return errConflict
		}
		if g.early {
			return errEnough
		}
		return nil
	}, nil
}

// value is what the rules say, found once in a run; nil for nothing.
func (g *group) value(r *run) (*ast.Term, error) {
	if a := &r.groups[g.number]; a.done {
		return a.value, nil
	}
	v, err := g.find(r)
	if err != nil {
		return nil, err
	}
	r.groups[g.number] = answer{done: true, value: v}
	return v, nil
}

// find evaluates the rules.
func (g *group) find(r *run) (*ast.Term, error) {
	if err := r.step(); err != nil {
		return nil, err
	}
	a := &r.groups[g.number]
	a.latest = nil
	for _, made := range g.rules {
		if err := g.try(r, made); err != nil {
			return nil, err
		}
		if g.early && a.holds {
			break
		}
	}
	if a.latest == nil && g.standard != nil {
		if err := g.try(r, g.standard); err != nil {
			return nil, err
		}
	}
	switch {
	case a.latest != nil:
		return a.latest, nil
	case g.kind == partialSet:
		return ast.InternedEmptySet, nil
	case g.kind == partialObject:
		return ast.InternedEmptyObject, nil
	}
	return nil, nil
}

// try evaluates a body, and where it does not hold, the one behind else.
func (g *group) try(r *run, made *rule) error {
	a := &r.groups[g.number]
	for ; made != nil; made = made.otherwise {
		a.holds = false
		if err := made.body(r); err != nil && err != errEnough {
			return err
		}
		if a.holds {
			return nil
		}
	}
	return nil
}
