package direct

import (
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"
)

// natives are built-ins that rules call often, for the operands that they mostly have, of which OPA's say the same. They say nothing
// (nil) of others, which OPA's are then asked about.
var natives = map[string]func(operands []*ast.Term) *ast.Term{
	ast.Count.Name:       count,
	ast.ArrayConcat.Name: concat,
	ast.Plus.Name:        small(func(x, y int64) int64 { return x + y }),
	ast.Minus.Name:       small(func(x, y int64) int64 { return x - y }),
	ast.Multiply.Name:    small(func(x, y int64) int64 { return x * y }),
}

func count(operands []*ast.Term) *ast.Term {
	switch c := operands[0].Value.(type) {
	case *ast.Array:
		return ast.InternedTerm(c.Len())
	case ast.Object:
		return ast.InternedTerm(c.Len())
	case ast.Set:
		return ast.InternedTerm(c.Len())
	}
	return nil
}

// maxConcat is how many elements are put together without a look at whether the evaluation's time is over.
const maxConcat = 1000

func concat(operands []*ast.Term) *ast.Term {
	a, isArray := operands[0].Value.(*ast.Array)
	b, areArrays := operands[1].Value.(*ast.Array)
	switch {
	case !isArray || !areArrays || a.Len()+b.Len() > maxConcat:
		return nil
	case a.Len() == 0:
		return operands[1]
	case b.Len() == 0:
		return operands[0]
	}
	both := make([]*ast.Term, 0, a.Len()+b.Len())
	for i := range a.Len() {
		both = append(both, a.Elem(i))
	}
	for i := range b.Len() {
		both = append(both, b.Elem(i))
	}
	return ast.ArrayTerm(both...)
}

// maxSmall is the length of the numbers whose sums, differences and products fit into an int64.
const maxSmall = 9

// small computes with whole numbers of few digits. Plain ones are written in one way (PlainNumber), and so is what comes of it.
func small(compute func(x, y int64) int64) func(operands []*ast.Term) *ast.Term {
	return func(operands []*ast.Term) *ast.Term {
		a, aIsNumber := operands[0].Value.(ast.Number)
		b, bIsNumber := operands[1].Value.(ast.Number)
		if !aIsNumber || !bIsNumber || len(a) > maxSmall || len(b) > maxSmall {
			return nil
		}
		x, err := strconv.ParseInt(string(a), 10, 64)
		if err != nil {
			return nil
		}
		y, err := strconv.ParseInt(string(b), 10, 64)
		if err != nil {
			return nil
		}
		return ast.InternedTerm(compute(x, y))
	}
}
