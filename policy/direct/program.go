package direct

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// DefaultMaxSteps bounds one evaluation: some ten milliseconds.
const DefaultMaxSteps = 100_000

// Config is what New needs.
type Config struct {
	Compiler *ast.Compiler // it has compiled the rules
	Data     ast.Object    // the base documents; it must not change
	Plain    bool          // all numbers of Data are known to be plain (PlainNumbers), so that it need not be gone through
	// Part tells which part of the input a reference to it begins with, and how much of the reference names it. ok is false for
	// references to anything else.
	Part     func(ref ast.Ref) (part, length int, ok bool)
	Steady   func(part int) bool // whether many inputs have the same value there (Program.Steady); nil: none is so
	MaxSteps int                 // of one evaluation; 0 is DefaultMaxSteps
}

func (c Config) validate() error {
	switch {
	case c.Compiler == nil || c.Compiler.Failed():
		return errors.New("no rules have been compiled")
	case c.Data == nil:
		return errors.New("there are no base documents")
	case c.Part == nil:
		return errors.New("nothing tells the parts of the input")
	case c.MaxSteps < 0:
		return fmt.Errorf("%d is no number of steps", c.MaxSteps)
	}
	return nil
}

// Input is what a program looks at.
type Input interface {
	// Part returns a part of the input, nil for one that is not there. It is called once for each part in an evaluation. For one
	// of which not all numbers are plain (PlainNumbers) it fails with ErrNumber.
	Part(part int) (*ast.Term, error)
	// Member returns what a part that is made of JSON holds under a name, and in that under another name, and so on; nil for nothing.
	// ok is false for a part that is to be looked at as a whole. It fails as Part does.
	Member(part int, names []string) (t *ast.Term, ok bool, err error)
	// Elements returns what the elements of a part that is an array hold under each of the names: all of the first element, then of the
	// second one; nil for nothing. ok is false for a part that is to be looked at as a whole. It fails as Part does.
	Elements(part int, names []string) (list []*ast.Term, ok bool, err error)
}

// Program evaluates the sets that were added to it. Add must not run beside another method; Evaluate may run concurrently.
type Program struct {
	config Config
	sets   []set
	groups map[*ast.TreeNode]compiled
	parts  map[int]int // part of the input to its place in a run
	steady []steadyPlace
	size   struct{ registers, operands, groups, gathers, bodies, once int }

	runs sync.Pool // of *run
}

// set is a set that can be asked for.
type set struct {
	elements gather
	constant *ast.Term
}

// New makes a program without sets. The error is ErrUnsupported for base documents that OPA has to look at.
func New(cfg Config) (*Program, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("evaluate rules directly: %w", err)
	}
	if !cfg.Plain && !PlainNumbers(ast.NewTerm(cfg.Data)) {
		return nil, unsupported("a number of the base documents is written in an odd way")
	}
	if cfg.MaxSteps == 0 {
		cfg.MaxSteps = DefaultMaxSteps
	}
	p := &Program{config: cfg, groups: map[*ast.TreeNode]compiled{}, parts: map[int]int{}}
	p.runs.New = func() any { return p.newRun() }
	return p, nil
}

// ErrUnsupported is that of New and Add for what OPA has to evaluate.
var ErrUnsupported = errors.New("not a part of Rego that is evaluated directly")

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnsupported, fmt.Sprintf(format, args...))
}

// Add compiles a set comprehension, as a query compiler of the rules has left it, and returns the number to ask for it by.
// Indexed tells which comprehensions in it OPA would evaluate by an index. The error is ErrUnsupported for what OPA has to
// evaluate.
func (p *Program) Add(c *ast.SetComprehension, indexed func(*ast.Term) bool) (int, error) {
	s := newScope(p, c, indexed)
	elements, err := s.setOf(c)
	if err != nil {
		return 0, err
	}
	made := set{elements: elements}
	if isConstant(c.Term.Value) {
		made.constant = c.Term
	}
	p.sets = append(p.sets, made)
	return len(p.sets) - 1, nil
}

// Constant returns the one element that a set can have whatever the input is, nil if it can have others.
func (p *Program) Constant(number int) *ast.Term { return p.sets[number].constant }

// ErrNumber is that of an Input for a number that is not written in the one plain way.
var ErrNumber = errors.New("a number is written in an odd way")

// ErrFails is that of Evaluate where a built-in fails or a rule has two values, which is an error to OPA too wherever it evaluates
// the rule; its index may leave it out.
var ErrFails = errors.New("a rule fails")

