package policy

import (
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"
)

// types lets OPA's compiler check the modules against the schema of the input, which follows values through
// rules. What it says of other things is left to the compilation proper.
func (l *linter) types() error {
	set, err := schemaSet()
	if err != nil {
		return err
	}
	c := newCompiler().WithSchemas(set)
	c.SetErrorLimit(0)
	c.Compile(copyOf(l.modules))
	for _, err := range c.Errors {
		l.typeError(err)
	}
	return nil
}

func (l *linter) typeError(e *ast.Error) {
	switch d := e.Details.(type) {
	case *ast.RefErrInvalidDetail:
		if isInput(d.Ref) && d.Pos < len(d.Ref) {
			before, _, _ := scope{shapes: l.shapes}.walk(d.Ref[:d.Pos])
			l.unknownField(e.Location, d.Ref, d.Pos, before)
		}
	case *ast.RefErrUnsupportedDetail:
		if isInput(d.Ref) && d.Pos+1 < len(d.Ref) {
			before, _, _ := scope{shapes: l.shapes}.walk(d.Ref[:d.Pos+1])
			l.unknownField(e.Location, d.Ref, d.Pos+1, before)
		}
	case *ast.UnificationErrDetail:
		// The compiler's schema knows no null.
		if d.Left != nil && d.Right != nil && types.Compare(d.Left, types.Nl) != 0 && types.Compare(d.Right, types.Nl) != 0 {
			if brief(d.Left) == brief(d.Right) {
				l.add(e.Location, "type-mismatch", "one %s has other members than the other, so that they are never equal: a pattern has to name all members; take one by its name, such as a := input.tx.amount_base", brief(d.Left))
				return
			}
			l.add(e.Location, "type-mismatch", "a value of type %s is never equal to one of type %s", brief(d.Left), brief(d.Right))
		}
	case *ast.ArgErrDetail:
		if e.Code == ast.TypeErr && strings.Contains(e.Message, "invalid argument") {
			l.add(e.Location, "type-mismatch", "%s", argumentsOf(e, d))
		}
	}
}

func isInput(ref ast.Ref) bool { return ref[0].Equal(ast.InputRootDocument) }

// brief is a type's name without its members.
func brief(t types.Type) string {
	text := types.Sprint(t)
	if i := strings.IndexAny(text, "[<"); i > 0 {
		return text[:i]
	}
	return text
}

func argumentsOf(e *ast.Error, d *ast.ArgErrDetail) string {
	have := make([]string, 0, len(d.Have))
	for _, t := range d.Have {
		if t == nil {
			have = append(have, "?")
			continue
		}
		have = append(have, brief(t))
	}
	return strings.TrimSuffix(e.Message, ": invalid argument(s)") + " cannot be given (" + strings.Join(have, ", ") + ")"
}
