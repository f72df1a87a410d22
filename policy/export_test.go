package policy

import (
	"bytes"
	"context"
	"reflect"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
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

// AskedOPA reports whether OPA was asked for rules that are asked each time.
func (e *Engine) AskedOPA() bool {
	return len(e.parts.plain.rest.queries)+len(e.parts.any.rest.queries) > 0
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

// SameInput reports whether an input is written as encoding/json writes it, with the parts that reading it finds, or not at all.
func (e *Engine) SameInput(t testing.TB, in Input) bool {
	b, d, err := in.canonical(e.spans())
	want, wantErr := in.marshal()
	if in.validate() != nil || wantErr != nil {
		return err != nil
	}
	read, wantErr := readDocument(want, e.spans())
	if wantErr != nil || err != nil {
		return wantErr != nil && err != nil
	}
	same := bytes.Equal(b, want) && len(d.spans) == len(read.spans)
	for i := range read.spans {
		if same && ((d.spans[i] == nil) != (read.spans[i] == nil) || !bytes.Equal(d.spans[i], read.spans[i])) {
			t.Logf("part %d: %s, and read: %s", i, d.spans[i], read.spans[i])
			same = false
		}
	}
	return same
}

// PlainJSON is plainJSON for what stands by itself, with the members of an object.
func PlainJSON(b []byte) (bool, map[string][]byte) {
	members := map[string][]byte{}
	plain := plainJSON(b, maxJSONDepth, func(name []byte, begin, end int) { members[string(name)] = b[begin:end] })
	return plain, members
}

// UnjudgedPowers are the methods that data.json may list under powers only.
var UnjudgedPowers = unjudgedPowers