// Errors for which OPA has to be asked.
var (
	errConflict = fmt.Errorf("%w: it has two values", ErrFails)
	errBuiltin  = fmt.Errorf("%w: a built-in does", ErrFails)
	errSteps    = errors.New("it takes too many steps")
	errKey      = errors.New("a base document is read by a key that is no name or index")
	errTimes    = errors.New("a built-in says several values")
)

// Evaluate hands each of the sets, with its number, to found: in order, and nil for one that is empty. Rules are evaluated
// once for all of them. Steady is what is known of the input's steady parts, or nil. After an error OPA has to be asked about all
// of the sets; the error is ctx's where ctx has ended, and ErrFails where the rules fail.
func (p *Program) Evaluate(ctx context.Context, in Input, steady *Steady, numbers []int, found func(number int, s ast.Set) error) (err error) {
	r := p.runs.Get().(*run)
	defer func() {
		if failed := recover(); failed != nil {
			err = fmt.Errorf("evaluate rules directly: panic: %v", failed)
		}
		if err == nil { // else it may be left in the midst of something, and is not used again
			r.reset()
			p.runs.Put(r)
		}
	}()
	r.ctx, r.in, r.steady, r.builtin.Context, r.builtin.Cancel = ctx, in, steady, ctx, r
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, number := range numbers {
		term, err := p.sets[number].elements(r)
		if err != nil {
			return fmt.Errorf("evaluate rules directly: %w", err)
		}
		elements, _ := term.Value.(ast.Set)
		if elements.Len() == 0 {
			elements = nil
		}
		if err := found(number, elements); err != nil {
			return err
		}
	}
	return nil
}

// run is one evaluation.
type run struct {
	program   *Program
	ctx       context.Context
	in        Input
	registers []*ast.Term // values of variables
	operands  []*ast.Term // of calls of built-ins
	steady    *Steady
	parts     []*ast.Term // of the input, as far as they were looked at
	looked    []bool
	members   []member // of parts that were not looked at as a whole
	names     [maxNames]string
	groups    []answer
	gathers   []gathered
	steps     int
	builtin   topdown.BuiltinContext
	said      *ast.Term // by the built-in that is asked
	times     int       // how often it said something
	say       func(*ast.Term) error
}

// answer is what a rule is found to say.
type answer struct {
	done   bool
	value  *ast.Term // nil: undefined
	latest *ast.Term // while its bodies are evaluated: their value
	holds  bool      // and whether the last one held
}

// gathered is what a comprehension has gathered, or whether a body held.
type gathered struct {
	list   []*ast.Term
	set    ast.Set
	object ast.Object
	holds  bool
	times  int // how often the beginning of a body did
}

func (p *Program) newRun() *run {
	r := &run{
		program: p, registers: make([]*ast.Term, p.size.registers), operands: make([]*ast.Term, p.size.operands),
		parts: make([]*ast.Term, len(p.parts)), looked: make([]bool, len(p.parts)),
		groups: make([]answer, p.size.groups), gathers: make([]gathered, p.size.gathers),
	}
	r.builtin.Capabilities = p.config.Compiler.Capabilities()
	r.say = func(t *ast.Term) error {
		r.said = t
		r.times++
		return nil
	}
	return r
}

// reset forgets the request. What is gathered and what is given to built-ins is forgotten where that is done.
func (r *run) reset() {
	clear(r.registers)
	clear(r.parts)
	clear(r.looked)
	clear(r.members)
	r.members, r.names = r.members[:0], [maxNames]string{}
	clear(r.groups)
	r.ctx, r.in, r.steady, r.steps, r.said = nil, nil, nil, 0, nil
	r.builtin = topdown.BuiltinContext{Capabilities: r.builtin.Capabilities}
}

// stepsBetween is after how many steps a run looks whether it was broken off.
const stepsBetween = 256

// step counts one of what a run could do often.
func (r *run) step() error {
	r.steps++
	if r.steps%stepsBetween == 0 {
		if err := r.ctx.Err(); err != nil {
			return err
		}
	}
	if r.steps > r.program.config.MaxSteps {
		return errSteps
	}
	return nil
}

var _ topdown.Cancel = (*run)(nil)

// Cancel does nothing: a run ends with its context.
func (r *run) Cancel() {}

// Cancelled breaks off built-ins that take long.
func (r *run) Cancelled() bool { return r.ctx.Err() != nil }
